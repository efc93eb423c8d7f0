# SPDX-License-Identifier: Apache-2.0
"""A stage as Redis holds it at one moment: all keys of it and of its runs, read by one script, past the store."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import redis

from fleetflow_tasks.engine import keys
from fleetflow_tasks.engine.model import AnyEvent, Because, EventId, RunId, RunStatus, StepState, StepStatus
from fleetflow_tasks.plan.codec import readable
from fleetflow_tasks.plan.model import Step, StepId

KEPT = "kept from run "  # how the outcome begins of a step that an earlier run had done

# All keys of a stage with their TTL and value, and whether the reconciler looks after it. Of the runs in ARGV[2...], which
# have been looked at since they ended, only how they ended.
READ = """
local base, skip, found = ARGV[1], {}, {}
for i = 2, #ARGV do skip[ARGV[i]] = true end
local keys = redis.call('KEYS', base .. '*')
for _, key in ipairs(keys) do
  local run, part = string.match(key, ':run:([^:]+):?(.*)$')
  local kind, value = redis.call('TYPE', key).ok, ''
  if not run or not skip[run] or part == '' then
    if kind == 'hash' then value = redis.call('HGETALL', key)
    elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
    elseif kind == 'stream' then value = redis.call('XRANGE', key, '-', '+')
    elseif kind == 'string' then value = redis.call('GET', key) end
  end
  found[#found + 1] = {key, redis.call('TTL', key), value}
end
local time = redis.call('TIME')
return {time[1], redis.call('ZSCORE', 'ff:active', string.match(base, '{(.*)}')) or '', found}
"""


@dataclass
class SeenRun:
    """A run's keys at one moment. lives: the end of each key's name -> its TTL."""

    id: RunId
    fields: dict[str, str] = field(default_factory=dict)
    lives: dict[str, int] = field(default_factory=dict)
    plan: dict[StepId, Step] = field(default_factory=dict)
    steps: dict[StepId, StepState] = field(default_factory=dict)
    events: list[AnyEvent] = field(default_factory=list)
    remaining: dict[StepId, int] = field(default_factory=dict)
    ready: dict[str, set[StepId]] = field(default_factory=dict)
    hinted: dict[str, set[StepId]] = field(default_factory=dict)
    leases: set[StepId] = field(default_factory=set)
    delayed: set[StepId] = field(default_factory=set)

    def take(self, part: str, ttl: int, value: Any) -> None:
        self.lives[part] = ttl
        kind, _, queue = part.partition(":")
        match kind:
            case "":
                self.fields = _texts(value)
            case "sealed" if value:
                self.plan = {step.id: step for step in readable(value).steps}
            case "steps" if value:
                self.steps = {StepId(step): _STATE.decode(text) for step, text in _texts(value).items()}
            case "events" if value:
                self.events = [_event(entry) for entry in value]
            case "remaining" if value:
                self.remaining = {StepId(step): int(count) for step, count in _texts(value).items()}
            case "ready" | "hinted" if value:
                getattr(self, kind)[queue] = set(_texts(value))
            case "leases" | "delayed" if value:
                setattr(self, kind, set(_texts(value)))
            case _:
                pass

    @property
    def status(self) -> RunStatus:
        return cast("RunStatus", self.fields.get("status", "queued"))

    @property
    def reason(self) -> str:
        return self.fields.get("reason", "")

    @property
    def generation(self) -> int:
        return int(self.fields.get("generation", 0))

    @property
    def undoes(self) -> bool:
        """Whether it goes before others of the line."""
        text = self.fields.get("because")
        return bool(text) and msgspec.json.decode(text or "", type=Because).kind == "rollback"

    @property
    def kept(self) -> set[StepId]:
        """The steps that an earlier run had done."""
        return {
            step
            for step, state in self.steps.items()
            if state.attempt == 0 and state.outcome is not None and state.outcome.text.startswith(KEPT)
        }

    def of(self, *statuses: StepStatus) -> set[StepId]:
        return {step for step, state in self.steps.items() if state.status in statuses}

    def needs(self, step: Step) -> set[StepStatus]:
        return {self.steps[need.step].status for need in step.needs}

    def told(self) -> str:
        """`3 waiting, 1 running`."""
        counts = Counter(state.status for state in self.steps.values())
        return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


@dataclass
class Stage:
    """A stage's keys at one moment. looked_after: the reconciler comes by. seen: runs that were looked at before."""

    name: str
    now: float
    looked_after: bool
    seen: frozenset[RunId]
    fields: dict[str, str] = field(default_factory=dict)
    line: list[RunId] = field(default_factory=list)
    submitted: dict[RunId, float] = field(default_factory=dict)
    keys: dict[str, tuple[RunId, int]] = field(default_factory=dict)
    runs: dict[RunId, SeenRun] = field(default_factory=dict)

    def take(self, part: str, ttl: int, value: Any) -> None:
        kind, _, rest = part.partition(":")
        match kind:
            case "stage":
                self.fields = _texts(value)
            case "line":
                self.line = [RunId(run.decode()) for run in value]
            case "runs":
                self.submitted = {RunId(run): float(at) for run, at in _texts(value).items()}
            case "run":
                run, _, inner = rest.partition(":")
                self.runs.setdefault(RunId(run), SeenRun(RunId(run))).take(inner, ttl, value)
            case "key":
                self.keys[rest] = (RunId(value.decode()), ttl)
            case _:
                pass

    @property
    def active(self) -> RunId | None:
        found = self.fields.get("active")
        return RunId(found) if found else None

    def number(self, what: str) -> int:
        return int(float(self.fields.get(what, 0)))


_STATE = msgspec.json.Decoder(StepState)
_EVENT: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def _texts(flat: Sequence[bytes]) -> dict[str, str]:
    """Pairs, as Redis gives a hash or scored members: one after the other."""
    texts = [each.decode(errors="replace") for each in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _event(entry: tuple[bytes, Sequence[bytes]]) -> AnyEvent:
    event = _EVENT.decode(entry[1][1])
    return msgspec.structs.replace(event, id=EventId(entry[0].decode()))


def stage_at(client: redis.Redis, name: str, seen: Sequence[RunId]) -> Stage:
    """seen: runs that were looked at since they ended; of them only how they ended is read."""
    reply: Any = client.eval(READ, 0, keys.tag(name), *seen)
    now, active, found = reply
    stage = Stage(name=name, now=float(now), looked_after=active != b"", seen=frozenset(seen))
    for key, ttl, value in found:
        stage.take(key.decode()[len(keys.tag(name)) + 1 :], ttl, value)
    return stage
