# SPDX-License-Identifier: Apache-2.0
"""What a stage does not need any more, and how it goes: with its revisions, its executions and its policy.

Only what bears this stage's labels, and only as it was looked at: somebody who has changed it since may have had a reason,
so it is looked at again. A service that became a job, or the other way round, leaves the other one behind: a stage needs
what its plan has by their full names, and nothing else of its own.
"""

from collections.abc import Sequence

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import Attempt, DeployError, StaleError
from fleetflow_tasks.runtimes.cloudrun import words
from fleetflow_tasks.runtimes.cloudrun.apply import TRIES, Hands
from fleetflow_tasks.runtimes.cloudrun.client import Operation
from fleetflow_tasks.runtimes.cloudrun.decide import newer
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import full_name
from fleetflow_tasks.runtimes.cloudrun.observe import Picture, is_of, owner
from fleetflow_tasks.runtimes.cloudrun.place import Place
from fleetflow_tasks.runtimes.cloudrun.reading import last
from fleetflow_tasks.runtimes.cloudrun.waiting import Waiter


def of(known: Picture, service: ServiceName) -> list[Json]:
    """What the stage has of one service."""
    return [each for each in known.ours() if owner(each) == service]


def superfluous(here: Place, known: Picture) -> list[Json]:
    wanted = {full_name(here.plan, service) for service in here.services}
    return [each for each in known.ours() if each["name"] not in wanted]


def guard(here: Place, found: Sequence[Json | None], attempt: Attempt) -> None:
    """Raises StaleError where a newer run was at one of these."""
    for each in found:
        late = newer(each, attempt.generation)
        if each is not None and late is not None and is_of(each, here.stage):
            raise StaleError(words.stale(each, late, attempt.generation))


def removed(here: Place, found: Sequence[Json], known: Picture, attempt: Attempt) -> list[Json]:
    """Those of *found* that we have removed. All are asked for first, and then waited for together."""
    hands, asked = Hands(here.client, attempt), []
    for each in found:
        attempt.report(f"removing {last(each['name'])}")
        asked.append((each, *_asked(here, each, hands, attempt)))
    waiter = Waiter(here.client, attempt, attempt.deadline)
    for each, _, operation in asked:
        _ended(waiter, each, operation)
        known.put(each["name"], None)
    return [each for each, ours, _ in asked if ours]


def _asked(here: Place, found: Json, hands: Hands, attempt: Attempt) -> tuple[bool, Operation | None]:
    """Whether we have asked for its removal, and what has to be waited for; it may be gone before that."""
    look = here.client.job if "/jobs/" in found["name"] else here.client.service
    for tries in range(TRIES):
        attempt.checkpoint()
        now = look(found["name"])
        if now is None or not is_of(now, here.stage):
            return tries > 0, None
        guard(here, [now], attempt)
        operation = hands.delete(now)
        if operation is not None:
            return True, operation
    raise DeployError(words.busy(found["name"]), transient=True)


def _ended(waiter: Waiter, found: Json, operation: Operation | None) -> None:
    what = f"{words.kind(found)} {last(found['name'])}"
    failure = waiter.ended(operation, f"waiting until {what} is gone")
    if failure is not None:
        raise DeployError(words.unremoved(what, failure.message or failure.code))
    if operation is not None and waiter.over:
        raise DeployError(words.unremoved(what, "it is still going"), transient=True)
