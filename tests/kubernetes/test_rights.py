# SPDX-License-Identifier: Apache-2.0
"""The role that we ship is enough, every right of it is needed, and one that is missing is told by name."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.config.model import Ingress, Port, ProjectName, Scaling, Secret, ServiceName, Volume
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import DeployError, LogOptions
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM
from fleetflow_tasks.runtimes.kubernetes.rights import NEEDS
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial

from .conftest import Cluster
from .roles import Right, rights, rules, shipped, wanted, worker
from .stage import Stage, service

CLUSTER_WIDE = {"namespace", "storage"}
IN_NAMESPACE = wanted(need for need in NEEDS if need.purpose not in CLUSTER_WIDE)
ASKED_BY = {  # which services of the fleet have what a right is for; `web` has the most
    "horizontalpodautoscalers": ("auto",),
    "jobs": ("migrate",),
    "persistentvolumeclaims": ("one", "two"),
    "statefulsets": ("db",),
}
NOT_HERE = {
    ("", "pods", "delete"),  # only of a service that has failed: a test of its own
    ("", "pods", "get"),
    ("batch", "jobs", "patch"),  # only where somebody else makes the same job in the same moment
    ("", "services", "watch"),  # only of a load balancer, which nobody gives here: a test of its own
    # By WebSocket a GET is enough until Kubernetes 1.35.
    ("", "pods/exec", "create"),
    ("", "pods/portforward", "create"),
    # tests/kubernetes/test_streams.py
    ("", "pods/exec", "get"),
    ("", "pods/portforward", "get"),
}


class Life:
    """A stage from its first deployment to its end, as an account that is bound to a role."""

    def __init__(self, cluster: Cluster, namespace: str, environ: Mapping[str, str]) -> None:
        self.runtime = KubernetesRuntime(environ)
        self.stage = Stage(self.runtime, cluster, ProjectName(namespace))
        self.stage.namespace = namespace

    def lived(self, *names: str) -> None:
        first, second = _fleet(1, names), _fleet(2, names)
        self.stage.carry(f"{first[0].name}:prepare", *first, attempt=Trial(1, run="given-up"), **self.where)
        self.stage.up(*first, **self.where)
        self._claims_of_another_tool()
        self.stage.up(*second, **self.where)
        self.stage.runtime.status(self.stage.plan(*second, **self.where))
        self.read(names[0])
        self.stage.up(**self.where, volumes="remove")

    def failed(self, *bad: ResolvedService) -> None:
        """Twice: what the kubelet holds back is removed for the second time, and where the version before is put back."""
        for _ in range(2):
            said = self.stage.fails(*bad, **self.where)
            if said.problem.code != "image-not-found":
                raise said
            assert not [line for line in said.problem.cause if "may not" in line or "could not" in line]

    def read(self, name: str) -> None:
        plan = self.stage.plan(service(name), **self.where)
        list(self.runtime.logs(plan, [ServiceName(name)], LogOptions(tail=1)))

    @property
    def where(self) -> dict[str, Any]:
        return {"namespace": self.stage.namespace}

    def _claims_of_another_tool(self) -> None:
        """They are adopted with the next deployment, and nothing else changes a claim."""
        ours = ("run", "generation", "hash")
        for claim in self.stage.names(CLAIM):
            unmarked = {"metadata": {"labels": {f"fleetflow.io/{name}": None for name in ours}}}
            self.stage.patch(CLAIM, claim, unmarked, manager="another")


Begun = Callable[..., Life]


@pytest.fixture
def begun(plane: Cluster, plane_namespace: str, tmp_path: Path) -> Iterator[Begun]:
    """A life under these rules, or under the shipped role."""
    lives = []

    def begin(without: Right | None = None) -> Life:
        allowed = rules(IN_NAMESPACE - {without}) if without else None
        environ = worker(plane, plane_namespace, tmp_path / "kubeconfig", allowed=allowed)
        lives.append(Life(plane, plane_namespace, environ))
        return lives[-1]

    yield begin
    for life in lives:
        life.runtime.close()


def _fleet(turn: int, names: tuple[str, ...]) -> list[ResolvedService]:
    """Of every kind that we make; another *turn* changes each of their objects."""
    common: dict[str, Any] = {"environment": {"TURN": str(turn)}, "labels": {"turn": f"t{turn}"}}
    known = [
        service(
            "web",
            replicas=2,
            ports=(Port(container=8080),),
            secrets={"TOKEN": Secret(f"s{turn}")},
            ingress=(Ingress(host=f"t{turn}.example.org", port=8080),),
            options={"service_account": {"create": True}},
            **common,
        ),
        service("auto", scaling=Scaling(min=1, max=2 + turn), **common),
        service("db", volumes=(Volume(source="rows", target="/rows", size=2**20),), **common),
        service("one", volumes=(Volume(source="shared", target="/shared"),), **common),
        service("two", volumes=(Volume(source="shared", target="/shared"),), **common),
        service("migrate", image="scripted/job:0", job=True, **common),
    ]
    return [each for each in known if each.name in names]


def test_the_role_that_we_ship_allows_what_the_table_says_and_no_more() -> None:
    assert rights(shipped("role.yaml")["rules"]) == IN_NAMESPACE


def test_the_cluster_role_that_we_ship_is_for_what_no_namespace_holds() -> None:
    assert rights(shipped("cluster-role.yaml")["rules"]) == wanted(n for n in NEEDS if n.purpose in CLUSTER_WIDE)


def test_the_role_that_we_ship_is_enough_for_the_whole_life_of_a_stage(begun: Begun) -> None:
    life = begun()

    life.lived("web", "auto", "db", "one", "two", "migrate")

    assert life.stage.names(CLAIM) == []


BROKEN: dict[str, dict[str, Any]] = {  # images that do not come, of services whose pods nobody replaces by himself
    "Deployment": {},
    "StatefulSet": {"volumes": (Volume(source="rows", target="/rows", size=2**20),)},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_the_role_that_we_ship_is_enough_to_deploy_again_what_failed(begun: Begun, kind: str) -> None:
    life = begun()

    life.failed(service("api", "scripted/pull-not-found:1", **BROKEN[kind]))
    life.stage.up(service("api", **BROKEN[kind]), **life.where)
    life.failed(service("api", "scripted/pull-not-found:2", **BROKEN[kind]))
    life.stage.up(service("api", **BROKEN[kind]), **life.where)

    images = [pod["spec"]["containers"][0]["image"] for pod in life.stage.pods("api") if _stays(pod)]
    assert images == ["scripted/ready:0ms"]


def _stays(pod: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


@pytest.mark.parametrize("verb", ["delete", "get"])
def test_pods_that_may_not_be_removed_are_told_by_name(begun: Begun, verb: str) -> None:
    life = begun(without=("", "pods", verb))
    stateful = BROKEN["StatefulSet"]
    life.stage.fails(service("api", "scripted/pull-not-found:1", **stateful), **life.where)

    said = _refused(lambda: life.stage.up(service("api", **stateful), **life.where))

    assert f"may not {verb} pods in namespace `{life.stage.namespace}`" in said.message


@pytest.mark.parametrize("missing", sorted(IN_NAMESPACE - NOT_HERE), ids="-".join)
def test_one_right_less_is_told_by_name(begun: Begun, missing: Right) -> None:
    group, resource, verb = missing
    life = begun(without=missing)

    said = _refused(lambda: life.lived(*ASKED_BY.get(resource, ("web",))))

    assert f"may not {verb} {resource} in namespace `{life.stage.namespace}`" in said.message
    assert f'{{apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]}}' in said.fix


def test_a_load_balancer_that_may_not_be_watched_is_told_by_name(begun: Begun) -> None:
    life = begun(without=("", "services", "watch"))
    balanced = service("web", ports=(Port(container=80),), options={"service_type": "LoadBalancer"})

    said = _refused(lambda: life.stage.up(balanced, **life.where))

    assert "may not watch services in namespace" in said.message


def _refused(life: Callable[[], object]) -> Problem:
    """By a step, or by a question beside a run."""
    try:
        life()
    except DeployError as error:
        return error.problem
    except UnavailableError as error:
        return error.problems[0]
    pytest.fail("nothing was refused")
