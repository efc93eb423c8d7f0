# SPDX-License-Identifier: Apache-2.0
"""Revisions: made by a change of the template, immutable, and alive until nobody wants them.

https://cloud.google.com/run/docs/managing/revisions; `Revision`: "Revisions are only created by updates to its parent Service".
A template that names a revision which exists finds it where all else is equal, and is refused where it is not
(google-cloud-python #14259, pipecd #2480).
"""

from copy import deepcopy
from typing import Any

from . import paging, reconcile
from .accounts import Account
from .conditions import FAILED, RECONCILING, SUCCEEDED, condition, put
from .entries import said
from .names import above, chance, last, parent, parts
from .refused import Refused, missing
from .runner import Broken, Serving, Starting
from .state import RevisionState, ServiceState, State, end, new_uid, shown, told

Json = dict[str, Any]

_COPIED = (
    "labels", "annotations", "scaling", "vpcAccess", "maxInstanceRequestConcurrency", "timeout", "serviceAccount",
    "containers", "volumes", "executionEnvironment", "encryptionKey", "serviceMesh", "encryptionKeyRevocationAction",
    "encryptionKeyShutdownDuration", "sessionAffinity", "nodeSelector", "gpuZonalRedundancyDisabled",
)  # fmt: skip


def refused(service: ServiceState, template: Json) -> None:
    """Raises Refused where *template* names a revision that is another one."""
    found = service.revisions.get(template.get("revision", ""))
    if found is not None and _content(found.template) != _content(template):
        text = f"Revision named '{template['revision']}' with different configuration already exists."
        raise Refused("ALREADY_EXISTS", text)


def wanted(state: State, service: ServiceState, template: Json, caller: Account) -> None:
    """The revision of *template* is the latest created one: found, or made.

    None is made for the template of the latest one, its name included. guess: as in Knative, where a revision comes with each
    change of the configuration's template and at no other time.
    """
    latest = service.revisions.get(service.created)
    named = template.get("revision", "")
    if latest is not None and latest.template == template:
        return
    service.created = named if named in service.revisions else _made(state, service, template, caller)
    service.body["latestCreatedRevision"] = f"{service.body['name']}/revisions/{service.created}"


def get(state: State, caller: Account, request: Json) -> Json:
    return shown(_found(state, request["name"])[1].body)


def listed(state: State, caller: Account, request: Json) -> Json:
    """`ListRevisions`: "Results are sorted by creation time, descending"; "-" for all services."""
    parent_ = request["parent"]
    (service,) = parts(parent_, "services")
    among = state.services.values() if service == "-" else [state.service(parent_)]
    here = [each for each in among if above(each.body["name"]) == above(parent_)]
    bodies = [shown(revision.body) for each in here for revision in each.revisions.values()]
    return paging.page("revisions", sorted(bodies, key=paging.newest, reverse=True), request)


def deleted(state: State, caller: Account, request: Json) -> Json:
    """`DeleteRevisionRequest`: "Only retired revisions can be deleted with this API"."""
    service, revision = _found(state, request["name"])
    paging.match(request, shown(revision.body))
    id_ = last(request["name"])
    if id_ in {service.created, *reconcile.shares(service), *reconcile.routes(service).values()}:
        raise Refused(
            "FAILED_PRECONDITION", f"Revision '{id_}' is serving traffic, or is the latest one."
        )  # guess: the text
    operation = state.begin(request["name"], "Revision", lambda: shown(revision.body))
    if not request.get("validateOnly"):
        stop(service.revisions.pop(id_))
    state.agenda.after(state.world.pace.delete, lambda: end([operation]))
    return told(operation)


def stop(revision: RevisionState) -> None:
    if revision.started is not None:
        revision.started.stop()


def _found(state: State, name: str) -> tuple[ServiceState, RevisionState]:
    parts(name, "services", "revisions")
    service = state.service(above(name))
    revision = service.revisions.get(last(name))
    if revision is None:
        raise missing("Revision", last(name))
    return service, revision


def _content(template: Json) -> Json:
    return {key: value for key, value in template.items() if key != "revision"}


def _made(state: State, service: ServiceState, template: Json, caller: Account) -> str:
    service.made += 1
    id_ = template.get("revision") or f"{last(service.body['name'])}-{service.made:05d}-{chance(3)}"
    name = f"{service.body['name']}/revisions/{id_}"
    body: Json = {
        "name": name,
        "uid": new_uid(),
        "generation": "1",
        "createTime": state.now,
        "updateTime": state.now,
        "launchStage": service.body["launchStage"],
        "service": service.body["name"],
        "creator": caller.email,
        "reconciling": True,
        "logUri": f"https://console.cloud.google.com/logs/viewer?{_query(name, id_)}",
        **{key: deepcopy(template[key]) for key in _COPIED if key in template},
    }
    put(body, *(condition(kind, RECONCILING, state.now) for kind in _KINDS))
    revision = service.revisions[id_] = RevisionState(body=body, template=deepcopy(template))
    state.agenda.after(state.world.pace.begin, lambda: _begin(state, service, revision))
    return id_


_KINDS = ("Ready", "ContainerHealthy", "ContainerReady", "ResourcesAvailable")


def _begin(state: State, service: ServiceState, revision: RevisionState) -> None:
    name = revision.body["name"]
    if state.services.get(service.body["name"]) is not service:
        return
    broken = state.world.objection(revision.body, name, "Revision")
    if broken is not None:
        _broken(state, service, revision, broken)
        return
    revision.started = state.runner.revision(shown(revision.body), said(state, "cloud_run_revision", name))
    _look(state, service, revision)


def _look(state: State, service: ServiceState, revision: RevisionState) -> None:
    if state.services.get(service.body["name"]) is not service:
        return
    assert revision.started is not None
    match revision.started.look():
        case Starting() as phase:
            state.agenda.after(phase.again, lambda: _look(state, service, revision))
        case Serving(settles=True):
            _ready(state, service, revision)
        case Serving():
            revision.stuck = True
            reconcile.settle(state, service)
        case Broken() as broken:
            _broken(state, service, revision, _explained(revision, broken))
        case phase:
            raise AssertionError(f"a revision cannot be {phase}")


def _ready(state: State, service: ServiceState, revision: RevisionState) -> None:
    revision.ready = True
    revision.body["reconciling"] = False
    revision.body["observedGeneration"] = "1"
    put(revision.body, *(condition(kind, SUCCEEDED, state.now) for kind in _KINDS))
    state.agenda.after(state.world.pace.route, lambda: reconcile.settle(state, service))


def _broken(state: State, service: ServiceState, revision: RevisionState, broken: Broken) -> None:
    revision.ready, revision.broken = False, broken
    revision.body["reconciling"] = False
    told = {"message": broken.message, "reason": broken.reason}
    put(
        revision.body,
        condition("Ready", FAILED, state.now, severity="ERROR", **told),
        condition(broken.at, FAILED, state.now, **told),
    )
    reconcile.settle(state, service)


def _explained(revision: RevisionState, broken: Broken) -> Broken:
    """With the two lines that follow where a container is to blame: tesseract #413."""
    if broken.at != "ContainerHealthy":
        return broken
    guide = "https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start"
    text = f"{broken.message}\n\nLogs URL: {revision.body['logUri']} \nFor more troubleshooting guidance, see {guide}"
    return Broken(reason=broken.reason, message=text, at=broken.at, code=broken.code)


def _query(name: str, id_: str) -> str:
    service = last(above(name))
    return f"project={parent(name).project}&resource=cloud_run_revision/service_name/{service}/revision_name/{id_}"
