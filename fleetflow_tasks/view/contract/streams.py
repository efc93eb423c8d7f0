# SPDX-License-Identifier: Apache-2.0
"""Lines of which a command prints many: what happens in a run, what services say, ports that listen.

Each line of a run has its id in `run`.
"""

from collections.abc import Mapping
from typing import Literal

from fleetflow_tasks.engine.model import EndingReason, RunStatus, StepStatus
from fleetflow_tasks.view.contract.parts import Outcome, Part, Problem, Run, StepState
from fleetflow_tasks.view.fold import RowState


class Snapshot(Run, frozen=True, kw_only=True, tag="snapshot"):
    """A run as it is when one begins to follow it. It comes again where events may have been missed.

    steps: all of them.
    last: the newest event that is counted in.
    """

    steps: tuple[StepState, ...]
    last: str


class End(Run, frozen=True, kw_only=True, tag="end"):
    """A run that was followed, as it is at its end.

    services: how many of them came to which state; states that do not occur are left out.
    """

    services: Mapping[RowState, int]


class Rollback(Part, frozen=True, kw_only=True, tag="rollback"):
    """A run that failed is taken back; what follows is of the run that does it.

    run: the one that failed.
    by: the run that takes it back.
    to: the run whose plan comes again; null where there is none.
    """

    run: str
    by: str
    to: str | None


class Log(Part, frozen=True, kw_only=True, tag="log"):
    """A line that a service printed.

    service: which.
    text: the line as it was printed, without its end.
    at: when, by the platform's clock; null where it does not say.
    stream: `stdout` too where the platform does not tell them apart.
    source: which of several instances; "" where there is one.
    """

    service: str
    text: str
    at: float | None
    stream: Literal["stdout", "stderr"]
    source: str


class Forward(Part, frozen=True, kw_only=True, tag="forward"):
    """A port that listens here.

    service: where it leads to.
    address: the address here.
    port: the port here.
    remote: the port there.
    to: what exactly a connection gets to now, for people.
    """

    service: str
    address: str
    port: int
    remote: int
    to: str


class Event(Part, frozen=True, kw_only=True):
    """Something that happened in a run.

    run: in which.
    id: grows with each event of the run.
    at: when.
    """

    run: str
    id: str
    at: float


class RunQueued(Event, frozen=True, kw_only=True, tag="run.queued"):
    """The run stands in line.

    ahead: runs before it.
    actor: who began it.
    """

    ahead: int
    actor: str


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started"):
    """Its first steps may begin.

    generation: grows with each run of the stage.
    """

    generation: int


class StepMoved(Event, frozen=True, kw_only=True, tag="step.moved"):
    """A step came into another status.

    step: which.
    status: the one that it is in now.
    attempt: how often it was begun.
    losses: how often its worker was lost.
    releases: how often its worker gave it back.
    worker: who has it, or had it; null where nobody did.
    due: when it is tried again; null where it is not.
    outcome: what it did; null where it has not succeeded.
    problem: why it failed, or is tried again; null where it does not.
    """

    step: str
    status: StepStatus
    attempt: int
    losses: int
    releases: int
    worker: str | None
    due: float | None
    outcome: Outcome | None
    problem: Problem | None


class StepProgressed(Event, frozen=True, kw_only=True, tag="step.progressed"):
    """What a running step does now.

    step: which.
    text: for people.
    current: how much of it is done; null where that cannot be counted.
    total: how much there is to do; null where nobody knows.
    """

    step: str
    text: str
    current: float | None
    total: float | None


class Noted(Event, frozen=True, kw_only=True, tag="noted"):
    """Something worth telling that moves nothing.

    step: which it is about; null: the run.
    problem: what, a warning or a note.
    """

    step: str | None
    problem: Problem


class RunEnding(Event, frozen=True, kw_only=True, tag="run.ending"):
    """No new steps are begun; those that run come to their end.

    reason: why.
    """

    reason: EndingReason


class RunEnded(Event, frozen=True, kw_only=True, tag="run.ended"):
    """The run is over.

    status: how it ended.
    problem: what was wrong with the run as a whole; null: nothing.
    """

    status: RunStatus
    problem: Problem | None
