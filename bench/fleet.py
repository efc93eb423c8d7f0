# SPDX-License-Identifier: Apache-2.0
"""Many deployments at once on one Redis: `python bench/fleet.py [--quick]`.

    many         200 stages of 20 services each (four layers of five), submitted at once, to 1, 2 and 4 worker processes of 16
                 slots: once with services that take no time, so that the engine is all there is, and once with services
                 that take some, so that slots are what is short
    fairness     a run of 3 services, one after the other, alone, and beside a run of 2,000
    keeping      what a run takes in Redis while it is active, and after its end
    reconciler   one pass over 200 active stages
    ceiling      clients that do nothing but claim and finish, as many as keep Redis busy

Workers, Redis and bench share the machine's cores, as the first line of the table says; on two of them four workers that
have nothing to wait for can be no faster than two. What Redis itself could do is counted by the time that its main thread was busy.
"""

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from bench.rig import Counters, Desk, Spent, Target, median, said
from fleetflow_tasks.engine import keys
from fleetflow_tasks.engine.model import Claim, RunId, WorkerId
from fleetflow_tasks.engine.reconcile import Memory, tick
from fleetflow_tasks.plan.model import SCHEMA, Plan, QueueName
from fleetflow_tasks.runtimes.base import Outcome

SLOTS = 16
LAYERS, WIDTH = 4, 5  # of a stage's services
KEPT = 50  # ended runs of a stage that are kept, for 30 days (lua/lib.lua)
FAIR = 2.0  # times as long as alone, at most
SAMPLES = 3  # small runs a round, alone and beside
CLIENTS = 3  # processes that do nothing but ask Redis


@dataclass(frozen=True, kw_only=True)
class Shape:
    rounds: int
    stages: int
    workers: tuple[int, ...]
    large: int
    passes: int
    load: float


FULL = Shape(rounds=5, stages=200, workers=(1, 2, 4), large=2000, passes=20, load=5.0)
QUICK = Shape(rounds=1, stages=40, workers=(1, 2), large=1200, passes=5, load=2.0)


def stage_plan(number: int, *, mean: float, queue: QueueName = rig.DOCKER) -> Plan:
    """Services that take *mean* seconds, half as long at least and half as long again at most."""
    chance = random.Random(number)
    names = [[f"s{layer}x{place}" for place in range(WIDTH)] for layer in range(LAYERS)]
    needs = {name: names[layer - 1] if layer else [] for layer, row in enumerate(names) for name in row}
    seconds = {name: mean * chance.uniform(0.5, 1.5) for name in needs}
    return rig.graph(needs, seconds=seconds, stage=f"t{number:03}", queue=queue)


class Fleet:
    def __init__(self, url: str, shape: Shape) -> None:
        self.desk = Desk(url)
        self.shape = shape
        self.rates: dict[tuple[str, int], list[float]] = defaultdict(list)
        self.spent: dict[tuple[str, int], list[Spent]] = defaultdict(list)
        self.seen: dict[str, list[float]] = defaultdict(list)
        self.sizes: dict[str, Mapping[str, float]] = {}

    # ------------------------------------------------------------------------------------------------------- many

    def many(self, kind: str, mean: float) -> None:
        for workers in self.shape.workers:
            with rig.workers(self.desk, workers, slots=SLOTS):
                self.desk.carried_out(stage_plan(999, mean=0.0))
                self._many(kind, mean, workers)
            self.sizes["ended"] = self._kept()
            self.desk.client.flushdb()

    def _many(self, kind: str, mean: float, workers: int) -> None:
        plans = [stage_plan(number, mean=mean) for number in range(self.shape.stages)]
        counters = Counters(self.desk.client)
        runs = self.desk.ended({self._submitted(plan): plan for plan in plans}, look=0.05)
        took = max(run.ended or 0.0 for run in runs) - min(run.submitted for run in runs)
        self.rates[kind, workers].append(self.steps / took)
        self.spent[kind, workers].append(counters.spent())

    def _submitted(self, plan: Plan) -> RunId:
        began = time.perf_counter()
        run = self.desk.submit(plan)
        self.seen["submit"].append(1000 * (time.perf_counter() - began))
        return run

    @property
    def steps(self) -> int:
        return self.shape.stages * LAYERS * WIDTH

    # --------------------------------------------------------------------------------------------------- fairness

    def fairness(self) -> None:
        """Small runs one after the other, first alone, then while the large one goes on."""
        names = [f"s{number:04}" for number in range(self.shape.large)]
        large = rig.graph(dict.fromkeys(names, ()), seconds=dict.fromkeys(names, 0.1), stage="large")
        small = rig.graph({"a": (), "b": ("a",), "c": ("b",)}, seconds=dict.fromkeys("abc", 0.1), stage="small")
        with rig.workers(self.desk, 1, slots=SLOTS):
            self.desk.carried_out(small)
            self.seen["alone"] += [self._seconds(small) for _ in range(SAMPLES)]
            beside = self.desk.submit(large)
            time.sleep(1.0)
            self.seen["beside"] += [self._seconds(small) for _ in range(SAMPLES)]
            found = self.desk.store.run(beside)
            assert found is not None
            assert found.status == "running", "the large run was over before the small ones: make it larger"
            self.desk.store.cancel(beside, request="bench")
        self.desk.client.flushdb()

    def _seconds(self, plan: Plan) -> float:
        run = self.desk.carried_out(plan)
        return (run.ended or 0.0) - run.submitted

    # ---------------------------------------------------------------------------- runs that nobody carries out

    def parked(self) -> None:
        """What active runs take, and what looking after them costs."""
        self.desk.park()
        for number in range(self.shape.stages):
            self.desk.submit(stage_plan(number, mean=1.0, queue=rig.PARKED))
        self.sizes["active"] = self._kept()
        self._reconciled()
        self.desk.client.flushdb()

    def _reconciled(self) -> None:
        memory = tick(Memory(), store=self.desk.store, publish=self.desk.publish, keys=rig.KEYS)
        for _ in range(self.shape.passes):
            self.desk.park()
            counters = Counters(self.desk.client)
            memory = tick(memory, store=self.desk.store, publish=lambda _: None, keys=rig.KEYS)
            spent = counters.spent()
            self.seen["pass"].append(1000 * spent.seconds)
            self.seen["pass busy"].append(1000 * spent.busy)

    def _kept(self) -> Mapping[str, float]:
        """Bytes of one run, by the part of its keys: the mean of all that are there."""
        runs = {key.decode().removeprefix("ff:run:") for key in self.desk.client.scan_iter("ff:run:*")}
        sizes: dict[str, float] = defaultdict(float)
        for key in self.desk.client.scan_iter("ff:{*}:run:*", count=1000):
            part = key.decode().partition(":run:")[2].partition(":")[2]
            sizes[part.partition(":")[0] or "run"] += self.desk.client.memory_usage(key, samples=0) or 0
        return {part: size / len(runs) for part, size in sizes.items()}

    # ---------------------------------------------------------------------------------------------------- ceiling

    def ceiling(self) -> None:
        """Rates at which steps were claimed and finished, and at which they could be if Redis did nothing else."""
        self.desk.park()
        clients = [(__file__, "--load", self.desk.url, str(number)) for number in range(CLIENTS)]
        with rig.processes(*clients) as children:
            rig.await_all(children, lambda: self.desk.client.zcard(keys.STAGES) == CLIENTS)
            for _ in range(self.shape.rounds):
                counters = Counters(self.desk.client)
                time.sleep(self.shape.load)
                steps = rig.calls(self.desk.client, "rpop")
                spent = counters.spent()
                self.seen["load"].append(steps / spent.seconds)
                self.seen["load busy"].append(spent.busy / spent.seconds)
        self.desk.client.flushdb()


def load(url: str, name: str) -> None:
    """Claim and finish, with the messages' way through the list, until somebody ends this process."""
    desk = Desk(url)
    names = [f"s{number:04}" for number in range(1000)]
    plan = rig.graph(dict.fromkeys(names, ()), stage=f"load{name}", queue=rig.PARKED)
    for _ in count():
        run = desk.submit(plan)
        for step in plan.steps:
            desk.client.rpop(rig.PARKED)
            claim = desk.store.claim(run, step.id, worker=WorkerId("host:1:a"), nonce=step.id, schema=SCHEMA)
            assert isinstance(claim, Claim), claim
            for hint in desk.store.finish_well(claim, Outcome(changed=False, text="")).hints:
                desk.publish(hint)


# -------------------------------------------------------------------------------------------------------- the result


def measure(url: str, shape: Shape) -> None:
    print(f"{rig.machine()}\nmedians of {shape.rounds} rounds\n")
    fleet = Fleet(url, shape)
    fleet.parked()
    for _ in range(shape.rounds):
        fleet.many("no time", 0.0)
        fleet.many("0.1 s", 0.1)
        fleet.fairness()
    fleet.ceiling()
    tell(fleet)


def tell(fleet: Fleet) -> None:
    shape, seen = fleet.shape, {name: median(values) for name, values in fleet.seen.items()}
    print(f"  {fleet.steps} steps of {shape.stages} stages, submitted at once ({seen['submit']:.1f} ms a submit)\n")
    for (kind, workers), rates in fleet.rates.items():
        _tell_many(kind, workers, rates, fleet)
    said("3 services one after the other, alone", f"{seen['alone']:.2f} s")
    said(f"  beside a run of {shape.large} on the same {SLOTS} slots", f"{seen['beside']:.2f} s")
    said("  times as long as alone", "", Target(value=seen["beside"] / seen["alone"], most=FAIR))
    _tell_sizes(fleet)
    said(
        f"a reconciler's pass over {shape.stages} active stages",
        f"{seen['pass']:.0f} ms",
        f"{seen['pass busy']:.0f} ms of Redis, each second",
    )
    said(
        f"{CLIENTS} clients that only claim and finish",
        f"{seen['load']:.0f} /s",
        f"Redis busy {100 * seen['load busy']:.0f} % of the time",
    )
    said("  so one Redis, if it had its core to itself", f"{seen['load'] / seen['load busy']:.0f} /s")
    print(f"\n  least to most, rounds\n{rig.spread(fleet.seen)}")


def _tell_many(kind: str, workers: int, rates: Sequence[float], fleet: Fleet) -> None:
    spent = fleet.spent[kind, workers]
    busy = median([each.busy for each in spent]) / fleet.steps
    seconds = median([each.seconds for each in spent])
    per_step = [
        median([getattr(each, what) for each in spent]) / fleet.steps for what in ("trips", "commands", "bytes")
    ]
    rate = median(rates)
    note = "Redis: {:.1f} trips, {:.0f} commands, {:.0f} bytes, {:.0f} µs a step, busy {:.0f} %".format(
        *per_step, 1e6 * busy, 100 * busy * fleet.steps / seconds
    )
    said(f"services that take {kind}, workers: {workers}", f"{rate:.0f} /s", note)
    first = median(fleet.rates[kind, fleet.shape.workers[0]])
    said("  times one worker", f"{rate / first:.2f}", f"{min(rates):.0f} to {max(rates):.0f}")
    if kind == "0.1 s":
        said("  of what its slots could do", f"{100 * rate * 0.1 / SLOTS / workers:.0f} %")


def _tell_sizes(fleet: Fleet) -> None:
    active, ended = fleet.sizes["active"], fleet.sizes["ended"]
    stages = fleet.shape.stages
    lasting = sum(size for part, size in ended.items() if part != "answers")
    said("a run of 20 services in Redis, active", f"{sum(active.values()) / 1e3:.1f} kB", _parts(active))
    said("  ended, within the hour", f"{sum(ended.values()) / 1e3:.1f} kB", _parts(ended))
    said("  ended, after it", f"{lasting / 1e3:.1f} kB")
    said(f"30 days of {stages} stages, {KEPT} runs each", f"{lasting * stages * KEPT / 1e6:.0f} MB")


def _parts(sizes: Mapping[str, float]) -> str:
    return ", ".join(f"{part} {size / 1e3:.1f}" for part, size in sorted(sizes.items(), key=lambda pair: -pair[1])[:5])


def main() -> None:
    parser = argparse.ArgumentParser(description="Many deployments at once on one Redis.")
    parser.add_argument("--quick", action="store_true", help="one round, fewer stages and fewer workers")
    parser.add_argument("--load", nargs=2, metavar=("URL", "NAME"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        load(*given.load)
    else:
        with rig.server() as url:
            measure(url, QUICK if given.quick else FULL)


if __name__ == "__main__":
    main()
