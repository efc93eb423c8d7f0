# SPDX-License-Identifier: Apache-2.0
"""Services: what CreateService, UpdateService, GetService, ListServices and DeleteService do.

`google.cloud.run_v2.types.Service` and its requests say most of it. Every change is an operation, which ends when the service
has come to rest (`reconcile`).
"""

from copy import deepcopy
from typing import Any

from . import masks, metadata, paging, reconcile, revisions, split, template
from .accounts import Account
from .capacity import cpus
from .names import above, good_id, last, parent, parts
from .refused import Refused, cannot_act_as, denied, there_already
from .state import ServiceState, State, end, new_uid, shown, told, tried
from .violations import Violations
from .world import default_account

Json = dict[str, Any]

# What a caller says; everything else is "Output only", and ignored on the way in.
SAID = (
    "description", "labels", "annotations", "client", "clientVersion", "ingress", "launchStage", "binaryAuthorization",
    "template", "traffic", "scaling", "invokerIamDisabled", "defaultUriDisabled", "iapEnabled", "multiRegionSettings",
    "customAudiences", "buildConfig",
)  # fmt: skip


def create(state: State, caller: Account, request: Json) -> Json:
    parent(request.get("parent", ""))
    id_ = request.get("serviceId", "")
    good_id("CreateServiceRequest.service_id", id_)
    name = f"{request['parent']}/services/{id_}"
    said = _asked(request.get("service", {}))
    return _created(state, caller, name, said, try_=bool(request.get("validateOnly")))


def update(state: State, caller: Account, request: Json) -> Json:
    """ "If set to true, and if the Service does not exist, it will create a new one. The caller must have
    'run.services.create' permissions" (`allow_missing`)."""
    said = request.get("service", {})
    name = said.get("name", "")
    (id_,) = parts(name, "services")
    if name not in state.services and request.get("allowMissing"):
        if not caller.may("run.services.create"):
            raise denied("run.services.create", name)
        good_id("UpdateServiceRequest.service.name", id_)
        return _created(state, caller, name, _asked(said), try_=bool(request.get("validateOnly")))
    service = state.service(name)
    paging.match(said, visible(service))
    asked = _asked(masks.applied(service.body, said, request.get("updateMask", ""), SAID))
    return _updated(state, caller, service, asked, try_=bool(request.get("validateOnly")))


def get(state: State, caller: Account, request: Json) -> Json:
    parts(request["name"], "services")
    return visible(state.service(request["name"]))


def listed(state: State, caller: Account, request: Json) -> Json:
    """ "Results are sorted by creation time, descending." (client.list_services)"""
    here = str(parent(request["parent"]))
    bodies = [visible(each) for each in state.services.values() if above(each.body["name"]) == here]
    return paging.page("services", sorted(bodies, key=paging.newest, reverse=True), request)


def delete(state: State, caller: Account, request: Json) -> Json:
    """ "This will cause the Service to stop serving traffic and will delete all revisions." (client.delete_service)"""
    parts(request["name"], "services")
    service = state.service(request["name"])
    paging.match(request, visible(service))
    if request.get("validateOnly"):
        return tried("Service", service.body)
    service.body["deleteTime"] = state.now
    operation = state.begin(request["name"], "Service", lambda: visible(service))
    service.waiting.append(operation)
    state.agenda.after(state.world.pace.delete, lambda: _gone(state, service))
    return told(operation)


def visible(service: ServiceState) -> Json:
    """`Service.ingress`: "On output, returns the currently observed ingress settings, or INGRESS_TRAFFIC_UNSPECIFIED if no
    revision is active."""
    body = dict(service.body)
    if not body.get("latestReadyRevision"):
        body.pop("ingress")
    return shown(body)


def _gone(state: State, service: ServiceState) -> None:
    if state.services.pop(service.body["name"], None) is not None:
        for revision in service.revisions.values():
            revisions.stop(revision)
    end(service.waiting)


def _asked(service: Json) -> Json:
    asked = {key: deepcopy(service[key]) for key in SAID if key in service}
    asked.setdefault("launchStage", "GA")
    asked.setdefault("ingress", "INGRESS_TRAFFIC_ALL")
    return asked


def _created(state: State, caller: Account, name: str, asked: Json, *, try_: bool) -> Json:
    _checked(state, caller, name, asked, {})
    if name in state.services:
        raise there_already(last(name))
    if sum(above(each) == above(name) for each in state.services) >= state.world.services_at_most:
        text = f"The limit of {state.world.services_at_most} services in this region was reached."
        raise Refused("RESOURCE_EXHAUSTED", text)  # guess: the text
    body: Json = {"name": name, "uid": new_uid(), "generation": "0", "createTime": state.now, "creator": caller.email}
    service = ServiceState(body=body)
    if try_:
        return tried("Service", {**body, **asked, "generation": "1"})
    state.services[name] = service
    return _changed(state, caller, service, asked)


def _updated(state: State, caller: Account, service: ServiceState, asked: Json, *, try_: bool) -> Json:
    _checked(state, caller, service.body["name"], asked, service.body)
    revisions.refused(service, asked["template"])
    if try_:
        return tried("Service", {**service.body, **asked})
    return _changed(state, caller, service, asked)


def _changed(state: State, caller: Account, service: ServiceState, asked: Json) -> Json:
    """`Service.generation`: "increases every time the user modifies the desired state"; so not where nothing differs."""
    body = service.body
    if {key: body[key] for key in SAID if key in body} != asked:
        for key in SAID:
            body.pop(key, None)
        generation = str(int(body["generation"]) + 1)
        body.update(asked, generation=generation, updateTime=state.now, lastModifier=caller.email)
    revisions.wanted(state, service, body["template"], caller)
    reconcile.begun(state, service)
    operation = state.begin(body["name"], "Service", lambda: visible(service))
    service.waiting.append(operation)
    state.agenda.after(state.world.pace.begin + state.world.pace.route, lambda: reconcile.settle(state, service))
    return told(operation)


def _checked(state: State, caller: Account, name: str, asked: Json, before: Json) -> None:
    """Raises Refused; fills the template with its defaults."""
    project = parent(name).project
    found = Violations()
    if not asked.get("template", {}).get("containers"):
        found.say("template.containers", "must contain 1 to 10 containers.")
        found.refuse()
    asked["template"] = template.filled_revision(asked["template"], default_account(project))
    metadata.checked(asked, "", found)
    template.checked(last(name), asked["template"], "template.", found)
    template.scaling(asked.get("scaling", {}), found)
    split.checked(last(name), asked.get("traffic", []), found)
    found.refuse()
    _quota(state, asked)
    _entitled(state, caller, name, asked, before)


def _quota(state: State, asked: Json) -> None:
    """https://cloud.google.com/run/docs/configuring/max-instances-limits; the text as users quote it."""
    limit = state.world.cpu_quota
    most = asked.get("scaling", {}).get("maxInstanceCount") or asked["template"]["scaling"]["maxInstanceCount"]
    cpu = sum(cpus(each["resources"]["limits"]["cpu"]) or 0 for each in asked["template"]["containers"])
    if limit is not None and most * cpu > limit:
        text = f"Max instances must be set to {int(limit / cpu)} or fewer in order to set the requested total CPU."
        raise Refused("INVALID_ARGUMENT", f"template.scaling.maxInstanceCount: {text}")


def _entitled(state: State, caller: Account, name: str, asked: Json, before: Json) -> None:
    """https://cloud.google.com/run/docs/securing/managing-access#invoker_check: to change it needs setIamPolicy."""
    account = asked["template"]["serviceAccount"]
    if not caller.may_act_as(account):
        raise cannot_act_as(account)
    if asked.get("invokerIamDisabled", False) == before.get("invokerIamDisabled", False):
        return
    if not caller.may("run.services.setIamPolicy"):
        raise denied("run.services.setIamPolicy", name)
    if asked.get("invokerIamDisabled") and state.world.invoker_check_forced:
        text = "Disabling the invoker IAM check is not allowed: constraints/run.managed.requireInvokerIam"
        raise Refused("FAILED_PRECONDITION", text)  # guess: code and text
