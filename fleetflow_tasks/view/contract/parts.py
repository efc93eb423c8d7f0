# SPDX-License-Identifier: Apache-2.0
"""What answers are made of. Every field is always there: null, "", 0, false or [] where there is nothing to say.

A thing is named by its own kind: a run by `run`, a step by `step`, a service by `service`. Times are Unix seconds of
Redis's clock, lengths of time are seconds.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from fleetflow_tasks.engine.model import RunStatus, StepStatus
from fleetflow_tasks.plan.compare import Kind as DifferenceKind
from fleetflow_tasks.plan.model import Action
from fleetflow_tasks.runtimes.base import ChangeKind, ServiceState

Severity = Literal["error", "warning", "note"]
Why = Literal[
    "running", "backoff",                                                      # one step
    "taking", "silent", "busy", "no-worker", "leaving", "too-old", "other-key", "gone",  # ready steps of a queue
    "line", "held", "quiet", "beginning",                                      # a run
]  # fmt: skip


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all. No field has a default, so that each is printed always."""


class Image(Part, frozen=True, kw_only=True):
    """An image that is built.

    service: whose it is.
    image: its reference.
    hash: of all that it is made of.
    anew: it was built now; else it was there already.
    digest: under which its registry knows it; "" where it was not pushed.
    """

    service: str
    image: str
    hash: str
    anew: bool
    digest: str


class Place(Part, frozen=True, kw_only=True):
    """A spot in a file.

    file: as the user would type it.
    line: from 1.
    column: from 1, in characters.
    length: how many characters are meant, from there.
    text: the whole source line; "" where it is not at hand.
    """

    file: str
    line: int
    column: int
    length: int
    text: str


class Problem(Part, frozen=True, kw_only=True):
    """One thing that is wrong, or worth a word.

    code: a stable word, such as `unknown-node`.
    message: one line, complete without the rest.
    cause: lines that explain it, the nearest cause first.
    fix: what to do; "" where nobody can know.
    more: a command that shows more; "" where there is none.
    place: where in the files; null where no file is to blame.
    severity: errors stop a command, warnings and notes do not.
    """

    code: str
    message: str
    cause: tuple[str, ...]
    fix: str
    more: str
    place: Place | None
    severity: Severity


class Because(Part, frozen=True, kw_only=True):
    """Why a run was made.

    kind: `retry`: of what `run` did not do; `rollback`: an earlier plan in the place of that of `run`; `promote`: with the images that `run` deployed.
    run: the run that it comes from.
    plan: the run whose plan is carried out again; null: it has one of its own.
    """

    kind: Literal["retry", "rollback", "promote"]
    run: str
    plan: str | None


class Run(Part, frozen=True, kw_only=True):
    """A plan that is carried out, once.

    run: its id: 26 characters that sort by time.
    project: whose.
    stage: to which stage.
    status: `succeeded`, `failed` and `cancelled` are ends; `ending`: nothing new begins, what runs comes to its end.
    generation: grows with each run of the stage.
    actor: who began it, `user@host`.
    note: from where, as a git commit or a CI job; free text.
    submitted: when it was made.
    started: when its first step could begin; null before.
    ended: when it came to its end; null before.
    ahead: runs before it in line.
    because: why it was made; null: for its plan's own sake.
    deadline: what is not done by then ends the run; null: none.
    rollback: whether, if it fails, the stage's last good plan comes again by itself.
    whole: whether it deploys all of its stage.
    problem: what is wrong with the run as a whole; null: nothing.
    """

    run: str
    project: str
    stage: str
    status: RunStatus
    generation: int
    actor: str
    note: str
    submitted: float
    started: float | None
    ended: float | None
    ahead: int
    because: Because | None
    deadline: float | None
    rollback: bool
    whole: bool
    problem: Problem | None


class Outcome(Part, frozen=True, kw_only=True):
    """What a step did.

    changed: false where there was nothing to do.
    text: in a few words for people.
    facts: what else is worth knowing, by name, such as `image`, `port`, `url`.
    """

    changed: bool
    text: str
    facts: Mapping[str, str]


class StepState(Part, frozen=True, kw_only=True):
    """Where a step stands.

    step: its id, `SERVICE:ACTION`; `stage:…` for the stage's own.
    service: null for the stage's own steps.
    status: `delayed`: it is tried again at `due`; `skipped`: what it needs failed.
    queue: who may carry it out.
    attempt: how often it was begun.
    losses: how often its worker was lost.
    releases: how often its worker gave it back.
    worker: who has it, or had it last; null before.
    since: when it came into this status; 0 where nothing is known.
    started: when its last attempt began; null before.
    ended: when its last attempt ended; null before.
    due: when it is tried again; null where it is not.
    outcome: what it did; null before it succeeded.
    problem: why it failed; null where it did not.
    """

    step: str
    service: str | None
    status: StepStatus
    queue: str
    attempt: int
    losses: int
    releases: int
    worker: str | None
    since: float
    started: float | None
    ended: float | None
    due: float | None
    outcome: Outcome | None
    problem: Problem | None


class ShownStep(StepState, frozen=True, kw_only=True):
    """A step with its times, summed up over all attempts.

    waited: seconds in which it was ready and nobody had it; null where it never was.
    ran: seconds in which a worker had it; null where none had.
    needs: steps that had to be done first.
    """

    waited: float | None
    ran: float | None
    needs: tuple[str, ...]


class ShownService(Part, frozen=True, kw_only=True):
    """A service of a run's plan.

    service: its name.
    image: the image that was to be deployed; null where the plan cannot be opened here.
    """

    service: str
    image: str | None


class Need(Part, frozen=True, kw_only=True):
    """A step that must be done first.

    step: its id.
    cause: why, as `declared`.
    """

    step: str
    cause: str


class Step(Part, frozen=True, kw_only=True):
    """A step of a plan.

    step: its id, `SERVICE:ACTION`; `stage:…` for the stage's own.
    service: null for the stage's own steps.
    action: what is done.
    runtime: on which platform.
    queue: who may carry it out.
    needs: what must be done first.
    weight: steps on the longest way from here to the end; the longest goes first.
    timeout: seconds that an attempt may take.
    retries: attempts after the first one.
    """

    step: str
    service: str | None
    action: Action
    runtime: str
    queue: str
    needs: tuple[Need, ...]
    weight: int
    timeout: float
    retries: int


class FieldChange(Part, frozen=True, kw_only=True):
    """A field that changes. Secrets are told by name alone.

    field: its name.
    old: null where it was absent.
    new: null where it will be absent.
    """

    field: str
    old: str | None
    new: str | None


class Change(Part, frozen=True, kw_only=True):
    """What a step would change.

    step: its id.
    service: the service; the stage's own steps in brackets.
    kind: `none`: it stays as it is; `run`: a job.
    cause: why.
    fields: which fields change, as far as the platform tells them apart.
    downtime: what a user would feel; `none`, or as `~1 s: published port`.
    """

    step: str
    service: str
    kind: ChangeKind
    cause: str
    fields: tuple[FieldChange, ...]
    downtime: str


class Difference(Part, frozen=True, kw_only=True):
    """What one plan says otherwise than another, of a service.

    service: null for the settings of the stage itself.
    kind: `same`: nothing.
    fields: of a changed one.
    """

    service: str | None
    kind: DifferenceKind
    fields: tuple[FieldChange, ...]


class Service(Part, frozen=True, kw_only=True):
    """A service as its platform has it.

    service: its name.
    state: `missing`: the files name it, and it is not there; `completed`: a job that ended well.
    runtime: on which platform.
    text: what else there is to say of it.
    image: as the plan said that made it.
    digest: exactly which image it runs; "" where nobody can say.
    ports: as `127.0.0.1:8080->80/tcp`.
    since: when it started, or where it is stopped, when that was; null where it never ran.
    restarts: how often.
    drift: it is not what the files say.
    run: the run that made it; "" where none did.
    """

    service: str
    state: ServiceState
    runtime: str
    text: str
    image: str
    digest: str
    ports: tuple[str, ...]
    since: float | None
    restarts: int
    drift: bool
    run: str


class Waiting(Part, frozen=True, kw_only=True):
    """A run, or some of its steps, that are not done yet.

    run: which.
    why: `busy`, say: all slots of the queue are.
    text: the same for people, with names and numbers.
    steps: those that are meant; none where the run as a whole waits.
    queue: of these steps; null where the run as a whole waits.
    since: since when; null where that is not known.
    """

    run: str
    why: Why
    text: str
    steps: tuple[str, ...]
    queue: str | None
    since: float | None


class StageWaits(Part, frozen=True, kw_only=True):
    """A stage in which something runs or waits.

    project: its project.
    stage: its name.
    active: the run under way; null: none.
    done: how many of its steps are.
    total: how many steps it has.
    behind: how many of them wait for other steps.
    waits: what else is waited for.
    """

    project: str
    stage: str
    active: Run | None
    done: int
    total: int
    behind: int
    waits: tuple[Waiting, ...]


class Queue(Part, frozen=True, kw_only=True):
    """A queue and who serves it.

    queue: its name.
    workers: those that stay.
    slots: of these: steps that they do at once.
    busy: slots that are taken.
    ready: steps that nobody has yet.
    running: steps that somebody has.
    messages: that nobody fetched yet.
    """

    queue: str
    workers: int
    slots: int
    busy: int
    ready: int
    running: int
    messages: int


class Check(Part, frozen=True, kw_only=True):
    """One thing that was looked at.

    name: what, in a word or two.
    text: what was found.
    verdict: the worst of its problems.
    problems: what is wrong with it.
    """

    name: str
    text: str
    verdict: Literal["ok", "note", "warning", "error"]
    problems: tuple[Problem, ...]


class Ingredient(Part, frozen=True, kw_only=True):
    """Something that went into a value: a variable, or another node.

    name: its name.
    from: where it came from.
    """

    name: str
    source: str = msgspec.field(name="from")


class Setting(Part, frozen=True, kw_only=True):
    """A value, and where it came from.

    value: text, number, boolean, list or object, as the language has it; of a secret its source alone.
    from: `fleet.kdl:12`, `.env.stg:3`, `--var`, `APP_X of the process`, `default`.
    over: what would count without it, the strongest first.
    parts: what went into it.
    """

    value: Any
    source: str = msgspec.field(name="from")
    over: tuple[str, ...]
    parts: tuple[Ingredient, ...]


class Variable(Part, frozen=True, kw_only=True):
    """A variable of a stage.

    name: its name.
    value: `[hidden]` where it went into a secret; null where nobody uses it, or where it cannot be worked out.
    from: as of a setting; `not set` where only its users know it.
    over: what would count without it, the strongest first.
    parts: what went into it.
    users: what uses it, and where.
    """

    name: str
    value: str | None
    source: str = msgspec.field(name="from")
    over: tuple[str, ...]
    parts: tuple[Ingredient, ...]
    users: tuple[str, ...]


class File(Part, frozen=True, kw_only=True):
    """A file that would be sent.

    runtime: to which platform.
    name: its name.
    text: what it says.
    """

    runtime: str
    name: str
    text: str


class Package(Part, frozen=True, kw_only=True):
    """A Python package.

    name: as installers know it.
    version: the one that is installed; null where it is not.
    """

    name: str
    version: str | None


class Extra(Part, frozen=True, kw_only=True):
    """What comes with `pip install 'fleetflow[name]'`.

    name: of the extra.
    installed: whether all its packages are.
    packages: by name.
    """

    name: str
    installed: bool
    packages: tuple[Package, ...]


class ForeignRuntime(Part, frozen=True, kw_only=True):
    """A runtime that another package brings.

    name: as stages name it.
    package: which one.
    """

    name: str
    package: Package
