# SPDX-License-Identifier: Apache-2.0
"""Carries a decision out, waits until the new version serves, and turns round where it does not.

The cluster replaces the pods, and keeps the old ones until the new ones are ready wherever they can run side by side. So
to turn round is to apply again what we owned of each object before, whichever attempt changed it (`before`). What was
made for the new version alone goes, but for claims. The pods of the version before were never
touched, but where it had to stop first (a volume that one pod at a time may have).

A first version that fails stays as it is, its pods too: there is nothing to go back to, and its state is what a person
wants to see. The next run mends it. An API that does not answer is no failure of the version: nothing is turned round
then, and the next attempt goes on.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Attempt, Change, DeployError, Outcome, StaleError, Stopped
from fleetflow_tasks.runtimes.kubernetes import explain, waiting
from fleetflow_tasks.runtimes.kubernetes.apply import Hands
from fleetflow_tasks.runtimes.kubernetes.before import Before
from fleetflow_tasks.runtimes.kubernetes.client import KubernetesError
from fleetflow_tasks.runtimes.kubernetes.decide import (
    Claim,
    Decision,
    Renew,
    name,
    newer,
    renewed,
    template_label,
    unfit,
)
from fleetflow_tasks.runtimes.kubernetes.desired import Desired
from fleetflow_tasks.runtimes.kubernetes.diagnose import Diagnosis, stuck
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, JOB, POD, STATEFUL_SET
from fleetflow_tasks.runtimes.kubernetes.manifests import TEMPLATE, Json
from fleetflow_tasks.runtimes.kubernetes.objects import holds, number, text
from fleetflow_tasks.runtimes.kubernetes.observe import NAMED_BY_CONTENT, Key, going, key, mark
from fleetflow_tasks.runtimes.kubernetes.place import Place
from fleetflow_tasks.runtimes.kubernetes.watches import Seen
from fleetflow_tasks.runtimes.kubernetes.words import stale, unheard
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

LINES = 20  # of a container's last output, shown in a problem
_SPARE = 10.0  # seconds of an attempt kept back for turning round; a fifth of the time where that is less

_LATE = "raise its `timeout`, or let it do less"  # of a job that is still running

_PAST = {
    "create": "started",
    "update": "updated",
    "replace": "replaced",
    "remove": "removed",
    "start": "started again",
    "run": "ran",
    "none": "unchanged",
}
_WITH_CAUSE = {"update", "replace", "start"}  # why something that is there is touched is worth a word


class Work:
    """One attempt at one service."""

    def __init__(
        self,
        here: Place,
        service: ResolvedService,
        desired: Desired,
        attempt: Attempt,
        *,
        hands: Hands,
        seen: Seen,
        written: Mapping[Key, Json],
        old: Before | None,
    ) -> None:
        """written: what the writes of *hands* are answered with, and before that what was there.

        old: the workload of the version before, None where there is none.
        """
        self._client = here.client
        self._plan = here.plan
        self._namespace = here.namespace
        self._service = service
        self._desired = desired
        self._attempt = attempt
        self._hands = hands
        self._seen = seen
        self._written = written
        self._old = old
        self._ours = any(mark(each).run == attempt.run for each in written.values())

    def deployed(self, decision: Decision) -> Outcome:
        """Raises DeployError, and `Stopped` as `attempt` does."""
        again = ""
        try:
            for operation in decision.forward:
                self._hands(operation)
            again = self._taken_up(decision)
            wishes = self._await_ready()
        except StaleError:
            raise
        except DeployError as error:
            raise self._noted(self._explained(error), decision) from error
        for delete in decision.after:
            self._hands(delete)
        change = Change(kind="start", cause=again) if again else decision.change
        past = _PAST[change.kind]
        return Outcome(
            changed=change.kind != "none",
            text=(f"{past}: {change.cause}" if change.kind in _WITH_CAUSE else past) + wishes,
            facts=self._facts(),
        )

    def renewed(self, live: Json) -> Outcome:
        """The pods of *live*, its workload, made anew of the same content, and ready. Raises as `deployed`."""
        before = renewed(live)
        try:
            self._hands(Renew(found=live, word=self._attempt.run))
            wishes = self._await_ready()
        except StaleError:
            raise
        except DeployError as error:
            raise self._taken_back(self._explained(error), live, before) from error
        return Outcome(changed=True, text="restarted" + wishes, facts=self._facts())

    def _taken_back(self, error: DeployError, live: Json, before: str) -> DeployError:
        """*error*, and what serves now. Without our word for it the template is that of the pods of before.

        What it was before an earlier attempt of this run, nobody knows any more; then it is none.
        """
        if error.transient:
            return error
        try:
            self._attempt.report("taking the restart back")
            self._hands(Renew(found=live, word="" if before == self._attempt.run else before))
            if live["kind"] == STATEFUL_SET.name:
                self._freed(broken=True)
        except (DeployError, UnavailableError) as failure:
            return _with(error, f"and the restart could not be taken back: {_said(failure)}")
        serving = self._serving(live)
        return _with(
            error, f"the restart was taken back: the pods of before {'go on serving' if serving else 'start again'}"
        )

    def _facts(self) -> Mapping[str, str]:
        return {"workload": name(self._desired.workload), "namespace": self._namespace}

    def _taken_up(self, decision: Decision) -> str:
        """What was wrong with a version that is as it should be and is given another chance; "" where nothing is.

        It failed in an earlier run, and what it failed for may have been put right outside. What the cluster says of it
        is from then: with our new mark on it, older words count no more, and new pods are not held back.
        """
        if decision.change.kind != "none":
            self._freed(broken=False)
            return ""
        found = waiting.verdict(self._desired, self._looked())
        if not isinstance(found, Broken):
            return ""
        self._hands(Claim(manifest=self._desired.workload))
        self._freed(broken=True)
        return found.text

    def _await_ready(self) -> str:
        """What is still not as one would wish, to be added to a good outcome's words."""
        answer = self._written.get(key(self._desired.workload), {})
        generation = number(answer, "metadata", "generation")

        def probe() -> Verdict:
            return waiting.verdict(self._desired, self._looked(), generation)

        began, spare = time.monotonic(), min(_SPARE, self._service.timeout / 5)
        deadline = min(self._attempt.deadline - spare, began + self._service.timeout)
        found = waiting.wait(probe, self._seen, self._attempt, deadline=deadline)
        if isinstance(found, Waiting) and self._seen.trouble:
            raise DeployError(unheard(self._service.name, self._seen.trouble), transient=True)
        if not isinstance(found, Ready):
            raise DeployError(self._unready(found, time.monotonic() - began))
        return waiting.noted(self._looked())

    def _looked(self) -> waiting.Look:
        """Raises StaleError where a newer run has taken the service on: what comes of it is that one's affair."""
        found = waiting.look(self._desired, self._seen, self._written, self._client.now())
        late = newer([found.workload] if found.workload else [], self._attempt.generation)
        if late is not None:
            raise StaleError(stale(name(late), mark(late).generation, self._attempt.generation))
        return found

    def _freed(self, *, broken: bool) -> None:
        """Remove pods that the kubelet holds back, and tries again ever more rarely.

        broken: those of this version; else those of others, which a StatefulSet would wait for.
        """
        if not broken and self._desired.workload["kind"] != STATEFUL_SET.name:
            return
        for pod in stuck(self._seen.objects(POD)):
            mine = text(pod, "metadata", "labels", TEMPLATE) == self._desired.template
            if mine == broken:
                self._hands.removed(pod)

    def _unready(self, found: Verdict, waited: float) -> Problem:
        seen = self._looked()
        why = waiting.diagnosis(self._desired, seen)
        text_ = f"after {waited:.0f} s still {found.text}" if isinstance(found, Waiting) else found.text
        return unready(self._service, self._plan, text_, why, self._last_lines(why))

    def _last_lines(self, why: Diagnosis | None) -> Sequence[str]:
        if why is None or not why.wants_logs or not why.pod:
            return ()
        for previous in dict.fromkeys((why.previous, False)):
            with suppress(KubernetesError):
                log = self._client.pod_log(self._namespace, why.pod, why.container, previous=previous, tail=LINES)
                with log:
                    return tuple(line.decode(errors="replace").rstrip() for line in log)[-LINES:]
        return ()

    def _explained(self, error: DeployError) -> DeployError:
        if not isinstance(error, KubernetesError):
            return error
        problem = explain.problem_of(error, self._plan, self._service, f"deploy `{self._service.name}`")
        return DeployError(problem, transient=error.transient, retry_after=error.retry_after)

    def _noted(self, error: DeployError, decision: Decision) -> DeployError:
        """*error*, and what serves now."""
        if error.transient or self._is_before(decision):
            return error
        note = self._turned_round() if self._old is not None else self._left()
        return _with(error, note) if note else error

    def _is_before(self, decision: Decision) -> bool:
        """Whether what failed is the version before itself."""
        if decision.change.kind != "none" or self._old is None:
            return False
        there = self._old.manifest or {}
        return there.get("kind") == self._desired.workload["kind"] and not unfit(self._desired.workload, there)

    def _left(self) -> str:
        """Of a version that was the first."""
        if not (self._hands.before or self._ours) or self._desired.workload["kind"] == JOB.name:
            return ""
        return "there is no version before: what was made stays for you to look at, and the next run mends it"

    def _turned_round(self) -> str:
        """Put the version before back; what came of it.

        What fails here is told beside what it was for, and is never told instead. Raises `Stopped` where the next
        attempt, or a person, is to go on.
        """
        try:
            failures = [failure for where in reversed([*self._hands.before]) if (failure := self._undone(where))]
            if self._desired.workload["kind"] == STATEFUL_SET.name:
                self._freed(broken=True)
        except Stopped as stopped:
            if stopped.reason != "timeout":
                raise
            failures = ["the time was over"]
        except (DeployError, UnavailableError) as error:
            failures = [_said(error)]
        return f"and the version before could not be put back: {failures[0]}" if failures else self._came_back()

    def _undone(self, where: Key) -> str:
        """Bring back what was there; why it did not come back. What fails at one object does not keep the others."""
        was = self._hands.before[where]
        try:
            if was.manifest is None:
                self._unmade(where)
            elif was.manifest and where[0] not in NAMED_BY_CONTENT:
                self._attempt.report(f"putting {' '.join(where)} back")
                self._hands.put_back(was.manifest)
        except (DeployError, UnavailableError) as error:
            return _said(error)
        return ""

    def _unmade(self, where: Key) -> None:
        """What was made for this version goes; a claim may hold data by now."""
        if where[0] != CLAIM.name and where in self._written:
            self._hands.removed(self._written[where])

    def _came_back(self) -> str:
        """As the version before is seen now."""
        old = self._old or Before(run=self._attempt.run)
        if self._serving(old.manifest or {}):
            return "the version before goes on serving"
        served = "and starts again" if old.served else "it did not serve either"
        return f"the version before was put back{',' if old.served else ';'} {served}"

    def _serving(self, workload: Json) -> bool:
        """Whether all its pods are there, and ready."""
        template, wanted = template_label(workload), number(workload, "spec", "replicas", absent=1)
        pods = [each for each in self._seen.objects(POD) if text(each, "metadata", "labels", TEMPLATE) == template]
        ready = sum(holds(each, "Ready") and not going(each) for each in pods)
        return ready >= max(1, wanted)


def _with(error: DeployError, note: str) -> DeployError:
    problem = msgspec.structs.replace(error.problem, cause=(*error.problem.cause, note))
    return DeployError(problem, transient=error.transient, retry_after=error.retry_after)


def _said(error: DeployError | UnavailableError) -> str:
    """In one line, in the platform's own words where there are some."""
    if isinstance(error, KubernetesError):
        return error.answer
    return error.problem.message if isinstance(error, DeployError) else error.problems[0].message


def unready(service: ResolvedService, plan: Plan, why: str, found: Diagnosis | None, lines: Sequence[str]) -> Problem:
    """It was sent, and did not become ready. why: the last verdict's own words."""
    head = f"job `{service.name}` failed" if service.job else f"`{service.name}` did not become ready"
    last = "its last line:" if len(lines) == 1 else f"its last {len(lines)} lines:"
    shown = (
        [last, *(f"  {line}" for line in lines)]
        if lines
        else ["it wrote nothing"]
        if found and found.wants_logs
        else []
    )
    field = found.field if found else "timeout" if service.job else ""
    fields = (field, "ports.0", "healthcheck", "") if field == "readiness" else (field, "")
    return Problem(
        code=found.code if found else "not-ready",
        message=f"{head}: {why}",
        cause=(*(found.cause if found else ()), *shown),
        fix=found.fix if found else _LATE if service.job else "",
        more=f"flow logs --stage={plan.stage} {service.name}",
        place=next((at for each in fields if (at := service.places.get(each))), None),
    )
