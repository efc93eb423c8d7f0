# SPDX-License-Identifier: Apache-2.0
"""What the server knows of an object, in Knative's form (v1): conditions, addresses, times, and who made it.

`knative` of the runtime translates what a person wishes; this adds what is. Names: the v1 reference, ServiceStatus,
RevisionStatus, JobStatus, ExecutionStatus, and `ObjectMeta`; annotations as gcloud's own sources read them
(`api_lib/run/service.py`, `k8s_object.py`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fleetflow_tasks.runtimes.cloudrun.knative import as_knative
from fleetflow_tasks.runtimes.cloudrun.knative_head import Kind

from .names import last, parent
from .world import project_number

Json = dict[str, Any]

_REGION = "cloud.googleapis.com/location"
_STATES = {"CONDITION_SUCCEEDED": "True", "CONDITION_FAILED": "False"}
_SEVERITIES = {"ERROR": "Error", "WARNING": "Warning", "INFO": "Info"}
_REASONS = ("reason", "revisionReason", "executionReason")
_COUNTS = ("runningCount", "succeededCount", "failedCount", "cancelledCount", "retriedCount")
_NEWEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"


def service(body: Json) -> Json:
    """body: as `GetService` answers."""
    made = _wished(body, "service")
    made["metadata"]["annotations"] |= _made_by(body, "serving.knative.dev/")
    made["metadata"]["annotations"] |= {
        "run.googleapis.com/urls": json.dumps(body.get("urls", [])),
        "run.googleapis.com/ingress-status": made["metadata"]["annotations"].get("run.googleapis.com/ingress", "all"),
    }
    made["status"] = _said(
        observedGeneration=_number(body, "observedGeneration"),
        conditions=_conditions(body, body.get("conditions", [])),
        latestCreatedRevisionName=last(body.get("latestCreatedRevision", "")),
        latestReadyRevisionName=last(body.get("latestReadyRevision", "")),
        traffic=[_target(each, body) for each in body.get("trafficStatuses", [])],
        url=body.get("uri"),
        address={"url": body["uri"]} if "uri" in body else None,
    )
    return made


def job(body: Json) -> Json:
    made = _wished(body, "job")
    made["metadata"]["annotations"] |= _made_by(body, "run.googleapis.com/")
    made["status"] = _said(
        observedGeneration=_number(body, "observedGeneration"),
        conditions=_conditions(body, body.get("conditions", [])),
        executionCount=body.get("executionCount"),
        latestCreatedExecution=_reference(body.get("latestCreatedExecution")),
    )
    return made


def revision(body: Json) -> Json:
    """Its template lies at its top in v2."""
    wished = as_knative({"name": body["name"], "template": body}, "service").body["spec"]["template"]
    labels = {"serving.knative.dev/service": last(body["service"])}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": _metadata(body, wished.get("metadata", {}), labels),
        "spec": wished["spec"],
        "status": _said(
            observedGeneration=_number(body, "observedGeneration"),
            conditions=_conditions({}, body.get("conditions", [])),
            logUrl=body.get("logUri"),
        ),
    }


def execution(body: Json) -> Json:
    made = as_knative({"name": body["name"], "template": body}, "job").body["spec"]["template"]
    return {
        "apiVersion": "run.googleapis.com/v1",
        "kind": "Execution",
        "metadata": _metadata(body, made.get("metadata", {}), {"run.googleapis.com/job": last(body["job"])}),
        "spec": made["spec"],
        "status": _said(
            observedGeneration=_number(body, "observedGeneration"),
            conditions=_conditions({}, body.get("conditions", [])),
            startTime=body.get("startTime"),
            completionTime=body.get("completionTime"),
            logUri=body.get("logUri"),
            **{name: body.get(name) for name in _COUNTS},
        ),
    }


def _wished(body: Json, kind: Kind) -> Json:
    made = dict(as_knative(body, kind).body)
    return {**made, "metadata": _metadata(body, made["metadata"], {})}


def _metadata(body: Json, wished: Mapping[str, Any], labels: Mapping[str, str]) -> Json:
    """The namespace of what comes back is the project's number, whichever was asked for."""
    where = parent(body["name"])
    return _said(
        name=last(body["name"]),
        namespace=project_number(where.project),
        uid=body.get("uid"),
        generation=_number(body, "generation"),
        resourceVersion=body.get("etag"),
        creationTimestamp=body.get("createTime"),
        deletionTimestamp=body.get("deleteTime"),
        labels={**wished.get("labels", {}), _REGION: where.location, **labels},
    ) | {"annotations": dict(wished.get("annotations", {}))}


def _made_by(body: Json, domain: str) -> Json:
    return _said(**{f"{domain}{name}": body.get(name) for name in ("creator", "lastModifier")})


def _conditions(body: Json, others: Sequence[Json]) -> list[Json]:
    """The one that decides comes first."""
    decides = [body["terminalCondition"]] if "terminalCondition" in body else []
    return [_condition(each) for each in (*decides, *others)]


def _condition(said: Json) -> Json:
    reason = next((said[name] for name in _REASONS if name in said), "")
    return _said(
        type=said["type"],
        status=_STATES.get(said["state"], "Unknown"),
        reason="".join(word.capitalize() for word in reason.split("_")),
        message=said.get("message"),
        severity=_SEVERITIES.get(said.get("severity", "")),
        lastTransitionTime=said.get("lastTransitionTime"),
    )


def _target(said: Json, body: Json) -> Json:
    """`ServiceStatus.traffic`: "These entries will always contain RevisionName references"."""
    newest = said.get("type") == _NEWEST
    return _said(
        revisionName=last(body.get("latestReadyRevision", "")) if newest else said.get("revision"),
        percent=said.get("percent"),
        latestRevision=newest or None,
        tag=said.get("tag"),
        url=said.get("uri"),
    )


def _reference(said: Json | None) -> Json | None:
    """Of a job to its newest execution."""
    if said is None:
        return None
    return _said(
        name=last(said.get("name", "")),
        creationTimestamp=said.get("createTime"),
        completionTimestamp=said.get("completionTime"),
        completionStatus=said.get("completionStatus"),
    )


def _number(body: Json, name: str) -> int | None:
    """v2 has a text where a number may have 64 bits."""
    return int(body[name]) if name in body else None


def _said(**fields: object) -> Json:
    return {name: value for name, value in fields.items() if value is not None and value not in ("", {}, [])}
