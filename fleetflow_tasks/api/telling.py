# SPDX-License-Identifier: Apache-2.0
"""Questions to Redis: which runs there were, how one went, what waits for what. Nothing is changed by any of them."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from fleetflow_tasks.api.connected import opened, settings_of
from fleetflow_tasks.api.following import KNOWN_RUNS, which
from fleetflow_tasks.api.overlooking import overview
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.plan.codec import Keys, Readable, readable, unseal
from fleetflow_tasks.plan.compare import Difference, compare
from fleetflow_tasks.plan.model import Plan

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import AnyEvent, Run, RunId, RunStatus
    from fleetflow_tasks.engine.overview import Overview
    from fleetflow_tasks.engine.record import Record
    from fleetflow_tasks.engine.store import Store


def runs(
    request: Request,
    *,
    project: str | None = None,
    stage: str | None = None,
    statuses: Collection["RunStatus"] = (),
    actor: str | None = None,
    since: float | None = None,
    limit: int = 20,
) -> tuple[Sequence["Run"], float]:
    """The newest first, and Redis's clock. actor: user@host, or a user on any host. since: seconds back from now."""
    exact = actor if actor is not None and "@" in actor else None
    with opened(request) as store:
        now = store.now()
        found = store.runs(
            ProjectName(project) if project else None,
            StageName(stage) if stage else None,
            statuses=statuses,
            actor=exact,
            since=now - since if since is not None else None,
            limit=limit if exact == actor else KNOWN_RUNS,
        )
    return [run for run in found if actor is None or actor in {run.actor, run.actor.partition("@")[0]}][:limit], now


def shown(request: Request, run: str | None = None) -> "Record":
    """All that is known of a run. run: its id or the end of it; None: the newest one.

    Raises RefusedError where there is none. A plan that cannot be opened is no error: the record says why.
    """
    from fleetflow_tasks.engine.record import Record, undoes
    from fleetflow_tasks.engine.trouble import known

    keys = settings_of(request).keys
    with opened(request) as store:
        found = which(store, run)
        snapshot = known(store.snapshot(found), found)
        blob = store.sealed_plan(snapshot.run.id)
        around = store.runs(snapshot.run.project, snapshot.run.stage, limit=KNOWN_RUNS)
        record = Record(
            snapshot=snapshot,
            readable=readable(blob) if blob else Readable(services=(), steps=()),
            now=store.now(),
            events=_events(store, snapshot.run.id),
            undone=next((each for each in around if undoes(each, snapshot.run.id)), None),
        )
        return _compared(record, store, around, keys)


def queue(request: Request) -> "Overview":
    """What goes on in all stages, and who serves which queue."""
    with opened(request) as store:
        return overview(store, sorted(store.active_stages()))


def _events(store: "Store", run: "RunId") -> tuple["AnyEvent", ...]:
    found: list[AnyEvent] = list(store.events(run))
    page = found
    while page:
        page = list(store.events(run, after=page[-1].id))
        found += page
    return tuple(found)


def _compared(record: "Record", store: "Store", around: Sequence["Run"], keys: Keys) -> "Record":
    """*record* with its plan, and what that changed, as far as the key opens them."""
    from msgspec.structs import replace

    try:
        plan = _plan(store, record.snapshot.run, keys)
    except RefusedError as refused:
        return replace(record, closed=refused.problems[0])
    before = _before(record.snapshot.run, around)
    if plan is None or before is None or not plan.services:
        return replace(record, plan=plan)
    try:
        old = _plan(store, before, keys)
    except RefusedError as refused:
        return replace(record, plan=plan, before=before, closed=refused.problems[0])
    return replace(record, plan=plan, before=before, differences=_differences(old, plan, record.snapshot.run))


def _plan(store: "Store", run: "Run", keys: Keys) -> Plan | None:
    """Raises RefusedError where the key does not open it."""
    blob = store.sealed_plan(run.id)
    return unseal(blob, keys, run=run.id, project=run.project, stage=run.stage) if blob else None


def _before(run: "Run", around: Sequence["Run"]) -> "Run | None":
    """The last that had succeeded as a whole when *run* began, or left the line; of one in line, the last of all."""
    began = run.started or run.ended or float("inf")
    good = (each for each in around if each.whole and each.status == "succeeded" and each.id != run.id)
    earlier = (each for each in good if each.ended is not None and each.ended <= began)
    return max(earlier, key=lambda each: each.generation, default=None)


def _differences(old: Plan | None, new: Plan, run: "Run") -> tuple[Difference, ...] | None:
    """A plan for a part of its stage says nothing of the other services."""
    if old is None:
        return None
    return tuple(each for each in compare(old, new) if run.whole or each.kind != "removed")
