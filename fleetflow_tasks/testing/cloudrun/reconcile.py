# SPDX-License-Identifier: Apache-2.0
"""A service and what it should be: from the moment that its revisions are decided to the end of the operation.

`Service.reconciling` says it all: "If reconciliation succeeded, the following fields will match: `traffic` and
`traffic_statuses`, `observed_generation` and `generation`, `latest_ready_revision` and `latest_created_revision`. If
reconciliation failed, `traffic_statuses`, `observed_generation`, and `latest_ready_revision` will have the state of the last
serving revision, or empty for newly created Services." An operation that fails has code 13 (also seen: 9) and the words of
the terminal condition, as users quote it: tesseract #413, cymbal-superstore #6.
"""

from typing import Any

from . import split
from .conditions import FAILED, RECONCILING, SUCCEEDED, condition, of_revision, put
from .names import last
from .refused import CODES
from .runner import Broken
from .state import ServiceState, State, end

Json = dict[str, Any]


def begun(state: State, service: ServiceState) -> None:
    """It is being acted upon."""
    body = service.body
    body["reconciling"] = True
    body["terminalCondition"] = condition("Ready", RECONCILING, state.now)
    put(body, *(condition(kind, RECONCILING, state.now) for kind in ("RoutesReady", "ConfigurationsReady")))


def settle(state: State, service: ServiceState) -> None:
    """Nothing, while a revision that matters is undecided; safe to say at any time."""
    latest = service.revisions[service.created]
    named = [id_ for id_ in split.named(service.body.get("traffic", [])) if id_ in service.revisions]
    if latest.stuck:
        end(service.waiting)
    if not service.body.get("reconciling") or any(
        service.revisions[id_].ready is None for id_ in (service.created, *named)
    ):
        return
    if latest.broken is not None:
        _failed(state, service, "ConfigurationsReady", unready(service.created, latest.broken))
        return
    objection = _unroutable(service)
    if objection is not None:
        _failed(state, service, "RoutesReady", objection)
        return
    _succeeded(state, service)


def unready(revision: str, broken: Broken) -> Broken:
    """The service's words for what is wrong with one of its revisions."""
    text = f"Revision '{revision}' is not ready and cannot serve traffic. {broken.message}"
    # guess: a reason that only a revision can have becomes REVISION_FAILED ("Revision creation process failed")
    reason = "REVISION_FAILED" if of_revision(broken.reason) else broken.reason
    return Broken(reason=reason, message=text, at=broken.at, code=broken.code)


def _unroutable(service: ServiceState) -> Broken | None:
    for id_ in split.named(service.body.get("traffic", [])):
        found = service.revisions.get(id_)
        if found is None:  # terraform-docs-samples #269
            text = f"Revision '{id_}' does not exist or is deleted. Update all traffic to route to currently available"
            return Broken(reason="UNKNOWN", message=f"{text} revisions.")
        if found.broken is not None:
            return unready(id_, found.broken)
    return None


def _failed(state: State, service: ServiceState, part: str, why: Broken) -> None:
    body = service.body
    other = "RoutesReady" if part == "ConfigurationsReady" else "ConfigurationsReady"
    told = {"message": why.message, "reason": why.reason}
    put(body, condition(part, FAILED, state.now, **told), condition(other, SUCCEEDED, state.now))
    body["terminalCondition"] = condition("Ready", FAILED, state.now, severity="ERROR", **told)
    body["reconciling"] = False
    end(service.waiting, {"code": CODES[why.code][0], "message": why.message})


def _succeeded(state: State, service: ServiceState) -> None:
    body, name = service.body, service.body["name"]
    body["observedGeneration"] = body["generation"]
    body["latestReadyRevision"] = body["latestCreatedRevision"]
    body["trafficStatuses"] = split.statuses(body.get("traffic", []), lambda tag: state.url(name, tag))
    body["uri"] = state.url(name, "")
    body["urls"] = [body["uri"]]
    put(body, *(condition(kind, SUCCEEDED, state.now) for kind in ("RoutesReady", "ConfigurationsReady")))
    body["terminalCondition"] = condition("Ready", SUCCEEDED, state.now)
    body["reconciling"] = False
    _active(state, service)
    _forget_the_oldest(state, service)
    end(service.waiting)


def routes(service: ServiceState) -> dict[str, str]:
    """Tag -> id of the revision that it leads to, as it is at this moment."""
    latest = last(service.body.get("latestReadyRevision", ""))
    targets = service.body.get("trafficStatuses", [])
    return {target["tag"]: target.get("revision") or latest for target in targets if target.get("tag")}


def shares(service: ServiceState) -> dict[str, int]:
    """Id of a revision -> the percentage that it gets at this moment, where that is not 0."""
    latest = last(service.body.get("latestReadyRevision", ""))
    found: dict[str, int] = {}
    for target in service.body.get("trafficStatuses", []):
        id_ = target.get("revision") or latest
        found[id_] = found.get(id_, 0) + target.get("percent", 0)
    return {id_: percent for id_, percent in found.items() if percent}


def _used(service: ServiceState) -> set[str]:
    return {service.created, *shares(service), *routes(service).values()}


def _active(state: State, service: ServiceState) -> None:
    """guess: what no traffic goes to is RETIRED, which is not its failure: severity INFO."""
    used = _used(service)
    for id_, revision in service.revisions.items():
        if revision.ready and id_ in used:
            put(revision.body, condition("Active", SUCCEEDED, state.now))
        elif revision.ready:
            put(revision.body, condition("Active", FAILED, state.now, reason="RETIRED", severity="INFO"))


def _forget_the_oldest(state: State, service: ServiceState) -> None:
    """https://cloud.google.com/run/quotas: older idle revisions make room."""
    used = _used(service)
    idle = [id_ for id_ in service.revisions if id_ not in used]
    for id_ in idle[: max(0, len(service.revisions) - state.world.revisions_kept)]:
        gone = service.revisions.pop(id_)
        if gone.started is not None:
            gone.started.stop()
