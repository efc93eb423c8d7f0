# SPDX-License-Identifier: Apache-2.0
"""Cloud Run as a runtime: the rooms, called in the order of the story.

What is kept between two steps is kept for speed alone: connections, and for each run one picture of its stage. Whether
something is to be done is decided from that picture, and each change is made upon a fresh look at what it changes; so
any worker may do any step, and do it again.

There is nothing to prepare: a revision cannot be made without touching its service, and a project and its region are
there or not. So `prepare` only asks, of all services before the first is deployed: whether it is ours, and whether Cloud
Run would take it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.handed import awaited
from fleetflow_tasks.plan.model import Plan, ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import (
    PROTOCOL,
    Attempt,
    Change,
    DeployError,
    Finding,
    LogLine,
    LogOptions,
    Outcome,
    ServiceStatus,
)
from fleetflow_tasks.runtimes.cloudrun import changes, examine, explain, jobs, logs, printed, prune, status, words
from fleetflow_tasks.runtimes.cloudrun import check as checks
from fleetflow_tasks.runtimes.cloudrun.client import TIMEOUT, CloudRunError, Trace
from fleetflow_tasks.runtimes.cloudrun.decide import foreign
from fleetflow_tasks.runtimes.cloudrun.desired import Desired, desired
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import full_name
from fleetflow_tasks.runtimes.cloudrun.observe import Picture, owner
from fleetflow_tasks.runtimes.cloudrun.options import SCHEMA
from fleetflow_tasks.runtimes.cloudrun.place import Place, Regions
from fleetflow_tasks.runtimes.cloudrun.reading import last, text
from fleetflow_tasks.runtimes.cloudrun.render import rendered
from fleetflow_tasks.runtimes.cloudrun.settings import settings
from fleetflow_tasks.runtimes.cloudrun.source import CLOUDRUN
from fleetflow_tasks.runtimes.cloudrun.work import Work


class CloudRunRuntime:
    name: ClassVar[RuntimeName] = RuntimeName(CLOUDRUN)
    protocol: ClassVar[int] = PROTOCOL
    schema = SCHEMA

    def __init__(self, environ: Mapping[str, str], *, trace: Trace | None = None, timeout: float = TIMEOUT) -> None:
        """environ: where credentials may be named. trace: told of each request, for counting. timeout: of one call."""
        self._regions = Regions(environ, trace, timeout)

    # --- before a run

    def place(self, plan: Plan) -> str:
        where = settings(plan)
        return f"cloudrun, project {where.project or '(not said)'}, region {where.region or '(not said)'}"

    def check(self, plan: Plan) -> Sequence[Problem]:
        return tuple(checks.check(plan))

    def render(self, plan: Plan, *, secrets: bool = False) -> Mapping[str, str]:
        """secrets: makes no difference: their values never come here."""
        return rendered(plan)

    def diff(self, plan: Plan) -> Mapping[StepId, Change]:
        with self._looking(plan) as here:
            return changes.changes(here)

    # --- a run

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with self._deploying(plan, step, attempt) as here:
            known = here.known(attempt)
            if step.service is not None:
                self._rehearsed(here, plan.service_of(step), known, attempt)
            return Outcome(changed=False, text="nothing to prepare")

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with self._deploying(plan, step, attempt) as here:
            service, known = plan.service_of(step), here.known(attempt)
            wanted = desired(plan, service)
            if service.job:
                return self._run(here, service, wanted, known, attempt)
            return Work(here, service, wanted, attempt, known).deployed()

    def restart(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with self._deploying(plan, step, attempt) as here:
            service, known = plan.service_of(step), here.known(attempt)
            return Work(here, service, desired(plan, service), attempt, known).restarted()

    def remove(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with self._deploying(plan, step, attempt) as here:
            if step.service is None:
                return self._pruned(here, attempt)
            known = here.known(attempt)
            gone = prune.removed(here, prune.of(known, step.service), known, attempt)
            return Outcome(changed=bool(gone), text="removed" if gone else "nothing to remove")

    def tidy(self, plan: Plan, run: str) -> Outcome:
        """Nothing was prepared that could be left."""
        return Outcome(changed=False, text="nothing to remove")

    def _rehearsed(self, here: Place, service: ResolvedService, known: Picture, attempt: Attempt) -> None:
        wanted = desired(here.plan, service)
        found = known.get(wanted.name)
        self._checked(here, wanted, found, attempt)
        if found is not None and awaited(service):  # it looks changed until the URLs that it is told are known
            return
        change = changes.change(here, service, known, asked=False)
        if change.kind in {"create", "replace", "update", "run"} and not change.fields:  # more than the requests alone
            attempt.checkpoint()
            changes.rehearsed(here, wanted, found)

    def _checked(self, here: Place, wanted: Desired, found: Json | None, attempt: Attempt) -> None:
        """Raises where it is not ours, or a newer run's."""
        prune.guard(here, [found], attempt)
        if found is not None and foreign(wanted, found, project=here.plan.project, stage=here.plan.stage):
            raise DeployError(words.foreign(found))

    def _run(self, here: Place, service: ResolvedService, wanted: Desired, known: Picture, attempt: Attempt) -> Outcome:
        def look() -> Json | None:
            found = here.client.job(wanted.name)
            self._checked(here, wanted, found, attempt)
            return found

        def printed_by(execution: str) -> list[str]:
            return here.last_lines(printed.of_execution(last(wanted.name), execution))

        live = known.get(wanted.name)
        self._checked(here, wanted, live, attempt)
        work = jobs.Work(
            plan=here.plan, service=service, wanted=wanted, mark=here.mark(attempt), look=look, lines=printed_by
        )
        outcome = jobs.deployed(here.client, work, live, attempt)
        if outcome.changed:
            known.put(wanted.name, here.client.job(wanted.name))
        return outcome

    def _pruned(self, here: Place, attempt: Attempt) -> Outcome:
        known = here.known(attempt)
        prune.guard(here, known.ours(), attempt)
        gone = prune.removed(here, prune.superfluous(here, known), known, attempt)
        here.forget(attempt)
        names = ", ".join(sorted({owner(each) for each in gone}))
        said = f"removed what the stage does not hold: {names}" if gone else "nothing to remove"
        return Outcome(changed=bool(gone), text=said)

    # --- beside a run

    def status(self, plan: Plan) -> Sequence[ServiceStatus]:
        with self._looking(plan) as here:
            known = here.now()
            found = known.ours()
            revisions = {name: each for name in status.unread(found) if (each := here.client.revision(name))}
            return status.told(here.services, found, revisions, changes.drifted(here, known))

    def urls(self, plan: Plan, services: Collection[ServiceName]) -> Mapping[ServiceName, str]:
        with self._looking(plan) as here:
            known = here.now(first=True)  # who asks for them is about to ask for a diff, or for the status
            found = {each.name: known.get(full_name(plan, each)) for each in here.services if each.name in services}
            return {name: text(each, "uri") for name, each in found.items() if each is not None}

    def logs(self, plan: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
        with self._looking(plan) as here:
            yield from logs.lines(here.logs(), plan, services, options)

    def examined(self, plan: Plan) -> Sequence[Finding]:
        with self._looking(plan) as here:
            return examine.examined(here.client, plan)

    def identity(self, plan: Plan) -> str:
        return self._regions.identity(settings(plan))

    def close(self) -> None:
        self._regions.close()

    # --- how it is entered

    @contextmanager
    def _deploying(self, plan: Plan, step: Step, attempt: Attempt) -> Iterator[Place]:
        """A refusal becomes a problem in the user's words; who does not answer may do so later."""
        here: Place | None = None
        try:
            here = Place(self._regions.at(settings(plan).region, attempt.checkpoint), plan)
            yield here
        except UnavailableError as error:
            raise DeployError(error.problems[0], transient=True) from error
        except CloudRunError as error:
            service = next((each for each in plan.services if each.name == step.service), None)
            account = here.client.account if here is not None else ""
            problem = explain.problem_of(error, plan, service, _doing(plan, step), account=account)
            raise DeployError(problem, transient=error.transient, retry_after=error.retry_after) from error

    @contextmanager
    def _looking(self, plan: Plan) -> Iterator[Place]:
        here: Place | None = None
        try:
            here = Place(self._regions.at(settings(plan).region), plan)
            yield here
        except CloudRunError as error:
            account = here.client.account if here is not None else ""
            problem = explain.problem_of(error, plan, None, f"look at stage `{plan.stage}`", account=account)
            raise UnavailableError(problem) from error


def _doing(plan: Plan, step: Step) -> str:
    return f"{step.action} `{step.service}`" if step.service else f"{step.action} stage `{plan.stage}`"
