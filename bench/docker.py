# SPDX-License-Identifier: Apache-2.0
"""`flow up` beside Docker Compose: the same services, the same engine, the same run, turn by turn.

Twenty services of one image in chains: each waits for the one a layer above it. Four things are timed, because they are
what a day is made of: everything from nothing (`cold`), nothing to do (`no-op`), one service changed (`one changed`),
everything away (`down`). The two tools take turns within a round, and the one that goes first changes with the round, so
that a warm cache or a busy minute favours neither. What counts is the ratio of the medians: seconds are this machine's.

Compose is called as the program it is, not through `docker compose`, which would add the Docker command's own start.
Both wait until their services run: `docker compose up -d --wait` and `flow up`. FleetFlow besides watches each service
for one second after its start, as a process that ends at once has not started; that is inside its figures.

    scripts/run .venv/bin/python bench/docker.py [--quick] [--rounds N] [--services N] [--json FILE] [--without-compose]
"""

import argparse
import json
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
FLOW = str(ROOT / ".venv" / "bin" / "flow")
IMAGE = "fleetflow/base:1"
LAYERS = 4  # as deep as real stages are: store, migration, api, web
TASKS = ("cold", "no-op", "one changed", "down")

# Ends at once when told to, so that `down` measures the tools and not Docker's ten seconds of patience.
PROGRAM = "trap 'exit 0' TERM; while true; do sleep 3600 & wait; done"


class Tool(Protocol):
    """One of the two, with a folder and a file of its own for the same services."""

    name: str

    def write(self, turn: int) -> None:
        """Lay the file; another *turn* changes one service, the last, which nothing waits for."""

    def up(self) -> None: ...

    def down(self) -> None: ...

    def version(self) -> str: ...


class Compose:
    name = "compose"

    def __init__(self, binary: str, folder: Path, services: int) -> None:
        self.binary = binary
        self.folder = folder
        self.services = services
        self.project = f"bench{secrets.token_hex(3)}c"

    def write(self, turn: int) -> None:
        services = {
            service: {
                "image": IMAGE,
                "command": ["sh", "-c", PROGRAM.replace("$", "$$")],
                "environment": {"TURN": str(turn if service == _names(self.services)[-1] else 0)},
                **({"depends_on": {above: {"condition": "service_started"}}} if above else {}),
            }
            for service, above in _chained(self.services)
        }
        (self.folder / "compose.yaml").write_text(json.dumps({"name": self.project, "services": services}))

    def up(self) -> None:
        self._compose("up", "--detach", "--wait")

    def down(self) -> None:
        self._compose("down")

    def version(self) -> str:
        return "Docker Compose " + _output([self.binary, "version", "--short"])

    def _compose(self, *arguments: str) -> None:
        _run([self.binary, "--progress", "plain", *arguments], self.folder)


class Flow:
    name = "flow"

    def __init__(self, folder: Path, services: int) -> None:
        self.folder = folder
        self.services = services
        self.project = f"bench{secrets.token_hex(3)}f"
        self.environ = {"FLEETFLOW_STATE_DIR": str(folder / "state")}

    def write(self, turn: int) -> None:
        lines = [f'project "{self.project}"']
        for service, above in _chained(self.services):
            value = turn if service == _names(self.services)[-1] else 0
            lines += [
                f'service "{service}" {{',
                f'    image "{IMAGE}"',
                f'    command "sh" "-c" "{PROGRAM}"',
                f"    environment {{ TURN {value} }}",
                *([f'    depends_on {{ service "{above}" condition="started" }}'] if above else []),
                "}",
            ]
        lines += ['stage "local" {', *(f'    service "{service}"' for service in _names(self.services)), "}"]
        (self.folder / "fleet.kdl").write_text("\n".join(lines) + "\n")

    def up(self) -> None:
        _run([FLOW, "up", "--stage=local"], self.folder, self.environ)

    def down(self) -> None:
        _run([FLOW, "down", "--stage=local"], self.folder, self.environ)

    def version(self) -> str:
        return "FleetFlow " + _output([FLOW, "--version"]).split()[-1]


def _names(services: int) -> list[str]:
    return [f"s{number:02}" for number in range(services)]


def _chained(services: int) -> list[tuple[str, str | None]]:
    """Each service with the one that it waits for: columns of `LAYERS`."""
    names = _names(services)
    width = max(1, -(-services // LAYERS))
    return [(name, names[number - width] if number >= width else None) for number, name in enumerate(names)]


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str] = {}) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        sys.exit(f"bench: `{' '.join(command)}` ended with {done.returncode}\n{done.stdout}{done.stderr}")


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def _seconds(task: Callable[[], None]) -> float:
    begun = time.monotonic()
    task()
    return time.monotonic() - begun


def measure(tools: Sequence[Tool], rounds: int) -> dict[str, dict[str, list[float]]]:
    """task -> tool -> seconds of each round. Whatever happens, nothing is left running."""
    times: dict[str, dict[str, list[float]]] = {task: {tool.name: [] for tool in tools} for task in TASKS}
    try:
        for number in range(rounds):
            order = tools if number % 2 == 0 else tools[::-1]
            for task in TASKS:
                for tool in order:
                    if task in {"cold", "one changed"}:
                        tool.write(2 * number + (task == "one changed"))
                    times[task][tool.name].append(_seconds(tool.down if task == "down" else tool.up))
            print(f"bench: round {number + 1} of {rounds} done", file=sys.stderr)
    finally:
        for tool in tools:
            tool.down()
    return times


def table(times: Mapping[str, Mapping[str, Sequence[float]]], tools: Sequence[Tool]) -> str:
    """Medians, spread and ratio; below 1 FleetFlow took less time."""
    head = ["", *(f"{tool.name} s" for tool in tools), "ratio"]
    rows = [head]
    for task in TASKS:
        medians = {tool.name: statistics.median(times[task][tool.name]) for tool in tools}
        cells = [
            f"{medians[tool.name]:.2f} ({min(times[task][tool.name]):.2f}-{max(times[task][tool.name]):.2f})"
            for tool in tools
        ]
        ratio = f"{medians['flow'] / medians['compose']:.2f}" if "compose" in medians else "-"
        rows.append([task, *cells, ratio])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def machine(tools: Sequence[Tool]) -> list[str]:
    engine = _output(["docker", "version", "--format", "{{.Server.Version}}"])
    driver = _output(["docker", "info", "--format", "{{.Driver}}"])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}",
        f"Docker Engine {engine} ({driver}), " + ", ".join(tool.version() for tool in tools),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure `flow up` beside Docker Compose.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round: does it work, and roughly how fast")
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--without-compose", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time there")
    given = parser.parse_args()
    rounds = 1 if given.quick else given.rounds

    with tempfile.TemporaryDirectory(prefix="ff-bench-") as temporary:
        folder = Path(temporary)
        tools: list[Tool] = []
        for name in ("flow", "compose"):
            (folder / name).mkdir()
        tools.append(Flow(folder / "flow", given.services))
        if not given.without_compose:
            binary = _output([str(ROOT / "bench" / "peers" / "compose")])
            tools.append(Compose(binary, folder / "compose", given.services))
        for tool in tools:
            tool.write(0)
        times = measure(tools, rounds)
        print(
            f"{given.services} services of one image in {LAYERS} layers, medians of {rounds} (least-most), in seconds"
        )
        print(table(times, tools))
        print(*machine(tools), sep="\n")
    if given.json:
        given.json.write_text(json.dumps(times, indent=2) + "\n")


if __name__ == "__main__":
    main()
