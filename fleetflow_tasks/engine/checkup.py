# SPDX-License-Identifier: Apache-2.0
"""What `flow doctor` finds: a line for each thing that a deployment rests on, and what is wrong with it, if anything.

Only judges: `api.doctor` asks Redis, the disk and the platforms, and hands in what they said. So every verdict can be
read and tested without a sick server.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.engine.footprint import Footprint
from fleetflow_tasks.engine.model import LOCAL, WorkerInfo
from fleetflow_tasks.engine.trouble import FULL, unfit
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import SCHEMA, QueueName

SKEW = 60.0  # seconds between two clocks that are worth a word

Info = Mapping[str, object]  # what INFO answers


class Check(Data, frozen=True, kw_only=True):
    """name: of what was looked at, one or two words. text: what was found. problems: the worst of them is the verdict."""

    name: str
    text: str
    problems: tuple[Problem, ...] = ()


class Checkup(Data, frozen=True, kw_only=True):
    checks: tuple[Check, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for check in self.checks for problem in check.problems)


def server(info: Info, shown: str) -> Check:
    """Where Redis is and which one it is, and whether it can hold runs."""
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = info.get("valkey_version") or info["redis_version"]
    return Check(name="redis", text=f"{name} {version} at {shown}", problems=tuple(unfit(info, shown)))


def persistence(info: Info, shown: str) -> Check:
    """What a power cut would lose."""
    replicas = _number(info, "connected_slaves")
    kept = (["an append-only file"] if info.get("aof_enabled") else []) + (
        [f"{replicas} replica{'s' * (replicas > 1)}"] if replicas else []
    )
    if kept:
        return Check(name="persistence", text=f"{' and '.join(kept)}: a power cut loses the last second at most")
    problem = Problem(
        code="redis-forgets",
        message=f"Redis at {shown} keeps runs in memory alone",
        cause=("when it ends, every run and its history is gone; what is deployed goes on",),
        fix="set `appendonly yes` there, or give it a replica",
        severity="warning",
    )
    return Check(name="persistence", text="none", problems=(problem,))


def memory(found: Footprint, shown: str) -> Check:
    runs = f"FleetFlow's {found.runs} runs take some {_size(found.bytes)} of it"
    if not found.limit:
        return Check(name="memory", text=f"{_size(found.used)} used, no limit; {runs}")
    text = f"{_size(found.used)} of {_size(found.limit)} used; {runs}"
    problem = Problem(
        code="redis-full",
        message=f"Redis at {shown} is {found.used / found.limit:.0%} full, and takes no new run above {FULL:.0%}",
        fix="raise maxmemory there, or remove what else is stored in it",
    )
    return Check(name="memory", text=text, problems=(problem,) if found.used > FULL * found.limit else ())


def clock(here: float, there: float) -> Check:
    """Harmless: only Redis's clock decides. But it explains why two logs do not agree."""
    apart = here - there
    if abs(apart) < SKEW:
        return Check(name="clock", text="agrees with that of Redis")
    problem = Problem(
        code="clock-skew",
        message=f"the clock here is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} that of Redis",
        cause=("runs do not mind: only the clock of Redis counts; logs and images here have other times",),
        fix="let both be set by NTP",
        severity="note",
    )
    return Check(name="clock", text="differs from that of Redis", problems=(problem,))


def workers(
    present: Sequence[WorkerInfo], waiting: Mapping[QueueName, int], keys: Sequence[str], version: str
) -> Iterator[Check]:
    """A line for each queue that somebody serves or in which something waits. keys: the ids of our own, ours first."""
    served = {queue for worker in present for queue in worker.queues if not queue.startswith(LOCAL)}
    queues = sorted(served | {queue for queue, number in waiting.items() if number})
    if not queues:
        yield Check(name="workers", text="none: `flow up` needs none, `flow submit` does")
    for queue in queues:
        yield _queue(
            queue, [worker for worker in present if queue in worker.queues], waiting.get(queue, 0), keys, version
        )


def _queue(queue: QueueName, serving: Sequence[WorkerInfo], waiting: int, keys: Sequence[str], version: str) -> Check:
    told = [f"{waiting} waiting"] if waiting else []
    if not serving:
        return Check(name=queue, text=", ".join(["no worker", *told]), problems=(_unserved(queue, waiting),))
    slots, busy = sum(worker.slots for worker in serving), sum(worker.busy for worker in serving)
    parts = [f"{len(serving)} worker{'s' * (len(serving) > 1)}", f"{busy} of {slots} slots busy", *told]
    return Check(name=queue, text=", ".join(parts), problems=tuple(_unlike(queue, serving, keys, version)))


def _unserved(queue: QueueName, waiting: int) -> Problem:
    return Problem(
        code="no-worker",
        message=f"no worker serves the queue `{queue}`, in which {waiting} message{'s wait' if waiting > 1 else ' waits'}",
        fix=f"start one, with the same Redis and key: flow worker {queue}",
    )


def _unlike(queue: QueueName, serving: Sequence[WorkerInfo], keys: Sequence[str], version: str) -> Iterator[Problem]:
    strangers = _hosts(worker for worker in serving if keys and keys[0] not in worker.keys)
    if strangers:
        yield Problem(
            code="other-key",
            message=f"workers of queue `{queue}` hold another key than FLEETFLOW_KEY here: {strangers}",
            cause=(f"this process seals with key {keys[0]}, which they cannot open",),
            fix="give FLEETFLOW_KEY the same value here and there (to change it: `new,old` on the workers first)",
        )
    old = _hosts(worker for worker in serving if worker.schema < SCHEMA)
    if old:
        yield Problem(
            code="worker-too-old",
            message=f"workers of queue `{queue}` are too old for plans made here: {old}",
            cause=(f"plans of this FleetFlow are of schema {SCHEMA}",),
            fix="update them",
        )
    other = _hosts(worker for worker in serving if worker.version != version and worker.schema >= SCHEMA)
    if other:
        yield Problem(
            code="other-version",
            message=f"workers of queue `{queue}` are of another version than {version}, which is here: {other}",
            severity="note",
        )


def _hosts(of: Iterable[WorkerInfo]) -> str:
    return ", ".join(sorted({f"{worker.host} ({worker.version or '?'})" for worker in of}))


def _number(info: Info, name: str) -> int:
    value = info.get(name, 0)
    return value if isinstance(value, int) else 0


def _size(number: int) -> str:
    return f"{number / 2**30:.1f} GB" if number >= 2**30 else f"{number / 2**20:.1f} MB"
