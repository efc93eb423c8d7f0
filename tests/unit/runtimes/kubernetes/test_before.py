# SPDX-License-Identifier: Apache-2.0
"""What a run goes back to, read off the objects that it finds. No cluster."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import Port, ProjectName, Scaling, Secret, StageName
from fleetflow_tasks.runtimes.kubernetes.before import BEFORE, LONGEST, Before, noted, past, proven, replaced, told
from fleetflow_tasks.runtimes.kubernetes.desired import Desired, stamped
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.observe import Key, key
from fleetflow_tasks.runtimes.labels import Mark

from .made import one, service, wanted

PORT = (Port(container=80),)
GOOD = {
    "observedGeneration": 1,
    "updatedReplicas": 1,
    "readyReplicas": 1,
    "conditions": [{"type": "Progressing", "reason": "NewReplicaSetAvailable", "status": "True"}],
}
BAD = {**GOOD, "readyReplicas": 0, "conditions": [{"type": "Progressing", "reason": "ReplicaSetUpdated"}]}


def run(number: int) -> str:
    return f"r{number}"


def live(manifest: Json, number: int, was: Before | None = None, **parts: Any) -> dict[str, Any]:
    """As the cluster holds what run *number* made of *manifest*, over *was*."""
    mark = Mark(project=ProjectName("shop"), stage=StageName("stg"), run=run(number), generation=number)
    sent = noted(stamped(manifest, mark), was) if was is not None else stamped(manifest, mark)
    return {**sent, "metadata": {**sent["metadata"], "generation": 1}, **parts}


def over(manifest: Json | None, number: int, **more: Any) -> Before:
    """What run *number* said of what it changed."""
    return Before(run=run(number), manifest=manifest, **more)


def held(*objects: dict[str, Any]) -> dict[Key, Json]:
    return {key(each): each for each in objects}


def shown(before: Before | None) -> str:
    """`image:1 of r1`, `nothing`, `-` where there is none."""
    if before is None:
        return "-"
    if before.manifest is None:
        return "nothing"
    spec = before.manifest.get("spec", {})
    labels = before.manifest.get("metadata", {}).get("labels", {})
    pod = spec.get("template", {}).get("spec", {}).get("containers", [{}])
    return f"{pod[0].get('image') or before.manifest.get('kind')} of {labels.get('fleetflow.io/run')}"


def found(objects: dict[Key, Json], number: int) -> list[str]:
    """The version to go back to, then what of each object is to be brought back."""
    said = past(objects, run(number))
    return [shown(said.workload), *(f"{kind}: {shown(each)}" for (kind, _), each in sorted(said.before.items()))]


def deployment(number: int, image: str = "", was: Before | None = None, **parts: Any) -> dict[str, Any]:
    return live(wanted(image=image or f"api:{number}", ports=PORT).workload, number, was, **parts)


def exposed(number: int, was: Before | None = None) -> dict[str, Any]:
    return live(one(wanted(ports=PORT), "Service"), number, was)


def test_where_nothing_is_there_is_nothing_to_go_back_to() -> None:
    assert found({}, 1) == ["-"]
    assert found(held(exposed(1, over(None, 1))), 1) == ["-"]
    assert found(held(deployment(1, was=over(None, 1))), 1) == ["-"]


def test_what_is_found_before_a_run_has_changed_it_is_the_version_before() -> None:
    assert found(held(deployment(1, status=GOOD), exposed(1)), 2) == ["api:1 of r1"]


def test_a_later_attempt_goes_back_to_what_its_run_has_changed() -> None:
    one_, two = deployment(1), exposed(1)
    changed = held(deployment(2, was=over(one_, 2), status=BAD), exposed(2, over(two, 2)))
    halfway = held(deployment(1, status=GOOD), exposed(2, over(two, 2)))
    added = held(deployment(2, was=over(one_, 2), status=BAD), exposed(2, over(None, 2)))

    assert found(changed, 2) == ["api:1 of r1", "Deployment: api:1 of r1", "Service: Service of r1"]
    assert found(halfway, 2) == ["api:1 of r1", "Service: Service of r1"]
    assert found(added, 2) == ["api:1 of r1", "Deployment: api:1 of r1", "Service: nothing"]


def test_a_version_that_was_never_good_hands_on_what_it_took_the_place_of() -> None:
    broken = held(deployment(2, was=over(deployment(1), 2), status=BAD), exposed(2, over(exposed(1), 2)))
    good = held(deployment(2, was=over(deployment(1), 2), status=GOOD), exposed(2, over(exposed(1), 2)))
    first = held(deployment(2, was=over(None, 2), status=BAD), exposed(2, over(None, 2)))

    assert found(broken, 3) == ["api:1 of r1", "Deployment: api:1 of r1", "Service: Service of r1"]
    assert found(good, 3) == ["api:2 of r2"]
    assert found(first, 3) == ["api:2 of r2"]


def test_what_belongs_to_the_version_before_stays_although_an_earlier_run_has_changed_it() -> None:
    objects = held(deployment(3, was=over(deployment(2), 3), status=BAD), exposed(2, over(exposed(1), 2)))

    assert found(objects, 3) == ["api:2 of r2", "Deployment: api:2 of r2"]


def test_a_workload_of_another_kind_beside_the_old_one_goes() -> None:
    stateful = {**wanted(image="api:2").workload, "kind": "StatefulSet"}
    objects = held(deployment(1, status=GOOD), live(stateful, 2, over(None, 2)))

    assert found(objects, 2) == ["api:1 of r1", "StatefulSet: nothing"]


def test_what_had_to_go_before_the_workload_was_changed_comes_back() -> None:
    scaler = live(one(wanted(scaling=Scaling(min=1, max=3)), "HorizontalPodAutoscaler"), 1)
    objects = held(deployment(2, was=over(deployment(1), 2, gone=(scaler,)), status=BAD))

    assert found(objects, 2)[-1] == "HorizontalPodAutoscaler: HorizontalPodAutoscaler of r1"


@pytest.mark.parametrize(
    "said", ["", "{", '{"run":"r1"}', '{"run":"r2","manifest":{"kind":"Deployment","metadata":{"name":"web"}}}']
)
def test_what_is_not_of_the_run_that_made_it_says_nothing(said: str) -> None:
    """Brought back by `kubectl rollout undo`, or written by anybody."""
    changed = deployment(2, status=BAD)
    changed["metadata"] = {**changed["metadata"], "annotations": {BEFORE: said}}

    assert told(changed, run(2)) is None
    assert found(held(changed), 2) == ["api:2 of r2"]


def test_what_was_never_applied_can_only_be_left() -> None:
    changed = deployment(2, was=over({}, 2), status=BAD)

    assert found(held(changed), 2) == ["None of None", "Deployment: None of None"]


def test_what_a_write_takes_the_place_of_is_what_we_owned_without_what_that_said_itself() -> None:
    manager = {"manager": "fleetflow", "operation": "Apply", "fieldsV1": {"f:spec": {}, "f:metadata": _fields()}}
    there = deployment(2, was=over(deployment(1), 2), status=GOOD)
    there["metadata"] |= {"managedFields": [manager]}
    noting = {
        **there,
        "metadata": {**there["metadata"], "annotations": {"note": "x", **there["metadata"]["annotations"]}},
    }

    alone, beside = replaced(there, run(3)), replaced(noting, run(3))

    assert (alone.run, alone.served, shown(alone)) == ("r3", True, "api:2 of r2")
    assert "annotations" not in (alone.manifest or {})["metadata"]
    assert (beside.manifest or {})["metadata"]["annotations"] == {"note": "x"}
    assert replaced(there, run(2)) == over(deployment(1), 2)
    assert shown(replaced({**there, "status": BAD}, run(3))) == "api:1 of r1"
    assert replaced(there, run(3)) == replaced(live_without_note(there), run(3))


def _fields() -> dict[str, Any]:
    return {"f:labels": {}, "f:annotations": {}}


def live_without_note(there: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in there["metadata"].items() if name != "annotations"}
    return {**there, "metadata": rest}


def test_what_never_changes_says_nothing_and_what_is_too_long_says_only_that_it_was_there() -> None:
    api: Desired = wanted(environment={"A": "1"}, secrets={"S": Secret("s")})
    job = wanted(job=True).workload
    long = over({"kind": "Deployment", "metadata": {"name": "api"}, "spec": "x" * LONGEST}, 2)

    for each in (one(api, "ConfigMap"), one(api, "Secret"), job):
        assert noted(each, over(None, 1)) is each
    assert noted(api.workload, long)["metadata"]["annotations"] == {BEFORE: '{"run":"r2","manifest":{}}'}
    assert noted(wanted(service("web")).workload, over(None, 1))["metadata"]["annotations"] == {BEFORE: '{"run":"r1"}'}


def test_a_version_is_proven_once_it_was_rolled_out_to_its_end_whatever_became_of_it_since() -> None:
    def is_proven(status: dict[str, Any], **spec: Any) -> bool:
        return proven({"kind": "Deployment", "metadata": {"generation": 1}, "spec": spec, "status": status})

    def of_stateful(current: str, update: str, seen: int = 1) -> bool:
        status = {"observedGeneration": seen, "currentRevision": current, "updateRevision": update}
        return proven({"kind": "StatefulSet", "metadata": {"generation": 1}, "status": status})

    assert is_proven(GOOD)
    assert is_proven({**GOOD, "readyReplicas": 0})
    assert not is_proven(BAD)
    assert not is_proven({**GOOD, "observedGeneration": 0})
    assert not is_proven({**GOOD, "updatedReplicas": 0})
    assert is_proven({**GOOD, "updatedReplicas": 0}, replicas=0)
    assert (of_stateful("a", "a"), of_stateful("a", "b"), of_stateful("a", "a", seen=0)) == (True, False, False)
