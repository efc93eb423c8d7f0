# SPDX-License-Identifier: Apache-2.0
"""The first file of a project: small, deployable as it stands, and a place to learn from.

Every comment in it answers what one asks next: where the service answers, how it is told something, what a stage is.
"""

from collections.abc import Iterator

from fleetflow_tasks.config.formatting import formatted
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.model import Data

LOCAL = "local"
FILE = "fleet.kdl"


class Start(Data, frozen=True, kw_only=True):
    """What is known of a project that begins. The names in it are checked already.

    image: of its one service; "": built from the Dockerfile beside the file.
    port: inside the container; None: it serves nobody.
    """

    project: str
    stages: tuple[str, ...] = (LOCAL,)
    service: str = "web"
    image: str = ""
    port: int | None = None


def starter(start: Start) -> str:
    """The text of the file."""
    return formatted(Text(FILE, "\n".join(_lines(start)))).text


def _lines(start: Start) -> Iterator[str]:
    yield "// What runs where. `flow plan` shows what would be done, `flow up` does it."
    yield f'project "{start.project}"'
    yield ""
    yield f'service "{start.service}" {{'
    yield f'image "{start.image}"' if start.image else 'build { context "." } // the Dockerfile in this folder'
    if start.port is not None:
        yield "// Here on the first free port from 11000 up, which `flow ps` shows;"
        yield f"// `port 8080 {start.port}` would take port 8080."
        yield f"port container={start.port}"
    yield '// environment { LOG "info" }'
    yield '// secrets { TOKEN env="TOKEN" }  // from the shell or from `.env`, never from this file'
    yield '// depends_on "db"  // starts when `db` is ready'
    yield "}"
    for stage in start.stages:
        yield ""
        yield from _stage(stage, start)


def _stage(stage: str, start: Start) -> Iterator[str]:
    if stage == LOCAL:
        yield "// A stage says which services run somewhere. This one: Docker on this machine."
    else:
        yield f"// `flow up {stage}`: Docker too, until a line here says another runtime:"
        yield f'// runtime "kubernetes" {{ namespace "{start.project}-{stage}" }}'
    yield f'stage "{stage}" {{'
    yield f'service "{start.service}"'
    yield "}"
