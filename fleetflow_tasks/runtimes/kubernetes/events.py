# SPDX-License-Identifier: Apache-2.0
"""The API's Events: what its components said of an object. Pure.

Most Events tell that all goes well, several of each pod, and nobody here asks for them: `TELLING` leaves them at the
server. To take Warnings alone would lose much that judgement needs: that an autoscaler acts, that an image is being
pulled, that a claim waits for its first pod, and even that no volume was found for it, are no Warnings there.

An Event is told in two forms. The older one counts (`count`, `lastTimestamp`), the newer one, which the scheduler
writes, has a series (`eventTime`, `series.lastObservedTime`) and leaves the older fields null.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.kubernetes.objects import Json, born, moment, number, text

_ROUTINE = (
    "Scheduled",
    "Pulled",
    "Created",
    "Started",
    "Killing",
    "SuccessfulCreate",
    "SuccessfulDelete",
    "SuccessfulAttachVolume",
    "ScalingReplicaSet",
    "Completed",
    "Provisioning",
    "ProvisioningSucceeded",
    "NoPods",
)
TELLING = ",".join(f"reason!={reason}" for reason in _ROUTINE)  # as a field selector

_CONTAINER = re.compile(r"spec\.(?:initContainers|containers|ephemeralContainers)\{(.*)\}")


class Event(Data, frozen=True, kw_only=True):
    """first, last: when it was said; None where the Event holds no time at all. container: "" where it is of no container."""

    kind: str
    name: str
    uid: str
    reason: str
    message: str
    count: int = 1
    container: str = ""
    first: datetime | None = None
    last: datetime | None = None


def read(event: Json) -> Event:
    first = moment(event, "firstTimestamp") or moment(event, "eventTime") or born(event)
    last = moment(event, "series", "lastObservedTime") or moment(event, "lastTimestamp") or first
    inside = _CONTAINER.fullmatch(text(event, "involvedObject", "fieldPath"))
    return Event(
        kind=text(event, "involvedObject", "kind"),
        name=text(event, "involvedObject", "name"),
        uid=text(event, "involvedObject", "uid"),
        reason=text(event, "reason"),
        message=text(event, "message"),
        count=max(number(event, "count"), number(event, "series", "count"), 1),
        container=inside[1] if inside else "",
        first=first,
        last=last,
    )


def newest_first(events: Iterable[Json]) -> tuple[Event, ...]:
    read_all = [read(event) for event in events]
    return tuple(sorted(read_all, key=lambda event: event.last.timestamp() if event.last else 0.0, reverse=True))


def of_sets(deployment: str) -> str:
    """What stands for the ReplicaSets of a Deployment where things are found by uid: they are made and go meanwhile."""
    return f"ReplicaSet {deployment}"


def subject(event: Json) -> str:
    """What an Event is about: a uid; of a ReplicaSet, its Deployment, whose name has just one part less."""
    if text(event, "involvedObject", "kind") == "ReplicaSet":
        return of_sets(text(event, "involvedObject", "name").rpartition("-")[0])
    return text(event, "involvedObject", "uid")


def about(events: Iterable[Event], uid: str, *reasons: str) -> Iterator[Event]:
    """Those of one object, told by its uid: a name may have been another's before."""
    return (event for event in events if event.uid == uid and event.reason in reasons)
