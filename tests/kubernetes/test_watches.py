# SPDX-License-Identifier: Apache-2.0
"""What a cluster says of itself: heard once for all, also over a line that is cut, and from a server that forgets."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.runtimes.base import Stopped
from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.runtimes.kubernetes.access import connect
from fleetflow_tasks.runtimes.kubernetes.client import Client, Json, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.events import of_sets
from fleetflow_tasks.runtimes.kubernetes.listening import Stream
from fleetflow_tasks.runtimes.kubernetes.store import Changes, Store, key
from fleetflow_tasks.runtimes.kubernetes.watches import Seen, Watches
from fleetflow_tasks.testing import eventually

from .conftest import Cluster
from .front import Front

MAP = kinds.CONFIG_MAP
WITHIN = 30.0  # seconds; a busy machine


def labels(service: str) -> dict[str, str]:
    return {"fleetflow.io/project": "shop", "fleetflow.io/stage": "stg", "fleetflow.io/service": service}


def config_map(name: str, service: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels(service)},
        "data": data,
    }


def names(objects: tuple[Json, ...]) -> list[str]:
    return sorted(each["metadata"]["name"] for each in objects)


def asked(requests: list[tuple[str, str]]) -> list[str]:
    """`list` and `watch`, as they were sent."""
    return ["watch" if "watch=true" in path else "list" for _, path in requests]


@pytest.fixture
def threads() -> Callable[[], list[str]]:
    """Which watches have begun since; those of other tests may end a while later."""
    others = set(threading.enumerate())
    return lambda: [
        each.name for each in threading.enumerate() if each.name.startswith("watch ") and each not in others
    ]


@pytest.fixture
def watches(client: Client) -> Iterator[Watches]:
    made = Watches(client)
    yield made
    made.close()


@pytest.fixture
def seen(watches: Watches, plane_namespace: str) -> Iterator[Seen]:
    """Of service `api`."""
    with watches.watched(plane_namespace).use([MAP], labels("api")) as found:
        yield found


class Hand:
    """What somebody else does in the cluster meanwhile."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._client = cluster.client
        self.namespace = namespace

    def makes(self, name: str, service: str = "api", **data: str) -> Json:
        return self._client.apply(MAP, self.namespace, config_map(name, service, **data), manager="somebody")

    def removes(self, name: str) -> None:
        found = self._client.get(MAP, self.namespace, name)
        assert found is not None
        self._client.delete(MAP, self.namespace, name, uid=found["metadata"]["uid"], propagation="Background")


@pytest.fixture
def somebody(plane: Cluster, plane_namespace: str) -> Hand:
    return Hand(plane, plane_namespace)


# ---- what is seen


def test_what_is_there_is_seen_at_once_and_only_the_services_own(
    watches: Watches, somebody: Hand, plane: Cluster
) -> None:
    somebody.makes("mine", "api")
    somebody.makes("another", "web")
    plane.client.create(
        MAP, somebody.namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nobodys"}}
    )

    with watches.watched(somebody.namespace).use([MAP], labels("api")) as seen:
        (found,) = seen.objects(MAP)

    assert (found["kind"], found["apiVersion"], found["metadata"]["name"]) == ("ConfigMap", "v1", "mine")
    assert "managedFields" not in found["metadata"]


def test_what_comes_and_changes_and_goes_is_seen(seen: Seen, somebody: Hand) -> None:
    somebody.makes("a", one="1")
    eventually(lambda: names(seen.objects(MAP)) == ["a"], WITHIN)

    somebody.makes("a", one="2")
    eventually(lambda: [each["data"] for each in seen.objects(MAP)] == [{"one": "2"}], WITHIN)

    somebody.removes("a")
    eventually(lambda: seen.objects(MAP) == (), WITHIN)


def test_a_change_wakes_those_who_wait_for_its_service_and_nobody_else(
    watches: Watches, seen: Seen, somebody: Hand
) -> None:
    with watches.watched(somebody.namespace).use([MAP], labels("web")) as other:
        mine, others = seen.wait(-1, WITHIN), other.wait(-1, WITHIN)

        somebody.makes("a", "api")

        assert seen.wait(mine, WITHIN) == mine + 1
        assert other.wait(others, 0.05) == others


def test_a_warning_wakes_the_service_that_it_is_about(watches: Watches, plane: Cluster, somebody: Hand) -> None:
    made = somebody.makes("a", "api")
    with watches.watched(somebody.namespace).use([MAP, kinds.EVENT], labels("api")) as seen:
        before = seen.wait(-1, WITHIN)

        for type_, reason in (("Normal", "Pulled"), ("Warning", "FailedCreate")):
            plane.client.create(kinds.EVENT, somebody.namespace, _event(made, type_, reason))

        assert seen.wait(before, WITHIN) == before + 1
        assert [each["reason"] for each in seen.events(made["metadata"]["uid"])] == ["FailedCreate"]
        assert seen.events("nobody") == ()


def test_what_judgement_needs_is_heard_though_it_is_no_warning_and_the_many_that_say_that_all_is_well_are_not(
    watches: Watches, plane: Cluster, somebody: Hand
) -> None:
    made = somebody.makes("a", "api")
    needed = ["ExternalProvisioning", "FailedBinding", "Pulling", "TriggeredScaleUp", "WaitForFirstConsumer"]
    routine = ["Created", "Killing", "Pulled", "ScalingReplicaSet", "Scheduled", "Started", "SuccessfulCreate"]
    with watches.watched(somebody.namespace).use([MAP, kinds.EVENT], labels("api")) as seen:
        for reason in (*routine, *needed):
            plane.client.create(kinds.EVENT, somebody.namespace, _event(made, "Normal", reason))

        eventually(lambda: _reasons(seen, made) == needed, WITHIN)

    with watches.watched(somebody.namespace).use([MAP, kinds.EVENT], labels("api")) as again:
        assert _reasons(again, made) == needed


def test_what_is_said_of_the_replica_sets_of_a_deployment_wakes_its_service(
    watches: Watches, plane: Cluster, somebody: Hand
) -> None:
    made = plane.client.create(kinds.DEPLOYMENT, somebody.namespace, _deployment("api"))
    plane.client.create(kinds.DEPLOYMENT, somebody.namespace, _deployment("api-v2"))
    with watches.watched(somebody.namespace).use([kinds.DEPLOYMENT, kinds.EVENT], labels("api")) as seen:
        before = seen.wait(-1, WITHIN)

        for name in ("api-v2-5f7", "api-6c9f8"):
            metadata = {"name": name, "namespace": somebody.namespace, "uid": f"uid-{name}"}
            refused = _event({"kind": "ReplicaSet", "metadata": metadata}, "Warning", "FailedCreate")
            plane.client.create(kinds.EVENT, somebody.namespace, refused)

        def heard() -> list[str]:
            return [each["involvedObject"]["name"] for each in seen.events(of_sets(made["metadata"]["name"]))]

        eventually(lambda: heard() == ["api-6c9f8"], WITHIN)
        assert seen.wait(before, WITHIN) > before


def test_our_own_write_is_seen_before_the_watch_says_so(seen: Seen, client: Client, plane_namespace: str) -> None:
    made = client.apply(MAP, plane_namespace, config_map("a", "api", one="1"))
    old = client.apply(MAP, plane_namespace, config_map("a", "api", one="2"))

    seen.told(MAP, old)
    seen.told(MAP, made)  # an older answer, that comes late

    assert [each["data"] for each in seen.objects(MAP)] == [{"one": "2"}]


# ---- what it costs


def test_a_hundred_who_wait_cost_one_list_and_one_watch(
    watches: Watches, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    waiting = threading.Barrier(100)

    def wait(service: str) -> None:
        with watches.watched(plane_namespace).use([MAP], labels(service)) as seen:
            waiting.wait(WITHIN)
            seen.wait(seen.wait(-1, WITHIN), 0.2)

    threads = [threading.Thread(target=wait, args=(f"s{number}",)) for number in range(100)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert asked(requests) == ["list", "watch"]


def test_what_nobody_uses_any_more_ends_after_a_while(
    client: Client, plane_namespace: str, requests: list[tuple[str, str]], threads: Callable[[], list[str]]
) -> None:
    watches = Watches(client, idle=0.2)
    with watches.watched(plane_namespace).use([MAP], labels("api")):
        pass

    eventually(lambda: not threads(), WITHIN)
    with watches.watched(plane_namespace).use([MAP], labels("api")):
        assert threads() == ["watch configmaps"]

    watches.close()
    assert asked(requests)[:1] == ["list"]
    assert asked(requests).count("list") == 2


def test_what_is_used_again_soon_goes_on(
    watches: Watches, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    for _ in range(5):
        with watches.watched(plane_namespace).use([MAP], labels("api")):
            pass

    assert asked(requests).count("list") == 1


def test_closing_ends_every_watch(watches: Watches, plane_namespace: str, threads: Callable[[], list[str]]) -> None:
    with watches.watched(plane_namespace).use([MAP, kinds.POD], labels("api")):
        watches.close()

    assert threads() == []


# ---- trouble


def test_a_watch_that_is_cut_goes_on_where_it_was(
    seen: Seen, line: Front, somebody: Hand, requests: list[tuple[str, str]]
) -> None:
    eventually(lambda: asked(requests) == ["list", "watch"], WITHIN)
    line.cut_off()
    somebody.makes("a")

    eventually(lambda: names(seen.objects(MAP)) == ["a"], WITHIN)

    assert asked(requests).count("list") == 1
    assert seen.trouble == ""


def test_while_the_server_is_away_it_is_said_so_and_afterwards_all_is_seen(
    seen: Seen, line: Front, somebody: Hand, requests: list[tuple[str, str]]
) -> None:
    somebody.makes("old")
    eventually(lambda: names(seen.objects(MAP)) == ["old"], WITHIN)
    line.down()
    eventually(lambda: seen.trouble == "the API server does not answer: Connection refused", WITHIN)
    before = seen.wait(-1, WITHIN)
    somebody.makes("new")
    somebody.removes("old")

    line.up()

    assert seen.wait(before, WITHIN) > before
    eventually(lambda: names(seen.objects(MAP)) == ["new"], WITHIN)
    eventually(lambda: seen.trouble == "", WITHIN)
    assert asked(requests).count("list") == 1


def test_a_version_that_the_server_has_forgotten_is_listed_anew(
    seen: Seen, line: Front, somebody: Hand, requests: list[tuple[str, str]]
) -> None:
    somebody.makes("old")
    eventually(lambda: names(seen.objects(MAP)) == ["old"], WITHIN)
    line.answers("watch=true", 410, "too old resource version", reason="Expired")
    line.cut_off()
    somebody.makes("new")
    somebody.removes("old")

    eventually(lambda: names(seen.objects(MAP)) == ["new"], WITHIN)

    assert asked(requests).count("list") == 2
    assert seen.trouble == ""


def test_a_server_that_forgets_in_the_middle_of_a_watch_is_listed_anew(
    seen: Seen, line: Front, somebody: Hand, requests: list[tuple[str, str]]
) -> None:
    eventually(lambda: asked(requests) == ["list", "watch"], WITHIN)
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    line.says("watch=true", 200, json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
    line.cut_off()
    somebody.makes("new")

    eventually(lambda: names(seen.objects(MAP)) == ["new"], WITHIN)

    assert asked(requests).count("list") == 2


def test_a_server_that_was_set_back_to_an_earlier_time_is_listed_anew(
    seen: Seen, line: Front, somebody: Hand, requests: list[tuple[str, str]]
) -> None:
    line.answers("watch=true", 504, "Too large resource version: 900, current: 7", reason="Timeout", times=3)
    eventually(lambda: "watch" in asked(requests), WITHIN)
    line.cut_off()
    somebody.makes("new")

    eventually(lambda: names(seen.objects(MAP)) == ["new"], WITHIN)
    eventually(lambda: seen.trouble == "", WITHIN)


def test_a_role_that_may_not_watch_is_told_before_anybody_waits(
    watches: Watches, line: Front, plane_namespace: str
) -> None:
    words = 'pods is forbidden: User "w" cannot watch resource "pods" in API group "" in the namespace "n"'
    line.answers("watch=true", 403, words, reason="Forbidden", times=1000)

    with (
        pytest.raises(KubernetesError, match="cannot watch resource"),
        watches.watched(plane_namespace).use([kinds.POD], labels("api")),
    ):
        pass


def test_a_refusal_of_a_server_that_has_just_been_started_passes(seen: Seen, line: Front, somebody: Hand) -> None:
    line.answers("watch=true", 403, "RBAC: not yet", reason="Forbidden", times=3)
    line.cut_off()
    somebody.makes("new")

    eventually(lambda: names(seen.objects(MAP)) == ["new"], WITHIN)
    assert seen.wait(-1, WITHIN) > 0


def test_a_right_that_is_taken_away_is_told_to_who_waits(seen: Seen, line: Front) -> None:
    line.answers("watch=true", 403, "cannot watch", reason="Forbidden", times=1000)
    line.cut_off()

    def told() -> str:
        try:
            seen.wait(-1, WITHIN)
        except KubernetesError as error:
            return error.answer
        return ""

    eventually(lambda: told() == "cannot watch", WITHIN)


def test_a_kind_that_cannot_be_listed_is_told_at_once(watches: Watches, line: Front, plane_namespace: str) -> None:
    line.answers("GET .*pods", 403, "cannot list", reason="Forbidden")

    with (
        pytest.raises(KubernetesError, match="cannot list"),
        watches.watched(plane_namespace).use([kinds.POD], labels("api")),
    ):
        pass
    with watches.watched(plane_namespace).use([kinds.POD], labels("api")) as seen:  # and it is tried again
        assert seen.objects(kinds.POD) == ()


def test_while_no_pass_can_be_had_it_is_said_so(line: Front, somebody: Hand, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("good", encoding="utf-8")
    file = line.kubeconfig(tmp_path / "k", {"tokenFile": "token"})
    client = connect({"KUBECONFIG": str(file)})
    watches = Watches(client)
    with watches.watched(somebody.namespace).use([MAP], labels("api")) as seen:
        (tmp_path / "token").write_text("", encoding="utf-8")
        refusals = line.answers("watch=true", 401, "Unauthorized", times=10_000)
        line.cut_off()
        eventually(lambda: "token file" in seen.trouble, WITHIN)

        (tmp_path / "token").write_text("better", encoding="utf-8")
        refusals.left = 0
        somebody.makes("new")
        eventually(lambda: names(seen.objects(MAP)) == ["new"], WITHIN)

    watches.close()
    client.close()


# ---- what is kept


def held(name: str, service: str, version: int, uid: str = "") -> dict[str, Any]:
    metadata = {"name": name, "uid": uid or name, "resourceVersion": str(version), "labels": labels(service)}
    return {"metadata": metadata}


@pytest.fixture
def store() -> Store:
    lock = threading.RLock()
    return Store(MAP, Changes(lock), lock)


def test_one_made_after_another_of_its_name_stays_when_that_one_goes(store: Store) -> None:
    store.put(held("a", "api", 5, uid="second"))

    store.remove(held("a", "api", 4, uid="first"))
    store.remove(held("nobody", "api", 4))

    assert names(store.of(key(labels("api")))) == ["a"]


def test_one_that_is_given_to_another_service_is_no_longer_found_with_the_first(store: Store) -> None:
    store.put(held("a", "api", 1))
    store.put(held("a", "web", 2))

    assert store.of(key(labels("api"))) == ()
    assert names(store.of(key(labels("web")))) == ["a"]


def test_a_list_takes_away_what_it_lacks_but_not_what_was_written_after_it(store: Store) -> None:
    store.put(held("old", "api", 1))
    store.put(held("new", "api", 9))

    store.replace((held("kept", "api", 2),), "5")

    assert names(store.of(key(labels("api")))) == ["kept", "new"]


def _reasons(seen: Seen, about: Json) -> list[str]:
    return sorted(each["reason"] for each in seen.events(about["metadata"]["uid"]))


def _deployment(name: str) -> dict[str, Any]:
    """Of no pods."""
    pod = {"containers": [{"name": "a", "image": "scripted/ready:0ms"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels("api")},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def _event(about: Json, type_: str, reason: str) -> dict[str, Any]:
    metadata = about["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{reason.lower()}"},
        "involvedObject": {
            "kind": about["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "type": type_,
        "reason": reason,
        "message": "words",
    }


# ---- what must not be taken for the truth


def test_a_first_list_that_does_not_come_is_no_empty_cluster(client: Client, line: Front, plane_namespace: str) -> None:
    """Else who asks would believe that somebody has removed everything."""
    hung = line.hangs("^GET .*configmaps", times=1)
    lock = threading.RLock()
    stream = Stream(client, MAP, plane_namespace, Changes(lock), lock)
    eventually(lambda: hung.met, WITHIN)

    with pytest.raises(KubernetesError, match="list configmaps: not done after") as slow:
        stream.ready(0.2)

    assert slow.value.transient
    stream.close()
    line.cut_off()
    eventually(lambda: all(each.name != "watch configmaps" for each in threading.enumerate()), WITHIN)


def test_who_waits_for_a_first_list_can_be_called_away(watches: Watches, line: Front, plane_namespace: str) -> None:
    line.hangs("^GET .*configmaps", times=1)

    def stop() -> None:
        raise Stopped("cancelled")

    with pytest.raises(Stopped), watches.watched(plane_namespace).use([MAP], labels("api"), stop):
        pass


def test_a_mistake_that_ends_a_watch_is_told_to_who_waits_and_the_next_one_begins_anew(
    watches: Watches, line: Front, somebody: Hand
) -> None:
    somebody.makes("a")
    senseless = b'{"type":"ADDED","object":{"kind":"ConfigMap"}}\n'
    line.says("configmaps.*watch=true", 200, senseless)

    def hear() -> None:
        with watches.watched(somebody.namespace).use([MAP], labels("api")) as seen:
            while True:
                seen.wait(seen.wait(-1, WITHIN), WITHIN)

    with pytest.raises(KubernetesError, match="cannot be followed") as told:
        hear()

    assert told.value.transient
    with watches.watched(somebody.namespace).use([MAP], labels("api")) as again:
        assert names(again.objects(MAP)) == ["a"]


def test_our_own_answer_that_comes_late_brings_nothing_back_that_is_gone() -> None:
    lock = threading.RLock()
    store = Store(MAP, Changes(lock), lock)
    mine = key(labels("api"))

    def at(version: int, name: str = "a") -> Json:
        made = config_map(name, "api")
        return {**made, "metadata": {**made["metadata"], "uid": name, "resourceVersion": str(version)}}

    store.put(at(100))
    store.remove(at(101))
    store.put(at(100))
    assert names(store.of(mine)) == []

    store.put(at(102))
    assert names(store.of(mine)) == ["a"]

    store.replace((at(103, "b"),), "110")
    store.put(at(105))
    assert names(store.of(mine)) == ["b"]
    store.replace((at(90),), "95")  # a server that was set back to a time before
    store.put(at(96, "c"))
    assert names(store.of(mine)) == ["a", "b", "c"]
