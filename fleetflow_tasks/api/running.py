# SPDX-License-Identifier: Apache-2.0
"""Runs: carried out here, handed to workers, followed, worked off. What needs Redis is imported where it is used."""

import getpass
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from fleetflow_tasks.api.following import Follow, Following, which
from fleetflow_tasks.api.request import Request, runtimes_of
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.model import Plan

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import Conflict, Run
    from fleetflow_tasks.engine.settings import Settings
    from fleetflow_tasks.engine.store import Store

Say = Callable[[str], None]


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
            runtimes=runtimes_of(request),
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

    While the block lasts, this process reconciles too: if every worker dies, somebody has to notice and say so.
    Raises UnavailableError where no worker serves a queue of the plan, RefusedError where conflict is `fail` and the
    stage is busy.
    """
    from fleetflow_tasks.engine import dispatch
    from fleetflow_tasks.engine.model import WorkerId, new_run_id
    from fleetflow_tasks.engine.publish import publisher
    from fleetflow_tasks.engine.reconcile import Reconciler

    settings = _settings(request)
    with ExitStack() as stack:
        url = stack.enter_context(_redis(settings))
        store = stack.enter_context(_connected(url))
        publish, run = publisher(store), new_run_id()
        answer = dispatch.submit(
            made,
            run=run,
            store=store,
            keys=settings.keys,
            publish=publish,
            actor=actor(request),
            note=origin(request),
            conflict=conflict,
            key=key,
            fail_fast=fail_fast,
            wait_workers=wait_workers,
        )
        reconciler = Reconciler(store, publish, worker=WorkerId(f"submitter of {run}"), lease=settings.lease)
        reconciler.start()
        stack.callback(reconciler.stop)
        if answer.repeated:
            _same(store, settings, answer.run, made)
        yield Following(store, answer.run.id, made.steps, repeated=answer.repeated)


@contextmanager
def followed(request: Request, run: str | None = None) -> Iterator[Following]:
    """A run that is there already. run: its id or the end of it that is enough; None: the newest one.

    Raises RefusedError where there is none, or where several end alike.
    """
    from fleetflow_tasks.plan.codec import readable

    with opened(request) as store:
        found = which(store, run)
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
    boot.work(names, settings=_settings(request), runtimes=runtimes_of(request), slots=slots)


def _same(store: "Store", settings: "Settings", found: "Run", made: Plan) -> None:
    """Raises RefusedError where the run that a key found was of another plan: its success would be told for work never done."""
    from fleetflow_tasks.plan.codec import content_hash, unseal

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
