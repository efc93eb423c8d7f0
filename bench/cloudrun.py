# SPDX-License-Identifier: Apache-2.0
"""`flow up` on Cloud Run beside what no client could beat, on the server of the tests, which takes its time.

Thirty services in six layers, each waiting for one or two of the layer above it. A revision is ready some seconds after it was
asked for: the server takes PACE for its own work, the container as long as its image says, between 2 and 12 seconds, and
every answer is 80 ms on its way. The longest way through all of that, with the one answer that says of a service that it is
ready, is the critical path: nobody can be done before it. The makespan is the run's own, from its submission to its end.

Requests are counted where they arrive, and not timed: those of a service, without the questions for how far an operation is;
those questions, for containers that take 12 seconds and 48; and those of a run that has nothing to do.

    .venv/bin/python bench/cloudrun.py [--quick] [--rounds N] [--services N]
"""

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # not the folder of this file

from bench.rig import Target, machine, median, said, spread  # noqa: E402
from fleetflow_tasks.testing.cloudrun import PROJECT, REGION, Server  # noqa: E402
from fleetflow_tasks.testing.cloudrun.api import Asked  # noqa: E402
from fleetflow_tasks.testing.cloudrun.world import Pace  # noqa: E402

FLOW = str(ROOT / ".venv" / "bin" / "flow")
PATIENCE = 600  # seconds that anything here may take
PACE = Pace(begin=1.0, route=1.0)  # seconds: until the container starts, and until traffic goes to it
ANSWER = 0.08  # seconds that each answer is on its way
SHORTEST, LONGEST = 2.0, 12.0  # seconds until a container listens
WIDTH = 5  # services of a layer
POLL = "Operations.GetOperation"
LISTS = ("Services.ListServices", "Jobs.ListJobs")


# ---------------------------------------------------------------------------------------------------------- the services


@dataclass(frozen=True, kw_only=True)
class Service:
    """seconds: until its container listens. needs: those that it waits for."""

    name: str
    seconds: float
    needs: tuple[str, ...] = ()


def layered(count: int, seed: int) -> list[Service]:
    """Another *seed*, other seconds and other needs."""
    chance = random.Random(seed)
    made: list[Service] = []
    for number in range(count):
        above = [each.name for each in made if int(each.name[1:]) // WIDTH == number // WIDTH - 1]
        needs = tuple(sorted(chance.sample(above, min(len(above), chance.randint(1, 2)))))
        seconds = round(chance.uniform(SHORTEST, LONGEST), 1)
        made.append(Service(name=f"s{number:02}", seconds=seconds, needs=needs))
    return made


def critical_path(services: Sequence[Service]) -> float:
    """Seconds of the longest way; a service stands behind what it needs."""
    ends: dict[str, float] = {}
    for each in services:
        begun = max((ends[name] for name in each.needs), default=0.0)
        ends[each.name] = begun + PACE.begin + each.seconds + PACE.route + ANSWER
    return max(ends.values())


class Fleet:
    """A project in a folder of its own."""

    def __init__(self, folder: Path, services: Sequence[Service]) -> None:
        folder.mkdir()
        self.folder = folder
        self.services = services
        self.project = f"b{secrets.token_hex(3)}"

    def write(self, turn: int) -> None:
        """Lay the file; another *turn* changes one service, the last."""
        lines = [f'project "{self.project}"']
        for each in self.services:
            lines += [
                f'service "{each.name}" {{',
                f'    image "scripted/ready:{each.seconds:g}s"',
                "    port container=8080",
                "    public #true",
                f"    environment {{ TURN {turn if each is self.services[-1] else 0} }}",
                *(f'    depends_on "{name}"' for name in each.needs),
                "}",
            ]
        lines += ['stage "prd" {', f'    runtime "cloudrun" {{ project "{PROJECT}"; region "{REGION}" }}']
        lines += [*(f'    service "{each.name}"' for each in self.services), "}"]
        (self.folder / "fleet.kdl").write_text("\n".join(lines) + "\n", encoding="utf-8")


# --------------------------------------------------------------------------------------------------------------- runs


@dataclass(frozen=True, kw_only=True)
class Done:
    """seconds: of the run, 0 where there was nothing to run. asked: all requests, in their order."""

    seconds: float
    asked: Sequence[Asked]

    def of(self, *methods: str) -> int:
        return sum(each.method in methods for each in self.asked)

    @property
    def polls(self) -> int:
        return self.of(POLL)

    @property
    def writes(self) -> int:
        return sum(not each.method.partition(".")[2].startswith(("Get", "List")) for each in self.asked)


def up(fleet: Fleet, server: Server) -> Done:
    before = len(server.trace)
    environ = {**os.environ, **server.environ(), "FLEETFLOW_STATE_DIR": str(fleet.folder / "state")}
    done = subprocess.run(
        [FLOW, "up", "--stage=prd", "--json"],
        cwd=fleet.folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        sys.exit(f"bench: `flow up` ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr}")
    return Done(seconds=_seconds(done.stdout), asked=server.trace[before:])


def _seconds(output: str) -> float:
    events = [json.loads(line) for line in output.splitlines()]
    begun = [event["submitted"] for event in events if event["type"] == "snapshot"]
    ended = [event["at"] for event in events if event["type"] == "run.ended"]
    return float(ended[0] - begun[0]) if begun and ended else 0.0


# ----------------------------------------------------------------------------------------------------------- measured


def measure(server: Server, folder: Path, rounds: int, count: int) -> None:
    """A new project, with other seconds, in each round."""
    ratios: list[float] = []
    for number in range(rounds):
        fleet = Fleet(folder / f"round-{number}", layered(count, seed=number))
        fleet.write(0)
        cold = up(fleet, server)
        path = critical_path(fleet.services)
        ratios.append(cold.seconds / path)
        said(f"cold, round {number + 1}: the run, and the critical path", f"{cold.seconds:.2f} s", f"{path:.2f} s")
        if number == 0:
            count_requests(server, fleet, cold)
    said("makespan, of the critical path", "", Target(value=median(ratios), most=1.05))
    print(spread({"makespan, of the critical path": ratios}))


def count_requests(server: Server, fleet: Fleet, cold: Done) -> None:
    services = len(fleet.services)
    each = (len(cold.asked) - cold.polls) / services
    said("requests of a service, cold, without polling", f"{each:.1f}", Target(value=each, most=6))
    said("polls of a service, cold", f"{cold.polls / services:.1f}")
    print(_listed(cold))
    idle = up(fleet, server)
    said("no-op: lists", f"{idle.of(*LISTS)}", Target(value=idle.of(*LISTS), most=len(LISTS)))
    said("no-op: writes", f"{idle.writes}", Target(value=idle.writes, most=0))
    said("no-op: all", f"{len(idle.asked)}", Target(value=len(idle.asked), most=len(LISTS)))
    fleet.write(1)
    changed = up(fleet, server)
    said("one changed: writes, and all without polling", f"{changed.writes}, {len(changed.asked) - changed.polls}")
    print(_listed(changed))


def measure_polling(server: Server, folder: Path, short: float, long: float) -> None:
    """Whoever asks at a steady pace asks so much more often as it takes longer: 1."""
    polls = [_polls(server, folder / f"polling-{seconds:g}", seconds) for seconds in (short, long)]
    growth = (polls[1] / polls[0]) / (long / short)
    figure = f"{polls[0]:.1f}, {polls[1]:.1f}"
    said(f"polls of a service that takes {short:g} s, and {long:g} s", figure, Target(value=growth, most=0.75))


def _polls(server: Server, folder: Path, seconds: float) -> float:
    fleet = Fleet(folder, [Service(name=f"s{number:02}", seconds=seconds) for number in range(5)])
    fleet.write(0)
    return up(fleet, server).polls / len(fleet.services)


def _listed(done: Done) -> str:
    kinds: Mapping[str, int] = Counter(each.method for each in done.asked)
    return "\n".join(f"    {number:5} {method}" for method, number in sorted(kinds.items()))


# --------------------------------------------------------------------------------------------------------------- main


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure `flow up` on Cloud Run.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--services", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="one round: does it work, and roughly how fast")
    given = parser.parse_args()
    print(f"{machine()}\n{given.services} services in layers of {WIDTH}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as temporary, Server() as server:
        server.world.pace = PACE
        server.faults.delay(".", ANSWER, times=10**9)
        measure(server, Path(temporary), 1 if given.quick else given.rounds, given.services)
        measure_polling(server, Path(temporary), 12.0, 36.0 if given.quick else 48.0)


if __name__ == "__main__":
    main()
