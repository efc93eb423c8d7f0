# SPDX-License-Identifier: Apache-2.0
"""Runs: carried out here, handed to workers, followed, worked off. What needs Redis is imported where it is used."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fleetflow_tasks.api.connected import Say, opened, settings_of, store_of, which_redis
from fleetflow_tasks.api.following import KNOWN_RUNS, Follow, Following, following, which
from fleetflow_tasks.api.origins import actor, job_key, origin
from fleetflow_tasks.api.request import Request, runtimes_of
from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.errors import Problem, RefusedError, UnavailableError
from fleetflow_tasks.plan.codec import content_hash
from fleetflow_tasks.plan.model import Plan

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import Because, Conflict, Publish, Run, Submitted
    from fleetflow_tasks.engine.settings import Settings
    from fleetflow_tasks.engine.store import Store

Submit = Callable[["Store", "Settings", "Publish"], "Submitted"]


def is_held(request: Request, made: Plan) -> bool:
    """Whether a run of this stage is under way. No Redis is started only to ask."""
    from fleetflow_tasks.engine.embedded import is_up

    settings = settings_of(request)
    if settings.redis_url is None and not is_up(settings.state):
        return False
    with opened(request) as store:
        return store.active_run(made.project, made.stage) is not None


def up(
    request: Request,
    made: Plan,
    *,
    follow: Follow,
    say: Say,
    timeout: float | None = None,
    adopt: bool = False,
    because: "Because | None" = None,
    note: str | None = None,
    conflict: "Conflict" = "wait",
    fail_fast: bool = False,
) -> "Run":
    """Carry *made* out in this process and return the run as it ended.

    follow: called once the run is stored, and again after a KeyboardInterrupt came out of it, which cancels the run.
    say: is told when a Redis had to be started. timeout: seconds until the run is ended. adopt: the stage may have been on
    another engine before. because: why, where it is not for the plan's own sake. note: None: where the plan came from.
    Raises UnavailableError, RefusedError; a failed step is no exception.
    """
    from fleetflow_tasks.engine.local import run_here
    from fleetflow_tasks.engine.model import Submitted, new_run_id

    settings = settings_of(request)
    with store_of(settings, say) as store:

        def shown(submitted: Submitted) -> None:
            follow(Following(store, submitted.run.id, made.steps))

        return run_here(
            made,
            run=new_run_id(),
            store=store,
            settings=settings,
            runtimes=runtimes_of(request),
            follow=shown,
            actor=actor(request),
            note=origin(request, made.root) if note is None else note,
            conflict=conflict,
            fail_fast=fail_fast,
            because=because,
            timeout=timeout,
            adopt=adopt,
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
    timeout: float | None = None,
    rollback: bool = False,
    adopt: bool = False,
    because: "Because | None" = None,
) -> Iterator[Following]:
    """Hand *made* to the workers. The block may follow the run, or leave it to itself.

    key: idempotency key; None: in CI one of the job and the plan, elsewhere none; "": none.
    timeout: seconds until the run is ended. rollback: should it fail, the stage's last good run comes again. adopt: the
    stage may have been on another engine before. because: why, where it is not for the plan's own sake.
    Raises UnavailableError where no worker serves a queue of the plan, RefusedError where conflict is `fail` and the
    stage is busy.
    """
    from fleetflow_tasks.engine import dispatch
    from fleetflow_tasks.engine.model import new_run_id

    wanted = key or None
    if key is None:
        wanted = job_key(request, lambda: content_hash(made), lambda: settings_of(request).keys.current)

    others: list[Run] = []

    def submit(store: "Store", settings: "Settings", publish: "Publish") -> "Submitted":
        others.extend(superseded(store, made.project, made.stage, conflict))
        answer = dispatch.submit(
            made,
            run=new_run_id(),
            store=store,
            keys=settings.keys,
            publish=publish,
            actor=actor(request),
            note=origin(request, made.root),
            conflict=conflict,
            key=wanted,
            fail_fast=fail_fast,
            wait_workers=wait_workers,
            timeout=timeout,
            rollback=rollback,
            adopt=adopt,
            because=because,
        )
        if answer.repeated:
            _same(store, settings, answer.run, made)
        return answer

    with handed(request, submit, key=wanted) as found:
        found.superseded = others if not found.repeated else ()
        yield found


def superseded(store: "Store", project: ProjectName, stage: StageName, conflict: "Conflict") -> Sequence["Run"]:
    """The runs that one of *conflict* `supersede` would cancel at this moment, the newest first."""
    from fleetflow_tasks.engine.model import RUN_ENDS

    if conflict != "supersede":
        return ()
    return [run for run in store.runs(project, stage, limit=KNOWN_RUNS) if run.status not in RUN_ENDS]


@contextmanager
def handed(request: Request, submit: Submit, *, key: str | None = None) -> Iterator[Following]:
    """What *submit* hands to the workers, to be followed or left to itself. key: the one that it was submitted with.

    While the block lasts, this process reconciles too: if every worker dies, somebody has to notice and say so.
    """
    from fleetflow_tasks.engine.model import WorkerId
    from fleetflow_tasks.engine.publish import publisher
    from fleetflow_tasks.engine.reconcile import Reconciler

    settings = settings_of(request)
    with store_of(settings) as store:
        publish = publisher(store)
        with _telling_which_redis(request):
            answer = submit(store, settings, publish)
        name = WorkerId(f"submitter of {answer.run.id}")
        reconciler = Reconciler(store, publish, worker=name, keys=settings.keys, lease=settings.lease)
        reconciler.start()
        try:
            yield following(store, answer.run.id, repeated=answer.repeated, key=key)
        finally:
            reconciler.stop()


@contextmanager
def followed(request: Request, run: str | None = None) -> Iterator[Following]:
    """A run that is there already. run: its id or the end of it that is enough; None: the newest one.

    Raises RefusedError where there is none, or where several end alike.
    """
    with opened(request) as store:
        yield following(store, which(store, run))


def work(request: Request, queues: Sequence[str], *, slots: int | None = None, recycle: float | None = None) -> None:
    """Serve *queues* in this process until it is stopped, or older than *recycle* seconds; does not return."""
    import msgspec

    from fleetflow_tasks.engine import boot
    from fleetflow_tasks.plan.model import QueueName

    names = [QueueName(name) for name in queues]
    settings = msgspec.structs.replace(settings_of(request), recycle=recycle)
    boot.work(names, settings=settings, runtimes=runtimes_of(request), slots=slots)


@contextmanager
def _telling_which_redis(request: Request) -> Iterator[None]:
    """Where no worker was ever seen, it may be that another Redis was meant."""
    from fleetflow_tasks.engine.dispatch import NEVER

    try:
        yield
    except UnavailableError as error:
        if (word := which_redis(request)) is None:
            raise
        raise UnavailableError(
            *(replace(each, cause=(*each.cause, word)) if NEVER in each.cause else each for each in error.problems)
        ) from error


def _same(store: "Store", settings: "Settings", found: "Run", made: Plan) -> None:
    """Raises RefusedError where the run that a key found was of another plan: its success would be told for work never done."""
    from fleetflow_tasks.plan.codec import unseal

    blob = store.sealed_plan(found.id)
    plan = unseal(blob, settings.keys, run=found.id, project=found.project, stage=found.stage) if blob else None
    if plan is None or content_hash(plan) != content_hash(made):
        raise RefusedError(
            Problem(
                code="key-reused",
                message=f"the idempotency key belongs to run {found.id}, which had another plan",
                fix="take a new key for a new plan",
                more=f"flow watch {found.id}",
            )
        )
