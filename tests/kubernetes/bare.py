# SPDX-License-Identifier: Apache-2.0
"""Pods made by hand, with the labels that a deployment's own would have: for what looks at pods and makes none."""

from typing import Any

from fleetflow_tasks.config.model import Port, ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes import instances
from fleetflow_tasks.runtimes.kubernetes.kinds import POD
from fleetflow_tasks.runtimes.kubernetes.objects import Json, number
from fleetflow_tasks.testing import eventually

from .conftest import Cluster

BASE = "fleetflow/base:1"  # busybox, in the node's own store
KUBERNETES = RuntimeName("kubernetes")


def plan(namespace: str, *services: str, port: int = 80) -> Plan:
    """Of project *namespace*, which is what its stage's namespace is called too."""
    return Plan(
        project=ProjectName(namespace),
        stage=StageName("stg"),
        root="/",
        services=tuple(
            ResolvedService(name=ServiceName(name), runtime=KUBERNETES, image=BASE, ports=(Port(container=port),))
            for name in services
        ),
        steps=(),
        options={"kubernetes": {"namespace": namespace}},
    )


class Bare:
    """Pods of one namespace. Each runs a shell script, and is named SERVICE-SUFFIX."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def start(self, service: str, suffix: str, script: str, *, again: bool = False, ready: str = "") -> None:
        """again: the container is restarted when it ends. ready: a script that says whether it is."""
        probe = {"readinessProbe": {"exec": {"command": ["sh", "-c", ready]}, "periodSeconds": 1}} if ready else {}
        container = {"name": service, "image": BASE, "command": ["sh", "-c", script], **probe}
        labels = instances.labels(plan(self.namespace), ServiceName(service))
        self.cluster.client.create(
            POD,
            self.namespace,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{service}-{suffix}", "labels": dict(labels)},
                "spec": {
                    "restartPolicy": "Always" if again else "Never",
                    "terminationGracePeriodSeconds": 0,
                    "automountServiceAccountToken": False,
                    "containers": [{**container, "volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}],
                    "volumes": [{"name": "kept", "emptyDir": {}}],
                },
            },
        )

    def look(self, pod: str) -> Json:
        return self.cluster.client.get(POD, self.namespace, pod) or {}

    def state(self, pod: str) -> Any:
        statuses = self.look(pod).get("status", {}).get("containerStatuses") or [{}]
        return statuses[0]

    def runs(self, pod: str, *, restarts: int = 0) -> None:
        """Wait until it runs, for the time after *restarts* restarts."""
        eventually(
            lambda: (
                "running" in self.state(pod).get("state", {})
                and number(self.state(pod), "restartCount") >= restarts
                and instances.is_ready(self.look(pod))
            ),
            60,
        )

    def ended(self, pod: str) -> None:
        eventually(lambda: "terminated" in self.state(pod).get("state", {}), 60)

    def remove(self, pod: str) -> None:
        self.cluster.client.delete(POD, self.namespace, pod, uid=self.look(pod)["metadata"]["uid"], grace=0)
        eventually(lambda: not self.look(pod), 60)
