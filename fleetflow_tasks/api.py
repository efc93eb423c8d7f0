# SPDX-License-Identifier: Apache-2.0
"""The front door: load, plan, diff, up, submit, follow, status, logs, as functions.

One of the two places (the other is `engine/boot.py`) where the parts are put together. The rooms below are handed what
they need; they read no environment, open no Redis and import no platform by themselves. What costs time to import (the
Redis client, Celery, a platform's SDK) is imported by the function that needs it, so that `flow plan` loads no Redis
and `flow watch` no Celery.
"""

import getpass
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fleetflow_tasks.config.load import Loaded, load
from fleetflow_tasks.config.model import Data, RuntimeName, ServiceName, StageName
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.errors import ConfigError, PlanError, Problem, RefusedError
from fleetflow_tasks.plan.build import build, teardown
from fleetflow_tasks.plan.check import check
from fleetflow_tasks.plan.model import Plan, Step, StepId
from fleetflow_tasks.plan.resolve import NAMES
from fleetflow_tasks.runtimes import registry
from fleetflow_tasks.runtimes.base import Change, LogLine, LogOptions, Runtime, ServiceStatus

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import AnyEvent, Conflict, EventId, Run, RunId, Snapshot
    from fleetflow_tasks.engine.settings import Settings
    from fleetflow_tasks.engine.store import Store

Say = Callable[[str], None]
TICK = 0.25  # seconds that a follower waits for events before it gives its view a chance to redraw
LOCAL = StageName("local")
KNOWN_RUNS = 1000  # among the newest of these a run is looked for by the end of its id


class Request(Data, frozen=True, kw_only=True):
    """What a user asked for, before any file is read. Empty and None: not said.

    directory: where to look for the files, upwards. environ: of the process that asks.
    """

    directory: str = "."
    file: str | None = None
    stage: str | None = None
    runtime: str | None = None
    variables: Mapping[str, str] = {}
    strict: bool = False
    environ: Mapping[str, str] = {}


class Planned(Data, frozen=True, kw_only=True):
    """A plan that holds no error; warnings are for the user's eyes."""

    plan: Plan
    warnings: tuple[Problem, ...] = ()


# ------------------------------------------------------------------------------------------------------- reading


def plan(request: Request, *, only: Collection[str] = (), only_read: bool = False) -> Planned:
    """The stage's plan, checked offline. Raises ConfigError or PlanError with all problems.

    only: these services and what they depend on. only_read: nothing will be carried out, so a runtime that this version
    knows by name but cannot carry out is a note, no error.
    """
    loaded, stage = _loaded(request)
    made = build(
        loaded.project,
        stage,
        only=[ServiceName(name) for name in only],
        runtime=_runtime(request),
        known=_foreign(loaded, request),
        home=request.environ.get("HOME"),
    )
    problems = (*loaded.warnings, *check(made), *_unfit(request, made, only_read=only_read))
    if wrong := [
        each for each in problems if each.severity == "error" or (request.strict and each.severity == "warning")
    ]:
        raise PlanError(*wrong)
    return Planned(plan=made, warnings=tuple(problems))


def stages(request: Request) -> tuple[StageName, ...]:
    """The names of the project's stages, in the order of the text."""
    return tuple(stage.name for stage in _load(request, None).project.stages)


def teardown_plan(request: Request, *, only: Collection[str] = (), volumes: bool = False) -> Planned:
    """The plan that takes the stage down: what is there, whether the text still declares it or not.

    only: these services alone; network and volumes then stay. Raises ConfigError, PlanError, UnavailableError.
    """
    loaded, stage = _loaded(request)
    runtime, known = _runtime(request), _foreign(loaded, request)
    empty = teardown(loaded.project, stage, services=(), runtime=runtime, known=known)
    there = {each.service for each in status(request, empty)}
    if missing := sorted(set(only) - there):
        raise PlanError(*(_not_there(name, stage, there) for name in missing))
    chosen = {name for name in there if name in only} if only else there
    made = teardown(loaded.project, stage, services=chosen, runtime=runtime, known=known)
    return Planned(plan=_without_prune(made) if only else _with_volumes(made) if volumes else made)


def changes(request: Request, made: Plan) -> Mapping[StepId, Change]:
    """What carrying *made* out would do, from one look at each runtime. Raises UnavailableError."""
    runtimes = _runtimes(request)
    found: dict[StepId, Change] = {}
    for name in made.runtimes:
        found |= runtimes(name).diff(made)
    return found


def status(request: Request, made: Plan) -> Sequence[ServiceStatus]:
    """What runs now, by service. Raises UnavailableError."""
    runtimes = _runtimes(request)
    return [each for name in made.runtimes for each in runtimes(name).status(made)]


def logs(request: Request, made: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
    """Lines of all runtimes of the stage, as they come. Raises PlanError for a service that the plan does not hold."""
    held = {service.name for service in made.services}
    if missing := sorted(set(services) - held):
        raise PlanError(*(_not_there(name, made.stage, held) for name in missing))
    runtimes = _runtimes(request)
    sources = [runtimes(name).logs(made, services, options) for name in made.runtimes]
    return sources[0] if len(sources) == 1 else _merged(sources)


# ------------------------------------------------------------------------------------------------------- running


class Following:
    """A run that is being looked at: its snapshot, then its events, and None whenever nothing is new for a moment.

    steps: the plan's, as far as they can be read without a key. repeated: the run was there before it was submitted.
    """

    def __init__(self, store: "Store", run: "RunId", steps: Sequence[Step], *, repeated: bool = False) -> None:
        self.run = run
        self.steps = tuple(steps)
        self.needs = {step.id: tuple(need.step for need in step.needs) for step in steps}
        self.repeated = repeated
        self._store = store

    def updates(self, after: "EventId | None" = None) -> Iterator["Snapshot | AnyEvent | None"]:
        """To the run's end, and not beyond. after: go on there, without a snapshot.

        The stream is capped: where events were missed, a new snapshot comes in their place.
        """
        from fleetflow_tasks.engine.model import RUN_ENDS, RunEnded

        while True:
            if after is None or self._store.missed(self.run, after=after):
                snapshot = self.snapshot()
                yield snapshot
                after = snapshot.last
                if snapshot.run.status in RUN_ENDS:
                    return
            events = self._store.events(self.run, after=after, block=TICK)
            if not events:
                yield None
            for event in events:
                yield event
                after = event.id
                if isinstance(event, RunEnded):
                    return

    def snapshot(self) -> "Snapshot":
        """Raises RefusedError where the run is not known (any more)."""
        snapshot = self._store.snapshot(self.run)
        if snapshot is None:
            raise RefusedError(_no_run(self.run))
        return snapshot

    def cancel(self) -> None:
        """Begin nothing new; what runs comes to its end."""
        self._store.cancel(self.run, request=uuid.uuid4().hex)

    def clock(self) -> Callable[[], float]:
        """Redis's seconds, asked once and counted on from there."""
        offset = self._store.now() - time.monotonic()
        return lambda: offset + time.monotonic()


Follow = Callable[[Following], None]


def is_held(request: Request, made: Plan) -> bool:
    """Whether a run of this stage is under way. No Redis is started only to ask."""
    from fleetflow_tasks.engine.embedded import is_up
    from fleetflow_tasks.engine.settings import from_environ

    settings = from_environ(request.environ)
    if settings.redis_url is None and not is_up(settings.state):
        return False
    with opened(request) as store:
        return store.active_run(made.project, made.stage) is not None


def up(request: Request, made: Plan, *, follow: Follow, say: Say) -> "Run":
    """Carry *made* out in this process and return the run as it ended.

    follow: called once the run is stored, and again after a KeyboardInterrupt came out of it, which cancels the run.
    say: is told when a Redis had to be started. Raises UnavailableError, RefusedError; a failed step is no exception.
    """
    from fleetflow_tasks.engine.local import run_here
    from fleetflow_tasks.engine.model import Submitted, new_run_id

    settings = _settings(request)
    with opened(request, say=say) as store:

        def shown(submitted: Submitted) -> None:
            follow(Following(store, submitted.run.id, made.steps))

        return run_here(
            made,
            run=new_run_id(),
            store=store,
            settings=settings,
            runtimes=_runtimes(request),
            follow=shown,
            actor=actor(request),
            note=origin(request),
        )


@contextmanager
def submitted(
    request: Request,
    made: Plan,
    *,
    conflict: "Conflict" = "wait",
    key: str | None = None,
    fail_fast: bool = False,
    wait_workers: bool = False,
) -> Iterator[Following]:
    """Hand *made* to the workers. The block may follow the run, or leave it to itself.

    Raises UnavailableError where no worker serves a queue of the plan, RefusedError where conflict is `fail` and the
    stage is busy.
    """
    from fleetflow_tasks.engine import dispatch
    from fleetflow_tasks.engine.model import new_run_id
    from fleetflow_tasks.engine.publish import publisher

    settings = _settings(request)
    with ExitStack() as stack:
        url = stack.enter_context(_redis(settings))
        store = stack.enter_context(_connected(url))
        answer = dispatch.submit(
            made,
            run=new_run_id(),
            store=store,
            keys=settings.keys,
            publish=publisher(store),
            actor=actor(request),
            note=origin(request),
            conflict=conflict,
            key=key,
            fail_fast=fail_fast,
            wait_workers=wait_workers,
        )
        yield Following(store, answer.run.id, made.steps, repeated=answer.repeated)


@contextmanager
def followed(request: Request, run: str | None = None) -> Iterator[Following]:
    """A run that is there already. run: its id or the end of it that is enough; None: the newest one.

    Raises RefusedError where there is none, or where several end alike.
    """
    from fleetflow_tasks.plan.codec import readable

    with opened(request) as store:
        found = _which(store, run)
        blob = store.sealed_plan(found)
        yield Following(store, found, readable(blob).steps if blob else ())


@contextmanager
def opened(request: Request, *, say: Say = lambda text: None) -> Iterator["Store"]:
    """The store that the environment names, or the embedded one, alive while the block runs."""
    with _redis(_settings(request), say) as url, _connected(url) as store:
        yield store


def work(request: Request, queues: Sequence[str], *, slots: int | None = None) -> None:
    """Serve *queues* in this process until it is stopped; does not return."""
    from fleetflow_tasks.engine import boot
    from fleetflow_tasks.plan.model import QueueName

    names = [QueueName(name) for name in queues]
    boot.work(names, settings=_settings(request), runtimes=_runtimes(request), slots=slots)


# ------------------------------------------------------------------------------------------------------- within


def actor(request: Request) -> str:
    """Who asks: the CI system's user where it names one, else user@host."""
    environ = request.environ
    user = environ.get("GITHUB_ACTOR") or environ.get("GITLAB_USER_LOGIN") or environ.get("USER") or _uid_name()
    return f"{user}@{socket.gethostname()}"


def origin(request: Request) -> str:
    """From where: what CI says of its job; empty on a laptop."""
    environ = request.environ
    for commit, job in (("GITHUB_SHA", "GITHUB_RUN_ID"), ("CI_COMMIT_SHA", "CI_JOB_ID")):
        if environ.get(commit):
            return f"commit {environ[commit][:12]}, job {environ.get(job, '?')}"
    return ""


def _uid_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's bare uid has no name
        return "somebody"


def _loaded(request: Request) -> tuple[Loaded, StageName]:
    """The project as the chosen stage sees it: `fleet.{stage}.kdl` and `.env.{stage}` count for that stage alone."""
    named = request.stage or request.environ.get("FLEETFLOW_STAGE") or request.environ.get("FLEET_STAGE")
    stage = StageName(named) if named else _default_stage(_load(request, None))
    return _load(request, stage), stage


def _default_stage(loaded: Loaded) -> StageName:
    names = [stage.name for stage in loaded.project.stages]
    if LOCAL in names:
        return LOCAL
    if len(names) == 1:
        return names[0]
    if not names:
        raise ConfigError(
            Problem(
                code="no-stage",
                message=f"project `{loaded.project.name}` has no stage",
                fix='write one: stage "local" { service "…" }',
            )
        )
    raise ConfigError(
        Problem(
            code="which-stage",
            message=f"project `{loaded.project.name}` has {len(names)} stages, and none is called `local`",
            cause=("they are: " + ", ".join(names),),
            fix=f"say which: --stage={names[0]}",
        )
    )


def _load(request: Request, stage: StageName | None) -> Loaded:
    return load(
        Path(request.directory).absolute(),
        file=Path(request.file) if request.file else None,
        stage=stage,
        variables=request.variables,
        environ=request.environ,
        strict=request.strict,
        blocks=registry.blocks(),
    )


def _runtime(request: Request) -> RuntimeName | None:
    name = request.runtime or request.environ.get("FLEETFLOW_RUNTIME")
    return RuntimeName(name) if name else None


def _foreign(loaded: Loaded, request: Request) -> Collection[str]:
    """Runtimes that other packages bring; searched for only where a name is used that is not ours."""
    used = {stage.runtime.name for stage in loaded.project.stages}
    used |= {service.runtime for stage in loaded.project.stages for service in stage.services if service.runtime}
    used |= {name for name in (_runtime(request),) if name}
    return () if used <= NAMES.keys() else [entry.name for entry in registry.installed()]


def _unfit(request: Request, made: Plan, *, only_read: bool) -> Iterator[Problem]:
    runtimes = _runtimes(request)
    for name in made.runtimes:
        if only_read and name in registry.TO_COME:
            yield Problem(
                code="runtime-to-come",
                message=f"stage `{made.stage}` can be read, but this version carries nothing out on {name}",
                severity="note",
            )
        else:
            yield from runtimes(name).check(made)


def _runtimes(request: Request) -> Callable[[RuntimeName], Runtime]:
    made: dict[RuntimeName, Runtime] = {}

    def runtime(name: RuntimeName) -> Runtime:
        if name not in made:
            made[name] = registry.get(name, request.environ)
        return made[name]

    return runtime


def _settings(request: Request) -> "Settings":
    from fleetflow_tasks.engine.settings import from_environ

    return from_environ(request.environ)


@contextmanager
def _redis(settings: "Settings", say: Say = lambda text: None) -> Iterator[str]:
    from fleetflow_tasks.engine.embedded import redis_for

    with redis_for(settings, say) as url:
        yield url


@contextmanager
def _connected(url: str) -> Iterator["Store"]:
    from fleetflow_tasks.engine.store import Store

    store = Store.connect(url)
    try:
        yield store
    finally:
        store.close()


def _which(store: "Store", named: str | None) -> "RunId":
    from fleetflow_tasks.engine.model import RunId

    if named is not None and store.run(RunId(named)) is not None:
        return RunId(named)
    found = [run.id for run in store.runs(limit=KNOWN_RUNS) if named is None or run.id.endswith(named.lower())]
    if not found:
        raise RefusedError(_no_run(named))
    if named is not None and len(found) > 1:
        raise RefusedError(
            Problem(
                code="which-run",
                message=f"{len(found)} runs end in `{named}`",
                cause=tuple(found[:10]),
                fix="write more of its id",
            )
        )
    return found[0]


def _no_run(named: str | None) -> Problem:
    if named is None:
        return Problem(
            code="run-not-found", message="there is no run yet", fix="begin one with `flow up` or `flow submit`"
        )
    return Problem(
        code="run-not-found",
        message=f"there is no run `{named}`",
        cause=("runs are kept for 30 days, the last 50 of a stage",),
        fix="look at its id again; `flow watch` without one follows the newest",
    )


def _not_there(name: str, stage: StageName, there: Collection[str]) -> Problem:
    return Problem(
        code="unknown-service",
        message=f"stage `{stage}` has no service `{name}`",
        fix=suggestion(name, there),
    )


def _without_prune(made: Plan) -> Plan:
    return replace(made, steps=tuple(step for step in made.steps if step.action != "prune"))


def _with_volumes(made: Plan) -> Plan:
    """What the runtimes read as leave to remove data too."""
    options = {name: {**made.options.get(name, {}), "volumes": "remove"} for name in made.runtimes}
    return replace(made, options=options)


def _merged(sources: Sequence[Iterator[LogLine]]) -> Iterator[LogLine]:
    """Lines of several runtimes as they come, each read by a thread of its own."""
    lines: queue.SimpleQueue[LogLine | None] = queue.SimpleQueue()

    def pump(source: Iterator[LogLine]) -> None:
        try:
            for line in source:
                lines.put(line)
        finally:
            lines.put(None)

    for source in sources:
        threading.Thread(target=pump, args=(source,), daemon=True).start()
    left = len(sources)
    while left:
        if (line := lines.get()) is None:
            left -= 1
        else:
            yield line
