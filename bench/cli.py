# SPDX-License-Identifier: Apache-2.0
"""How long `flow` lets somebody wait who typed a command, beside a bare start of Python and beside Docker Compose.

Nothing is deployed: what is timed is starting, reading, checking and answering. Every figure is of whole processes, from
the start of `flow` to its end, as a person at a prompt or a shell on TAB waits for it. The commands take turns within a
round, and the one that begins changes with the round.

A project of many services is in files of a hundred each, as `services/*.kdl`; a service has what most have: an image, a
port, variables, a check, what it depends on. Compose reads the same hundred services, as the program it is and not
through `docker compose`, which would add that command's own start.

    .venv/bin/python bench/cli.py [--quick] [--rounds N] [--without-compose]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # not the folder of this file

from bench.rig import Target, machine, median, said, server, spread  # noqa: E402

FLOW = str(ROOT / ".venv" / "bin" / "flow")
PEER = str(ROOT / "bench" / "peers" / "compose")
PER_FILE = 100
MANY, MORE = 1000, 5000

BARE, HELP = "a bare start of Python", "flow --help"
TABS = {
    "flow <TAB>": "flow ",
    "flow up <TAB>, a stage": "flow up ",
    "flow up --only s001,<TAB>, a service": "flow up --only s001,",
}
VALIDATE, CONFIG, SUBMIT = "flow validate", "flow config", "flow submit, 50 services, without waiting"
COMPOSE_QUIET, COMPOSE = "docker compose config -q", "docker compose config"


@dataclass(frozen=True, kw_only=True)
class Command:
    """words: of a process. folder: where it is called."""

    name: str
    words: Sequence[str]
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def seconds(self) -> float:
        """Without a limit: Python looks for the end of a process that has one in steps of up to 50 ms."""
        began = time.perf_counter()
        subprocess.run(
            self.words,
            cwd=self.folder,
            env={**os.environ, **self.environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - began


# ---------------------------------------------------------------------------------------------------------- the services


def project(folder: Path, services: int) -> Path:
    """A folder with so many services, each of one layer waiting for the one above it."""
    (folder / "services").mkdir(parents=True)
    names = [f"s{number:04}" for number in range(services)]
    held = "\n".join(f'    service "{name}"' for name in names)
    head = 'project "bench"\nvariables { TAG "1.4.2"; DOMAIN "example.org" }\n'
    (folder / "fleet.kdl").write_text(f'{head}stage "local" {{\n{held}\n}}\n', encoding="utf-8")
    for first in range(0, services, PER_FILE):
        text = "\n".join(_service(name, index) for index, name in enumerate(names[first : first + PER_FILE]))
        (folder / "services" / f"{first:05}.kdl").write_text(text, encoding="utf-8")
    return folder


def _service(name: str, index: int) -> str:
    above = f'\n    depends_on "{name[0]}{int(name[1:]) - 1:04}"' if index % 5 else ""
    return f"""service "{name}" {{
    image "registry.example.org/shop/{name}"
    version "${{TAG}}"
    port container=8080
    environment {{
        LOG "info"
        URL "https://{name}.${{DOMAIN}}/"
        WORKERS 4
    }}
    healthcheck {{ test "CMD" "check"; interval 5; retries 3 }}{above}
}}"""


def compose_project(folder: Path, services: int) -> Path:
    """The same for Compose."""
    folder.mkdir()
    names = [f"s{number:04}" for number in range(services)]
    made = {
        name: {
            "image": f"registry.example.org/shop/{name}:${{TAG}}",
            "expose": [8080],
            "environment": {"LOG": "info", "URL": f"https://{name}.${{DOMAIN}}/", "WORKERS": 4},
            "healthcheck": {"test": ["CMD", "check"], "interval": "5s", "retries": 3},
            **({"depends_on": [names[index - 1]]} if index % 5 else {}),
        }
        for index, name in enumerate(names)
    }
    (folder / "compose.yaml").write_text(json.dumps({"name": "bench", "services": made}), encoding="utf-8")
    (folder / ".env").write_text("TAG=1.4.2\nDOMAIN=example.org\n", encoding="utf-8")
    return folder


# ------------------------------------------------------------------------------------------------------------- the rounds


def commands(folder: Path, redis: str, compose: str) -> list[Command]:
    """compose: the program; empty where it is not measured."""
    hundred, fifty = project(folder / "hundred", 100), project(folder / "fifty", 50)
    found = [
        Command(name=BARE, words=[sys.executable, "-c", ""], folder=hundred),
        Command(name=HELP, words=[FLOW, "--help"], folder=hundred),
        *(Command(name=name, words=[FLOW], folder=hundred, environ=_tab(line)) for name, line in TABS.items()),
        Command(name=VALIDATE, words=[FLOW, "validate"], folder=hundred),
        Command(name=CONFIG, words=[FLOW, "config"], folder=hundred),
        Command(name=SUBMIT, words=[FLOW, "submit", "--wait-workers", "--supersede"], folder=fifty),
    ]
    if compose:
        theirs = compose_project(folder / "compose", 100)
        found += [
            Command(name=COMPOSE_QUIET, words=[compose, "config", "-q"], folder=theirs),
            Command(name=COMPOSE, words=[compose, "config"], folder=theirs),
        ]
    own = {"FLEETFLOW_REDIS_URL": redis, "FLEETFLOW_STATE_DIR": str(folder / "state")}
    return [
        Command(name=each.name, words=each.words, folder=each.folder, environ={**own, **each.environ}) for each in found
    ]


def _tab(line: str) -> Mapping[str, str]:
    return {"_FLOW_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}


def measured(found: Sequence[Command], rounds: int) -> dict[str, list[float]]:
    """One call of each that does not count: files in the page cache, modules compiled."""
    times: dict[str, list[float]] = {each.name: [] for each in found}
    for each in found:
        each.seconds()
    for turn in range(rounds):
        for each in (*found[turn % len(found) :], *found[: turn % len(found)]):
            times[each.name].append(each.seconds())
    return times


def grown(folder: Path, sizes: Sequence[int], rounds: int) -> dict[str, list[float]]:
    """`flow validate` of ever more services."""
    environ = {"FLEETFLOW_STATE_DIR": str(folder / "state")}
    found = [
        Command(name=_of(size), words=[FLOW, "validate"], folder=project(folder / str(size), size), environ=environ)
        for size in sizes
    ]
    return measured(found, rounds)


def _of(size: int) -> str:
    return f"{VALIDATE}, {size:,} services"


# -------------------------------------------------------------------------------------------------------------- the table


def tell(times: Mapping[str, Sequence[float]]) -> None:
    middle = {name: median(values) for name, values in times.items()}
    bare = middle[BARE]
    said(BARE, _seconds(bare))
    said(HELP, _seconds(middle[HELP]), Target(value=middle[HELP], most=0.15))
    said("flow --help / a bare start of Python", f"{middle[HELP] / bare:.1f}")
    for name in TABS:
        said(name, _seconds(middle[name]), Target(value=middle[name], most=0.15))
    said(f"{VALIDATE}, 100 services", _seconds(middle[VALIDATE]), Target(value=middle[VALIDATE], most=0.5))
    said(f"{CONFIG}, 100 services", _seconds(middle[CONFIG]))
    said(SUBMIT, _seconds(middle[SUBMIT]), Target(value=middle[SUBMIT], most=0.5))
    for ours, theirs in ((VALIDATE, COMPOSE_QUIET), (CONFIG, COMPOSE)):
        if theirs in middle:
            said(f"{theirs}, the same services", _seconds(middle[theirs]))
            said(f"{ours} / {theirs}", f"{middle[ours] / middle[theirs]:.2f}")


def tell_growth(times: Mapping[str, Sequence[float]], sizes: Sequence[int], start: float) -> None:
    """start: seconds that are none of the services'."""
    each = [(median(times[_of(size)]) - start) / size for size in sizes]
    for size, cost in zip(sizes, each, strict=True):
        said(_of(size), _seconds(median(times[_of(size)])), f"{cost * 1000:.2f} ms a service")
    ratio = each[-1] / each[0]
    said("a service among the most, over one among the fewest", f"{ratio:.2f}", Target(value=ratio, most=1.2))


def _seconds(value: float) -> str:
    return f"{value:.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long flow's commands take that deploy nothing.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="one round: does it work, and roughly how fast")
    parser.add_argument("--without-compose", action="store_true")
    given = parser.parse_args()
    rounds = 1 if given.quick else given.rounds
    sizes = (100, 300) if given.quick else (100, MANY, MORE)

    print(machine())
    print(f"medians of {rounds} rounds, of the many services {_few(rounds)}\n")
    compose = "" if given.without_compose else subprocess.check_output([PEER], text=True).strip()
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as temporary, server() as redis:
        folder = Path(temporary)
        times = measured(commands(folder, redis, compose), rounds)
        tell(times)
        growth = grown(folder, sizes, _few(rounds))
        tell_growth(growth, sizes, median(times[HELP]))
    print(f"\n  least to most, rounds\n{spread({**times, **growth})}")


def _few(rounds: int) -> int:
    return min(rounds, 3)


if __name__ == "__main__":
    main()
