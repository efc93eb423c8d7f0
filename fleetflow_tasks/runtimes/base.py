# SPDX-License-Identifier: Apache-2.0
"""What a runtime is: the Protocol that the engine calls, and the data that go in and out.

The rules that every runtime keeps (checked by `fleetflow_tasks.testing.RuntimeContract`):

- what lacks our labels, or carries another stage's, is never changed;
- what a higher generation made is never changed by a lower one: `StaleError`;
- an unchanged service costs no mutating call;
- doing a step again finds the work done;
- `attempt.checkpoint()` is asked before each mutating call, and often while waiting.
"""

import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar, Literal, Protocol

from fleetflow_tasks.config.model import Data, RuntimeName, ServiceName
from fleetflow_tasks.errors import FleetFlowError, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService, Step, StepId

PROTOCOL = 1  # the number of this Protocol; the registry refuses a runtime that speaks another

ChangeKind = Literal["create", "update", "replace", "remove", "start", "run", "none"]
# Service lifecycle as `flow ps` shows it.
ServiceState = Literal["running", "starting", "unhealthy", "restarting", "stopped", "completed", "failed", "missing"]


class Outcome(Data, frozen=True, kw_only=True):
    """What a step did.

    changed: False where there was nothing to do. text: a few words for people ("started", "unchanged", "pulled 12 MB").
    facts: small facts worth keeping, none of them secret (`image` id, `port`, `url`).
    """

    changed: bool
    text: str
    facts: Mapping[str, str] = {}


class FieldChange(Data, frozen=True, kw_only=True):
    """One field of a change; secrets never appear by value. old or new None: the field was or will be absent."""

    field: str
    old: str | None
    new: str | None


class Change(Data, frozen=True, kw_only=True):
    """What a step would do to a service, without doing it.

    cause: why ("image changed", "not there"). downtime: what a user will feel ("none", "~1 s: published port").
    """

    kind: ChangeKind
    cause: str = ""
    fields: tuple[FieldChange, ...] = ()
    downtime: str = "none"


class ServiceStatus(Data, frozen=True, kw_only=True):
    """One line of `flow ps`.

    since: Unix seconds of the last start (running) or end (stopped), None where it never ran.
    ports: as people write them, "127.0.0.1:8080->80/tcp". drift: it is not what the plan says.
    image: as the plan that made it said. digest: exactly which one it runs, "repo:tag@sha256:…" as its registry knows it;
    the platform's own id, "sha256:…", where no registry does; "" where nobody can say. run: which made it.
    """

    service: ServiceName
    state: ServiceState
    runtime: RuntimeName
    text: str = ""
    image: str = ""
    digest: str = ""
    ports: tuple[str, ...] = ()
    since: float | None = None
    restarts: int = 0
    drift: bool = False
    run: str = ""


class LogOptions(Data, frozen=True, kw_only=True):
    """tail: last N lines of each container, None: all. since: Unix seconds. follow: go on until interrupted.

    previous: of each container what it printed before its last restart, where the platform keeps that apart.
    """

    follow: bool = False
    tail: int | None = None
    since: float | None = None
    timestamps: bool = False
    previous: bool = False


class LogLine(Data, frozen=True, kw_only=True):
    """at: Unix seconds of the platform's clock; None where it gives none.

    source: which of the service's several instances, short (the end of a pod's name); "" where it has one.
    stream: "stdout" for all, where the platform does not tell them apart.
    """

    service: ServiceName
    text: str
    at: float | None = None
    stream: Literal["stdout", "stderr"] = "stdout"
    source: str = ""


class DeployError(Exception):
    """A step failed, and why. transient: it may pass by itself, so another attempt is worth making.

    retry_after: seconds that the platform asked us to wait, None where it did not.
    """

    def __init__(self, problem: Problem, *, transient: bool = False, retry_after: float | None = None) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.transient = transient
        self.retry_after = retry_after


class NotStartedError(FleetFlowError):
    """A command could not be started inside a service: its image has no such program."""

    exit_code = 127  # as shells say it


class StaleError(DeployError):
    """A newer run owns what this one wanted to change. Never tried again."""


class Stopped(Exception):  # noqa: N818  (it is no error: somebody wants us to stop)
    """Raised by `checkpoint()`: leave now, change nothing more.

    reason: `lost` (another worker holds the step), `cancelled`, `timeout`, `draining` (this worker ends; give it back).
    """

    def __init__(self, reason: Literal["lost", "cancelled", "timeout", "draining"]) -> None:
        super().__init__(reason)
        self.reason = reason


class Attempt(Protocol):
    """What a runtime sees of the engine while it carries a step out.

    number: from 1. deadline: on `time.monotonic`'s clock. generation: of this run, grows with every run of the stage.
    run: goes into a label, so that `flow ps` can say which run made a container.
    """

    @property
    def number(self) -> int: ...
    @property
    def deadline(self) -> float: ...
    @property
    def generation(self) -> int: ...
    @property
    def run(self) -> str: ...

    def report(self, text: str, current: float | None = None, total: float | None = None) -> None:
        """Say what is being waited for ("1 of 3 pods ready"). Cheap; called as often as one likes, sent at most every 0.5 s."""

    def checkpoint(self) -> None:
        """Return, or raise `Stopped` when the lease is lost, the run cancelled or the time over.

        Before each mutating call, and at least every second while waiting.
        """

    def sleep(self, seconds: float) -> None:
        """Wait, but wake and raise `Stopped` as `checkpoint` does."""


class Runtime(Protocol):
    """Carries steps out on one platform. One instance serves many threads and many stages at once.

    Raises: `DeployError` from prepare, deploy, remove; `UnavailableError` from diff, status, logs and identity when the
    platform does not answer. No method takes longer than its network calls' timeouts, but for deploy, which waits until ready.
    """

    name: ClassVar[RuntimeName]
    protocol: ClassVar[int]

    def check(self, plan: Plan) -> Sequence[Problem]:
        """What the runtime cannot honour, offline, at plan time."""

    def diff(self, plan: Plan) -> Mapping[StepId, Change]:
        """One snapshot of what is, against the plan: a change per deploy step, and one per service to be pruned,
        under the id `{service}:remove`. A step that is missing from the answer changes nothing."""

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        """Adds only; never touches what serves. A step without service makes the stage's network or namespace."""

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        """Start it and return when it is ready (a job: when it ended well)."""

    def remove(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        """A service. For `stage:prune`: what the plan does not hold (an emptied plan: the network too)."""

    def tidy(self, plan: Plan, run: str) -> Outcome:
        """What *run* prepared and did not deploy goes: called once a run has ended badly.

        Only what carries this run's own mark and never started; so it does not matter whether the next run has begun.
        """

    def status(self, plan: Plan) -> Sequence[ServiceStatus]:
        """What runs now, also services that the plan no longer holds."""

    def logs(self, plan: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
        """Lines of the named services (all, if none is named), as they come."""

    def render(self, plan: Plan, *, secrets: bool = False) -> Mapping[str, str]:
        """What would be sent to the platform: a file's name (`api.yaml`) -> its text, with a line break at its end.

        One file per service, named after it, and one for what is the stage's own, if anything is. Sent in the order of
        their names they do what a deployment does, as far as the platform can say that by order alone. Deterministic.
        secrets: by their values; else masked."""

    def identity(self, plan: Plan) -> str:
        """Which platform this is (an Engine's id), so that a stage is not spread over two by chance; "" if it cannot be.

        Asked before each step, so it must cost next to nothing, and yet never be the id of a platform that another one
        has taken the place of."""

    def close(self) -> None: ...


class Finding(Data, frozen=True, kw_only=True):
    """One thing that `flow doctor` looked at. name: one or two words. text: what was found."""

    name: str
    text: str
    problems: tuple[Problem, ...] = ()


class Built(Data, frozen=True, kw_only=True):
    """What became of an image that was to be built. anew: False where it was there already."""

    image: str
    anew: bool


class Building(Protocol):
    """What a runtime may offer beside the rest: to build the images of services, and to push them.

    Where the plan is for another platform, its engine is the one that it finds by itself. Both raise DeployError.
    """

    def build(
        self, plan: Plan, service: ResolvedService, attempt: Attempt, *, pull: bool = False, cache: bool = True
    ) -> Built:
        """The image that the plan means, made of the files that the plan was made of.

        pull: what it begins with is asked for again. cache: False: each step is done anew. With either it is built in any
        case."""

    def push(self, plan: Plan, service: ResolvedService, attempt: Attempt) -> str:
        """To the registry that its name names; the digest under which that knows it now."""

    def is_pushed(self, plan: Plan, service: ResolvedService) -> bool | None:
        """Whether its registry has an image of that name and tag; None where nobody can say."""


class Examined(Protocol):
    """What a runtime may offer beside the rest: to say how its platform is, and what we may do there."""

    def examined(self, plan: Plan) -> Sequence[Finding]:
        """The first finding is of the platform itself, `engine`. Raises UnavailableError."""


class Placed(Protocol):
    """What a runtime may offer beside the rest: to say where a stage goes, before anybody is asked."""

    def place(self, plan: Plan) -> str:
        """In words for people, `docker at unix:///run/docker.sock`, from what can be known here. Raises nothing."""


class Restarting(Protocol):
    """What a runtime may offer beside the rest: to start what runs anew, without another content."""

    def restart(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        """Return when it is ready again. The content stays what it is, also where the plan says another one by now, so
        that `diff` says the same before and after; what does not run is left alone, and so is what a job ran.

        Where the platform can, the old one serves until the new one is ready. One that fails is taken back.
        """


class HeldVolume(Data, frozen=True, kw_only=True):
    """Data that a stage's volumes hold. name: as the platform calls it. kind: as people do, `volume`, `claim`.

    size: bytes that are in it, or that it may hold; None where nobody can say. created: Unix seconds.
    """

    name: str
    kind: str = "volume"
    size: int | None = None
    created: float | None = None


class Holding(Protocol):
    """What a runtime may offer beside the rest: to say whose data goes if a stage's volumes do."""

    def volumes(self, plan: Plan) -> Sequence[HeldVolume]:
        """Those that a `prune` with `volumes=remove` removes, by name. Raises UnavailableError."""


class Addressed(Protocol):
    """What a runtime may offer beside the rest: to say under which URLs its services are reached.

    Where it does, its `deploy` says the same of the service that it deployed, as the fact `url`, if that has one. Then a
    dependant gets it as `{NAME}_URL` and the platform is not asked again.
    """

    def urls(self, plan: Plan, services: Collection[ServiceName]) -> Mapping[ServiceName, str]:
        """The URLs of *services* as far as they are there; "" for one that has none. Raises UnavailableError."""


class Terminal(Protocol):
    """A person's end of a command that runs inside a service.

    input: a file descriptor to read from; None: the command gets no input. output, errors: descriptors to write to.
    tty: they are a terminal, already in raw mode: each key goes over as it is, and what comes back is one stream.
    """

    @property
    def input(self) -> int | None: ...
    @property
    def output(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def tty(self) -> bool: ...

    def size(self) -> tuple[int, int] | None:
        """Columns and rows at this moment; None where it is no terminal. Cheap: asked several times a second."""


class Interactive(Protocol):
    """What a runtime may offer beside the rest: a person's hand inside a running service.

    instance: which of several, by number from 1 or by how its name ends; "": the oldest that is ready.
    Raises: UnavailableError, also where nothing of the service runs; NotStartedError where it has no such command.
    """

    def execute(
        self, plan: Plan, service: ServiceName, command: Sequence[str], terminal: Terminal, *, instance: str = ""
    ) -> int:
        """Run *command* there and return its exit code, once it has ended."""

    def reached(self, plan: Plan, service: ServiceName, *, instance: str = "") -> str:
        """What a connection would be carried to now, in words for people (`pod api-7d9f`)."""

    def carry(self, plan: Plan, service: ServiceName, port: int, line: socket.socket, *, instance: str = "") -> None:
        """Carry one accepted connection to *port* of the service; returns when it has ended, and closes nothing.

        Called from many threads at once, once per connection."""
