# SPDX-License-Identifier: Apache-2.0
"""`flow queue` on the screen: each stage with what runs and what waits in it, then the queues and who serves them.

shop/stg  run 4mvmmpgx of ann@laptop, running for 12.3s: 3 of 8 steps done, 2 wait for them
  running  api:deploy              on web1 for 4.2s
  ready    web:deploy, cron:deploy for 2.0s: all 16 slots of queue `docker` are busy
  next     run 5k2x0w9p            of ci@build7, for 20.1s: waits for run 4mvmmpgx
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import asdict

from fleetflow_tasks.engine.overview import Overview
from fleetflow_tasks.view.because import short
from fleetflow_tasks.view.columns import Give, table
from fleetflow_tasks.view.contract.parts import Why
from fleetflow_tasks.view.ink import Colour, clean, counted, duration, listed, padded, paint, width, wrapped
from fleetflow_tasks.view.jsonl import document, of_run
from fleetflow_tasks.view.waiting import QueueLoad, StageWaits, Waiting, loads, waits

_WORDS: Mapping[Why, tuple[str, Colour]] = {
    "running": ("running", "cyan"),
    "backoff": ("delayed", "yellow"),
    "taking": ("ready", "green"),
    "silent": ("ready", "red"),
    "busy": ("ready", "yellow"),
    "no-worker": ("ready", "red"),
    "leaving": ("ready", "red"),
    "too-old": ("ready", "red"),
    "other-key": ("ready", "red"),
    "gone": ("ready", "red"),
    "line": ("next", "dim"),
    "held": ("held", "yellow"),
    "quiet": ("held", "yellow"),
    "beginning": ("next", "green"),
}


_WORD = max(len(word) for word, _ in _WORDS.values())
_NARROW = 20  # columns that a reason wants beside what it is about
_MOST = 60  # columns for what waits, where nothing else sets an end


def text(seen: Overview, *, colour: bool = False, columns: int | None = None) -> str:
    """columns: where reasons are wrapped; None: never."""
    stages = [_stage(stage, seen.now, colour=colour, columns=columns) for stage in waits(seen)]
    queues = _queues(loads(seen), colour=colour, columns=columns)
    first = [] if stages else [["nothing runs, and nothing waits"]]
    return "\n\n".join("\n".join(part) for part in (*first, *stages, queues) if part)


def as_json(seen: Overview) -> str:
    """One object: `{"v":1,"type":"queue","stages":[{…,"waits":[{"why":"busy",…}]}],"queues":[…]}`."""
    stages = [{**asdict(stage), "active": of_run(stage.active) if stage.active else None} for stage in waits(seen)]
    return document("queue", {"now": seen.now, "stages": stages, "queues": loads(seen)})


def _stage(stage: StageWaits, now: float, *, colour: bool, columns: int | None) -> list[str]:
    head = f"{paint(f'{stage.project}/{stage.stage}', 'bold', on=colour)}  {_active(stage, now)}".rstrip()
    whats = [_what(each) for each in stage.waits]
    room = min(max(map(width, whats), default=0), _MOST if columns is None else columns // 3)
    lines = wrapped(head, columns, hang=2)
    for each, what in zip(stage.waits, whats, strict=True):
        word, ink = _WORDS[each.why]
        begin = f"  {paint(padded(word, _WORD), ink, on=colour)}  {padded(what, room)}"
        lines += _beside(begin, _why(each, now), _WORD + room + 6, columns, below=width(what) > room)
    return lines


def _beside(begin: str, text: str, start: int, columns: int | None, *, below: bool) -> list[str]:
    """*text* behind *begin*, which takes *start* columns; below it where little room is left: a reason is never cut."""
    indent = " " * (_WORD + 4 if below or (columns is not None and columns - start < _NARROW) else start)
    lines = wrapped(text, None if columns is None else columns - len(indent))
    if len(indent) < start:
        return [begin.rstrip(), *(indent + line for line in lines)]
    first, *rest = lines
    return [f"{begin}  {first}", *(indent + line for line in rest)]


def _active(stage: StageWaits, now: float) -> str:
    run = stage.active
    if run is None:
        return ""
    since = run.started if run.started is not None else run.submitted
    behind = f", {stage.behind} {'waits' if stage.behind == 1 else 'wait'} for them" if stage.behind else ""
    who = f" of {clean(run.actor)}" if run.actor else ""
    steps = f"{stage.done} of {counted(stage.total, 'step')} done{behind}"
    return f"run {short(run.id)}{who}, {run.status} for {duration(now - since)}: {steps}"


def _what(waiting: Waiting) -> str:
    return listed(waiting.steps, most=2) if waiting.steps else f"run {short(waiting.run)}"


def _why(waiting: Waiting, now: float) -> str:
    """With how long it has been so, where that is of interest."""
    if waiting.since is None or waiting.why == "backoff":
        return waiting.text
    lasted = duration(now - waiting.since)
    if not waiting.steps:
        return f"{waiting.text} (submitted {lasted} ago)"
    return f"{waiting.text} for {lasted}" if waiting.why == "running" else f"for {lasted}: {waiting.text}"


def _queues(found: Sequence[QueueLoad], *, colour: bool, columns: int | None) -> list[str]:
    if not found:
        return ["no worker serves any queue; `flow worker docker` starts one"]
    head = ("QUEUE", "WORKERS", "SLOTS", "BUSY", "READY", "RUNNING", "MESSAGES")
    rows = [tuple(_cells(load)) for load in found]
    inks: list[Colour | None] = ["red" if load.workers == 0 and load.ready else None for load in found]
    give = [Give(column=name) for name in ("MESSAGES", "SLOTS", "BUSY")]
    return table(head, rows, inks=inks, inked="WORKERS", colour=colour, columns=columns, give=give)


def _cells(load: QueueLoad) -> Iterator[str]:
    yield load.queue
    for number in (load.workers, load.slots, load.busy, load.ready, load.running, load.messages):
        yield str(number)
