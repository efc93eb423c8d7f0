# SPDX-License-Identifier: Apache-2.0
"""What a restart does on each platform, as it is decided. No platform."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import Port, ProjectName, RuntimeName, ServiceName, StageName, Volume
from fleetflow_tasks.plan.model import Plan, QueueName, Step, StepId
from fleetflow_tasks.runtimes.base import DeployError
from fleetflow_tasks.runtimes.cloudrun.last import again
from fleetflow_tasks.runtimes.docker.decide import restarted
from fleetflow_tasks.runtimes.docker.observe import Container, Mount
from fleetflow_tasks.runtimes.kubernetes.decide import Renew, renewed, renewing, said, serving
from fleetflow_tasks.runtimes.kubernetes.desired import as_it_is
from fleetflow_tasks.runtimes.kubernetes.status import held
from fleetflow_tasks.runtimes.restarting import restarted as asked
from fleetflow_tasks.testing import Trial

from .cloudrun.test_last import found
from .kubernetes.made import wanted as on_kubernetes
from .test_decide import IMAGE, RENAMES, container, lines, wanted

# --- docker


def told(desired: Any, *containers: Container, **more: Any) -> str:
    return restarted(desired, IMAGE, containers, **{"run": "r2", **more}).describe()


def test_the_old_one_serves_until_the_new_one_is_ready() -> None:
    desired = wanted()

    assert told(desired, container(desired)) == lines(
        "replace: the old one served until the new one was ready",
        "  create shop-local-api.next, not in DNS yet",
        "  start shop-local-api.next",
        "  wait until shop-local-api.next is ready",
        "  give shop-local-api.next its place in DNS as `api`",
        "  stop shop-local-api within 10 s",
        *RENAMES,
        "  or else give shop-local-api its place in DNS as `api`",
        "  or else remove shop-local-api.next",
    )


@pytest.mark.parametrize(
    ("fields", "held", "why"),
    [
        ({"ports": (Port(host=80, container=80),)}, {"ports": ("80/tcp",)}, "published port"),
        (
            {"volumes": (Volume(source="data", target="/d"),)},
            {"mounts": (Mount(source="shop-local_data", target="/d", writable=True),)},
            "volume `shop-local_data`",
        ),
        (
            {},
            {"mounts": (Mount(source="6f", target="/d", writable=True, anonymous=True),)},
            "it keeps data in an anonymous volume",
        ),
        ({}, {"hash": "v1:other"}, "what runs is not what the text says, as far as that is known here"),
    ],
)
def test_what_cannot_run_twice_is_restarted_in_one_call(fields: dict[str, Any], held: dict[str, Any], why: str) -> None:
    desired = wanted(**fields)

    assert told(desired, container(desired, **held)) == lines(
        f"start: in place: {why}",
        "  restart shop-local-api within 10 s",
        "  wait until shop-local-api is ready",
    )


def test_one_that_takes_longer_to_stop_is_told_first_and_waited_for() -> None:
    desired = wanted()

    assert told(desired, container(desired, hash="v1:other", grace=60.0)) == lines(
        "start: in place: what runs is not what the text says, as far as that is known here",
        "  send SIGTERM to shop-local-api",
        "  wait until shop-local-api has ended, at most 60 s",
        "  restart shop-local-api within 0 s",
        "  wait until shop-local-api is ready",
    )


def test_what_does_not_run_and_what_a_job_ran_is_left_alone() -> None:
    desired, job = wanted(), wanted(job=True)

    assert told(desired) == "none: not running"
    assert told(desired, container(desired, state="exited", exit=0)) == "none: not running"
    assert told(job, container(job)) == "none: not running"


def test_what_an_earlier_attempt_has_stopped_is_started() -> None:
    desired = wanted()
    stopped = container(desired, hash="v1:other", state="exited", exit=0)

    assert told(desired, stopped, again=True) == lines(
        "start: in place: what runs is not what the text says, as far as that is known here",
        "  start shop-local-api",
        "  wait until shop-local-api is ready",
    )


def test_what_an_earlier_attempt_has_done_is_waited_for() -> None:
    desired = wanted()

    assert told(desired, container(desired, run="r2")) == lines("none", "  wait until shop-local-api is ready")


def test_what_an_earlier_attempt_has_begun_is_gone_on_with() -> None:
    desired = wanted()
    begun = container(desired, ".next", run="r2", apart=True)

    assert told(desired, container(desired), begun).splitlines()[:3] == [
        "replace: the old one served until the new one was ready",
        "  wait until shop-local-api.next is ready",
        "  give shop-local-api.next its place in DNS as `api`",
    ]


def test_what_another_run_left_beside_it_goes() -> None:
    desired = wanted(restart="always")
    held = {"hash": "v1:other", "restart": "always"}
    left = container(desired, ".next", state="exited", exit=1)
    prepared = container(desired, ".next", state="created")

    assert told(desired, container(desired, **held), left).splitlines()[1:] == [
        "  give shop-local-api its place in DNS as `api`",
        "  remove shop-local-api.next",
        "  set the restart policy of shop-local-api to always",
        "  restart shop-local-api within 10 s",
        "  wait until shop-local-api is ready",
    ]
    assert (
        told(desired, container(desired, hash="v1:other"), prepared).splitlines()[1] == "  remove shop-local-api.next"
    )


# --- kubernetes


def test_the_pods_are_renewed_by_one_annotation_that_nothing_else_says() -> None:
    workload = on_kubernetes().workload

    assert renewing(workload, "r2") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api"},
        "spec": {"template": {"metadata": {"annotations": {"fleetflow.io/restarted": "r2"}}}},
    }
    assert renewing(workload, "") == {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}}
    assert said(Renew(found=workload, word="r2")) == "renew the pods of Deployment api"
    assert renewed(renewing(workload, "r2")) == "r2"
    assert renewed(workload) == ""


def test_the_one_whose_pods_serve_is_restarted_and_waited_for_as_it_is() -> None:
    service = on_kubernetes(ports=(Port(container=80),))
    stopped = on_kubernetes(replicas=0).workload
    going = {**service.workload, "metadata": {**service.workload["metadata"], "deletionTimestamp": "2026-01-01"}}

    assert serving(service.objects) == service.workload
    assert serving([stopped, going, *service.around]) is None
    assert as_it_is(ServiceName("api"), service.workload).template == service.template
    assert as_it_is(ServiceName("api"), service.workload).objects == (service.workload,)


def test_what_hangs_on_a_claim_is_told_by_the_room_that_it_has_or_asked_for() -> None:
    bare = {"kind": "PersistentVolumeClaim", "metadata": {"name": "data"}}
    asked_for = {**bare, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    given = {**asked_for, "status": {"capacity": {"storage": "2Gi"}}}
    born = {**given, "metadata": {"name": "data", "creationTimestamp": "2026-11-24T00:00:00Z"}}

    assert [held(each).size for each in (bare, asked_for, given)] == [None, 1 << 30, 2 << 30]
    assert (held(bare).created, held(born).created) == (None, 1795478400.0)


# --- cloud run


def test_another_revision_is_made_of_what_is_there() -> None:
    body = again({**found(), "template": {"containers": [], "revision": "api-1"}}, "r2", "R2", 7)

    assert body["template"] == {"containers": [], "annotations": {"fleetflow.io/again": "r2"}}
    assert body["labels"]["fleetflow-generation"] == "7"
    assert body["annotations"] == {
        "fleetflow.io/hash": "h1",
        "fleetflow.io/template": "t1",
        "fleetflow.io/run": "R2",
        "fleetflow.io/last": "api-1 t1 R1",
    }
    assert "etag" not in body


def test_a_service_that_never_was_well_says_nothing_of_one_before() -> None:
    assert "fleetflow.io/last" not in again(found("api-2", well=False), "r2", "R2", 7)["annotations"]


# --- any other


def test_a_runtime_that_cannot_says_so() -> None:
    class Other:
        name = RuntimeName("other")

    step = Step(id=StepId("api:restart"), action="restart", runtime=Other.name, queue=QueueName("other"))
    plan = Plan(project=ProjectName("shop"), stage=StageName("stg"), root="/", services=(), steps=(step,))

    with pytest.raises(DeployError) as failure:
        asked(Other(), plan, step, Trial())  # type: ignore[arg-type]  # it is none

    assert failure.value.problem.message == "the runtime `other` offers no way to restart what runs"
