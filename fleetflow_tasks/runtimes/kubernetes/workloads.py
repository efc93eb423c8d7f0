# SPDX-License-Identifier: Apache-2.0
"""What keeps a service's pods running, or runs them once: Deployment, StatefulSet, Job; and how many there are.

While a new version starts the old one serves in full (`maxUnavailable: 0`), so a version that never gets ready takes
nothing away.
"""

from typing import Any

from fleetflow_tasks.plan.waits import is_checked
from fleetflow_tasks.runtimes.kubernetes import storage
from fleetflow_tasks.runtimes.kubernetes.kinds import DEPLOYMENT, HPA, JOB, PDB, STATEFUL_SET, Kind
from fleetflow_tasks.runtimes.kubernetes.manifests import Json, Source, manifest, said, selector
from fleetflow_tasks.runtimes.kubernetes.names import PODS
from fleetflow_tasks.runtimes.kubernetes.probes import whole

_SURGE = "25%"  # of the pods, and one at least
_STEADY = 3  # seconds that a pod without any check must stay up, else a crash at the second second counts as ready
_HISTORY = 3  # earlier versions that the cluster keeps
_CPU = 80  # percent of the asked cpu, where `scaling` gives none; the platform's own default


def kind(made_from: Source) -> Kind:
    if made_from.service.job:
        return JOB
    return STATEFUL_SET if storage.is_stateful(made_from) else DEPLOYMENT


def workload(made_from: Source, template: Json, name: str) -> dict[str, Any]:
    """template: of the pods, complete. name: a job's own; the others are called as their service."""
    chosen = kind(made_from)
    if chosen == JOB:
        return manifest(made_from, JOB, name, spec=_job(made_from, template))
    spec = _deployment(made_from, template) if chosen == DEPLOYMENT else _stateful_set(made_from, template)
    return manifest(made_from, chosen, name, spec=spec)


def scaling(made_from: Source) -> list[dict[str, Any]]:
    """Autoscaler and disruption budget, where there are several pods."""
    found = []
    if made_from.service.scaling is not None:
        found.append(_autoscaler(made_from))
    if made_from.copies > 1 and made_from.options.pdb and not made_from.service.job:
        found.append(_budget(made_from))
    return found


def _common(made_from: Source, template: Json) -> dict[str, Any]:
    """With an autoscaler `replicas` is its own: to send one would undo its work at each deployment."""
    service = made_from.service
    count = 1 if service.replicas is None else service.replicas
    return said(
        replicas=None if service.scaling is not None else count,
        revisionHistoryLimit=_HISTORY,
        minReadySeconds=_steady(made_from) or None,
        selector={"matchLabels": selector(made_from)},
        template=template,
    )


def _steady(made_from: Source) -> int:
    return 0 if is_checked(made_from.service) else _STEADY


def _deployment(made_from: Source, template: Json) -> dict[str, Any]:
    deadline = max(whole(made_from.service.timeout), _steady(made_from) + 1)  # less is refused
    return {
        **_common(made_from, template),
        "progressDeadlineSeconds": deadline,
        "strategy": _strategy(made_from),
    }


def _strategy(made_from: Source) -> dict[str, Any]:
    asked = made_from.options.strategy
    if asked == "recreate" or (asked is None and storage.writes_alone(made_from)):
        return {"type": "Recreate"}
    surge = made_from.options.max_surge or _SURGE
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": surge if surge.endswith("%") else int(surge)},
    }


def _stateful_set(made_from: Source, template: Json) -> dict[str, Any]:
    """All pods start at once. In turn (`OrderedReady`), a pod of a broken version that never gets ready would stand in
    the way of the next version, until somebody deletes it by hand."""
    return {
        **_common(made_from, template),
        "serviceName": made_from.service.name + PODS,
        "podManagementPolicy": "Parallel",
        "volumeClaimTemplates": storage.templates(made_from),
    }


def _job(made_from: Source, template: Json) -> dict[str, Any]:
    """A failure of its own does not pass by itself; a node that is drained under it is none."""
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    return {
        "backoffLimit": made_from.options.backoff_limit,
        "activeDeadlineSeconds": whole(made_from.service.timeout),
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [disrupted]}]},
        "template": template,
    }


def _autoscaler(made_from: Source) -> dict[str, Any]:
    service, chosen = made_from.service, kind(made_from)
    assert service.scaling is not None  # noqa: S101  (asked before)
    target = {"type": "Utilization", "averageUtilization": service.scaling.cpu or _CPU}
    return manifest(
        made_from,
        HPA,
        service.name,
        spec={
            "scaleTargetRef": {"apiVersion": chosen.api, "kind": chosen.name, "name": service.name},
            "minReplicas": service.scaling.min,
            "maxReplicas": service.scaling.max,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    )


def _budget(made_from: Source) -> dict[str, Any]:
    """Broken pods may always be taken: they serve nobody, and would keep a node from ever being drained."""
    return manifest(
        made_from,
        PDB,
        made_from.service.name,
        spec={
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(made_from)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    )
