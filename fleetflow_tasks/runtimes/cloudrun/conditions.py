# SPDX-License-Identifier: Apache-2.0
"""Whether a service serves what was asked of it, as its own conditions say. Pure.

That an operation ended says little: it ends well while the new revision never becomes ready, and badly while the one of
before goes on serving. So the service itself is looked at: nobody is at it any more (`reconciling`), its terminal
condition is good, it is of the version that we wrote (`observedGeneration`), and the revision that is ready is the one
that was made last. A service that failed keeps the old `observedGeneration` until it is mended: then its terminal
condition counts, and no waiting helps.

How many instances run is no question here: none is as good as ten, until a request comes.
"""

from collections.abc import Iterator

from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.reading import at, items, last, mapping, number, one_line, text
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

SUCCEEDED, FAILED = "CONDITION_SUCCEEDED", "CONDITION_FAILED"

RESERVED = "MIN_INSTANCES_NOT_PROVISIONED"  # a revision that no request goes to, whose instances are not kept up
# Reasons of a condition that looks like a failure and is none: Cloud Run is still at it.
GOING_ON = frozenset({"WAITING_FOR_OPERATION", "IMMEDIATE_RETRY", "POSTPONED_RETRY", "MIN_INSTANCES_WARMING", RESERVED})
_HARMLESS = frozenset({"WARNING", "INFO"})  # severities

_READY = "Ready"
_DOING = {  # a condition that is not there yet, or its reason -> what is being done
    "ContainerReady": "fetching the image",
    "ResourcesAvailable": "waiting for instances",
    "ContainerHealthy": "waiting until the container listens",
    "MinInstancesProvisioned": "starting the least number of instances",
    "ConfigurationsReady": "making the new revision",
    "RoutesReady": "moving requests to the new revision",
    "MIN_INSTANCES_WARMING": "starting the least number of instances",
    RESERVED: "its instances are not kept up, since no request goes to it",
}


def judged(service: Json, revision: Json | None = None) -> Verdict:
    """Of a service as the API returns it. revision: the one that was made last, where it has been looked at.

    `Broken` has one line of Cloud Run's; `causes.cause` says what it means.
    """
    if at(service, "deleteTime") is not None:
        return Broken(text="somebody removed it")
    terminal = mapping(service, "terminalCondition")
    if failed := _failed(terminal) if not at(service, "reconciling") else None:
        return Broken(text=_told(next(failures(revision or {}), failed)))
    if at(service, "reconciling") or state(terminal) != SUCCEEDED:
        return Waiting(text=_doing(service, revision))
    if number(service, "observedGeneration") < number(service, "generation"):
        return Waiting(text="waiting for Cloud Run to look at it")
    return _served(service, revision)


def served(revision: Json) -> Verdict:
    """Of one revision, whether or not requests go to it yet."""
    ready = named(revision, _READY)
    if _failed(ready):
        return Broken(text=_told(next(failures(revision), ready)))
    if state(ready) == SUCCEEDED or reason(ready) == RESERVED:
        return Ready(text=f"revision {last(text(revision, 'name'))} is ready")
    return Waiting(text=_doing({}, revision))


def failures(thing: Json) -> Iterator[Json]:
    """The conditions that failed, the most telling first: what all others amount to, `Ready`, comes last."""
    found = [each for each in conditions(thing) if _failed(each)]
    yield from (each for each in found if text(each, "type") != _READY)
    yield from (each for each in found if text(each, "type") == _READY)


def conditions(thing: Json) -> Iterator[Json]:
    """All of them, the terminal one last: of a service, a revision, a job, an execution or a task."""
    yield from items(thing, "conditions")
    if terminal := mapping(thing, "terminalCondition"):
        yield terminal


def named(thing: Json, kind: str) -> Json:
    """The condition of that type; empty where there is none."""
    return next((each for each in conditions(thing) if text(each, "type") == kind), {})


def state(condition: Json) -> str:
    return text(condition, "state")


def reason(condition: Json) -> str:
    """Its word for why, whichever of the three kinds of it; "" where it has none."""
    return text(condition, "revisionReason") or text(condition, "executionReason") or text(condition, "reason")


def _failed(condition: Json) -> Json | None:
    """Itself, where waiting does not mend it."""
    if state(condition) != FAILED or reason(condition) in GOING_ON or text(condition, "severity") in _HARMLESS:
        return None
    return condition


def _served(service: Json, revision: Json | None) -> Verdict:
    """A service that says of itself that all is well: but is it well with the newest revision?"""
    made, ready = text(service, "latestCreatedRevision"), text(service, "latestReadyRevision")
    if made == ready:
        return Ready(text=f"revision {last(ready)} serves")
    if revision is None or last(text(revision, "name")) != last(made):
        return Waiting(text=f"revision {last(made)} is not ready yet")
    return served(revision)


def _doing(service: Json, revision: Json | None) -> str:
    """What is being waited for: the revision's own words first."""
    for thing in (revision or {}, service):
        for each in conditions(thing):
            if state(each) != SUCCEEDED and text(each, "type") != _READY:
                return one_line(text(each, "message")) or _DOING.get(text(each, "type"), "starting")
    terminal = mapping(service, "terminalCondition") or named(revision or {}, _READY)
    return one_line(text(terminal, "message")) or _DOING.get(reason(terminal), "starting")


def _told(condition: Json) -> str:
    return one_line(text(condition, "message")) or reason(condition) or "it failed, and Cloud Run does not say why"
