# SPDX-License-Identifier: Apache-2.0
"""A server whose URLs answer, on this machine's loopback.

What the Docker Engine has an image of is run there for real. Scripted images are played as ever, and their URLs answer with the
revision's name; `scripted/answers:503` answers with that status. Without an Engine all images are played.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .containers import engine as found_engine
from .containers import inside
from .front import Front, Revision, Route
from .names import last
from .played import Played
from .real import IDLE, Real
from .routing import route
from .runner import Json, Runner, Say, Started
from .scaling import Pool
from .scripted import Now, Scripted, script
from .server import Server

UNKNOWN = b"not told"  # the value of a secret that nobody gave one


@contextmanager
def live(
    environ: Mapping[str, str], *, secrets: Mapping[str, bytes] | None = None, idle: float = IDLE, **more: Any
) -> Iterator[Server]:
    """environ: may name the Engine, as DOCKER_HOST. secrets: id -> value. idle: seconds until an idle instance is stopped.

    more: for `Server`.
    """
    values, engine = secrets or {}, found_engine(environ)
    runners: list[Answering] = []

    def routed(service: str, tag: str) -> Route | None:
        return route(server.state, server.accounts, service, tag)

    def containers(now: Now) -> Runner:
        front = Front(routed, inside(engine) if engine is not None else "")
        real = Real(engine, front, lambda name, _: values.get(last(name), UNKNOWN), idle=idle) if engine else None
        runners.append(Answering(Scripted(now), front, real))
        return runners[0]

    server = Server(containers=containers, **more)
    server.state.url = runners[0].front.url
    try:
        with server:
            yield server
    finally:
        runners[0].close()


class Answering:
    """Played where a script says so, or where there is no Engine; else real."""

    def __init__(self, scripted: Scripted, front: Front, real: Real | None) -> None:
        self.front = front
        self._scripted = scripted
        self._real = real

    def revision(self, revision: Json, say: Say) -> Started:
        name, argument = script(_image(revision))
        if self._real is not None and not name:
            return self._real.revision(revision, say)
        status = int(argument) if name == "answers" else 200
        text = last(str(revision["name"]))
        self.front.add(str(revision["name"]), Revision(pool=Pool(lambda: Played(text, status))))
        return self._scripted.revision(revision, say)

    def task(self, task: Json, attempt: int, say: Say) -> Started:
        if self._real is not None and not script(_image(task))[0]:
            return self._real.task(task, attempt, say)
        return self._scripted.task(task, attempt, say)

    def close(self) -> None:
        self.front.close()
        if self._real is not None:
            self._real.close()


def _image(body: Json) -> str:
    return str(body["containers"][0].get("image", ""))
