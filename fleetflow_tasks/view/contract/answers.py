# SPDX-License-Identifier: Apache-2.0
"""One object that is a command's whole answer. `warnings`: what the command had to say besides; it went on all the same."""

from collections.abc import Mapping

import msgspec

from fleetflow_tasks.runtimes.base import ChangeKind
from fleetflow_tasks.view.contract.parts import (
    Change,
    Check,
    Difference,
    Extra,
    File,
    ForeignRuntime,
    Image,
    Package,
    Part,
    Problem,
    Queue,
    Run,
    Service,
    Setting,
    ShownService,
    ShownStep,
    StageWaits,
    Step,
    Variable,
)


class Problems(Part, frozen=True, kw_only=True, tag="problems"):
    """What went wrong, of a command that has no other answer; or, among the lines of a command that goes on, a warning.

    exit_code: the command ends with it; null: it goes on.
    problems: never empty.
    """

    exit_code: int | None
    problems: tuple[Problem, ...]


class Validate(Part, frozen=True, kw_only=True, tag="validate"):
    """Whether the files are right.

    valid: no error was found.
    stages: those that were checked and are right.
    problems: errors, then warnings.
    """

    valid: bool
    stages: tuple[str, ...]
    problems: tuple[Problem, ...]


class Ps(Part, frozen=True, kw_only=True, tag="ps"):
    """What runs in a stage.

    project: its project.
    stage: its name.
    services: by name; those too that the files do not name any more.
    warnings: what is worth a word in the files.
    """

    project: str
    stage: str
    services: tuple[Service, ...]
    warnings: tuple[Problem, ...]


class Runs(Part, frozen=True, kw_only=True, tag="runs"):
    """Runs that there were.

    runs: the newest first.
    """

    runs: tuple[Run, ...]


class Show(Run, frozen=True, kw_only=True, tag="show"):
    """How a run went.

    undone_by: the run that rolled it back; null: none.
    services: of its plan.
    steps: of its plan, with their times.
    closed: why its plan cannot be opened here; null: it can.
    before: the last run that had succeeded as a whole when this one began; null: none.
    differences: from the plan of that run to this one's; null where one of them cannot be opened.
    """

    undone_by: str | None
    services: tuple[ShownService, ...]
    steps: tuple[ShownStep, ...]
    closed: Problem | None
    before: str | None
    differences: tuple[Difference, ...] | None


class QueueAnswer(Part, frozen=True, kw_only=True, tag="queue"):
    """What runs and what waits, in all stages.

    now: the time of the answer.
    stages: those in which something runs or waits.
    queues: those that are served, needed or filled.
    """

    now: float
    stages: tuple[StageWaits, ...]
    queues: tuple[Queue, ...]


class Plan(Part, frozen=True, kw_only=True, tag="plan"):
    """What a deployment would change.

    project: its project.
    stage: its name.
    changes: of each service, in the order in which they would be made.
    total: how many changes there are of each kind; kinds that do not occur are left out.
    warnings: what is worth a word in the files.
    """

    project: str
    stage: str
    changes: tuple[Change, ...]
    total: Mapping[ChangeKind, int]
    warnings: tuple[Problem, ...]


class Diff(Part, frozen=True, kw_only=True, tag="diff"):
    """What a deployment would change, without what it would not.

    project: its project.
    stage: its name.
    differs: whether anything does.
    changes: of each service that changes.
    warnings: what is worth a word in the files.
    """

    project: str
    stage: str
    differs: bool
    changes: tuple[Change, ...]
    warnings: tuple[Problem, ...]


class Graph(Part, frozen=True, kw_only=True, tag="graph"):
    """A stage's steps and what waits for what.

    project: its project.
    stage: its name.
    steps: each behind those that it needs.
    critical_path: the longest chain of steps.
    warnings: what is worth a word in the files.
    """

    project: str
    stage: str
    steps: tuple[Step, ...]
    critical_path: tuple[str, ...]
    warnings: tuple[Problem, ...]


class Config(Part, frozen=True, kw_only=True, tag="config"):
    """A stage with everything filled in.

    project: its name.
    stage: its name.
    runtime: its name as `name`, and its settings.
    variables: environment of every service, by name.
    services: by name, each a path to a value: `image`, `ports.0`, `environment.LOG`, `healthcheck.interval`, `docker.init`.
    warnings: what is worth a word in the files.
    """

    project: Setting
    stage: Setting
    runtime: Mapping[str, Setting]
    variables: Mapping[str, Setting]
    services: Mapping[str, Mapping[str, Setting]]
    warnings: tuple[Problem, ...]


class Variables(Part, frozen=True, kw_only=True, tag="variables"):
    """What a stage's texts may use.

    project: its project.
    stage: its name.
    variables: by name.
    warnings: what is worth a word in the files.
    """

    project: str
    stage: str
    variables: tuple[Variable, ...]
    warnings: tuple[Problem, ...]


class Render(Part, frozen=True, kw_only=True, tag="render"):
    """What would be sent to the platforms.

    project: its project.
    stage: its name.
    files: in the order in which they would be sent.
    warnings: what is worth a word in the files.
    """

    project: str
    stage: str
    files: tuple[File, ...]
    warnings: tuple[Problem, ...]


class Build(Part, frozen=True, kw_only=True, tag="build"):
    """The images of a stage that are there now.

    project: its project.
    stage: its name.
    images: by service.
    warnings: what is worth a word in the files.
    """

    project: str
    stage: str
    images: tuple[Image, ...]
    warnings: tuple[Problem, ...]


class Fmt(Part, frozen=True, kw_only=True, tag="fmt"):
    """What became of the form of files.

    written: whether they were changed on disk, or only would be.
    changed: files whose form changes.
    same: files that have it already.
    problems: why files were left alone: errors, then warnings.
    """

    written: bool
    changed: tuple[str, ...]
    same: tuple[str, ...]
    problems: tuple[Problem, ...]


class Rendered(Part, frozen=True, kw_only=True, tag="rendered"):
    """What became of the files of a folder.

    folder: which.
    changed: files that were written.
    same: files that say it already.
    removed: files of services that are not there any more.
    warnings: what is worth a word.
    """

    folder: str
    changed: tuple[str, ...]
    same: tuple[str, ...]
    removed: tuple[str, ...]
    warnings: tuple[Problem, ...]


class Import(Part, frozen=True, kw_only=True, tag="import"):
    """KDL made from what a platform runs.

    platform: which.
    kdl: the text of the file.
    """

    platform: str
    kdl: str


class Promotion(Part, frozen=True, kw_only=True, tag="promotion"):
    """The images that one stage is to get from another, and what they change there.

    project: of both.
    from: the stage whose images are taken.
    to: the stage that gets them.
    images: of each service, by digest.
    runs: that made what runs there.
    changes: of each service.
    total: how many changes there are of each kind; kinds that do not occur are left out.
    warnings: what is worth a word.
    """

    project: str
    source: str = msgspec.field(name="from")
    to: str
    images: Mapping[str, str]
    runs: tuple[str, ...]
    changes: tuple[Change, ...]
    total: Mapping[ChangeKind, int]
    warnings: tuple[Problem, ...]


class RollbackPlan(Part, frozen=True, kw_only=True, tag="rollback-plan"):
    """Which plan comes again, before it does.

    to: the run whose plan it is.
    from: the stage's last run, whose plan goes.
    differences: from the one plan to the other; null where the one that goes cannot be opened.
    """

    to: Run
    last: Run = msgspec.field(name="from")
    differences: tuple[Difference, ...] | None


class RunAnswer(Run, frozen=True, kw_only=True, tag="run"):
    """A run that was handed to the workers, and is not followed.

    repeated: it was there before, under the same key, and nothing was handed over now.
    key: the idempotency key that it was submitted with; null: none.
    warnings: what is worth a word.
    """

    repeated: bool
    key: str | None
    warnings: tuple[Problem, ...]


class Cancel(Run, frozen=True, kw_only=True, tag="cancel"):
    """A run that was told to stop.

    running: its steps that still run.
    """

    running: tuple[str, ...]


class Doctor(Part, frozen=True, kw_only=True, tag="doctor"):
    """Whether all is there that a deployment needs.

    ok: nothing keeps a deployment from going through.
    checks: what was looked at.
    """

    ok: bool
    checks: tuple[Check, ...]


class Version(Part, frozen=True, kw_only=True, tag="version"):
    """What this FleetFlow is.

    version: its own.
    python: of the interpreter that runs it.
    platform: the machine's operating system and processor.
    plan: number of the schema of plans: a worker carries out what is no newer.
    runtime: number of the protocol that runtimes speak.
    json: number of the contract that these lines keep.
    packages: what every FleetFlow needs.
    extras: what can be installed besides.
    runtimes: those of other packages.
    """

    version: str
    python: str
    platform: str
    plan: int
    runtime: int
    json: int
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    runtimes: tuple[ForeignRuntime, ...]
