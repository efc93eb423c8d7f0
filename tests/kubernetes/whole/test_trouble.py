# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a cluster is told in one line with cause and fix, for each service what is wrong with it.

All of it in one stage, as what takes half a minute to be called broken then takes it once.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetflow_tasks.runtimes.kubernetes.kinds import SECRET
from tests.desk import BASE, Result
from tests.docker.registry import registry
from tests.kubernetes.whole.fleet import Fleet, service

DATA = 'volumes { volume "rows" "/rows" size="1Mi" }'


def stage(registry_address: str) -> str:
    return "".join(
        [
            service("fine"),
            service("crashes", "echo reading the settings; echo there are none; exit 3"),
            service("keyless", more='secrets { TOKEN ref="tokens/none" }'),
            service("secretless", more='secrets { TOKEN ref="nothing/token" }'),
            service("unplaced", more='resources { cpu "600"; memory "16Mi" }'),
            service("picky", more='kubernetes { node_selector { "disk" "fast" } }'),
            service("classless", more=f'{DATA}; kubernetes {{ storage_class "golden" }}'),
            service("wordless").replace('command "sh" "-c" "sleep 1000"', 'command "no-such-command"'),
            service("unpulled").replace(BASE, f"{registry_address}/nobody/has-this:1"),
            service("after-crashes", more='depends_on "crashes"'),
            f'service "fails" {{ image "{BASE}"; job #true; command "sh" "-c" "echo half done; exit 4" }}\n',
            f'service "late" {{ image "{BASE}"; job #true; timeout 3; command "sleep" "1000" }}\n',
        ]
    )


@pytest.fixture(scope="module")
def deployed(shared: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    """What was printed when all of it was deployed at once."""
    shared.make(SECRET, "tokens", stringData={"token": "a word"})
    with registry(tmp_path_factory.mktemp("registry")) as address:
        yield shared.fails(stage(address).replace("127.0.0.1", "127.0.0.1"))


TOLD = {
    "crashes": "",
    "keyless": "",
    "secretless": "",
    "unplaced": "",
    "picky": "",
    "classless": "",
    "wordless": "",
    "unpulled": "",
    "fails": "",
    "late": "",
}


@pytest.mark.parametrize("name", TOLD)
def test_it_is_told_what_is_wrong(shared: Fleet, deployed: Result, name: str) -> None:
    print(deployed)
    assert shared.told(deployed, f"{name}:deploy").splitlines() == TOLD[name]
