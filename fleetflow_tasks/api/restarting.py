# SPDX-License-Identifier: Apache-2.0
"""What `flow restart` starts anew: of the services that the text holds, those that run. Jobs have done what they were for."""

from collections.abc import Collection, Iterator, Sequence

from fleetflow_tasks.api.reading import Planned, plan, status
from fleetflow_tasks.api.request import Request, runtimes_of
from fleetflow_tasks.errors import PlanError, Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.plan.restart import restarting
from fleetflow_tasks.runtimes.base import ServiceState
from fleetflow_tasks.runtimes.restarting import cannot, restarts

_RUNS: frozenset[ServiceState] = frozenset({"running", "starting", "unhealthy", "restarting"})


def restart_plan(request: Request, *, only: Collection[str] = ()) -> Planned:
    """The plan that restarts what runs of the stage, or of *only*; its notes say what is left alone, and why.

    Secrets need no values here: nothing is given to a service that it has not been given before.
    Raises ConfigError, PlanError, also for what is named and does not run; UnavailableError, also where nothing runs.
    """
    planned = plan(request, only=only, with_dependencies=False, values=False)
    made = planned.plan
    chosen = [service for service in made.services if not only or service.name in only]
    _refuse_deaf(request, chosen)
    jobs = [each for each in chosen if each.job]
    running = {each.service for each in status(request, made) if each.state in _RUNS}
    still = [each for each in chosen if not each.job and each.name not in running]
    if only and (jobs or still):
        raise PlanError(*map(_job, jobs), *(_still(made, each) for each in still))
    names = [each.name for each in chosen if each not in (*jobs, *still)]
    if not names:
        raise UnavailableError(_nothing(made))
    notes = (*_note("job-restart", "a restart leaves jobs alone", jobs), *_note("not-running", "not running", still))
    return Planned(plan=restarting(made, names), warnings=(*planned.warnings, *notes), blind=planned.blind)


def _refuse_deaf(request: Request, chosen: Sequence[ResolvedService]) -> None:
    runtimes = runtimes_of(request)
    for name in sorted({service.runtime for service in chosen}):
        if not restarts(runtimes(name)):
            raise UnavailableError(cannot(runtimes(name)))


def _job(service: ResolvedService) -> Problem:
    return Problem(
        code="job-restart",
        message=f"`{service.name}` is a job, which a restart leaves alone: it runs to its end, once for its content",
        fix='`rerun "always"` in its text lets `flow up` run it each time',
        place=service.places.get("job") or service.places.get(""),
    )


def _still(made: Plan, service: ResolvedService) -> Problem:
    return Problem(
        code="not-running",
        message=f"`{service.name}` does not run, so there is nothing to restart",
        fix=f"start it: flow up {made.stage} --only {service.name}",
        place=service.places.get(""),
    )


def _note(code: str, said: str, services: Sequence[ResolvedService]) -> Iterator[Problem]:
    """Of a whole stage, one sentence says it of all of them."""
    if services:
        names = ", ".join(f"`{each.name}`" for each in services)
        yield Problem(code=code, message=f"{said}: {names}", severity="note")


def _nothing(made: Plan) -> Problem:
    return Problem(
        code="nothing-runs",
        message=f"nothing of {made.project}/{made.stage} runs that could be restarted",
        fix=f"start it: flow up {made.stage}",
        more=f"flow ps {made.stage}",
    )
