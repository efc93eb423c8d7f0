# SPDX-License-Identifier: Apache-2.0
"""Why no node takes a pod, or cannot give it its volumes: the scheduler's and the kubelet's sentences. Pure."""

import re
from collections.abc import Sequence

from fleetflow_tasks.runtimes.kubernetes.diagnosis import Diagnosis, one_line
from fleetflow_tasks.runtimes.kubernetes.events import Event
from fleetflow_tasks.runtimes.kubernetes.objects import mapping
from fleetflow_tasks.runtimes.kubernetes.podstate import Pod

GRACE = 30.0  # seconds of "no node has room": an autoscaler, or a pod that is just ending, may help

# As in: 0/3 nodes are available: 2 Insufficient cpu, 1 node(s) had untolerated taint {a: b}. preemption: 0/3 nodes …
_NODES = re.compile(
    r"0/(?P<all>\d+) nodes are available: (?P<why>.*?)(?:\.? (?:no new claims to deallocate|preemption:).*)?$",
    re.DOTALL,
)
_NO_CLAIM = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')
_SHORT = re.compile(r"Insufficient (?P<what>[^\s,.]+)")
_MULTI = re.compile(r'Multi-Attach error for volume "(?P<volume>[^"]+)" (?P<why>.*)', re.DOTALL)
_SETUP = re.compile(r'MountVolume\.SetUp failed for volume "(?P<volume>[^"]+)" : (?P<why>.*)', re.DOTALL)
_UNMOUNTED = re.compile(r"unmounted volumes=\[(?P<volumes>[^\]]*)\]")
_MISSING = re.compile(r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found')


def unscheduled(pod: Pod) -> Diagnosis:
    """Without a grace; the caller knows whether an autoscaler is at work."""
    found = _NODES.search(pod.unscheduled)
    why = one_line(found["why"] if found else pod.unscheduled).rstrip(".")
    code, fix, field = _kind(why)
    short = _SHORT.findall(why)
    asks = _asks(pod, short)
    seen = f" ({found['all']} looked at)" if found else ""
    return Diagnosis(
        code=code,
        reason="Unschedulable",
        message=f"no node can take its pod{seen}: {_said(why)}" + (f"; it asks for {asks}" if asks else ""),
        cause=(f"the scheduler says: {one_line(pod.unscheduled, 1000)}",),
        fix=fix,
        field=field,
    )


def _said(why: str) -> str:
    """A claim that does not exist is told twice by the scheduler ("… not found. not found")."""
    absent = _NO_CLAIM.search(why)
    return f"volume `{absent['name']}` does not exist" if absent else why.removesuffix(". not found")


def _kind(why: str) -> tuple[str, str, str]:
    """(code, fix, field)"""
    if "Insufficient" in why or "Too many pods" in why:
        return "no-room", "ask for less in `resources`, or add a node", "resources"
    if "PersistentVolumeClaim" in why or "persistentvolumeclaim" in why:
        return "volume-not-bound", "see why its claim is not bound: `kubectl describe pvc`", "volumes"
    if "volume node affinity" in why:
        return "volume-elsewhere", "its volume lives in another zone than the nodes that have room", "volumes"
    if "taint" in why:
        return "nodes-tainted", "add a node without that taint, or tolerate it", "options"
    if "affinity" in why or "selector" in why:
        return "no-such-node", "correct `node_selector`, or label a node", "options"
    if "free ports" in why:
        return "node-port-taken", "let it publish another host port", "ports"
    return "unschedulable", "", ""


def _asks(pod: Pod, resources: Sequence[str]) -> str:
    """`cpu 4, memory 64Gi`: of what was too little, what the pod's containers ask for each."""
    asked = [
        f"{what} {mapping(container.spec, 'resources', 'requests')[what]}"
        for what in resources
        for container in pod.containers
        if what in mapping(container.spec, "resources", "requests")
    ]
    return ", ".join(dict.fromkeys(asked))


def unmounted(events: Sequence[Event]) -> Diagnosis:
    """events: FailedMount and the like, the newest first; the one that names a cause is told."""
    told = next((e for e in events if _MULTI.search(e.message) or _SETUP.search(e.message)), events[0])
    words, code, fix = one_line(told.message), "volume-not-mounted", ""
    message = f"a volume cannot be mounted: {words}"
    if multi := _MULTI.search(told.message):
        code, message = (
            "volume-in-use",
            f"volume `{multi['volume']}` is still held by another node: {one_line(multi['why'])}",
        )
        fix = "wait until the old pod has ended, or use a storage class whose volumes many nodes can mount"
    elif missing := _MISSING.search(told.message):
        kind = missing["kind"].replace("configmap", "config map")
        code, message = f"{missing['kind']}-missing", f"{kind} `{missing['name']}` does not exist in the namespace"
        fix = "make it, or correct its name"
    elif setup := _SETUP.search(told.message):
        message = f"volume `{setup['volume']}` cannot be mounted: {one_line(setup['why'])}"
    elif late := _UNMOUNTED.search(told.message):
        message = f"volume `{late['volumes']}` does not come"
    return Diagnosis(
        code=code, reason=told.reason, message=message, cause=(f"the node says: {words}",), fix=fix, field="volumes"
    )
