# SPDX-License-Identifier: Apache-2.0
"""The version before comes back whoever is killed, and whatever answer is lost, on the way to a version that fails."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.config.model import Port, ProjectName, Scaling, Volume
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import DeployError, StaleError, Stopped
from fleetflow_tasks.runtimes.kubernetes.before import BEFORE
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, CONFIG_MAP, DEPLOYMENT, HPA, SERVICE, STATEFUL_SET, Kind
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial, eventually

from .conftest import Cluster
from .front import Front
from .stage import Stage, service, swept

DATA = (Volume(source="data", target="/data", size=1 << 30),)
BAD = "scripted/pull-not-found:9"
GOOD = "scripted/ready:0ms"
SERVES = "the version before goes on serving"
STARTS = "the version before was put back, and starts again"

HOW: dict[str, tuple[Kind, dict[str, Any], str]] = {
    "rolling": (DEPLOYMENT, {}, SERVES),
    "recreate": (DEPLOYMENT, {"options": {"strategy": "recreate"}}, STARTS),
    "stateful": (STATEFUL_SET, {"volumes": DATA}, STARTS),
}
Way = tuple[Kind, dict[str, Any], str]
ways = pytest.mark.parametrize("way", HOW.values(), ids=HOW)


class Later(Trial):
    """The second attempt of a run."""

    def __init__(self, generation: int, **how: Any) -> None:
        super().__init__(generation, **how)
        self.number = 2


class When(Trial):
    """happens: once, at the first checkpoint at which *so* is true; it may raise."""

    def __init__(self, generation: int, so: Callable[[], bool], happens: Callable[[], None], **how: Any) -> None:
        super().__init__(generation, **how)
        self._so = so
        self._happens: Callable[[], None] | None = happens

    def checkpoint(self) -> None:
        super().checkpoint()
        if self._happens is not None and self._so():
            happens, self._happens = self._happens, None
            happens()


def killed() -> None:
    raise Stopped("lost")


@pytest.fixture
def stage(plane: Cluster, name: str, line: Front, tmp_path: Path) -> Iterator[Stage]:
    """Through a line that may be bad."""
    environ = {"KUBECONFIG": str(line.kubeconfig(tmp_path / "kubeconfig"))}
    runtime = KubernetesRuntime(environ)
    yield Stage(runtime, plane, ProjectName(name))
    runtime.close()
    swept(plane, name)


@pytest.fixture
def other(plane: Cluster, stage: Stage) -> Iterator[Stage]:
    """The same stage, from another worker."""
    runtime = KubernetesRuntime(plane.environ)
    yield Stage(runtime, plane, stage.project)
    runtime.close()


def image(stage: Stage, kind: Kind) -> str:
    return str(stage.get(kind, "api")["spec"]["template"]["spec"]["containers"][0]["image"])


def fails(stage: Stage, api: ResolvedService, attempt: Trial) -> DeployError:
    with pytest.raises(DeployError) as failure:
        stage.carry("api:deploy", api, attempt=attempt)
    return failure.value


def is_back(stage: Stage, kind: Kind, api: ResolvedService) -> None:
    assert image(stage, kind) == api.image
    eventually(lambda: stage.get(kind, "api")["status"].get("readyReplicas"), within=60)
    eventually(lambda: stage.changes(api) == {}, within=60)
    assert BEFORE not in stage.get(kind, "api")["metadata"].get("annotations", {})


def broken_off(stage: Stage, kind: Kind, api: ResolvedService) -> None:
    """A run deploys what fails, and its worker is killed before that shows."""
    stage.generation += 1
    with pytest.raises(Stopped):
        stage.carry("api:deploy", api, attempt=When(stage.generation, lambda: image(stage, kind) == api.image, killed))


@ways
def test_an_answer_that_was_lost_does_not_lose_the_version_before(stage: Stage, line: Front, way: Way) -> None:
    kind, how, said = way
    stage.up(service("api", **how))
    bad = service("api", BAD, **how)
    lost = line.loses(r"^PATCH .*/(deployments|statefulsets)/api\?.*Strict$", times=100)

    first = fails(stage, bad, Trial(2))
    lost.left = 0
    second = fails(stage, bad, Later(2))

    assert first.transient, first
    assert not second.transient, second
    assert second.problem.code == "image-not-found"
    assert second.problem.cause[-1] == said
    is_back(stage, kind, service("api", **how))


@ways
def test_a_worker_killed_while_it_waits_does_not_take_the_version_before_with_it(
    stage: Stage, other: Stage, way: Way
) -> None:
    kind, how, said = way
    stage.up(service("api", **how))
    bad = service("api", BAD, **how)
    broken_off(stage, kind, bad)

    error = fails(other, bad, Later(stage.generation))

    assert error.problem.cause[-1] == said
    is_back(other, kind, service("api", **how))


@ways
def test_the_next_run_goes_back_past_a_version_that_was_never_good(stage: Stage, other: Stage, way: Way) -> None:
    kind, how, _ = way
    stage.up(service("api", **how))
    broken_off(stage, kind, service("api", BAD, **how))

    error = fails(other, service("api", "scripted/pull-denied:1", **how), Trial(stage.generation + 1))

    assert error.problem.cause[-1] in {SERVES, STARTS}
    is_back(other, kind, service("api", **how))


def test_what_a_killed_attempt_had_changed_beside_the_workload_comes_back_too(stage: Stage, other: Stage) -> None:
    good = service("api", ports=(Port(container=8080),))
    bad = service("api", BAD, ports=(Port(container=9090),))
    stage.up(good)

    def port() -> int:
        return int(stage.get(SERVICE, "api")["spec"]["ports"][0]["port"])

    with pytest.raises(Stopped):
        stage.carry("api:deploy", bad, attempt=When(2, lambda: port() == 9090, killed))
    error = fails(other, bad, Later(2))

    assert error.problem.cause[-1] == SERVES
    assert port() == 8080
    is_back(other, DEPLOYMENT, good)


def test_an_autoscaler_that_had_to_go_first_comes_back_too(stage: Stage, other: Stage) -> None:
    good = service("api", scaling=Scaling(min=1, max=3))
    stage.up(good)
    broken_off(stage, DEPLOYMENT, service("api", BAD, replicas=1))
    assert stage.names(HPA) == []

    error = fails(other, service("api", BAD, replicas=1), Later(stage.generation))

    assert error.problem.cause[-1] == SERVES
    assert stage.names(HPA) == ["api"]
    is_back(other, DEPLOYMENT, good)


@ways
def test_a_server_that_is_away_until_the_time_is_over_is_no_failure_of_the_version(
    stage: Stage, line: Front, way: Way
) -> None:
    kind, how, said = way
    stage.up(service("api", **how))
    bad = service("api", "scripted/never-ready", timeout=5.0, **how)

    away = fails(stage, bad, When(2, lambda: image(stage, kind) == bad.image, line.down))
    line.up()
    error = fails(stage, bad, Later(2))

    assert away.transient
    assert away.problem.message.startswith("it is not known what became of `api`: the API server does not answer")
    assert error.problem.cause[-1] == said
    is_back(stage, kind, service("api", **how))


def test_what_fails_while_turning_round_is_told_beside_what_it_was_for(stage: Stage, line: Front) -> None:
    stage.up(service("api"))
    api = service("api", BAD)

    def refuse() -> None:
        line.answers(r"^PATCH ", 503, "no more for today", times=1000)

    error = fails(stage, api, When(2, lambda: image(stage, DEPLOYMENT) == BAD, refuse))

    assert (error.problem.code, error.transient) == ("image-not-found", False)
    assert error.problem.cause[-1] == "and the version before could not be put back: no more for today"


def test_time_that_is_over_while_turning_round_is_told_beside_what_it_was_for(stage: Stage) -> None:
    stage.up(service("api"))
    attempt = Trial(2)

    def over() -> None:
        raise Stopped("timeout")

    late = When(2, lambda: any("putting Deployment" in said for said in attempt.reports), over)
    late.reports = attempt.reports
    error = fails(stage, service("api", BAD), late)

    assert error.problem.code == "image-not-found"
    assert error.problem.cause[-1] == "and the version before could not be put back: the time was over"


def test_what_says_that_it_is_wanted_elsewhere_while_turning_round_is_heard(stage: Stage, other: Stage) -> None:
    stage.up(service("api"))
    attempt = Trial(2)
    leaving = When(2, lambda: any("putting Deployment" in said for said in attempt.reports), killed)
    leaving.reports = attempt.reports

    with pytest.raises(Stopped):
        stage.carry("api:deploy", service("api", BAD), attempt=leaving)
    error = fails(other, service("api", BAD), Later(2))

    assert error.problem.cause[-1] == SERVES
    is_back(other, DEPLOYMENT, service("api"))


def test_a_version_that_serves_again_is_safe_from_who_is_older_than_the_one_that_failed(stage: Stage) -> None:
    stage.up(service("api"))
    fails(stage, service("api", BAD), Trial(5))

    with pytest.raises(StaleError):
        stage.carry("api:deploy", service("api", "scripted/ready:1ms"), attempt=Trial(3))

    assert stage.get(DEPLOYMENT, "api")["metadata"]["labels"]["fleetflow.io/run"] == "run-1"
    is_back(stage, DEPLOYMENT, service("api"))


def test_a_first_version_that_was_broken_off_stays_to_be_looked_at(stage: Stage, other: Stage) -> None:
    bad = service("api", BAD)
    stage.carry("stage:prepare", bad)
    with pytest.raises(Stopped):
        stage.carry("api:deploy", bad, attempt=When(1, lambda: stage.get(DEPLOYMENT, "api") is not None, killed))

    error = fails(other, bad, Later(1))

    assert "there is no version before" in error.problem.cause[-1]
    assert stage.names(DEPLOYMENT) == ["api"]


def test_a_version_that_failed_and_is_tried_again_is_no_version_before_itself(stage: Stage, other: Stage) -> None:
    bad = service("api", BAD)
    stage.fails(bad)
    with pytest.raises(Stopped):
        stage.carry("api:deploy", bad, attempt=When(2, lambda: _run(stage) == "run-2", killed))

    error = fails(other, bad, Later(2))

    assert "the version before" not in "".join(error.problem.cause)
    assert image(stage, DEPLOYMENT) == BAD


def _run(stage: Stage) -> str:
    return str(stage.get(DEPLOYMENT, "api")["metadata"]["labels"]["fleetflow.io/run"])


def test_what_somebody_has_scaled_since_the_look_is_not_overwritten_by_another_try(stage: Stage) -> None:
    api = service("api", BAD, replicas=2)
    stage.fails(api)

    def scale() -> None:
        stage.patch(DEPLOYMENT, "api", {"spec": {"replicas": 1}}, manager="kubectl", part="scale")

    error = fails(stage, api, Trial(2, meanwhile={0: scale}))

    assert error.problem.code == "field-conflict"
    assert stage.get(DEPLOYMENT, "api")["spec"]["replicas"] == 1


def test_a_claim_that_was_made_for_a_version_that_failed_stays(stage: Stage) -> None:
    web = service("web", volumes=DATA)
    stage.up(service("api"))

    with pytest.raises(DeployError):
        stage.carry("api:deploy", service("api", BAD, volumes=DATA), web, attempt=Trial(2))

    assert stage.names(CLAIM) == ["data"]
    is_back(stage, DEPLOYMENT, service("api"))


def test_what_is_written_over_is_in_no_file_and_no_difference(stage: Stage) -> None:
    stage.up(service("api"))
    stage.up(service("api", replicas=2))

    assert '"run":"run-2"' in stage.get(DEPLOYMENT, "api")["metadata"]["annotations"][BEFORE]
    assert stage.changes(service("api", replicas=2)) == {}
    change = stage.runtime.diff(stage.plan(service("api", replicas=3)))
    assert [each.field for one in change.values() for each in one.fields] == ["replicas"]
    assert not any(BEFORE in text for text in stage.runtime.render(stage.plan(service("api"))).values())


# --- what somebody else has done meanwhile


def test_what_a_newer_run_takes_back_while_an_older_one_removes_it_stays(plane: Cluster, name: str) -> None:
    newer = Stage(KubernetesRuntime(plane.environ), plane, ProjectName(name))
    newer.generation = 5
    fleet = [service("old", "scripted/ready:1ms"), service("keep")]

    def meanwhile(method: str, path: str) -> None:
        if method == "DELETE" and "/deployments/old" in path and newer.generation == 5:
            newer.up(*fleet)

    older = Stage(KubernetesRuntime(plane.environ, trace=meanwhile), plane, ProjectName(name))
    older.up(service("old"), service("keep"))

    with pytest.raises(StaleError):
        older.up(service("keep"))

    assert older.names(DEPLOYMENT) == ["keep", "old"]
    assert newer.changes(*fleet) == {}
    for each in (older, newer):
        each.runtime.close()
    swept(plane, name)


def test_a_step_that_is_given_to_a_later_attempt_looks_anew(stage: Stage) -> None:
    api = service("api")
    stage.up(api)
    stage.carry("api:prepare", api, attempt=Trial(2))
    stage.removed(DEPLOYMENT, "api")

    outcome = stage.carry("api:deploy", api, attempt=Later(2))

    assert outcome.text == "started"
    assert stage.names(DEPLOYMENT) == ["api"]


def test_configuration_that_somebody_has_made_anew_with_other_values_is_told_and_mended(
    stage: Stage, plane: Cluster
) -> None:
    api = service("api", environment={"A": "1"})
    stage.up(api)
    (called,) = [each for each in stage.names(CONFIG_MAP) if each.startswith("api-")]
    found = stage.get(CONFIG_MAP, called)
    stage.removed(CONFIG_MAP, called)
    labels = found["metadata"]["labels"]
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": called, "labels": labels}}
    plane.client.create(CONFIG_MAP, stage.namespace, {**theirs, "data": {"A": "2"}, "immutable": True})

    assert [each.drift for each in stage.runtime.status(stage.plan(api))] == [True]
    assert stage.changes(api) == {"api:deploy": "update: ConfigMap changed"}
    stage.up(api)

    assert stage.get(CONFIG_MAP, called)["data"] == {"A": "1"}
    assert [each.drift for each in stage.runtime.status(stage.plan(api))] == [False]
