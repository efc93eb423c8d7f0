# SPDX-License-Identifier: Apache-2.0
"""Who owns which field, before something of ours is written again; and the words of what we leave alone. No cluster."""

from typing import Any

from fleetflow_tasks.runtimes.kubernetes.apply import as_entitled, entitled, handed_over
from fleetflow_tasks.runtimes.kubernetes.words import busy, claims, fixed, foreign, lost, owner, rigid, terminating

from .made import plan, service

REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}


def owned(*entries: tuple[str, str, dict[str, Any]], generation: str = "1", **fields: Any) -> dict[str, Any]:
    """An object with these (manager, operation, fields)."""
    labels = {"fleetflow.io/project": "shop", "fleetflow.io/stage": "stg"}
    labels |= {"fleetflow.io/generation": generation} if generation else {}
    managed = [
        {"manager": who, "operation": how, "apiVersion": "apps/v1", "fieldsV1": what} for who, how, what in entries
    ]
    metadata = {"name": "api", "namespace": "stg", "labels": labels, "managedFields": managed}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, **fields}


def who(found: list[Any] | None) -> list[tuple[str, str, Any]]:
    return [(each["manager"], each["operation"], each["fieldsV1"]) for each in found or ()]


def test_what_we_made_is_ours_by_apply_before_it_is_applied() -> None:
    made = owned(("fleetflow", "Update", {"f:a": {}, "f:b": {"f:c": {}}}), ("kubectl", "Update", {"f:d": {}}))

    assert who(entitled(made)) == [
        ("fleetflow", "Apply", {"f:a": {}, "f:b": {"f:c": {}}}),
        ("kubectl", "Update", {"f:d": {}}),
    ]
    assert entitled(as_entitled(made)) is None
    assert as_entitled(as_entitled(made)) == as_entitled(made)


def test_what_is_ours_in_both_ways_becomes_one() -> None:
    both = owned(("fleetflow", "Apply", {"f:b": {"f:x": {}}}), ("fleetflow", "Update", {"f:b": {"f:c": {}}}))

    assert who(entitled(both)) == [("fleetflow", "Apply", {"f:b": {"f:c": {}, "f:x": {}}})]


def test_of_what_an_earlier_tool_made_all_is_taken_over_but_what_the_cluster_itself_writes() -> None:
    theirs = owned(
        ("kubectl-client-side-apply", "Update", {"f:a": {}}),
        ("kube-controller-manager", "Update", {"f:b": {}}),
        generation="",
    )
    theirs["metadata"]["managedFields"].append({**theirs["metadata"]["managedFields"][0], "subresource": "scale"})

    assert who(entitled(theirs)) == [
        ("fleetflow", "Apply", {"f:a": {}}),
        ("kube-controller-manager", "Update", {"f:b": {}}),
        ("kubectl-client-side-apply", "Update", {"f:a": {}}),
    ]


def test_the_number_of_pods_is_held_under_another_name_before_we_let_go_of_it() -> None:
    scaled = owned(("fleetflow", "Apply", REPLICAS), spec={"replicas": 3})
    silent: dict[str, Any] = {"spec": {}}
    saying = {"spec": {"replicas": 2}}

    assert handed_over(silent, scaled) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api"},
        "spec": {"replicas": 3},
    }
    assert handed_over(saying, scaled) is None
    assert handed_over(silent, owned(("fleetflow", "Apply", REPLICAS), spec={"replicas": 1})) is None
    assert handed_over(silent, owned(("kube-controller-manager", "Update", REPLICAS), spec={"replicas": 3})) is None
    held = (("fleetflow", "Apply", REPLICAS), ("fleetflow-replicas", "Apply", REPLICAS))
    assert handed_over(silent, owned(*held, spec={"replicas": 3})) is None


def test_whose_it_is_is_said_as_far_as_it_says_itself() -> None:
    def told(labels: dict[str, str], annotations: dict[str, str] | None = None, *managers: str) -> str:
        entries = [{"manager": each} for each in managers]
        return owner({"metadata": {"labels": labels, "annotations": annotations or {}, "managedFields": entries}})

    ours = {"fleetflow.io/project": "shop", "fleetflow.io/stage": "prd"}
    assert told(ours) == "it belongs to stage `prd` of project `shop`"
    assert told({}, {"meta.helm.sh/release-name": "web"}) == "it belongs to Helm release `web`"
    assert told({"app.kubernetes.io/managed-by": "argocd"}) == "it is managed by `argocd`"
    assert told({}, None, "kubectl", "kubectl", "me") == "it was made with `kubectl`, `me`"
    assert told({}) == "it has no label of ours"


def test_what_is_refused_says_what_to_do() -> None:
    api, stage = service(), plan(service())

    strange = {**owned(), "metadata": {**owned()["metadata"], "labels": {}}}
    assert foreign(owned()).fix == (
        "give each stage a namespace of its own: two stages that share one must not hold services of one name"
    )
    assert foreign(strange).fix == (
        "choose another namespace, or remove it if nobody needs it: `kubectl --namespace=stg delete deployments api`"
    )
    assert (
        fixed(stage, api, ("Deployment.spec.selector",)).fix == "deploy with `--replace api`, or take the change back"
    )
    assert "begins without their data" in fixed(stage, api, ("StatefulSet becomes Deployment",)).cause[1]
    assert lost(stage, api, "stg", ("data: size", "data: accessModes")).fix == (
        "take the change back, or remove the claim with its data: `kubectl --namespace=stg delete pvc data`"
    )
    assert busy("Deployment api").message == "`Deployment api` changes all the time while it is being deployed"
    assert terminating("stg").message == "namespace `stg` is being removed, and is not gone yet"


def test_what_becomes_of_claims_is_said_where_there_are_any() -> None:
    one, other = ({"metadata": {"name": f"data-db-{number}"}} for number in (0, 1))

    assert claims([], go=True) == []
    assert claims([one], go=False) == ["kept claim data-db-0"]
    assert claims([one, other], go=True) == ["removed claims data-db-0, data-db-1"]


def test_a_claim_that_cannot_grow_names_its_class_and_what_would_let_it() -> None:
    found = rigid(service("db"), "data-db-0", "slow")

    assert found.message == "claim `data-db-0` of `db` cannot grow: its storage class `slow` does not let claims grow"
    assert found.fix.endswith("""`kubectl patch storageclass slow -p '{"allowVolumeExpansion": true}'`""")


def test_a_namespace_that_does_not_go_says_what_holds_it() -> None:
    conditions = [
        {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: pods. has 1"},
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "All resources discovered"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "finalizers remain: a/b in 1 instances"},
        {"type": "Silent", "status": "True"},
    ]

    found = terminating("stg", {"status": {"conditions": conditions}})

    assert found.message == (
        "namespace `stg` is being removed, and is not gone yet: finalizers remain: a/b in 1 instances"
    )
    assert found.cause[1] == "the cluster says: Some resources are remaining: pods. has 1"
    assert len(found.cause) == 2
