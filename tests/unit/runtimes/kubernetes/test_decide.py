# SPDX-License-Identifier: Apache-2.0
"""Decisions, as they print themselves. No cluster."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import Port, ProjectName, Scaling, Secret, ServiceName, StageName, Volume
from fleetflow_tasks.runtimes.kubernetes.decide import (
    decide,
    finished,
    name,
    newer,
    prepared,
    referred,
    removable,
    said,
    superfluous,
    unfit,
    without,
)
from fleetflow_tasks.runtimes.kubernetes.desired import Desired, stamped
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.observe import Key, Snapshot, key
from fleetflow_tasks.runtimes.labels import Mark

from .made import one, service, wanted

PORT = (Port(container=80),)
DATA = Volume(source="data", target="/d", size=1 << 30)


def held(found: Desired, *others: Json, run: str = "r1", generation: int = 1) -> dict[Key, Any]:
    """A cluster that holds just what *found* asks for, and *others*."""
    mark = Mark(project=ProjectName("shop"), stage=StageName("stg"), run=run, generation=generation)
    return {key(each): each for each in (*(stamped(each, mark) for each in found.objects), *others)}


def decided(found: Desired, live: dict[Key, Any], **how: Any) -> list[str]:
    return decide(found, live, **how).describe().splitlines()


def changed(live: dict[Key, Any], kind: str, called: str, **parts: Any) -> None:
    """Lay *parts* over an object: `spec={"replicas": 2}`."""
    found = live[kind, called]
    live[kind, called] = {**found, **{part: {**found.get(part, {}), **new} for part, new in parts.items()}}


def ended(live: dict[Key, Any], how: str) -> dict[Key, Any]:
    """Its job has ended so."""
    called = next(called for kind, called in live if kind == "Job")
    changed(live, "Job", called, status={"conditions": [{"type": how, "status": "True"}]})
    return live


# --- services


def test_what_is_not_there_is_made_what_pods_name_first_and_what_leads_to_them_last() -> None:
    found = wanted(ports=PORT, environment={"A": "1"}, secrets={"S": Secret("s")}, replicas=2)

    kinds = [line.split()[1] for line in decided(found, {})[1:]]

    assert decided(found, {})[0] == "create: not there"
    assert kinds == ["ConfigMap", "Secret", "Deployment", "Service", "PodDisruptionBudget"]


def test_what_nobody_may_look_at_is_taken_to_be_there() -> None:
    found = wanted(environment={"A": "1"}, secrets={"S": Secret("s")})
    live = {where: each for where, each in held(found).items() if where[0] != "Secret"}

    assert decided(found, live)[0] == "update: Secret is new"
    assert decided(without(found, {"Secret"}), live) == ["none"]
    assert without(found, set()) is found


def test_what_is_as_it_should_be_is_left_alone() -> None:
    found = wanted(ports=PORT, environment={"A": "1"}, replicas=2)

    assert decided(found, held(found)) == ["none"]


def test_another_image_replaces_the_pods_and_nothing_else_is_written() -> None:
    assert decided(wanted(image="api:2", ports=PORT), held(wanted(ports=PORT))) == [
        "replace: image changed: api:1 -> api:2",
        "  apply Deployment api",
    ]


def test_other_variables_are_another_config_map_and_the_old_one_stays() -> None:
    old, new = wanted(environment={"A": "1"}), wanted(environment={"A": "2"})

    assert decided(new, held(old)) == [
        "replace: configuration changed",
        f"  make ConfigMap {new.added[0]['metadata']['name']}",
        "  apply Deployment api",
    ]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_what_is_named_by_its_content_and_holds_another_is_made_anew(kind: str) -> None:
    found = wanted(environment={"A": "1"}, secrets={"S": Secret("s")})
    live = held(found)
    called = one(found, kind)["metadata"]["name"]
    assert decided(found, live) == ["none"]
    changed(live, kind, called, data={"A": "2"})
    gone = held(found)
    changed(gone, kind, called, data={"A": "2"}, metadata={"deletionTimestamp": "now"})

    anew = [f"update: {kind} changed", f"  delete {kind} {called}", f"  make {kind} {called}"]
    assert decided(found, live) == anew
    assert decided(found, {**live, (kind, called): kept(live[kind, called])}) == anew
    assert decided(found, gone)[1:] == [f"  apply {kind} {called}"]


def kept(found: Json) -> Json:
    """As a picture keeps it."""
    [kept_] = Snapshot([found]).all().values()
    return kept_


def test_what_leaves_the_pods_as_they_are_is_an_update() -> None:
    assert decided(wanted(replicas=3), held(wanted(replicas=2))) == [
        "update: replicas changed",
        "  apply Deployment api",
    ]
    assert decided(wanted(replicas=2), held(wanted())) == [
        "update: PodDisruptionBudget is new",
        "  apply Deployment api",
        "  make PodDisruptionBudget api",
    ]
    assert decided(wanted(), held(wanted(replicas=2))) == [
        "update: PodDisruptionBudget is not wanted any more",
        "  apply Deployment api",
        "  once ready delete PodDisruptionBudget api",
    ]


def test_another_hash_of_the_same_content_says_no_more_than_that() -> None:
    found = wanted()
    live = held(found)
    labels = {**live["Deployment", "api"]["metadata"]["labels"], "fleetflow.io/hash": "v0-1"}
    changed(live, "Deployment", "api", metadata={"labels": labels})

    assert decided(found, live) == ["update: configuration changed", "  apply Deployment api"]


def test_what_somebody_has_edited_is_brought_back_and_named() -> None:
    found = wanted(ports=PORT)
    live = held(found)
    changed(live, "Deployment", "api", spec={"replicas": 5})

    assert decided(found, live) == ["update: changed by somebody else: `replicas`", "  apply Deployment api"]
    assert unfit(found.workload, live["Deployment", "api"]) == "changed by somebody else: `replicas`"


def test_a_service_of_its_own_that_was_edited_is_named() -> None:
    found = wanted(ports=PORT)
    live = held(found)
    changed(live, "Service", "api", spec={"ports": []})

    assert decided(found, live) == ["update: Service changed", "  apply Service api"]


def test_what_another_tool_made_under_our_labels_is_adopted() -> None:
    found = wanted()
    live = held(found)
    labels = {
        each: live["Deployment", "api"]["metadata"]["labels"][f"fleetflow.io/{each}"] for each in ("project", "stage")
    }
    bare = {f"fleetflow.io/{each}": value for each, value in labels.items()} | {"fleetflow.io/service": "api"}
    changed(live, "Deployment", "api", metadata={"labels": bare})

    assert decided(found, live) == ["update: made by another tool, now adopted", "  apply Deployment api"]


def test_what_is_on_its_way_out_is_made_again() -> None:
    found = wanted()
    live = held(found)
    changed(live, "Deployment", "api", metadata={"deletionTimestamp": "2026-11-24T00:00:00Z"})

    assert decided(found, live) == ["create: it is being deleted", "  apply Deployment api"]


def test_an_autoscaler_comes_after_the_workload_and_goes_before_it() -> None:
    fixed, scaled = wanted(replicas=3), wanted(scaling=Scaling(min=1, max=9))

    assert decided(scaled, held(fixed)) == [
        "update: HorizontalPodAutoscaler is new",
        "  apply Deployment api",
        "  make HorizontalPodAutoscaler api",
    ]
    assert decided(fixed, held(scaled)) == [
        "update: HorizontalPodAutoscaler is not wanted any more",
        "  delete HorizontalPodAutoscaler api",
        "  apply Deployment api",
    ]


# --- what cannot be changed


def claim(called: str, size: str = "1Gi", service: str = "api", **spec: Any) -> Json:
    """One that a StatefulSet has made."""
    labels = {f"fleetflow.io/{name}": value for name, value in [("project", "shop"), ("stage", "stg")]}
    labels |= {"fleetflow.io/service": service} if service else {}
    requests = {"resources": {"requests": {"storage": size}}}
    metadata = {"name": called, "labels": labels}
    return {"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {**requests, **spec}}


def test_a_claim_that_is_there_keeps_its_size_and_class_whatever_its_workload_says() -> None:
    small, other = Volume(source="data", target="/d", size=1 << 24), Volume(source="log", target="/l", size=1 << 30)
    old = held(
        wanted(volumes=(DATA, other), replicas=2),
        claim("data-api-0", storageClassName="standard"),
        claim("data-api-1", storageClassName="standard"),
        claim("log-api-0"),
    )
    shrunk, fast = wanted(volumes=(small, other)), wanted(volumes=(DATA, other), options={"storage_class": "fast"})
    field = "`StatefulSet.spec.volumeClaimTemplates[data]`"

    assert decide(shrunk, old, replace=True).change.cause == (
        f"{field} cannot be changed in place; claims of `data` keep 1Gi, standard; the change counts for new copies"
    )
    assert decide(shrunk, old).change.cause == (
        f"{field} cannot be changed in place: it takes `--replace api`; "
        "claims of `data` keep 1Gi, standard; the change counts for new copies"
    )
    assert decide(fast, old, replace=True).change.cause.endswith(
        "claims of `data` keep 1Gi, standard; the change counts for new copies; "
        "claims of `log` keep 1Gi; the change counts for new copies"
    )
    assert "keep" not in decide(shrunk, held(wanted(volumes=(DATA, other)))).change.cause  # none is there


def test_a_volume_that_is_renamed_begins_empty_and_the_claim_of_before_stays() -> None:
    def volumes(*names: str, **how: Any) -> Desired:
        return wanted(volumes=tuple(Volume(source=each, target=f"/{each}") for each in names), **how)

    def cause(new: Desired, old: Desired, *claims: Json) -> str:
        return decide(new, held(old, *claims), replace=True).change.cause.partition("; ")[2]

    assert cause(volumes("e"), volumes("d"), claim("d-api-0")) == "`e` begins empty; claim `d-api-0` stays, unused"
    assert cause(volumes("e", "f"), volumes("d"), claim("d-api-0"), claim("d-api-1")) == (
        "`e`, `f` begin empty; claims `d-api-0`, `d-api-1` stay, unused"
    )
    assert cause(wanted(), volumes("d"), claim("d-api-0")) == "claim `d-api-0` stays, unused"
    assert cause(volumes("e"), volumes("d"), claim("d-api-0"), claim("e-api-0")) == "claim `d-api-0` stays, unused"
    assert cause(volumes("e"), volumes("d")) == ""
    many: dict[str, Any] = {"options": {"access_mode": "ReadWriteMany"}}
    assert cause(volumes("e", **many), volumes("d", **many)) == "`e` begins empty; claim `d` stays, unused"


def test_a_claim_of_a_stateful_set_that_grows_keeps_its_pod() -> None:
    grown = wanted(volumes=(Volume(source="data", target="/d", size=2 << 30),))
    other = {"kind": "PersistentVolumeClaim", "metadata": {"name": "data-web-0"}}

    assert decided(grown, held(wanted(volumes=(DATA,)), claim("data-api-0"), other)) == [
        "update: volume `data` grows: 1Gi -> 2Gi",
        "  grow claim data-api-0 to 2Gi",
        "  delete StatefulSet api, not its pods",
        "  make StatefulSet api",
    ]


def test_what_is_fixed_takes_leave_to_make_it_anew() -> None:
    old, new = wanted(volumes=(DATA,)), wanted(volumes=(DATA, Volume(source="log", target="/l")))

    refused = decide(new, held(old))
    allowed = decide(new, held(old), replace=True)

    assert refused.describe().splitlines() == [
        "replace: `StatefulSet.spec.volumeClaimTemplates[log]` cannot be changed in place: it takes `--replace api`",
        "  cannot be changed: StatefulSet.spec.volumeClaimTemplates[log]",
    ]
    assert [said(each) for each in allowed.forward] == ["delete StatefulSet api", "make StatefulSet api"]
    assert allowed.change.downtime == refused.change.downtime == "until it is ready again: it is made anew"


def test_a_claim_template_that_shrinks_or_changes_its_class_is_fixed() -> None:
    large = wanted(volumes=(Volume(source="data", target="/d", size=2 << 30),))
    live = held(large)
    fixed = "StatefulSet.spec.volumeClaimTemplates[data]"

    assert decide(wanted(volumes=(DATA,)), live).fixed == (fixed,)
    assert decide(wanted(volumes=(DATA,), options={"storage_class": "fast"}), held(wanted(volumes=(DATA,)))).fixed == (
        fixed,
    )


def test_a_claim_that_others_share_may_grow_and_never_shrink() -> None:
    def shared(size: int) -> Desired:
        volume = Volume(source="data", target="/d", size=size)
        return wanted(service("web", volumes=(volume,)), volumes=(volume,))

    small, large = shared(1 << 30), shared(2 << 30)

    assert decided(large, held(small))[1] == "  apply PersistentVolumeClaim data"
    assert decided(small, held(large), replace=True) == [
        "replace: `data: size` cannot be changed without losing data",
        "  cannot be changed: data: size",
    ]
    live = held(small)
    changed(live, "PersistentVolumeClaim", "data", spec={"accessModes": ["ReadWriteMany"]})
    assert decide(small, live).lost == ("data: accessModes",)
    changed(live, "PersistentVolumeClaim", "data", metadata={"deletionTimestamp": "2026-11-24T00:00:00Z"})
    assert decide(small, live).lost == ()


def test_a_workload_of_another_kind_follows_unless_data_would_be_left_behind() -> None:
    without, own = wanted(), wanted(volumes=(DATA,))
    shared = wanted(service("web", volumes=(DATA,)), volumes=(DATA,))

    assert decided(own, held(without)) == [
        "replace: a Deployment becomes a StatefulSet",
        "  make Service api-pods",
        "  make StatefulSet api",
        "  once ready delete Deployment api",
    ]
    assert decide(shared, held(own)).fixed == ("StatefulSet becomes Deployment",)
    assert decide(without, held(own)).fixed == ()


def test_a_selector_of_somebody_else_and_a_service_without_an_address_are_fixed() -> None:
    found, live = wanted(ports=PORT), held(wanted(ports=PORT))
    changed(live, "Deployment", "api", spec={"selector": {"matchLabels": {"app": "api"}}})
    changed(live, "Service", "api", spec={"clusterIP": "None"})

    assert decide(found, live).fixed == ("Deployment.spec.selector", "Service.spec.clusterIP")
    for each in live.values():
        each["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    assert decide(found, live).fixed == ()


def test_what_a_change_costs_is_said() -> None:
    def downtime(old: Desired, new: Desired) -> str:
        return decide(new, held(old)).change.downtime

    alone = "until the old pod has stopped, at most 30 s, and the new one is ready"
    assert downtime(wanted(), wanted(image="api:2")) == "none"
    assert downtime(wanted(volumes=(DATA,)), wanted(volumes=(DATA,), image="api:2")) == alone
    patient: dict[str, Any] = {"volumes": (DATA,), "options": {"stop_grace": 90}}
    assert downtime(wanted(**patient), wanted(**patient, image="api:2")) == alone.replace("30", "90")
    several: dict[str, Any] = {"volumes": (DATA,), "replicas": 2}
    assert downtime(wanted(**several), wanted(**several, image="api:2")) == "none"
    recreated: dict[str, Any] = {"options": {"strategy": "recreate"}}
    assert downtime(wanted(**recreated), wanted(**recreated, image="api:2")) == alone


# --- jobs


def test_a_job_runs_once_for_a_content() -> None:
    job, other = wanted(job=True), wanted(job=True, image="api:2")
    first = job.workload["metadata"]["name"]

    assert decided(job, {}) == ["run: not there", f"  make Job {first}"]
    assert decided(job, ended(held(job), "Complete")) == ["none"]
    assert decided(job, held(job)) == ["run: still running"]
    assert decided(other, ended(held(job), "Complete")) == [
        "run: its content changed",
        f"  make Job {other.workload['metadata']['name']}",
    ]


def test_a_job_of_another_content_that_still_runs_ends_first() -> None:
    job, other = wanted(job=True), wanted(job=True, image="api:2")

    assert decided(other, held(job)) == [
        "run: its content changed",
        f"  delete Job {job.workload['metadata']['name']}",
        f"  make Job {other.workload['metadata']['name']}",
    ]


def test_a_job_that_failed_is_run_again_by_another_run() -> None:
    job = wanted(job=True, environment={"A": "1"})
    called, live = job.workload["metadata"]["name"], ended(held(job), "Failed")

    assert decided(job, live, run="r1") == ["run: it failed in this run"]
    assert decided(job, live, run="r2") == [
        "run: it failed the last time",
        f"  delete Job {called}",
        f"  make Job {called}",
    ]


def test_a_job_on_its_way_out_is_made_again_when_it_is_gone() -> None:
    job = wanted(job=True)
    called, live = job.workload["metadata"]["name"], ended(held(job), "Complete")
    changed(live, "Job", called, metadata={"deletionTimestamp": "2026-11-24T00:00:00Z"})

    assert decided(job, live)[-1] == f"  apply Job {called}"


def test_a_job_that_runs_in_every_deployment_says_so() -> None:
    first, second = (wanted(job=True, rerun="always", run=run) for run in ("r1", "r2"))

    assert decided(second, ended(held(first), "Complete"))[0] == 'run: rerun "always"'


# --- beside a deployment


def test_what_is_prepared_touches_nothing_that_serves() -> None:
    old, new = wanted(environment={"A": "1"}), wanted(environment={"A": "2"}, image="api:2")
    made = new.added[0]["metadata"]["name"]

    assert [said(each) for each in prepared(new, held(old), run="r2")] == [f"make ConfigMap {made}"]
    assert prepared(old, held(old), run="r2") == ()


def test_what_an_earlier_run_prepared_and_did_not_use_is_claimed_by_the_next() -> None:
    found = wanted(environment={"A": "1"})
    live = {where: each for where, each in held(found).items() if where[0] == "ConfigMap"}
    called = found.added[0]["metadata"]["name"]

    assert [said(each) for each in prepared(found, live, run="r2")] == [f"claim ConfigMap {called}"]
    assert prepared(found, live, run="r1") == ()


def test_services_that_the_plan_does_not_hold_go_and_their_claims_stay() -> None:
    shared = {"kind": "PersistentVolumeClaim", "metadata": {"name": "shared", "labels": {}}}
    live = held(wanted(ports=PORT, environment={"A": "1"}), shared)
    claim = {**shared, "metadata": {"name": "data-api-0", "labels": live["Service", "api"]["metadata"]["labels"]}}

    gone = superfluous({ServiceName("web")}, [*live.values(), claim])

    assert [name(each).split()[0] for each in gone] == ["Deployment", "Service", "ConfigMap"]
    assert superfluous({ServiceName("api")}, live.values()) == []
    assert removable([claim]) == []


def test_what_a_newer_run_made_is_found() -> None:
    live = held(wanted(), generation=7)

    assert newer(live.values(), 7) is None
    assert newer(live.values(), 6) == live["Deployment", "api"]


def test_what_a_pod_is_made_from_is_found_wherever_it_is_named() -> None:
    source = {"configMapKeyRef": {"name": "a"}}
    template = {
        "spec": {
            "initContainers": [{"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "b"}}}]}],
            "containers": [{"env": [{"name": "X", "valueFrom": source}, {"name": "Y", "value": "1"}]}, {}],
            "volumes": [{"configMap": {"name": "c"}}, {"secret": {"secretName": "d"}}, {"emptyDir": {}}],
            "imagePullSecrets": [{"name": "e"}],
        }
    }

    assert sorted(referred(template)) == [
        ("ConfigMap", "a"),
        ("ConfigMap", "c"),
        ("Secret", "b"),
        ("Secret", "d"),
        ("Secret", "e"),
    ]
    assert referred({}) == set()


def test_how_a_job_ended_is_read() -> None:
    assert [
        finished(ended(held(wanted(job=True)), how)[next(iter(held(wanted(job=True))))])
        for how in ("Complete", "Failed")
    ] == [
        "Complete",
        "Failed",
    ]
    assert finished({}) == ""
