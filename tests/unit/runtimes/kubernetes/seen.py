# SPDX-License-Identifier: Apache-2.0
"""Objects as a cluster answers them, as short as a test can say them. Times are seconds of one minute."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fleetflow_tasks.runtimes.kubernetes.diagnose import Diagnosis, diagnosed

Json = Mapping[str, Any]

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
NEW, OLD = "v1-new", "v1-old"
IMAGE = "ghcr.io/shop/api:9"


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def merged(tree: Json, changes: Json) -> dict[str, Any]:
    """*tree* with *changes* laid over it, map by map."""
    both = {
        k: merged(tree[k], v) if isinstance(v, dict) and isinstance(tree.get(k), dict) else v
        for k, v in changes.items()
    }
    return {**tree, **both}


def workload(kind: str = "Deployment", *, written: float = 60, **changes: Any) -> dict[str, Any]:
    """One that we wrote *written* seconds ago, and that its controller has looked at."""
    made = {
        "kind": kind,
        "metadata": {
            "name": "api",
            "uid": "w",
            "generation": 2,
            "managedFields": [{"manager": "fleetflow", "operation": "Apply", "time": ago(written)}],
        },
        "spec": {
            "replicas": 1,
            "template": {
                "metadata": {"labels": {"fleetflow.io/template": NEW}},
                "spec": {"containers": [{"name": "api"}]},
            },
        },
        "status": {"observedGeneration": 2},
    }
    return merged(made, changes)


def pod(
    name: str = "api-1", *, template: str = NEW, ready: bool = False, placed: float | None = 20, **changes: Any
) -> dict[str, Any]:
    """placed: seconds since it got its node, None: it has none."""
    scheduling = {"type": "PodScheduled", "status": "True" if placed is not None else "False"}
    if placed is not None:
        scheduling["lastTransitionTime"] = ago(placed)
    made = {
        "metadata": {
            "name": name,
            "uid": name,
            "labels": {"fleetflow.io/template": template},
            "creationTimestamp": ago(25),
        },
        "spec": {"containers": [{"name": "api", "image": IMAGE}]},
        "status": {
            "phase": "Running" if ready else "Pending",
            "conditions": [scheduling, {"type": "Ready", "status": str(ready)}],
            "containerStatuses": [container(ready=ready)] if placed is not None else [],
        },
    }
    return merged(made, changes)


def container(
    name: str = "api", *, waiting: str = "", message: str = "", ready: bool = False, **changes: Any
) -> dict[str, Any]:
    state = {"waiting": {"reason": waiting, "message": message}} if waiting or not ready else {"running": {}}
    return {"name": name, "ready": ready, "restartCount": 0, "state": state, "lastState": {}, **changes}


def ended(code: int, reason: str = "Error", message: str = "", at: float = 5) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": ago(at)}}


def with_state(**fields: Any) -> dict[str, Any]:
    """A pod of one container with that state."""
    return pod(status={"containerStatuses": [container(**fields)]})


def event(
    reason: str,
    message: str,
    *,
    of: str = "api-1",
    kind: str = "Pod",
    inside: str = "",
    first: float = 10,
    last: float = 1,
    count: int = 1,
) -> dict[str, Any]:
    about = {"kind": kind, "name": of, "uid": of}
    if inside:
        about["fieldPath"] = f"spec.containers{{{inside}}}"
    return {
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "count": count,
        "firstTimestamp": ago(first),
        "lastTimestamp": ago(last),
    }


def diagnosis(
    *pods: Json, events: Sequence[Json] = (), claims: Sequence[Json] = (), of: Json | None = None
) -> Diagnosis | None:
    return diagnosed(of or workload(), template=NEW, pods=pods, claims=claims, events=events, now=NOW)


def told(found: Diagnosis | None) -> str:
    """`image-not-found: image … does not exist; fatal`."""
    if found is None:
        return "nothing"
    when = "fatal" if found.fatal else "told later" if found.soon is None else f"in {found.soon:g} s"
    return f"{found.code}: {found.message}; {when}"
