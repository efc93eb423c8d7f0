# SPDX-License-Identifier: Apache-2.0
"""Kubernetes as a runtime: the rooms, called in the order of the story.

What is kept between two steps is kept for speed alone: connections, watches, and for each run one picture of its stage.
What is to be done is decided from that picture, and each change is made upon a fresh look at what it changes; so any
worker may do any step, and do it again.
"""

import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    HeldVolume,
    LogLine,
    LogOptions,
    Outcome,
    ServiceStatus,
    StaleError,
    Terminal,
)
from fleetflow_tasks.runtimes.kubernetes import (
    access,
    classes,
    examine,
    execute,
    explain,
    forward,
    prune,
    waiting,
    words,
)
from fleetflow_tasks.runtimes.kubernetes import check as checks
from fleetflow_tasks.runtimes.kubernetes.apply import Gone, Hands, Told
from fleetflow_tasks.runtimes.kubernetes.before import Past, past
from fleetflow_tasks.runtimes.kubernetes.changes import changes
from fleetflow_tasks.runtimes.kubernetes.client import TIMEOUT, KubernetesError, Trace
from fleetflow_tasks.runtimes.kubernetes.decide import (
    Decision,
    Delete,
    Write,
    claims_after,
    decide,
    name,
    newer,
    prepared,
    removable,
    serving,
    superfluous,
    without,
)
from fleetflow_tasks.runtimes.kubernetes.desired import Desired, as_it_is, desired, namespace, rendered, stamped
from fleetflow_tasks.runtimes.kubernetes.events import TELLING
from fleetflow_tasks.runtimes.kubernetes.inway import in_way
from fleetflow_tasks.runtimes.kubernetes.kinds import EVENT, NAMESPACE, POD, WORKLOADS, Kind, named
from fleetflow_tasks.runtimes.kubernetes.logs import lines
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.observe import Objects, Snapshot, going, key, labels, mark, own
from fleetflow_tasks.runtimes.kubernetes.options import SCHEMA
from fleetflow_tasks.runtimes.kubernetes.place import Clusters, Place
from fleetflow_tasks.runtimes.kubernetes.settings import settings
from fleetflow_tasks.runtimes.kubernetes.settled import is_settled
from fleetflow_tasks.runtimes.kubernetes.status import held, told
from fleetflow_tasks.runtimes.kubernetes.work import Work

NAME = RuntimeName("kubernetes")
_AGAIN = 0.5  # seconds between two looks at a namespace that is on its way out
_FORBIDDEN = 403


class KubernetesRuntime:
    name: ClassVar[RuntimeName] = NAME
    protocol: ClassVar[int] = PROTOCOL
    schema = SCHEMA

    def __init__(self, environ: Mapping[str, str], *, trace: Trace | None = None, timeout: float = TIMEOUT) -> None:
        """environ: where a cluster may be named. trace: told of each request, for counting. timeout: of one call."""
        self._environ = environ
        self._timeout = timeout
        self._clusters = Clusters(environ, trace, timeout)

    # --- before a run

    def place(self, plan: Plan) -> str:
        where = settings(plan)
        return f"kubernetes, {access.named(self._environ, where.context)}, namespace {where.namespace}"

    def check(self, plan: Plan) -> Sequence[Problem]:
        return tuple(checks.check(plan))

    def render(self, plan: Plan, *, secrets: bool = False) -> Mapping[str, str]:
        return rendered(plan, masked=not secrets)

    def diff(self, plan: Plan) -> Mapping[StepId, Change]:
        with _unavailable(plan):
            return changes(self._place(plan))

    # --- a run

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with _deploying(plan, step):
            here = self._place(plan, attempt)
            if step.service is None:
                if unknown := classes.unknown(here.client, here.services, lambda: here.known(attempt).all()):
                    raise DeployError(next(iter(unknown.values())))
                return self._prepare_stage(here, attempt)
            return self._prepare_service(here, plan.service_of(step), attempt)

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with _deploying(plan, step):
            here, service = self._place(plan, attempt), plan.service_of(step)
            wanted, known = desired(plan, service, run=attempt.run), here.known(attempt)
            live = known.of(service.name)
            decision = self._decided(here, service, wanted, live, attempt)
            if decision.change.kind == "none" and is_settled(wanted, live, here.client.now()):
                return Outcome(changed=False, text="unchanged", facts=_facts(here, wanted))
            with self._working(here, service, wanted, known, attempt, also=_replaced(decision)) as work:
                return work.deployed(decision)

    def restart(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with _deploying(plan, step):
            here, service = self._place(plan, attempt), plan.service_of(step)
            known = here.known(attempt)
            live = own(known, service.name)
            _guard(live.values(), attempt)
            found = serving(live.values())
            if found is None:
                return Outcome(changed=False, text="not running")
            with self._working(here, service, as_it_is(service.name, found), known, attempt) as work:
                return work.renewed(found)

    @contextmanager
    def _working(
        self,
        here: Place,
        service: ResolvedService,
        wanted: Desired,
        known: Snapshot,
        attempt: Attempt,
        *,
        also: frozenset[Kind] = frozenset(),
    ) -> Iterator[Work]:
        """also: kinds that are watched beside those that *wanted* needs."""
        live, kinds = known.of(service.name), waiting.kinds(wanted) | also
        mine = labels(here.plan.project, here.plan.stage, service.name)
        with here.cluster.watches.watched(here.namespace).use(kinds, mine, attempt.checkpoint) as seen:
            written, before = dict(live), past(live, attempt.run)

            def heard(answer: Json) -> None:
                written[key(answer)] = answer
                if named(answer["kind"]) in kinds:
                    seen.told(named(answer["kind"]), answer)

            def gone(found: Json) -> None:
                waiting.until_gone(found, seen, attempt)

            hands = self._hands(here, attempt, known, gone=gone, told=heard, before=before)
            yield Work(here, service, wanted, attempt, hands=hands, seen=seen, written=written, old=before.workload)

    def remove(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with _deploying(plan, step):
            here = self._place(plan, attempt)
            known = here.known(attempt)
            if step.service is None:
                return self._prune(here, known, attempt)
            live = own(known, step.service)
            _guard(live.values(), attempt)
            texts = self._removed(here, known, self._going(here, live), attempt)
            said = "; ".join(["removed", *words.claims(prune.claims(live), go=here.settings.volumes_go)])
            return Outcome(changed=bool(texts), text=said if texts else "nothing to remove")

    def tidy(self, plan: Plan, run: str) -> Outcome:
        with _deploying(plan, None):
            here = self._place(plan)
            left = prune.unstarted(here.client, here.namespace, plan, here.now().all(), run) if run else ()
            names = sorted(prune.tidied(here.client, here.namespace, left, run))
            text_ = f"removed what was prepared: {', '.join(names)}" if names else "nothing to remove"
            return Outcome(changed=bool(names), text=text_)

    def _prepare_stage(self, here: Place, attempt: Attempt) -> Outcome:
        """The namespace. Where we may not even look at it, somebody has made it for us."""
        facts = {"namespace": here.namespace}
        while True:
            attempt.checkpoint()
            try:
                live = here.client.get(NAMESPACE, "", here.namespace)
                if live is None and self._made_namespace(here, attempt):
                    return Outcome(changed=True, text=f"made namespace {here.namespace}", facts=facts)
            except KubernetesError as error:
                if error.status != _FORBIDDEN:
                    raise
                return Outcome(changed=False, text=f"takes namespace {here.namespace} to be there", facts=facts)
            if live is not None and not going(live):
                if prune.is_ours(live, here.plan):
                    _guard([live], attempt)
                return Outcome(changed=False, text="unchanged", facts=facts)
            if attempt.deadline - time.monotonic() < self._timeout:
                raise DeployError(words.terminating(here.namespace, live), transient=True)
            held = f": {said[0]}" if live and (said := words.holders(live)) else ""
            attempt.report(f"waiting until the namespace {here.namespace} of before is gone{held}")
            attempt.sleep(_AGAIN)

    def _made_namespace(self, here: Place, attempt: Attempt) -> bool:
        """False: somebody else was faster."""
        try:
            here.client.create(NAMESPACE, "", stamped(namespace(here.plan), here.mark(attempt)))
        except KubernetesError as error:
            if error.reason != "AlreadyExists":
                raise
            return False
        return True

    def _prepare_service(self, here: Place, service: ResolvedService, attempt: Attempt) -> Outcome:
        if names := awaited(service):  # its ConfigMap is named by what it holds, and that is not known yet
            return Outcome(changed=False, text=f"waits for the URL of {', '.join(names)}")
        wanted, known = desired(here.plan, service, run=attempt.run), here.known(attempt)
        live = known.of(service.name)
        decision = self._decided(here, service, wanted, live, attempt)
        if rigid := classes.rigid(here.client, service, decision, live):
            raise DeployError(rigid)
        attempt.checkpoint()
        if there := in_way(here.taken(attempt), here.plan, decision):
            raise DeployError(words.foreign(there[0]))
        hands = self._hands(here, attempt, known)
        if any(isinstance(each, Write) and each.manifest is wanted.workload for each in decision.forward):
            attempt.report(f"asking whether {name(wanted.workload)} can be changed")
            hands.rehearse(wanted.workload)
        operations = prepared(wanted, live, run=attempt.run)
        for operation in operations:
            hands(operation)
        made = [name(each.manifest) for each in operations]
        return Outcome(changed=bool(made), text=f"made {', '.join(made)}" if made else "unchanged")

    def _decided(
        self, here: Place, service: ResolvedService, wanted: Desired, live: Objects, attempt: Attempt
    ) -> Decision:
        """Raises StaleError where a newer run was here, DeployError where it cannot be done."""
        _guard(live.values(), attempt)
        decision = decide(wanted, live, run=attempt.run, replace=service.name in here.settings.replace)
        if decision.lost:
            raise DeployError(words.lost(here.plan, service, here.namespace, decision.lost))
        if decision.fixed and not decision.forward:
            raise DeployError(words.fixed(here.plan, service, decision.fixed, claims_after(wanted, live)))
        return decision

    def _hands(
        self,
        here: Place,
        attempt: Attempt,
        known: Snapshot,
        *,
        gone: Gone | None = None,
        told: Told | None = None,
        before: Past | None = None,
    ) -> Hands:
        return Hands(
            here.client,
            here.namespace,
            here.mark(attempt),
            attempt,
            known,
            force=here.settings.force_conflicts,
            gone=gone or _no_wait,
            told=told or _unheard,
            before=before.before if before is not None else {},
        )

    def _going(self, here: Place, live: Objects) -> list[Json]:
        return [*removable(live.values()), *(prune.claims(live) if here.settings.volumes_go else ())]

    def _removed(self, here: Place, known: Snapshot, found: Sequence[Json], attempt: Attempt) -> list[str]:
        """Remove *found* and wait until their pods are gone: their ports, names and volumes are free then."""
        hands, texts = self._hands(here, attempt, known), []
        for each in found:
            attempt.report(f"removing {name(each)}")
            if hands.removed(each):
                texts.append(name(each))
        for each in found:
            kind, service = named(each["kind"]), mark(each).service
            if kind in WORKLOADS:
                mine = labels(here.plan.project, here.plan.stage, service)
                with here.cluster.watches.watched(here.namespace).use({kind}, mine, attempt.checkpoint) as seen:
                    waiting.until_gone(each, seen, attempt)
        return texts

    def _prune(self, here: Place, known: Snapshot, attempt: Attempt) -> Outcome:
        live = known.all()
        _guard(live.values(), attempt)
        wanted = {service.name for service in here.services}
        if not wanted:
            return self._emptied(here, known, live, attempt)
        old = prune.outdated(here.client, here.namespace, here.plan, live, run=attempt.run)
        gone = superfluous(wanted, live.values())
        kept = {key(each) for each in gone}
        texts = self._removed(here, known, [*gone, *(each for each in old if key(each) not in kept)], attempt)
        here.forget(attempt)
        services = sorted({mark(each).service or "" for each in gone})
        text_ = (
            f"removed what the stage does not hold: {', '.join(services)}" if services else "removed what is outdated"
        )
        stay = [each for each in prune.claims(live) if (mark(each).service or "") in services]
        text_ = "; ".join([text_, *words.claims(stay, go=False)])
        return Outcome(changed=bool(texts), text=text_ if texts else "nothing to remove")

    def _emptied(self, here: Place, known: Snapshot, live: Objects, attempt: Attempt) -> Outcome:
        texts = self._removed(here, known, self._going(here, live), attempt)
        services = sorted({mark(each).service or "" for each in removable(live.values())} - {""})
        said = [f"removed {', '.join(services)}"] if services else []
        said += words.claims(prune.claims(live), go=here.settings.volumes_go)
        became = prune.namespace_gone(
            here.client, here.plan, here.namespace, attempt, claims_stay=not here.settings.volumes_go
        )
        here.forget(attempt)
        changed = bool(texts) or became.startswith("removed")
        return Outcome(changed=changed, text=", ".join([*said, *filter(None, [became])]) or "nothing to remove")

    # --- beside a run

    def status(self, plan: Plan) -> Sequence[ServiceStatus]:
        with _unavailable(plan):
            here = self._place(plan)
            live = here.seen()
            pods = here.client.list(POD, here.namespace, labels(plan.project, plan.stage)).items
            events = here.client.list(EVENT, here.namespace, fields=TELLING).items
            services = here.services
            drifted = {service.name for service in services if self._drifted(here, service, live)}
            return told(services, live.all(), pods, events, drifted, here.client.now())

    def _drifted(self, here: Place, service: ResolvedService, live: Snapshot) -> bool:
        """A job that runs in every deployment is never what the next one wants."""
        if service.job and service.rerun == "always":
            return False
        wanted = without(desired(here.plan, service), live.unseen)
        return decide(wanted, live.of(service.name)).change.kind != "none"

    def volumes(self, plan: Plan) -> Sequence[HeldVolume]:
        with _unavailable(plan):
            here = self._place(plan)
            return tuple(map(held, prune.claims(here.seen().all())))

    def logs(self, plan: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
        with _unavailable(plan):
            here = self._place(plan)
            yield from lines(here.client, here.cluster.watches, plan, services, options)

    def execute(
        self, plan: Plan, service: ServiceName, command: Sequence[str], terminal: Terminal, *, instance: str = ""
    ) -> int:
        with _unavailable(plan):
            return execute.execute(self._place(plan).client, plan, service, command, terminal, instance)

    def reached(self, plan: Plan, service: ServiceName, *, instance: str = "") -> str:
        with _unavailable(plan):
            return forward.reached(self._place(plan).client, plan, service, instance)

    def carry(self, plan: Plan, service: ServiceName, port: int, line: socket.socket, *, instance: str = "") -> None:
        with _unavailable(plan):
            forward.carry(self._place(plan).client, plan, service, port, line, instance)

    def examined(self, plan: Plan) -> Sequence[Finding]:
        with _unavailable(plan):
            return examine.examined(self._place(plan).client, plan)

    def identity(self, plan: Plan) -> str:
        with _unavailable(plan):
            return self._place(plan).cluster.identity()

    def close(self) -> None:
        self._clusters.close()

    def _place(self, plan: Plan, attempt: Attempt | None = None) -> Place:
        pause = attempt.checkpoint if attempt is not None else None
        return Place(self._clusters.at(settings(plan).context, pause), plan)


def _facts(here: Place, wanted: Desired) -> dict[str, str]:
    return {"workload": name(wanted.workload), "namespace": here.namespace}


def _replaced(decision: Decision) -> frozenset[Kind]:
    """Kinds of what goes, and is waited for."""
    gone = [each.found for each in (*decision.forward, *decision.after) if isinstance(each, Delete)]
    return frozenset(named(each["kind"]) for each in gone) & frozenset(WORKLOADS)


def _guard(live: Iterable[Json], attempt: Attempt) -> None:
    late = newer(live, attempt.generation)
    if late is not None:
        raise StaleError(words.stale(name(late), mark(late).generation, attempt.generation))


@contextmanager
def _deploying(plan: Plan, step: Step | None) -> Iterator[None]:
    """A refusal becomes a problem in the user's words; a cluster that does not answer may do so later."""
    try:
        yield
    except UnavailableError as error:
        raise DeployError(error.problems[0], transient=True) from error
    except KubernetesError as error:
        service = next((each for each in plan.services if step is not None and each.name == step.service), None)
        problem = explain.problem_of(error, plan, service, _doing(plan, step))
        raise DeployError(problem, transient=error.transient, retry_after=error.retry_after) from error


def _doing(plan: Plan, step: Step | None) -> str:
    if step is None:
        return f"tidy stage `{plan.stage}` up"
    return f"{step.action} `{step.service}`" if step.service else f"{step.action} stage `{plan.stage}`"


@contextmanager
def _unavailable(plan: Plan) -> Iterator[None]:
    try:
        yield
    except KubernetesError as error:
        raise UnavailableError(explain.problem_of(error, plan, None, f"look at stage `{plan.stage}`")) from error


def _no_wait(found: Json) -> None:
    """What is removed together is waited for together."""


def _unheard(answer: Json) -> None:
    """Nobody waits for what comes of it."""
