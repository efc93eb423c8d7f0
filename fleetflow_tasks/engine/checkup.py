# SPDX-License-Identifier: Apache-2.0
"""What `flow doctor` finds: a line for each thing that a deployment rests on, and what is wrong with it, if anything.

Only judges: `api.doctor` asks Redis, the disk and the platforms, and hands in what they said. So every verdict can be
read and tested without a sick server.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.engine.footprint import Footprint
from fleetflow_tasks.engine.model import LOCAL, WorkerInfo
from fleetflow_tasks.engine.overview import silent
from fleetflow_tasks.engine.trouble import FULL, unfit, version
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
    number = info.get("valkey_version") or info["redis_version"]
    problems = (*unfit(info, shown), *_may_evict(info, shown))
    return Check(name="redis", text=f"{name} {number} at {shown}", problems=problems)


def _may_evict(info: Info, shown: str) -> Iterator[Problem]:
    """A policy that without a limit does nothing; with one, `unfit` has its say."""
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not info.get("maxmemory"):
        yield Problem(
            code="redis-may-evict",
            message=f"Redis at {shown} would throw runs away if it had a limit: its maxmemory-policy is {policy}",
            cause=("harmless until maxmemory is set",),
            fix="CONFIG SET maxmemory-policy noeviction",
            severity="warning",
        )


def persistence(info: Info, shown: str) -> Check:
    """What a power cut would lose."""
    replicas = _number(info, "connected_slaves")
    kept = (["an append-only file"] if info.get("aof_enabled") else []) + (
        [f"{replicas} replica{'s' * (replicas > 1)}"] if replicas else []
    )
    if kept:
        text = f"{' and '.join(kept)}: a power cut loses the last second at most{_unconfirmed(info)}"
        return Check(name="persistence", text=text)
    problem = Problem(
        code="redis-forgets",
        message=f"Redis at {shown} keeps runs in memory alone",
        cause=("when it ends, every run and its history is gone; what is deployed goes on",),
        fix="set `appendonly yes` there, or give it a replica",
        severity="warning",
    )
    return Check(name="persistence", text="none", problems=(problem,))


def _unconfirmed(info: Info) -> str:
    old = info.get("aof_enabled") and version(info) < (7, 2)
    return ", and it cannot confirm that a write is on disk (7.2 can)" if old else ""


def memory(found: Footprint, shown: str) -> Check:
    runs = (
        f"FleetFlow's {found.runs} runs take some {_size(found.bytes)} of it"
        if found.runs
        else "FleetFlow: nothing yet"
    )
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
    present: Sequence[WorkerInfo], waiting: Mapping[QueueName, int], keys: Sequence[str], ours: str, now: float
) -> Iterator[Check]:
    """A line for each queue that somebody serves or in which something waits.

    keys: the ids of our own, ours first. ours: the version that is here. now: Redis's clock.
    """
    served = {queue for worker in present for queue in worker.queues if not queue.startswith(LOCAL)}
    queues = sorted(served | {queue for queue, number in waiting.items() if number})
    if not queues:
        yield Check(name="workers", text="none: `flow up` needs none, `flow submit` does", problems=(_NOBODY,))
    for queue in queues:
        serving = [worker for worker in present if queue in worker.queues]
        problems = (*_unlike(queue, serving, keys, ours), *_unheard(serving, now))
        yield _queue(queue, serving, waiting.get(queue, 0), problems)


_NOBODY = Problem(
    code="no-workers", message="no worker is there", fix="start one: flow worker docker", severity="warning"
)


def _queue(queue: QueueName, serving: Sequence[WorkerInfo], waiting: int, problems: tuple[Problem, ...]) -> Check:
    name = f"workers {queue}"
    told = [f"{waiting} waiting"] if waiting else []
    if not serving:
        return Check(name=name, text=", ".join(["none", *told]), problems=(_unserved(queue, waiting),))
    slots, busy = sum(worker.slots for worker in serving), sum(worker.busy for worker in serving)
    parts = [f"{len(serving)} worker{'s' * (len(serving) > 1)}", f"{busy} of {slots} slots busy", *told]
    return Check(name=name, text=", ".join(parts), problems=problems)


def _unheard(serving: Sequence[WorkerInfo], now: float) -> Iterator[Problem]:
    for worker in silent(serving, now):
        yield Problem(
            code="worker-silent",
            message=f"last sign of life of {worker.host}:{worker.pid}: {now - worker.seen:.0f} s ago",
            fix="look whether it still runs there, and whether it reaches this Redis",
            severity="warning",
        )


def _unserved(queue: QueueName, waiting: int) -> Problem:
    return Problem(
        code="no-worker",
        message=f"no worker serves the queue `{queue}`, in which {waiting} message{'s wait' if waiting > 1 else ' waits'}",
        fix=f"start one, with the same Redis and key: flow worker {queue}",
    )


def _unlike(queue: QueueName, serving: Sequence[WorkerInfo], keys: Sequence[str], ours: str) -> Iterator[Problem]:
    strangers = [worker for worker in serving if keys and keys[0] not in worker.keys]
    if strangers:
        yield Problem(
            code="other-key",
            message=f"{len(strangers)} of {len(serving)} workers of queue `{queue}` cannot open plans made here,"
            f" which are sealed with another key: {_named(strangers)}",
            cause=(f"this process seals with key {keys[0]}, which they cannot open",),
            fix="give FLEETFLOW_KEY the same value here and there (to change it: `new,old` on the workers first)",
        )
    old = [worker for worker in serving if worker.schema < SCHEMA]
    if old:
        yield Problem(
            code="worker-too-old",
            message=f"workers of queue `{queue}` are too old for plans made here: {_named(old)}",
            cause=(f"plans of this FleetFlow are of schema {SCHEMA}",),
            fix="update them",
        )
    other = [worker for worker in serving if worker.version != ours and worker.schema >= SCHEMA]
    if other:
        yield Problem(
            code="other-version",
            message=f"workers of queue `{queue}` are of another version than {ours}, which is here: {_named(other)}",
            severity="note",
        )


def _named(those: Iterable[WorkerInfo]) -> str:
    return ", ".join(sorted(f"{worker.host}:{worker.pid} ({worker.version or '?'})" for worker in those))


def _number(info: Info, name: str) -> int:
    value = info.get(name, 0)
    return value if isinstance(value, int) else 0


def _size(number: int) -> str:
    if number < 2**20 / 10:
        return f"{number / 2**10:.0f} kB"
    return f"{number / 2**30:.1f} GB" if number >= 2**30 else f"{number / 2**20:.1f} MB"
