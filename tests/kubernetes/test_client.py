# SPDX-License-Identifier: Apache-2.0
"""The API server, asked over a line that is good until a test says otherwise."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.runtimes.kubernetes.access import connect
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError, Watching
from fleetflow_tasks.runtimes.kubernetes.kinds import Kind
from fleetflow_tasks.testing import eventually

from .conftest import Cluster
from .front import Front

MAP = kinds.CONFIG_MAP
DEFINITION = Kind(
    name="CustomResourceDefinition", api="apiextensions.k8s.io/v1", plural="customresourcedefinitions", namespaced=False
)


def config_map(name: str, *, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def refused(call: Callable[[], object]) -> KubernetesError:
    with pytest.raises(KubernetesError) as failure:
        call()
    return failure.value


# ---- objects


def test_what_is_applied_is_there_and_says_which_fields_are_ours(client: Client, plane_namespace: str) -> None:
    made = client.apply(MAP, plane_namespace, config_map("a", one="1"))

    found = client.get(MAP, plane_namespace, "a")

    assert found == made
    assert found["data"] == {"one": "1"}
    assert [(each["manager"], each["operation"]) for each in found["metadata"]["managedFields"]] == [
        ("fleetflow", "Apply")
    ]


def test_what_is_no_longer_in_the_manifest_goes(client: Client, plane_namespace: str) -> None:
    client.apply(MAP, plane_namespace, config_map("a", one="1", two="2"))

    assert client.apply(MAP, plane_namespace, config_map("a", one="1"))["data"] == {"one": "1"}


def test_what_is_not_there_is_none(client: Client, plane_namespace: str) -> None:
    assert client.get(MAP, plane_namespace, "nobody") is None


def test_a_dry_run_answers_and_changes_nothing(client: Client, plane_namespace: str) -> None:
    answer = client.apply(MAP, plane_namespace, config_map("a", one="1"), dry_run=True)

    assert answer["data"] == {"one": "1"}
    assert client.get(MAP, plane_namespace, "a") is None


def test_another_managers_field_is_a_conflict_that_names_it_and_force_takes_it(
    client: Client, plane_namespace: str
) -> None:
    client.apply(MAP, plane_namespace, config_map("a", one="1"), manager="somebody")

    error = refused(lambda: client.apply(MAP, plane_namespace, config_map("a", one="2")))

    assert (error.status, error.transient) == (409, False)
    assert [(each.field, each.message, each.reason) for each in error.causes] == [
        (".data.one", 'conflict with "somebody"', "FieldManagerConflict")
    ]
    assert client.apply(MAP, plane_namespace, config_map("a", one="2"), force=True)["data"] == {"one": "2"}


def test_a_version_that_is_no_longer_the_newest_is_refused_for_now(client: Client, plane_namespace: str) -> None:
    old = client.apply(MAP, plane_namespace, config_map("a", one="1"))["metadata"]["resourceVersion"]
    new = client.apply(MAP, plane_namespace, config_map("a", one="2"))["metadata"]["resourceVersion"]

    error = refused(lambda: client.apply(MAP, plane_namespace, config_map("a", one="3"), version=old))

    assert (error.status, error.reason, error.transient) == (409, "Conflict", True)
    assert client.apply(MAP, plane_namespace, config_map("a", one="3"), version=new)["data"] == {"one": "3"}


def test_a_name_that_is_taken_is_not_taken_over_by_making_it(client: Client, plane_namespace: str) -> None:
    client.create(MAP, plane_namespace, config_map("a", one="1"))

    error = refused(lambda: client.create(MAP, plane_namespace, config_map("a", one="2")))

    assert (error.status, error.reason) == (409, "AlreadyExists")
    assert str(error) == 'the API server did not create ConfigMap `a`: configmaps "a" already exists'


def test_only_the_object_that_was_meant_is_deleted(client: Client, plane_namespace: str) -> None:
    first = client.create(MAP, plane_namespace, config_map("a"))["metadata"]["uid"]
    assert client.delete(MAP, plane_namespace, "a", uid=first, propagation="Background")
    second = client.create(MAP, plane_namespace, config_map("a"))["metadata"]["uid"]

    assert not client.delete(MAP, plane_namespace, "a", uid=first)
    assert not client.delete(MAP, plane_namespace, "nobody", uid=first)

    found = client.get(MAP, plane_namespace, "a")
    assert found is not None
    assert found["metadata"]["uid"] == second


def test_a_list_says_what_its_items_are_and_is_of_one_version(client: Client, plane_namespace: str) -> None:
    for number in range(3):
        client.create(MAP, plane_namespace, config_map(f"a{number}", labels={"even": str(number % 2 == 0)}))

    listed = client.list(MAP, plane_namespace, {"even": "True"})

    assert [(each["kind"], each["apiVersion"], each["metadata"]["name"]) for each in listed.items] == [
        ("ConfigMap", "v1", "a0"),
        ("ConfigMap", "v1", "a2"),
    ]
    assert listed.version.isdigit()
    assert [
        each["metadata"]["name"] for each in client.list(MAP, plane_namespace, fields="metadata.name=a1").items
    ] == ["a1"]


def test_a_list_of_many_pages_is_one_list(
    client: Client, plane: Cluster, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    names = [f"a{number:04}" for number in range(501)]
    for each in names:
        plane.client.create(MAP, plane_namespace, config_map(each, labels={"many": "yes"}))

    listed = client.list(MAP, plane_namespace, "many")

    assert [each["metadata"]["name"] for each in listed.items] == names
    assert len(requests) == 2


def test_a_list_that_takes_too_long_from_page_to_page_is_asked_for_at_once(
    client: Client, line: Front, requests: list[tuple[str, str]]
) -> None:
    line.says("limit=", 200, b'{"metadata":{"continue":"x"},"items":[{"metadata":{"name":"first"}}]}')
    line.answers("continue=", 410, "The provided continue parameter is too old", reason="Expired")

    listed = client.list(kinds.NAMESPACE, "", fields="metadata.name=default")

    assert [each["metadata"]["name"] for each in listed.items] == ["default"]
    assert ["limit" in path for _, path in requests] == [True, True, False]


def test_what_we_may_is_asked_of_the_server(client: Client, plane_namespace: str) -> None:
    assert client.can("patch", kinds.DEPLOYMENT, plane_namespace)


def test_the_version_is_two_numbers(client: Client) -> None:
    assert client.version() >= (1, 28)


def test_a_hundred_at_once_are_a_hundred_calls(
    plane: Cluster, plane_namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    together = threading.Barrier(100)
    made: list[str] = []

    def apply(name: str) -> None:
        together.wait(30)
        made.append(plane.client.apply(MAP, plane_namespace, config_map(name))["metadata"]["name"])

    threads = [threading.Thread(target=apply, args=(f"a{number}",)) for number in range(100)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(set(made)) == 100
    assert caplog.messages == []


# ---- watching


def test_a_watch_tells_what_happens_from_a_version_on(client: Client, plane: Cluster, plane_namespace: str) -> None:
    version = client.list(MAP, plane_namespace, "mine").version
    heard: list[tuple[str, str]] = []
    watching = client.watch(MAP, plane_namespace, "mine", version=version)
    thread = _listening(watching, heard)

    made = plane.client.create(MAP, plane_namespace, config_map("a", labels={"mine": "yes"}))
    plane.client.apply(MAP, plane_namespace, config_map("a", labels={"mine": "yes"}, one="1"))
    plane.client.delete(MAP, plane_namespace, "a", uid=made["metadata"]["uid"], propagation="Background")

    eventually(lambda: heard == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")])
    watching.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_watch_from_a_version_that_is_forgotten_says_gone(client: Client, plane_namespace: str) -> None:
    """Of a kind that is new the server remembers nothing from before it was there, however young the server is."""
    kind = _made_kind(client, f"k{plane_namespace.replace('-', '')}")
    eventually(lambda: _is_served(client, kind, plane_namespace), within=60)

    error = refused(lambda: list(client.watch(kind, plane_namespace, version="1")))

    assert (error.status, error.transient) == (410, False)


def _made_kind(client: Client, name: str) -> Kind:
    group = "test.fleetflow.io"
    definition = {
        "apiVersion": DEFINITION.api,
        "kind": DEFINITION.name,
        "metadata": {"name": f"{name}s.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": name.title(), "plural": f"{name}s"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    client.create(DEFINITION, "", definition)
    return Kind(name=name.title(), api=f"{group}/v1", plural=f"{name}s")


def _is_served(client: Client, kind: Kind, namespace: str) -> bool:
    with suppress(KubernetesError):
        return client.list(kind, namespace).version != ""
    return False


def test_a_watch_that_is_cut_says_so(client: Client, line: Front, plane_namespace: str) -> None:
    watching = client.watch(MAP, plane_namespace, version=client.list(MAP, plane_namespace).version)
    failures: list[KubernetesError] = []
    thread = threading.Thread(target=lambda: failures.append(refused(lambda: list(watching))))
    thread.start()

    line.cut_off()

    thread.join(10)
    assert (failures[0].status, failures[0].transient) == (0, True)


def test_half_an_event_is_none(client: Client, line: Front, plane_namespace: str) -> None:
    event = b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}'
    line.says("watch=true", 200, event + b"\n" + event[:20])

    heard = [(what, found["metadata"]["name"]) for what, found in client.watch(MAP, plane_namespace, version="1")]

    assert heard == [("ADDED", "a")]


def test_a_watch_that_nobody_has_listened_to_is_given_back(client: Client, plane_namespace: str) -> None:
    watching = client.watch(MAP, plane_namespace, version=client.list(MAP, plane_namespace).version)

    watching.close()

    assert list(watching) == []


def _listening(watching: Watching, heard: list[tuple[str, str]]) -> threading.Thread:
    def listen() -> None:
        for what, found in watching:
            if what != "BOOKMARK":
                heard.append((what, found["metadata"]["name"]))

    thread = threading.Thread(target=listen)
    thread.start()
    return thread


# ---- trouble


def test_a_server_that_asks_for_patience_is_asked_again_when_it_said(
    client: Client, line: Front, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    line.answers("PATCH", 429, "too many requests", headers="Retry-After: 1")

    client.apply(MAP, plane_namespace, config_map("a"))

    assert [method for method, _ in requests] == ["PATCH", "PATCH"]


def test_a_server_that_asks_for_more_patience_than_a_call_has_is_told_with_its_words(
    client: Client, line: Front, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    line.answers("PATCH", 429, "too many requests", headers="Retry-After: 60")

    error = refused(lambda: client.apply(MAP, plane_namespace, config_map("a")))

    assert (error.transient, error.retry_after, len(requests)) == (True, 60.0, 1)


def test_a_server_that_is_being_restarted_is_waited_for(client: Client, line: Front, plane_namespace: str) -> None:
    line.down()
    back = threading.Timer(1.0, line.up)
    back.start()

    made = client.create(MAP, plane_namespace, config_map("a", one="1"))

    back.join()
    assert made["data"] == {"one": "1"}


def test_a_server_that_is_there_again_may_know_nobodys_rights_for_a_moment(
    client: Client, line: Front, plane_namespace: str
) -> None:
    line.cuts("PATCH")
    line.answers("PATCH", 403, "RBAC: clusterrole not found", reason="Forbidden")

    assert client.apply(MAP, plane_namespace, config_map("a", one="1"))["data"] == {"one": "1"}


def test_a_refusal_of_a_server_that_was_never_away_is_final(
    client: Client, line: Front, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    line.answers("PATCH", 403, "no", reason="Forbidden")

    assert refused(lambda: client.apply(MAP, plane_namespace, config_map("a"))).status == 403
    assert len(requests) == 1


def test_a_question_whose_answer_was_lost_is_asked_again(
    client: Client, line: Front, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    client.create(MAP, plane_namespace, config_map("a"))
    requests.clear()
    line.cuts("GET .*configmaps/a")

    found = client.get(MAP, plane_namespace, "a")

    assert found is not None
    assert len(requests) == 2


def test_what_was_applied_and_its_answer_lost_is_applied_again(
    client: Client, line: Front, plane_namespace: str
) -> None:
    line.loses("PATCH")

    assert client.apply(MAP, plane_namespace, config_map("a", one="1"))["data"] == {"one": "1"}


def test_what_was_made_and_its_answer_lost_is_not_made_twice(
    client: Client, line: Front, plane: Cluster, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    line.loses("POST")

    error = refused(lambda: client.create(MAP, plane_namespace, config_map("a")))

    assert (error.status, error.transient, len(requests)) == (0, True, 1)
    assert plane.client.get(MAP, plane_namespace, "a") is not None


def test_a_server_that_hangs_is_given_up_before_a_lease_would_end(
    line: Front, plane_namespace: str, tmp_path: Path
) -> None:
    environ = {"KUBECONFIG": str(line.kubeconfig(tmp_path / "kubeconfig"))}
    client = connect(environ, timeout=1.0)
    line.hangs("PATCH")

    error = refused(lambda: client.apply(MAP, plane_namespace, config_map("a")))

    client.close()
    assert (error.status, error.transient, error.answer) == (0, True, "timed out")


@pytest.mark.parametrize(
    ("status", "told", "passes"),
    [
        (500, {"message": "etcdserver: leader changed"}, True),
        (500, {"message": "etcdserver: request timed out"}, True),
        (500, {"message": "try later", "reason": "ServerTimeout"}, True),
        (500, {"message": 'failed calling webhook "w": dial tcp 10.0.0.1:443: connect: connection refused'}, True),
        (500, {"message": "failed to create typed patch object: .spec.typeof: field not declared in schema"}, False),
        (502, {"message": "bad gateway"}, True),
        (504, {"message": "timeout"}, True),
        (409, {"message": "object is being deleted: configmaps a already exists", "reason": "AlreadyExists"}, True),
        (403, {"message": "no", "reason": "Forbidden"}, False),
        (422, {"message": "no", "reason": "Invalid"}, False),
    ],
)
def test_what_passes_by_itself_is_told_from_what_does_not(
    client: Client, line: Front, status: int, told: dict[str, str], *, passes: bool
) -> None:
    line.answers("PATCH", status, told["message"], reason=told.get("reason", ""))

    assert refused(lambda: client.apply(MAP, "default", config_map("a"))).transient is passes


def test_the_page_of_a_proxy_is_no_answer_and_is_shown(client: Client, line: Front) -> None:
    line.says("GET .*configmaps", 200, b"<html>\n <h1>Log in</h1>\n</html>")

    error = refused(lambda: client.list(MAP, "default"))

    assert str(error) == "the API server did not list configmaps: <html> <h1>Log in</h1> </html>"


# ---- logs


def test_a_log_comes_line_by_line_and_ends_with_the_container(node: Cluster, node_namespace: str) -> None:
    _pod(node, node_namespace, "echo one; echo two; printf three")

    with node.client.pod_log(node_namespace, "talker", "main") as log:
        assert list(log) == [b"one", b"two", b"three"]
    with node.client.pod_log(node_namespace, "talker", "main", tail=1) as log:
        assert list(log) == [b"three"]


def test_a_log_that_is_followed_ends_when_another_thread_closes_it(node: Cluster, node_namespace: str) -> None:
    _pod(node, node_namespace, "echo one; sleep 1000", phase="Running")
    heard: list[bytes] = []
    log = node.client.pod_log(node_namespace, "talker", "main", follow=True)
    thread = threading.Thread(target=lambda: heard.extend(log))
    thread.start()

    # Extending takes what comes as it comes.
    eventually(lambda: heard == [b"one"], 30)
    log.close()

    thread.join(10)
    assert not thread.is_alive()


def test_the_log_of_nobody_is_refused_with_the_servers_words(node: Cluster, node_namespace: str) -> None:
    error = refused(lambda: node.client.pod_log(node_namespace, "nobody"))

    assert (error.status, str(error)) == (
        404,
        'the API server did not show the log of pod `nobody`: pods "nobody" not found',
    )


# ---- streams


def test_a_stream_is_open_both_ways(node: Cluster, node_namespace: str) -> None:
    _pod(node, node_namespace, "sleep 1000", phase="Running")
    path = f"{kinds.path(kinds.POD, node_namespace, 'talker')}/exec"
    query = [("command", "cat"), ("stdin", "true"), ("stdout", "true"), ("container", "main")]

    opened = node.client.stream("run a command", path, query, ["v5.channel.k8s.io", "v4.channel.k8s.io"])
    opened.send_binary(b"\x00hello\n")
    heard = b""
    while b"hello" not in heard:
        heard += opened.recv()
    opened.close()

    assert heard.endswith(b"\x01hello\n")


def test_a_stream_that_is_refused_says_why(node: Cluster, node_namespace: str) -> None:
    path = f"{kinds.path(kinds.POD, node_namespace, 'nobody')}/exec"

    error = refused(lambda: node.client.stream("run a command", path, [("command", "id")], ["v4.channel.k8s.io"]))

    assert (error.status, error.answer) == (404, 'pods "nobody" not found')


def test_a_stream_to_a_server_that_is_away_is_lost(client: Client, line: Front) -> None:
    line.down()

    error = refused(lambda: client.stream("run a command", "/api/v1/x", [], ["v4.channel.k8s.io"]))

    assert (error.status, error.transient, error.answer) == (0, True, "Connection refused")


def _pod(node: Cluster, namespace: str, script: str, phase: str = "Succeeded") -> None:
    """Runs *script* in a container `main` of a pod `talker`."""
    container = {"name": "main", "image": "fleetflow/base:1", "command": ["/bin/sh", "-c", script]}
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}

    def made() -> bool:
        manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "talker"}, "spec": spec}
        try:
            node.client.create(kinds.POD, namespace, manifest)
        except KubernetesError as error:
            if "serviceaccount" in error.answer:  # a new namespace has its account a moment later
                return False
            raise
        return True

    def reached() -> bool:
        pod = node.client.get(kinds.POD, namespace, "talker")
        return pod is not None and pod["status"].get("phase") == phase

    eventually(made, 30)
    eventually(reached, 60)
