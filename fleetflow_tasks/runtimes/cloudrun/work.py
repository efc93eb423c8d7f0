# SPDX-License-Identifier: Apache-2.0
"""Deploys one service: looks, decides, sends, waits until it serves, and turns round where it does not.

Each update is sent with the etag of a look that came after the question whether the step is still ours. Where somebody
else was first, all of that again. From then on the service itself says how it is: a worker that comes after one that was
lost finds what that one sent, and goes on waiting.

A new version that fails gets no requests. The version before is put back all the same (`restore`), so that the service
says of itself what it is. A first version that fails stays as it is, to be looked at; the next run mends it. An API that
does not answer is no failure of the version: nothing is turned round then, and the next attempt goes on.
"""

import secrets
import time
from collections.abc import Callable, Sequence

from fleetflow_tasks.config.model import Readiness
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import Attempt, DeployError, Outcome, StaleError
from fleetflow_tasks.runtimes.cloudrun import causes, explain, iam, printed, traffic, trial, words
from fleetflow_tasks.runtimes.cloudrun.apply import TRIES, Hands
from fleetflow_tasks.runtimes.cloudrun.callers import Callers
from fleetflow_tasks.runtimes.cloudrun.canary import annotation, canary, held, serving, short
from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError, Operation
from fleetflow_tasks.runtimes.cloudrun.conditions import served
from fleetflow_tasks.runtimes.cloudrun.decide import Decision, decide, foreign, newer
from fleetflow_tasks.runtimes.cloudrun.desired import Desired, marked, renewed
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.last import again, last
from fleetflow_tasks.runtimes.cloudrun.names import AGAIN, HASH
from fleetflow_tasks.runtimes.cloudrun.observe import Picture
from fleetflow_tasks.runtimes.cloudrun.place import Place
from fleetflow_tasks.runtimes.cloudrun.reading import text
from fleetflow_tasks.runtimes.cloudrun.restore import SPARE, Restore
from fleetflow_tasks.runtimes.cloudrun.shares import is_newest, shares
from fleetflow_tasks.runtimes.cloudrun.waiting import Seen, Waiter
from fleetflow_tasks.runtimes.ready import Broken, Ready, Waiting

_PAST = {
    "create": "started",
    "update": "updated",
    "replace": "replaced",
    "start": "started again",
    "none": "unchanged",
}
_INSIDE = frozenset({"INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_NONE"})
# Causes of which the container itself may have said more, before it ended or while it was waited for.
_PRINTS = frozenset({"not-listening", "crashed", "not-healthy", "out-of-memory", "check-path", "deadline", "not-ready"})
_WITH_CAUSE = {"update", "replace", "start"}  # why something that is there is touched is worth a word


class Work:
    """One attempt at one service."""

    def __init__(
        self, here: Place, service: ResolvedService, wanted: Desired, attempt: Attempt, known: Picture
    ) -> None:
        self._here = here
        self._client = here.client
        self._service = service
        self._wanted = wanted
        self._attempt = attempt
        self._known = known
        self._token = secrets.token_hex(4)
        self._hands = Hands(here.client, attempt)
        self._restore = Restore(here, wanted.name, attempt, self._hands, self._guard)
        self._callers = Callers(here.client, wanted, attempt)

    def deployed(self) -> Outcome:
        """Raises DeployError, and `Stopped` as `attempt` does."""
        found = self._known.get(self._wanted.name)
        self._guard(found)
        decision = self._decided(found)
        try:
            if decision.change.kind == "none" and found is not None:
                return self._unchanged(found)
            decision, operation = self._sent(found)
            ready = self._ready(operation)
            ready, note = self._served(ready, decision)
            self._restore.done()  # the new version serves: that its callers are kept out is no reason to take it back
            self._callers.let_in(ready)
        except StaleError:
            raise
        except DeployError as error:
            raise self._noted(self._explained(error)) from error
        self._known.put(self._wanted.name, ready)
        return Outcome(changed=decision.change.kind != "none", text=_told(decision, note, ready), facts=_facts(ready))

    def _unchanged(self, found: Json) -> Outcome:
        """Its callers are in its policy, which anybody may have changed since."""
        self._restore.done()
        opened = self._callers.let_in(found)
        return Outcome(changed=opened, text="let its callers in" if opened else "unchanged", facts=_facts(found))

    def restarted(self) -> Outcome:
        """Once another revision of what is there, text or no text, has taken the place of the newest. Raises as `deployed`."""
        found = self._known.get(self._wanted.name)
        self._guard(found)
        if found is None:
            return Outcome(changed=False, text="not running")
        try:
            operation = self._renewed()
            ready = self._still_renewed(self._settled(operation))
        except StaleError:
            raise
        except DeployError as error:
            raise self._noted(self._explained(error)) from error
        self._known.put(self._wanted.name, ready)
        text_ = f"restarted as revision {serving(ready)}" if operation is not None else "restarted already"
        return Outcome(changed=operation is not None, text=text_, facts=_facts(ready))

    def _still_renewed(self, found: Json) -> Json:
        if _word(found) != self._attempt.run:
            raise DeployError(words.busy(self._wanted.name), transient=True)
        return found

    # --- what is decided and sent

    def _renewed(self) -> Operation | None:
        """None: an earlier attempt has sent it."""
        for _ in range(TRIES):
            self._attempt.checkpoint()
            found = self._looked()
            if found is None or self._is_foreign(found):
                raise DeployError(words.foreign(found) if found else words.busy(self._wanted.name))
            if _word(found) == self._attempt.run:
                return None
            if not is_newest(found.get("traffic", ())):
                self._restore.done()
                raise DeployError(words.not_newest(self._service.name, shares(found["traffic"])))
            body = again(found, self._attempt.run, self._attempt.run, self._attempt.generation)
            self._restore.before(found)
            operation = self._hands.update(self._wanted.name, body, text(found, "etag"))
            if operation is not None:
                return operation
        raise DeployError(words.busy(self._wanted.name), transient=True)

    def _is_foreign(self, found: Json) -> bool:
        return foreign(self._wanted, found, project=self._here.plan.project, stage=self._here.plan.stage)

    def _sent(self, found: Json | None) -> tuple[Decision, Operation | None]:
        """found: as it was known some seconds ago; where there was nothing then, nobody has to look."""
        for tries in range(TRIES):
            self._attempt.checkpoint()
            if tries or found is not None:
                found = self._looked()
            decision = self._decided(found)
            if not decision.writes:
                return decision, None
            operation = self._written(found, decision)
            if operation is not None:
                return decision, operation
        raise DeployError(words.busy(self._wanted.name), transient=True)

    def _looked(self) -> Json | None:
        found = self._client.service(self._wanted.name)
        self._guard(found)
        return found

    def _guard(self, found: Json | None) -> None:
        late = newer(found, self._attempt.generation)
        if found is not None and late is not None:
            raise StaleError(words.stale(found, late, self._attempt.generation))

    def _decided(self, found: Json | None) -> Decision:
        if found is not None and self._is_foreign(found):
            raise DeployError(words.foreign(found))
        decision = self._decide(found)
        if decision.way.kind == "back" and self._is_gone(str(decision.way.traffic[0]["revision"])):
            decision = self._decide(found, gone=True)
        if self._here.settings.promote and decision.writes and not decision.change.fields:
            self._restore.done()
            raise DeployError(words.not_as_deployed(self._wanted.service, decision.change.cause))
        return decision

    def _decide(self, found: Json | None, *, gone: bool = False) -> Decision:
        said = self._here.settings.promote
        return decide(self._wanted, found, attempt=self._token, said=said, gone=gone)

    def _is_gone(self, revision: str) -> bool:
        """Or not fit to serve. Cloud Run removes the oldest revisions by itself."""
        found = self._client.revision(f"{self._wanted.name}/revisions/{revision}")
        return found is None or not isinstance(served(found), Ready)

    def _written(self, found: Json | None, decision: Decision) -> Operation | None:
        """None: somebody else was first. A public service is opened by its policy where it cannot be otherwise."""
        try:
            return self._put(found, decision)
        except CloudRunError as error:
            if not self._callers.refused(error):
                raise
            return self._put(found, decision)

    def _put(self, found: Json | None, decision: Decision) -> Operation | None:
        body = self._body(found, decision)
        if found is None:
            return self._hands.create(self._wanted.name, body)
        self._restore.before(found)
        return self._hands.update(self._wanted.name, body, text(found, "etag"))

    def _body(self, found: Json | None, decision: Decision) -> Json:
        body = marked(self._wanted, self._here.mark(self._attempt), invokers=self._kept_in(found))
        body = iam.checked(body) if self._callers.by_policy else body
        body = renewed(body, self._token) if decision.anew else body
        before = last(found)
        notes = before.mark if before is not None else {}
        return traffic.first({**body, "annotations": {**body["annotations"], **notes}}, decision.way, found)

    def _kept_in(self, found: Json | None) -> tuple[str, ...]:
        """The callers that are noted with this update."""
        noted, gone = self._callers.shut_out(found)
        self._restore.shut_out(gone)
        return noted

    # --- what comes of it

    def _ready(self, operation: Operation | None) -> Json:
        """The service, once it is ready and what we want it to be."""
        return self._still_ours(self._settled(operation))

    def _settled(self, operation: Operation | None) -> Json:
        """The service, once it is ready."""
        began, spare = time.monotonic(), min(SPARE, self._service.timeout / 5)
        deadline = min(self._attempt.deadline - spare, began + self._service.timeout)
        seen = Waiter(self._client, self._attempt, deadline).settled(self._wanted.name, operation, self._guard)
        if isinstance(seen.verdict, Waiting) and seen.trouble:
            raise DeployError(words.unheard(self._service, seen.trouble), transient=True)
        if not isinstance(seen.verdict, Ready) or seen.found is None:
            raise self._unready(seen, time.monotonic() - began)
        return seen.found

    def _still_ours(self, found: Json | None) -> Json:
        """Somebody else may have changed it since, and be well with that."""
        if found is None or annotation(found, HASH) != self._wanted.hash:
            raise DeployError(words.busy(self._wanted.name), transient=True)
        return found

    def _unready(self, seen: Seen, waited: float) -> DeployError:
        more = f"flow logs --stage={self._here.plan.stage} {self._service.name}"
        if isinstance(seen.verdict, Waiting):
            return DeployError(words.unready(self._service, f"after {waited:.0f} s still {seen.verdict.text}", more))
        why = causes.cause(seen.found or {}, seen.revision, seen.operation)
        problem = causes.problem(why, self._service, more=more)
        lines = self._last_lines(seen) if why.code in _PRINTS else ()
        return DeployError(words.with_lines(problem, lines), transient=why.again)

    def _last_lines(self, seen: Seen) -> Sequence[str]:
        revision = short(text(seen.found, "latestCreatedRevision"))
        return self._here.last_lines(printed.of_revision(short(self._wanted.name), revision))

    # --- where its requests go

    def _served(self, found: Json, decision: Decision) -> tuple[Json, str]:
        """The service with the requests where they should be, and what is to be said of that."""
        way = decision.way
        if way.then is None:
            return found, way.note
        verdict = self._tried(found) if way.check else Ready(text="")
        if isinstance(verdict, Broken):
            self._refused(found, verdict)
        return self._moved(found, lambda now: traffic.second(self._still_ours(now), way)), verdict.text

    def _tried(self, found: Json) -> Ready | Broken:
        there, readiness = canary(found), self._service.readiness
        if there is None or not there.uri or readiness is None:
            return Ready(text="")
        question = trial.Question(
            uri=there.uri,
            audience=text(found, "uri"),
            readiness=readiness,
            checked=not found.get("invokerIamDisabled"),
            inside=text(found, "ingress") in _INSIDE,
        )
        return trial.asked(question, self._attempt, self._client.identity_token)

    def _refused(self, found: Json, verdict: Broken) -> None:
        there = canary(found)
        assert there is not None  # noqa: S101  (only a trial is asked)
        self._restore.done()
        self._moved(found, lambda now: self._given_back(now, there.before.revision))
        readiness = self._service.readiness or Readiness()
        raise DeployError(trial.bad(self._service.name, there, readiness, verdict.text))

    def _given_back(self, found: Json | None, revision: str) -> Json | None:
        if found is not None and held(found) == revision:
            return None
        return traffic.refused(self._still_ours(found))

    def _moved(self, found: Json | None, update: Callable[[Json | None], Json | None]) -> Json:
        """The service once its requests go where *update* sends them; no revision is made for that.

        update: None where they go there already: the answer to our own update was lost.
        """
        for tries in range(TRIES):
            self._attempt.checkpoint()
            found = self._looked() if tries else found
            body = update(found)
            operation = self._hands.update(self._wanted.name, body, text(found, "etag")) if body is not None else None
            if body is None or operation is not None:
                return self._settled(operation)
        raise DeployError(words.busy(self._wanted.name), transient=True)

    def _noted(self, error: DeployError) -> DeployError:
        if error.transient:
            return error
        return DeployError(words.noted(error.problem, self._restore.turned_round()), retry_after=error.retry_after)

    def _explained(self, error: DeployError) -> DeployError:
        if not isinstance(error, CloudRunError):
            return error
        doing = f"deploy `{self._service.name}`"
        problem = explain.problem_of(error, self._here.plan, self._service, doing, account=self._client.account)
        return DeployError(problem, transient=error.transient, retry_after=error.retry_after)


def _told(decision: Decision, note: str, found: Json) -> str:
    """Of a new version where it is reached, too."""
    past = _PAST[decision.change.kind]
    if decision.change.kind in {"create", "replace"} and (uri := text(found, "uri")):
        past = f"{past} at {uri}"
    said = f"{past}: {decision.change.cause}" if decision.change.kind in _WITH_CAUSE else past
    return f"{said}; {note}" if note else said


def _word(found: Json) -> str:
    """Which run made the same anew; "" where none did."""
    return text(found, "template", "annotations", AGAIN)


def _facts(found: Json) -> dict[str, str]:
    facts = {"url": text(found, "uri"), "revision": serving(found)}
    return {name: value for name, value in facts.items() if value}
