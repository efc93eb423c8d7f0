# SPDX-License-Identifier: Apache-2.0
"""Waits for the cluster, woken by what it says of the service; nothing is asked for while it is quiet.

A rollout changes its objects several times a second. So many looks would help nobody, and with a hundred rollouts at
once they would keep a worker busy: after each look there is a moment in which changes only gather.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.kubernetes.desired import Desired
from fleetflow_tasks.runtimes.kubernetes.diagnose import Diagnosis, diagnosed
from fleetflow_tasks.runtimes.kubernetes.done import judged, notes
from fleetflow_tasks.runtimes.kubernetes.events import of_sets
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, DEPLOYMENT, EVENT, HPA, INGRESS, POD, SERVICE, Kind, named
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.objects import items, text
from fleetflow_tasks.runtimes.kubernetes.observe import Key, key
from fleetflow_tasks.runtimes.kubernetes.watches import Seen
from fleetflow_tasks.runtimes.ready import Verdict, Waiting

_MOST = 1.0  # seconds without asking whether the step is still ours
_GATHER = 0.1  # seconds between two looks


class Look(Data, frozen=True, kw_only=True):
    """All that is known of a service at one moment."""

    now: datetime
    workload: Json | None
    pods: tuple[Json, ...] = ()
    claims: tuple[Json, ...] = ()
    around: tuple[Json, ...] = ()
    events: tuple[Json, ...] = ()


def kinds(desired: Desired) -> frozenset[Kind]:
    """What has to be watched to know how the service is."""
    claims = {CLAIM} if _has_claims(desired) else set()
    told = {named(each["kind"]) for each in desired.around if _tells(each)}
    return frozenset({named(desired.workload["kind"]), POD, EVENT} | claims | told)


def look(desired: Desired, seen: Seen, written: Mapping[Key, Json], now: datetime) -> Look:
    """written: what our own writes were answered with; for what is not watched, that is all there is to know.

    now: on the API's clock, as all times of its objects are.
    """
    workload = named(desired.workload["kind"])
    name = text(desired.workload, "metadata", "name")
    pods = seen.objects(POD)
    claims = seen.objects(CLAIM) if _has_claims(desired) else ()
    around = tuple(_found(each, seen) if _tells(each) else written.get(key(each)) for each in desired.around)
    there = tuple(each for each in around if each is not None)
    found = next((each for each in seen.objects(workload) if text(each, "metadata", "name") == name), None)
    about = [text(each, "metadata", "uid") for each in (*([found] if found else []), *pods, *claims, *there)]
    sets = [of_sets(name)] if workload == DEPLOYMENT else []
    events = tuple(event for subject in (*about, *sets) for event in seen.events(subject))
    return Look(workload=found, pods=pods, claims=claims, around=there, events=events, now=now)


def verdict(desired: Desired, seen: Look, generation: int = 0) -> Verdict:
    return judged(
        seen.workload,
        template=desired.template,
        pods=seen.pods,
        claims=seen.claims,
        events=seen.events,
        around=seen.around,
        generation=generation,
        now=seen.now,
    )


def noted(seen: Look) -> str:
    """`; its Ingress has no address yet`: what to add to a good outcome's words."""
    return "".join(f"; {note}" for note in notes(seen.around, events=seen.events, now=seen.now))


def diagnosis(desired: Desired, seen: Look) -> Diagnosis | None:
    if seen.workload is None:
        return None
    return diagnosed(
        seen.workload,
        template=desired.template,
        pods=seen.pods,
        claims=seen.claims,
        events=seen.events,
        now=seen.now,
    )


def wait(probe: Callable[[], Verdict], seen: Seen, attempt: Attempt, *, deadline: float) -> Verdict:
    """Ask *probe* whenever something has changed, until it is done; its last verdict. `Broken` is an answer, no error.

    deadline: a moment on `time.monotonic`'s clock. Raises what `attempt.checkpoint` raises, and KubernetesError where
    the service can no longer be watched.
    """
    since = -1
    while True:
        since = seen.wait(since, 0)
        found = probe()
        left = deadline - time.monotonic()
        if not isinstance(found, Waiting) or left <= 0:
            return found
        trouble = f"; {seen.trouble}" if seen.trouble else ""
        attempt.report(found.text + trouble, found.current, found.total)
        attempt.sleep(min(_GATHER, left))
        seen.wait(since, max(0.0, min(_MOST, left, found.soon if found.soon is not None else _MOST)))
        attempt.checkpoint()


def until_gone(found: Json, seen: Seen, attempt: Attempt) -> None:
    """Return when the object, and what it made, is gone. Raises `Stopped` at the end of the attempt."""
    kind, uid = named(found["kind"]), text(found, "metadata", "uid")
    since = -1
    while True:
        since = seen.wait(since, 0)
        if all(text(each, "metadata", "uid") != uid for each in seen.objects(kind)):
            return
        attempt.report(f"waiting until {kind.name} {text(found, 'metadata', 'name')} and its pods are gone")
        seen.wait(since, _MOST)
        attempt.checkpoint()


def _has_claims(desired: Desired) -> bool:
    templates = items(desired.workload, "spec", "volumeClaimTemplates")
    return bool(templates) or any(each["kind"] == CLAIM.name for each in desired.added)


def _tells(manifest: Json) -> bool:
    kind = manifest["kind"]
    return kind in {INGRESS.name, HPA.name} or (
        kind == SERVICE.name and text(manifest, "spec", "type") == "LoadBalancer"
    )


def _found(manifest: Json, seen: Seen) -> Json | None:
    name = text(manifest, "metadata", "name")
    return next(
        (each for each in seen.objects(named(manifest["kind"])) if text(each, "metadata", "name") == name), None
    )
