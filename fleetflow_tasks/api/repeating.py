# SPDX-License-Identifier: Apache-2.0
"""Earlier runs again: what failed once more, or a version of before. Neither reads the project's files.

Which version "before" means is decided here, since it takes the plans themselves: the newest run that deployed the stage
as a whole, succeeded, and would do something else than the stage's last one.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import dropwhile
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fleetflow_tasks.api.connected import Say, opened, settings_of
from fleetflow_tasks.api.following import KNOWN_RUNS, Follow, Following, which
from fleetflow_tasks.api.leave import allowed
from fleetflow_tasks.api.origins import actor, again
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.api.running import handed, superseded, up
from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.codec import Keys, content_hash, readable
from fleetflow_tasks.plan.compare import compare
from fleetflow_tasks.plan.leave import at_once, without
from fleetflow_tasks.plan.model import Plan

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import Conflict, Publish, Run, Submitted
    from fleetflow_tasks.engine.record import Version
    from fleetflow_tasks.engine.settings import Settings
    from fleetflow_tasks.engine.store import Store


@contextmanager
def retried(
    request: Request,
    run: str,
    *,
    fail_fast: bool = False,
    wait_workers: bool = False,
    timeout: float | None = None,
    adopt: bool = False,
) -> Iterator[Following]:
    """What *run* did not do, submitted again; what it did is kept. run: as `followed` takes it.

    Raises RefusedError where there is nothing to retry, and as `submitted`.
    """
    from fleetflow_tasks.engine.retrying import retry
    from fleetflow_tasks.engine.trouble import known

    def submit(store: "Store", settings: "Settings", publish: "Publish") -> "Submitted":
        old = which(store, run)
        return retry(
            old,
            store=store,
            keys=settings.keys,
            publish=publish,
            actor=actor(request),
            note=again(request, known(store.run(old), old).note),
            fail_fast=fail_fast,
            wait_workers=wait_workers,
            timeout=timeout,
            adopt=adopt,
        )

    with handed(request, submit) as following:
        yield following


@contextmanager
def rolled_back(
    request: Request,
    version: "Version",
    *,
    conflict: "Conflict" = "wait",
    fail_fast: bool = False,
    wait_workers: bool = False,
    timeout: float | None = None,
    adopt: bool = False,
) -> Iterator[Following]:
    """The plan of *version* submitted again, with the leave that *request* gives. Raises as `submitted`, and PlanError."""
    from fleetflow_tasks.engine.retrying import roll_back_to

    others: list[Run] = []

    def submit(store: "Store", settings: "Settings", publish: "Publish") -> "Submitted":
        others.extend(superseded(store, version.run.project, version.run.stage, conflict))
        return roll_back_to(
            version.run.id,
            store=store,
            keys=settings.keys,
            publish=publish,
            actor=actor(request),
            note=again(request, version.run.note),
            conflict=conflict,
            fail_fast=fail_fast,
            wait_workers=wait_workers,
            timeout=timeout,
            adopt=adopt,
            allowed=lambda plan: at_once(allowed(request, plan)),
        )

    with handed(request, submit) as following:
        following.superseded = others
        yield following


def rolled_back_here(
    request: Request,
    version: "Version",
    *,
    follow: Follow,
    say: Say,
    conflict: "Conflict" = "wait",
    fail_fast: bool = False,
    timeout: float | None = None,
    adopt: bool = False,
) -> "Run":
    """The same, carried out in this process: where the stage's last run was, too, there may be no worker. Raises as `up`."""
    from fleetflow_tasks.engine.retrying import version_of

    with opened(request) as store:
        plan, because = version_of(version.run.id, store=store, keys=settings_of(request).keys)
    return up(
        request,
        at_once(allowed(request, plan)),
        follow=follow,
        say=say,
        because=because,
        note=again(request, version.run.note),
        conflict=conflict,
        fail_fast=fail_fast,
        timeout=timeout,
        adopt=adopt,
    )


def version_before(
    request: Request, *, project: str | None = None, stage: str | None = None, to: str | None = None
) -> "Version":
    """What a rollback would bring back. to: a run, by its id or the end of it; None: the version before the last one.

    project, stage: None where *to* says it, or where only one stage has runs at all.
    Raises RefusedError where there is no such run, or its plan cannot be opened.
    """
    from fleetflow_tasks.engine.record import Version
    from fleetflow_tasks.engine.retrying import only_restarts
    from fleetflow_tasks.engine.trouble import known

    keys = settings_of(request).keys
    with opened(request) as store:
        named = which(store, to) if to is not None else None
        target = known(store.run(named), named) if named is not None else None
        place = (target.project, target.stage) if target is not None else stage_of(store, project, stage)
        if target is not None and stage not in {None, target.stage}:
            raise RefusedError(_elsewhere(target, str(stage)))
        every = [run for run in store.runs(*place, limit=KNOWN_RUNS) if run.generation]
        begun = list(dropwhile(lambda run: only_restarts(run, store), every))
        last = last_of(begun, place)
        now = _plan(store, last, keys)
        chosen, plan = (
            (target, _opened(store, target, keys)) if target is not None else _before(store, begun, now, keys)
        )
        return Version(
            run=chosen,
            last=last,
            differences=compare(now, plan) if now else None,
            now=store.now(),
            here=was_here(store, last),
        )


def stage_of(
    store: "Store", project: str | None, stage: str | None, say: str = "flow rollback {}"
) -> tuple[ProjectName, StageName]:
    """The one stage that is meant. say: how to name it. Raises RefusedError where it is none, or more than one."""
    if project and stage and store.runs(ProjectName(project), StageName(stage), limit=1):
        return ProjectName(project), StageName(stage)
    known = sorted({(run.project, run.stage) for run in store.runs(limit=KNOWN_RUNS)})
    meant = [place for place in known if project in {None, place[0]} and stage in {None, place[1]}]
    if len(meant) == 1:
        return meant[0]
    names = ["/".join(place) for place in meant or known]
    wanted = "/".join(name for name in (project, stage) if name)
    if meant:
        raise RefusedError(
            Problem(
                code="which-stage",
                message=f"{len(meant)} stages could be meant" + (f" by `{wanted}`" if wanted else ""),
                cause=tuple(names[:10]),
                fix=f"say which: {say.format(names[0])}",
            )
        )
    raise RefusedError(
        Problem(
            code="no-run-of-stage",
            message=f"no run of {'stage' if stage else 'project'} `{wanted}` is known here"
            if wanted
            else "there is no run yet",
            fix=(suggestion(wanted, names) if wanted else "") or "begin one with `flow up` or `flow submit`",
        )
    )


def was_here(store: "Store", run: "Run") -> bool:
    """Whether *run* was carried out in the process that asked for it, and not by workers."""
    from fleetflow_tasks.engine.model import LOCAL

    blob = store.sealed_plan(run.id)
    return blob is not None and any(step.queue.startswith(LOCAL) for step in readable(blob).steps)


def last_of(begun: Iterable["Run"], place: tuple[ProjectName, StageName]) -> "Run":
    """What the stage is at, or comes to be: its newest run that began."""
    last = next(iter(begun), None)
    if last is None:
        raise RefusedError(
            Problem(
                code="never-begun",
                message=f"no run of stage `{'/'.join(place)}` has begun yet, so there is nothing to go back from",
                more="flow queue",
            )
        )
    return last


def _before(store: "Store", begun: list["Run"], now: Plan | None, keys: Keys) -> tuple["Run", Plan]:
    """The newest good run of which the plan says something else than *now*, and was not gone back from since.

    A plan that was deployed again after that is wanted after all; hence newest first, with what each rollback left behind.
    """
    from fleetflow_tasks.engine.rollback import first

    known = {run.id: run for run in begun}
    same = _content(now) if now is not None else None
    left: set[str] = set()
    passed: Run | None = None
    for run in begun:
        if run is not begun[0] and run.whole and run.status == "succeeded":
            plan = _opened(store, run, keys)
            content = _content(plan)
            if content not in {same, *left}:
                return first(run, known.get), plan
            passed = passed or (first(run, known.get) if content in left else None)
        if run.because is not None and run.because.kind == "rollback" and (gone := known.get(run.because.run)):
            left |= {_content(plan) for plan in (_plan(store, gone, keys),) if plan is not None}
    raise RefusedError(_only_left(begun[0], passed) if passed else _no_other(begun[0]))


def _content(plan: Plan) -> str:
    """What is deployed by it: not with which leave, and not which of its services get steps."""
    return content_hash(replace(without(plan), steps=()))


def _no_other(last: "Run") -> Problem:
    return Problem(
        code="no-version-before",
        message=f"stage `{last.project}/{last.stage}` has no other version to go back to",
        cause=("none of its runs that are kept deployed another plan, as a whole, and succeeded",),
        fix="name the run: --to=RUN, of those that `flow runs` lists",
    )


def _only_left(last: "Run", gone: "Run") -> Problem:
    return Problem(
        code="no-version-before",
        message=f"stage `{last.project}/{last.stage}` has no other version to go back to: nothing older succeeded",
        cause=(f"run {gone.id} was rolled back from",),
        fix=f"if it is meant all the same, name it: --to={gone.id}",
    )


def _opened(store: "Store", run: "Run", keys: Keys) -> Plan:
    from fleetflow_tasks.engine.rollback import reopened

    return reopened(run.id, run.project, run.stage, store=store, keys=keys)


def _plan(store: "Store", run: "Run", keys: Keys) -> Plan | None:
    """None where this key does not open it: then nothing can be said of what changes."""
    try:
        return _opened(store, run, keys)
    except RefusedError:
        return None


def _elsewhere(run: "Run", stage: str) -> Problem:
    return Problem(
        code="run-elsewhere",
        message=f"run {run.id} is of stage `{run.stage}`, not `{stage}`",
        fix="name a run of that stage, or leave the stage out",
    )
