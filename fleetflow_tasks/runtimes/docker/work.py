# SPDX-License-Identifier: Apache-2.0
"""Carries a decision out, waits where it says so, and turns round where a part of it fails.

Docker has no compare-and-set, and a worker may sleep for minutes between two calls, while a newer run deploys. So each
mutation follows at once upon a look at what is there: what a newer run made ends this attempt, whatever it believes of
its lease.

Up to the moment when the new container is ready, a failure turns round: the version before serves again, also while
another attempt is awaited. Past it the new one serves, and a failure leaves everything as it is: the next attempt, or
the next run, reads from the names how far this one came.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import msgspec

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Attempt, DeployError, Outcome, StaleError
from fleetflow_tasks.runtimes.docker import explain, observe
from fleetflow_tasks.runtimes.docker.addresses import free
from fleetflow_tasks.runtimes.docker.apply import Hands
from fleetflow_tasks.runtimes.docker.client import Client, EngineError
from fleetflow_tasks.runtimes.docker.decide import (
    AwaitEnd,
    AwaitReady,
    Create,
    Decision,
    Linger,
    Operation,
    Rename,
    Start,
    Withdraw,
    said,
)
from fleetflow_tasks.runtimes.docker.desired import Definition, Json, sent
from fleetflow_tasks.runtimes.docker.observe import Container
from fleetflow_tasks.runtimes.docker.ports import chosen
from fleetflow_tasks.runtimes.docker.probe import Probe, patient
from fleetflow_tasks.runtimes.labels import Mark
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting, wait

_ADDRESS_TAKEN = "address already in use"  # the Engine's whole answer; about a port it says more
_KNOCKS = 1.0  # seconds after which a system knocks again, and then after twice that; a busy Engine may take as long
_FRESH = 0.2  # seconds that a look counts: no run of the stage comes and goes in that time
_LONG = 1.0  # seconds after which a look was so slow that the lease is asked for again
_HEARSAY = 0.5  # seconds after which the Engine knows why a container with a limit ended
_SPARE = 10.0  # seconds of an attempt kept back for turning round; a fifth of the time where that is less


Look = Callable[[], Sequence[Container]]  # raises StaleError where a newer run has made one


class Mutating:
    """What comes before each mutating call: is the step still ours, and has no newer run been here?"""

    def __init__(self, attempt: Attempt, look: Look) -> None:
        """look: it was called just before, and from what it saw was decided what to do."""
        self.attempt = attempt
        self._look = look
        self._looked = time.monotonic()

    def __call__(self) -> None:
        self.attempt.checkpoint()
        now = time.monotonic()
        if now - self._looked < _FRESH:
            return
        self._look()
        self._looked = now
        if time.monotonic() - now > _LONG:
            self.attempt.checkpoint()


class Work:
    """One attempt at one service."""

    TRIES = 6  # looks anew that often when the world changed in between: a port or a name taken by somebody else

    def __init__(
        self,
        client: Client,
        plan: Plan,
        service: ResolvedService,
        desired: Definition,
        image: str,
        attempt: Attempt,
        *,
        look: Look,
        choosing: threading.Lock,
    ) -> None:
        """look: the service's containers as they are now."""
        self._client = client
        self._plan = plan
        self._service = service
        self._desired = desired
        self._image = image
        self._attempt = attempt
        self._step = Mutating(attempt, look)
        self._look = look
        self._choosing = choosing
        self._avoid: set[int] = set()
        self._away = 0.0  # seconds that the old container was off its network at most
        self._last = Problem(code="changed-meanwhile", message=f"`{service.name}` changes while it is being deployed")

    def prepared(self, operations: Sequence[Operation], containers: Sequence[Container]) -> None:
        """Raises DeployError with the cause; a container of ours that appeared meanwhile is no failure."""
        hands = self._hands(containers)
        for operation in operations:
            try:
                self._do(hands, operation, containers)
            except EngineError as error:
                if not self._appeared(operation, error):
                    raise self._explained(operation, error) from error

    def deployed(self, decision: Decision, containers: Sequence[Container]) -> Outcome | None:
        """The outcome, or None: the world changed in between, look again. Raises DeployError."""
        hands = self._hands(containers)
        ready = False
        for operation in decision.forward:
            try:
                self._do(hands, operation, containers)
            except StaleError:
                raise
            except EngineError as error:
                if self._moved(operation, error, hands) or self._appeared(operation, error) or _gone(error):
                    return None
                failed = error if error.transient else self._explained(operation, error)
                raise self._noted(failed, decision, ready=ready) from error
            except DeployError as error:
                raise self._noted(error, decision, ready=ready) from error
            ready = ready or isinstance(operation, AwaitReady)
        change = decision.change
        return Outcome(
            changed=change.kind != "none",
            text=f"{_PAST[change.kind]}: {change.cause}" if change.kind in _WITH_CAUSE else _PAST[change.kind],
            facts={"image": self._image, "container": self._desired.name},
        )

    def gave_up(self) -> Problem:
        return self._last

    def _hands(self, containers: Sequence[Container]) -> Hands:
        return Hands(self._client, containers, lambda create: self._request(create, containers), self._desired.platform)

    def _request(self, create: Create, containers: Sequence[Container]) -> Json:
        mark = Mark(
            project=self._plan.project,
            stage=self._plan.stage,
            service=self._service.name,
            run=self._attempt.run,
            generation=self._attempt.generation,
        )
        ports = chosen(self._client, self._desired, containers, self._avoid)
        return sent(
            self._desired,
            mark,
            image=self._image,
            ports=ports,
            version=self._client.version,
            address="" if self._desired.job else self._address(),
            apart=create.apart,
        )

    def _address(self) -> str:
        """One that no container of the stage has or will want again; "" where the Engine has to choose."""
        network = observe.network(self._client, self._desired.network)
        if network is None or not network.ours:
            return ""
        there = observe.stage(self._client, self._plan.project, self._plan.stage)
        return free(network.ours, {container.address for container in there})

    def _do(self, hands: Hands, operation: Operation, containers: Sequence[Container]) -> None:
        match operation:
            case AwaitReady(name=name):
                self._await_ready(hands.id(name))
            case AwaitEnd(name=name, seconds=seconds):
                await_end(self._client, hands.id(name), seconds, self._attempt)
            case Linger(seconds=seconds):
                self._attempt.report(said(operation))
                self._attempt.sleep(seconds + (self._away if self._away > _KNOCKS else 0))
            case Withdraw():
                began = time.monotonic()
                self._attempt.report(said(operation))
                self._step()
                hands(operation)
                self._away = time.monotonic() - began
            case Create():
                self._attempt.report("creating the container")
                with self._choosing if self._desired.choose else nullcontext():
                    self._step()
                    hands(operation)
            case _:
                self._attempt.report(said(operation))
                self._step()
                hands(operation)

    def _await_ready(self, container: str) -> None:
        probe = Probe(self._client, container, self._desired)
        spare = min(_SPARE, self._service.timeout / 5)
        deadline = min(self._attempt.deadline - spare, time.monotonic() + self._service.timeout)
        verdict: Verdict = wait(patient(probe), self._attempt, deadline=deadline)
        if isinstance(verdict, Ready):
            return
        verdict = self._reconsidered(verdict, probe)
        why = (
            f"after {self._service.timeout:g} s still {verdict.text}" if isinstance(verdict, Waiting) else verdict.text
        )
        lines = explain.last_lines(self._client, container) if probe.state else ()
        problem = explain.unready(self._service, probe.state, lines, why, self._plan.stage)
        raise DeployError(explain.masked(problem, self._service))

    def _reconsidered(self, verdict: Verdict, probe: Probe) -> Verdict:
        """The Engine hears that memory ran out a moment after it hears of the end."""
        state = probe.state
        if not isinstance(verdict, Broken) or state is None or not state.memory or state.out_of_memory:
            return verdict
        self._attempt.sleep(_HEARSAY)
        again = probe()
        return again if isinstance(again, Broken) else verdict

    def _moved(self, operation: Operation, error: EngineError, hands: Hands) -> bool:
        """A port or an address that we chose was taken before the start: choose another. The port is in a label, so
        its container is given up."""
        if isinstance(operation, Start) and error.answer.lower() == _ADDRESS_TAKEN:
            self._last = explain.unstarted(self._service, error.status, error.answer)
            hands.readdress(operation.name, self._desired.network, self._address())
            return True
        port = explain.taken_port(error.answer)
        fixed = {number.partition("/")[0] for number in self._desired.fixed_ports}
        if not isinstance(operation, Start) or port is None or str(port) in fixed:
            return False
        self._last = explain.port_taken(self._service, port, "")
        self._avoid.add(port)
        self._client.remove(hands.id(operation.name), force=True)
        return True

    def _appeared(self, operation: Operation, error: EngineError) -> bool:
        """The name is taken, but by our own service: another worker was faster."""
        if not isinstance(operation, Create) or error.status != 409:
            return False
        there = observe.service(self._client, self._plan.project, self._plan.stage, self._service.name)
        return any(container.name == operation.name for container in there)

    def _explained(self, operation: Operation, error: EngineError) -> DeployError:
        if error.status == 0:
            return error
        port = explain.taken_port(error.answer)
        if port is not None:
            problem = explain.port_taken(self._service, port, explain.port_holder(self._client, port))
        elif isinstance(operation, Create | Rename) and error.status == 409:
            name = operation.name if isinstance(operation, Create) else operation.to
            holder = explain.name_holder(self._client, name)
            problem = explain.name_taken(name, holder, self._service.places.get(""))
        elif "no such image" in error.answer.lower():
            problem = explain.image_missing(self._service, error.answer)
        else:
            problem = explain.unstarted(self._service, error.status, error.answer)
        return DeployError(problem, transient=error.transient, retry_after=error.retry_after)

    def _noted(self, error: DeployError, decision: Decision, *, ready: bool) -> DeployError:
        """*error*, and what serves now; before the new one was *ready*, that is the version before."""
        note = _SERVES if ready else self._turned_round(decision)
        if not decision.serving and not decision.undo:
            return error
        cause = (*error.problem.cause, note) if decision.serving else error.problem.cause
        more = "" if decision.undo else error.problem.more  # the log that it names would be another container's
        problem = msgspec.structs.replace(error.problem, cause=cause, more=more)
        return DeployError(problem, transient=error.transient, retry_after=error.retry_after)

    def _turned_round(self, decision: Decision) -> str:
        """Put the version before back; what came of it. Only what is seen to be ours, and to be there, is touched."""
        try:
            there = self._look() if decision.undo else ()
            hands, names = self._hands(there), {container.name for container in there}
            for operation in decision.undo:
                if operation.name in names:
                    self._do(hands, operation, there)
        except EngineError as error:
            return f"and the version before could not be put back: {error.answer}"
        started = any(isinstance(operation, Start) for operation in decision.undo)
        return "the version before was started again" if started else "the version before still serves"


_SERVES = "the new version serves already; the next run removes what is left of the one before"


def _gone(error: EngineError) -> bool:
    """A container that was seen is not there any more, or is about to go: what a run had prepared was tidied, or a call
    did its work and its answer was lost."""
    said = error.answer.lower()
    return (error.status == 404 and "no such container" in said) or (error.status == 409 and "removal" in said)


_PAST = {
    "create": "started",
    "update": "updated",
    "replace": "replaced",
    "remove": "removed",
    "start": "started",
    "run": "ran",
    "none": "unchanged",
}
_WITH_CAUSE = {"update", "replace", "start"}  # why something that is there is touched is worth a word


def carried(client: Client, operations: Sequence[Operation], containers: Sequence[Container], step: Mutating) -> None:
    """Carry out operations that stop and remove."""
    hands = Hands(client, containers, lambda _: {}, "")
    for operation in operations:
        if isinstance(operation, AwaitEnd):
            await_end(client, hands.id(operation.name), operation.seconds, step.attempt)
        else:
            step()
            hands(operation)


def await_end(client: Client, container: str, seconds: float, attempt: Attempt) -> None:
    def probe() -> Verdict:
        state = observe.state(client, container)
        if state is None or state.status in {"exited", "dead", "created"}:
            return Ready(text="ended")
        return Waiting(text=f"waiting for it to end, at most {seconds:g} s")

    wait(patient(probe), attempt, deadline=min(attempt.deadline, time.monotonic() + seconds))
