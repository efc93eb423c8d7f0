# SPDX-License-Identifier: Apache-2.0
"""A run as lines, for CI and for logs: one per move that means something, with the seconds since the run began.

    12.3s  api: deploy started (worker host1)
    14.1s  api: ready, started (1.8s)

Left out is what nobody asks for: that a step became ready, that there was nothing to prepare. What a step waits for is
said at most every 15 s, so that a long pull does not look like a hanging job.
"""

from collections.abc import Iterator, Mapping

from fleetflow_tasks.engine.model import (
    AnyEvent,
    EndingReason,
    Noted,
    Run,
    RunEnded,
    RunEnding,
    RunQueued,
    RunStarted,
    StepMoved,
    StepProgressed,
)
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.view.because import because
from fleetflow_tasks.view.fold import Picture, action_of, blamed, service_of
from fleetflow_tasks.view.ink import clean, counted, duration, paint, queued
from fleetflow_tasks.view.problems import details, headline
from fleetflow_tasks.view.summary import failure

_EVERY = 15.0  # seconds between two lines of progress of one step; CI systems end jobs that are silent for minutes
_TIME = 5  # columns of the time, as long as the run takes less than a minute

_DONE = {"prepare": "prepared", "deploy": "ready", "restart": "ready", "remove": "removed", "prune": "pruned"}


class Plain:
    """Remembers what it told of each step: when it last spoke of its progress, its delays, its losses.

    here: the run is carried out by this very process, so there is no worker worth naming. failed: the step whose failure was
    the last that was told.
    """

    failed: StepId | None = None

    def __init__(self, *, colour: bool = False, here: bool = False) -> None:
        self._colour = colour
        self._here = here
        self._losses: dict[StepId, int] = {}
        self._told: dict[StepId, float] = {}
        self._delayed: set[StepId] = set()

    def begin(self, picture: Picture) -> list[str]:
        """What one sees first: which run, of what, how large; a run that is on its way says how far it is."""
        run = picture.run
        services = {service for step in picture.steps if (service := service_of(step)) is not None}
        done = sum(1 for state in picture.steps.values() if state.status == "succeeded")
        size = f"{counted(len(services), 'service')}, {counted(len(picture.steps), 'step')}"
        way = f", {done} done" if done else ""
        line = f", {queued(run.ahead)}" if run.status == "queued" else ""
        why = f" ({because(run)})" if run.because else ""
        return [f"run {run.id} of {run.project}/{run.stage}: {size}{way}{line}{why}"]

    def lines(self, picture: Picture, event: AnyEvent) -> list[str]:
        """What *event* is worth, mostly nothing. picture: with the event folded in already."""
        time = f"{duration(event.at - _began(picture.run)):>{_TIME}}"
        blank = " " * _TIME
        texts = list(self._texts(picture, event))
        if texts:
            self.failed = event.step if isinstance(event, StepMoved) and event.status == "failed" else None
        return [
            f"{paint(time if number == 0 else blank, 'dim', on=self._colour)}  {text}"
            for number, text in enumerate(texts)
        ]

    def _texts(self, picture: Picture, event: AnyEvent) -> Iterator[str]:
        match event:
            case RunQueued():
                yield queued(event.ahead)
            case RunStarted():
                yield "run started"
            case StepMoved():
                yield from self._moved(picture, event)
            case StepProgressed():
                yield from self._progressed(event)
            case Noted():
                about = f"{event.step}: " if event.step else ""
                yield about + headline(event.problem, colour=self._colour)
                yield from details(event.problem, colour=self._colour)
            case RunEnding():
                yield f"run {_ENDING[event.reason]}: no new steps, waiting for those that run"
            case RunEnded():  # pragma: no branch  (there is no other, as mypy knows)
                pass  # the summary says it, and what came of it

    def _moved(self, picture: Picture, event: StepMoved) -> Iterator[str]:
        who, action = service_of(event.step) or "stage", action_of(event.step)
        match event.status:
            case "running":
                self._told[event.step] = event.at
                if action in {"deploy", "restart", "remove"} or event.attempt > 1:
                    yield f"{who}: {action} started{self._by(event)}"
            case "succeeded":
                if (event.outcome is None or event.outcome.changed) or action in {"deploy", "restart"}:
                    yield f"{who}: {self._well(picture, event)}"
            case "failed":
                # One line, complete in itself: cause and fix stand at the end, where they are looked for.
                yield failure(picture, event.step, colour=self._colour)[0]
            case "delayed":
                self._delayed.add(event.step)
                after = f" in {duration(event.due - event.at)}" if event.due is not None else ""
                why = f": {clean(event.problem.message)}" if event.problem else ""
                yield f"{who}: {action} is tried again{after}{why}"
            case "skipped":
                if action != "prune":
                    guilty = ", ".join(blamed(picture, event.step))
                    yield f"{who}: {action} skipped" + (f", because of {guilty}" if guilty else "")
            case "cancelled":
                yield f"{who}: {action} cancelled"
            case "ready":
                if event.attempt and event.step not in self._delayed:
                    yield f"{who}: {action} {self._given_back(event)}"
                self._delayed.discard(event.step)
            case "waiting":  # pragma: no branch  (there is no other, as mypy knows)
                pass

    def _by(self, event: StepMoved) -> str:
        """Which machine does it, where there can be several, and which attempt it is; the process matters only in the log."""
        parts = [f"worker {event.worker.partition(':')[0]}"] if event.worker and not self._here else []
        parts += [f"attempt {event.attempt}"] if event.attempt > 1 else []
        return f" ({', '.join(parts)})" if parts else ""

    def _given_back(self, event: StepMoved) -> str:
        lost = event.losses > self._losses.get(event.step, 0)
        self._losses[event.step] = event.losses
        return "lost its worker, another takes it" if lost else "was given back by its worker, another takes it"

    def _well(self, picture: Picture, event: StepMoved) -> str:
        state = picture.steps[event.step]
        took = f" ({duration(event.at - state.started)})" if state.started is not None else ""
        text = clean(event.outcome.text) if event.outcome else ""
        if event.outcome and not event.outcome.changed:
            return paint(text or "unchanged", "dim", on=self._colour) + took
        word = _DONE[action_of(event.step)]
        said = f", {text}" if text and text != word else ""
        return paint(word, "green", on=self._colour) + said + took

    def _progressed(self, event: StepProgressed) -> Iterator[str]:
        if event.at - self._told.get(event.step, event.at - _EVERY) >= _EVERY:
            self._told[event.step] = event.at
            yield f"{service_of(event.step) or 'stage'}: {clean(event.text)}"


_ENDING: Mapping[EndingReason, str] = {
    "cancelled": "is being cancelled",
    "failed": "is failing",
    "timeout": "has had its time",
}


def _began(run: Run) -> float:
    return run.started if run.started is not None else run.submitted
