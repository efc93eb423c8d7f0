# SPDX-License-Identifier: Apache-2.0
"""Kubernetes keeps the rules that every runtime keeps."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleetflow_tasks.config.model import Port, ProjectName, Volume
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Runtime
from fleetflow_tasks.runtimes.kubernetes.desired import desired
from fleetflow_tasks.runtimes.kubernetes.kinds import JOB, NAMESPACE, POD, named
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing.contract import Content, RuntimeContract

from .conftest import Cluster
from .stage import service, swept

_SETTLED = 60.0  # seconds in which a cluster ends the pods of a version that is not wanted


class KubernetesContract(RuntimeContract):
    cluster: Cluster
    images: dict[str, str]

    @pytest.fixture
    def project(self, name: str) -> Iterator[ProjectName]:
        yield ProjectName(name)
        swept(self.cluster, name)

    @pytest.fixture
    def runtime(self, requests: list[tuple[str, str]]) -> Iterator[KubernetesRuntime]:
        made = KubernetesRuntime(self.cluster.environ, trace=lambda method, path: requests.append((method, path)))
        yield made
        made.close()

    @pytest.fixture
    def mutations(self, requests: list[tuple[str, str]]) -> Callable[[], int]:
        return lambda: sum(method != "GET" for method, _ in requests)

    @pytest.fixture(autouse=True)
    def _elsewhere(self) -> Iterator[None]:
        self._other = KubernetesRuntime(self.cluster.environ)
        yield
        self._other.close()

    def elsewhere(self, runtime: Runtime) -> Runtime:
        return self._other

    def made(self, name: str, content: Content, **fields: Any) -> ResolvedService:
        image = self.images["broken" if content == "broken" else "job" if "job" in content else "ready"]
        return service(name, image, environment={"CONTENT": content}, job="job" in content, **fields)

    def serving(self, plan: Plan, name: str) -> str:
        """The uid of a job's pods' owner, or which version of which workload has a pod that is ready, and it alone."""
        labels = {f"fleetflow.io/{key}": value for key, value in (("project", plan.project), ("service", name))}
        end = time.monotonic() + _SETTLED
        while True:
            there = self._workloads(plan, labels)
            pods = self.cluster.client.list(POD, _namespace(plan), labels).items
            ready = {each["metadata"]["labels"]["fleetflow.io/template"] for each in pods if _is_ready(each)}
            wanted = {_template(each) for each in there if each["kind"] != JOB.name}
            if ready == wanted or time.monotonic() > end:
                return " ".join(sorted(f"{each['metadata']['uid']} {_template(each)}" for each in there))
            time.sleep(0.05)

    def instance(self, plan: Plan, name: str) -> str:
        """The uids of its pods, once none is on its way out."""
        self.serving(plan, name)
        labels = {f"fleetflow.io/{key}": value for key, value in (("project", plan.project), ("service", name))}
        end = time.monotonic() + _SETTLED
        while True:
            pods = self.cluster.client.list(POD, _namespace(plan), labels).items
            if all(map(_is_ready, pods)) or time.monotonic() > end:
                return " ".join(sorted(each["metadata"]["uid"] for each in pods))
            time.sleep(0.05)

    def _workloads(self, plan: Plan, labels: dict[str, str]) -> list[Any]:
        kinds = (named("Deployment"), named("StatefulSet"), JOB)
        found = [each for kind in kinds for each in self.cluster.client.list(kind, _namespace(plan), labels).items]
        jobs = sorted((each for each in found if each["kind"] == JOB.name), key=lambda e: e["metadata"]["uid"])
        return [each for each in found if each["kind"] != JOB.name] or jobs

    def obstruct(self, plan: Plan, name: str) -> Callable[[], bool]:
        manifest = self._manifest(plan, name, {})
        made = self.cluster.client.create(named(manifest["kind"]), _namespace(plan), manifest)

        def untouched() -> bool:
            there = self.cluster.client.get(named(made["kind"]), _namespace(plan), name)
            return there is not None and all(
                there["metadata"].get(field) == made["metadata"].get(field) for field in ("uid", "generation", "labels")
            )

        return untouched

    def adopt(self, plan: Plan, name: str) -> None:
        labels = {"project": plan.project, "stage": plan.stage, "service": name, "colour": "blue"}
        manifest = self._manifest(plan, name, {f"fleetflow.io/{key}": value for key, value in labels.items()})
        self.cluster.client.create(named(manifest["kind"]), _namespace(plan), manifest, manager="earlier-tool")

    def _manifest(self, plan: Plan, name: str, labels: dict[str, str]) -> dict[str, Any]:
        """A workload of the same kind, made by somebody else, of another content."""
        if self.cluster.client.get(NAMESPACE, "", _namespace(plan)) is None:
            self.cluster.made(_namespace(plan))
        workload = dict(desired(plan, plan.service(plan.services[0].name)).workload)
        spec = {**workload["spec"]}
        template = {**spec["template"], "metadata": {"labels": spec["selector"]["matchLabels"]}}
        container = {
            **template["spec"]["containers"][0],
            "env": [{"name": "CONTENT", "value": "theirs"}, {"name": "OLD", "value": "1"}],
        }
        spec["template"] = {**template, "spec": {**template["spec"], "containers": [container]}}
        return {**workload, "metadata": {"name": name, "labels": labels}, "spec": spec}


def _namespace(plan: Plan) -> str:
    return f"{plan.project}-{plan.stage}"


def _is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions", ())
    return not pod["metadata"].get("deletionTimestamp") and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )


def _template(workload: Any) -> str:
    return str(workload["spec"]["template"]["metadata"]["labels"].get("fleetflow.io/template", ""))


class PlaneContract(KubernetesContract):
    images = {"ready": "scripted/ready:0ms", "broken": "scripted/pull-not-found:1", "job": "scripted/job:0"}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _cluster(self, plane: Cluster) -> None:
        self.cluster = plane


class TestRolling(PlaneContract):
    """A Deployment: the new pod starts beside the old one."""

    def service(self, name: str, content: Content) -> ResolvedService:
        return self.made(name, content, ports=() if "job" in content else (Port(container=8080),))


class TestInPlace(PlaneContract):
    """A Deployment whose volume one pod at a time may have: the old pod ends before the new one starts."""

    def service(self, name: str, content: Content) -> ResolvedService:
        return self.made(name, content, options={} if "job" in content else {"strategy": "recreate"})


class TestStateful(PlaneContract):
    """A StatefulSet: its one pod is replaced, and keeps its claim."""

    def service(self, name: str, content: Content) -> ResolvedService:
        return self.made(
            name, content, volumes=() if "job" in content else (Volume(source=f"{name}-data", target="/data"),)
        )


class TestOnANode(KubernetesContract):
    """Real containers."""

    images = {"ready": "fleetflow/base:1", "broken": "fleetflow/base:1", "job": "fleetflow/base:1"}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _cluster(self, node: Cluster) -> None:
        self.cluster = node

    def service(self, name: str, content: Content) -> ResolvedService:
        commands = {
            "broken": ("/bin/nothing",),
            "job": ("/bin/true",),
            "other job": ("/bin/true", "2"),
        }
        stops = {} if "job" in content else {"stop_grace": 0.0}
        return self.made(name, content, command=commands.get(content, ("/bin/sleep", "1000")), options=stops)
