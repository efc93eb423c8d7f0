# SPDX-License-Identifier: Apache-2.0
"""Which cluster and as whom: kubeconfigs as they are found, plugins as they are, and what each of them lacks."""

import base64
import json
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.runtimes.kubernetes.access import access, connect
from fleetflow_tasks.runtimes.kubernetes.reach import proxy
from fleetflow_tasks.runtimes.kubernetes.trouble import KubernetesError

from .conftest import Cluster
from .front import Front

Entry = Mapping[str, object]
HOW_TO_GET_ONE = (
    "have one written (`gcloud container clusters get-credentials …`, `aws eks update-kubeconfig …`), "
    "or say where it is: KUBECONFIG=…"
)
ONE = (
    "{current-context: a, contexts: [{name: a, context: {cluster: b}}], "
    "clusters: [{name: b, cluster: {server: 'https://h', "
)
NOWHERE = "https://127.0.0.1:1"


def kubeconfig(
    path: Path,
    server: str = NOWHERE,
    user: Entry | None = None,
    cluster: Entry | None = None,
    current: str = "here",
    **more: object,
) -> Path:
    """A file with one context, `here`."""
    told = {
        "current-context": current,
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "me", "user": user or {}}],
        **more,
    }
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return path


def environ(*files: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "KUBECONFIG": os.pathsep.join(map(str, files)), **more}


def said(environment: Mapping[str, str], context: str = "", **more: Any) -> list[str]:
    """Message, causes and fix of what a connection fails with; the folder of the test left out."""
    with pytest.raises(UnavailableError) as failure:
        connect(environment, context, **more).close()
    problem = failure.value.problems[0]
    return [problem.message, *problem.cause, problem.fix]


def told(lines: list[str], folder: Path) -> list[str]:
    return [line.replace(str(folder), "DIR") for line in lines]


# ---- which file, which context


def test_without_a_kubeconfig_it_is_said_where_one_was_looked_for(tmp_path: Path) -> None:
    assert told(said({"HOME": str(tmp_path)}), tmp_path) == [
        "no Kubernetes cluster is known: there is no kubeconfig",
        "looked for DIR/.kube/config, and KUBECONFIG is not set",
        "and this is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set",
        HOW_TO_GET_ONE,
    ]
    assert told(said(environ(tmp_path / "a", tmp_path / "b")), tmp_path)[1] == "looked for DIR/a, DIR/b (KUBECONFIG)"


def test_the_one_in_the_home_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", "https://home:6443")

    target, _ = access({"HOME": str(tmp_path)})

    assert target.server == "https://home:6443"
    assert target.origin == f"context `here` of {tmp_path}/.kube/config"


def test_several_files_are_one_and_the_first_to_say_a_thing_counts(tmp_path: Path) -> None:
    contexts = [
        {"name": "here", "context": {"cluster": "it", "user": "me"}},
        {"name": "there", "context": {"cluster": "other", "user": "me"}},
    ]
    first = kubeconfig(tmp_path / "1", "https://first:1")
    second = kubeconfig(
        tmp_path / "2",
        "https://second:2",
        contexts=contexts,
        clusters=[{"name": "other", "cluster": {"server": "https://other:3"}}],
        current="there",
    )
    both = environ(first, tmp_path / "not-there", second)

    assert access(both)[0].server == "https://first:1"
    assert access(both, "there")[0].server == "https://other:3"
    assert access(environ(second, first))[0].server == "https://other:3"


def test_a_context_that_nobody_knows_gets_the_nearest_name(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k")

    assert told(said(environ(file), "heer"), tmp_path) == [
        "unknown Kubernetes context `heer`",
        "the stage names it",
        "looked for in DIR/k",
        "did you mean `here`?",
    ]


def test_without_a_current_context_one_must_be_chosen(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", current="")

    assert told(said(environ(file)), tmp_path) == [
        "no Kubernetes cluster is chosen: the kubeconfig has no current context",
        "DIR/k knows `here`",
        'choose one: `context "…"` in the stage\'s `kubernetes { }`, or `kubectl config use-context …`',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "is no kubeconfig: it is not a mapping"),
        ("contexts: {a: b}", "is no kubeconfig: `contexts` is not a list of named entries"),
        ("clusters: [{cluster: {}}]", "is no kubeconfig: `clusters` is not a list of named entries"),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: it}}]}",
            "does not fit together: context `a` names the cluster `it`, which is nowhere defined",
        ),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: b}}], clusters: [{name: b, cluster: {}}]}",
            "has no `server` with http:// or https:// for context `a`",
        ),
        (
            ONE + "certificate-authority-data: '%'}}]}",
            "is damaged: its `certificate-authority-data` is no base64",
        ),
        (
            ONE + "certificate-authority: gone.crt}}]}",
            "names `gone.crt` as `certificate-authority`, which cannot be read: No such file or directory",
        ),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "k").write_text(text, encoding="utf-8")

    assert told(said(environ(tmp_path / "k")), tmp_path)[0] == f"the kubeconfig DIR/k {message}"


def test_a_password_in_the_servers_address_is_refused_and_not_printed(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", "https://ann:s3cr3t@host:6443")

    assert told(said(environ(file)), tmp_path) == [
        "the kubeconfig DIR/k has a name and a password in the `server` of context `here`",
        "write them as `username` and `password` of its user",
    ]


def test_a_key_where_a_files_name_belongs_is_not_printed(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----\n"
    file = kubeconfig(tmp_path / "k", user={"client-key": key})

    assert told(said(environ(file)), tmp_path) == [
        "the kubeconfig DIR/k holds `client-key` itself, where the name of a file belongs",
        "write it in base64 as `client-key-data`",
    ]


def test_a_file_that_is_no_yaml_is_named_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("kind: Config\na: b: c\n", encoding="utf-8")

    assert told(said(environ(tmp_path / "k")), tmp_path)[0].startswith("the kubeconfig DIR/k is no YAML at line 2: ")


def test_a_folder_is_no_kubeconfig(tmp_path: Path) -> None:
    assert told(said(environ(tmp_path)), tmp_path)[0] == "the kubeconfig DIR cannot be read: Is a directory"


def test_files_are_found_from_the_kubeconfigs_own_folder(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"authority")
    (tmp_path / "token").write_text("secret\n", encoding="utf-8")
    file = kubeconfig(tmp_path / "k", user={"tokenFile": "token"}, cluster={"certificate-authority": "ca.crt"})

    target, wallet = access(environ(file))

    assert target.authority == b"authority"
    assert wallet.current().headers == (("Authorization", "Bearer secret"),)


def test_to_be_served_as_somebody_else_is_not_forgotten(tmp_path: Path) -> None:
    user = {"token": "t", "as": "ann", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": {"why": ["test"]}}

    _, wallet = access(environ(kubeconfig(tmp_path / "k", user=user)))

    assert wallet.current().headers == (
        ("Authorization", "Bearer t"),
        ("Impersonate-User", "ann"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-why", "test"),
    )


def test_a_role_is_impersonated_at_the_real_server(plane: Cluster, plane_namespace: str, tmp_path: Path) -> None:
    known = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    known["users"][0]["user"] |= {"as": f"system:serviceaccount:{plane_namespace}:nobody"}
    (tmp_path / "k").write_text(yaml.safe_dump(known), encoding="utf-8")

    client = connect(environ(tmp_path / "k"))

    assert not client.can("create", kinds.DEPLOYMENT, plane_namespace)
    client.close()


def test_an_old_auth_provider_is_refused_with_what_came_after_it(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", user={"auth-provider": {"name": "gcp"}})

    assert told(said(environ(file)), tmp_path) == [
        "no credentials for Kubernetes: `auth-provider` `gcp` is no longer known",
        "named by context `here` of DIR/k",
        "Kubernetes gave these up for credential plugins",
        "have the kubeconfig written anew: for GKE, `gcloud container clusters get-credentials …`",
    ]


def test_an_identity_token_that_goes_on_is_sent(tmp_path: Path) -> None:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": 4_000_000_000}).encode()).decode().rstrip("=")
    token = f"e30.{payload}.c2ln"
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": token, "idp-issuer-url": "https://127.0.0.1:1"}}}

    _, wallet = access(environ(kubeconfig(tmp_path / "k", user=user)))

    assert wallet.current().headers == (("Authorization", f"Bearer {token}"),)


# ---- proxies


@pytest.mark.parametrize(
    ("server", "variables", "expected"),
    [
        ("https://k8s.example.com:6443", {}, ""),
        ("https://k8s.example.com:6443", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://k8s.example.com:6443", {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "http://p:1"),
        ("http://k8s.example.com:6443", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://k8s.example.com:6443", {"ALL_PROXY": "socks5://p:1"}, "socks5://p:1"),
        ("https://k8s.example.com", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other, .example.com"}, ""),
        ("https://k8s.example.com", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.org"}, "http://p:1"),
        ("https://10.1.2.3:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://10.1.2.3:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, ""),
    ],
)
def test_the_environments_proxy_is_taken_where_it_is_meant(
    server: str, variables: dict[str, str], expected: str
) -> None:
    assert proxy(server, variables) == expected


def test_a_clusters_own_proxy_comes_before_the_environments(line: Front, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", "http://cluster.invalid:80", cluster={"proxy-url": line.address})

    connect(environ(file, HTTP_PROXY="http://127.0.0.1:1")).close()

    assert line.seen == ["GET http://cluster.invalid:80/version"]


def test_a_proxy_that_needs_a_module_more_is_told_so(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", cluster={"proxy-url": "socks5://127.0.0.1:1"})

    lines = told(said(environ(file)), tmp_path)

    assert lines[0] == (
        "https://127.0.0.1:1 cannot be reached through socks5://127.0.0.1:1: Python module `socks` is missing"
    )
    assert lines[-1] == "run `pip install pysocks`"


def test_a_proxy_of_a_kind_that_nobody_knows_is_no_traceback(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", cluster={"proxy-url": "gopher://127.0.0.1:1"})

    assert said(environ(file))[0].startswith("no Kubernetes answers at https://127.0.0.1:1: ")


# ---- who does not answer, and who answers


def test_a_server_that_is_not_there_is_named_with_the_systems_words(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", NOWHERE)

    assert told(said(environ(file)), tmp_path) == [
        "no Kubernetes answers at https://127.0.0.1:1: Connection refused",
        "it comes from context `here` of DIR/k",
        "see that it runs and can be reached from here (VPN, firewall, proxy), or choose another context",
    ]


def test_a_host_that_nobody_knows_is_no_traceback(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", "https://nobody.invalid:6443")

    assert said(environ(file))[0].startswith("no Kubernetes answers at https://nobody.invalid:6443: ")


def test_a_server_that_hangs_is_given_up(line: Front, tmp_path: Path) -> None:
    line.hangs("GET /version")
    file = kubeconfig(tmp_path / "k", line.address)

    assert said(environ(file), timeout=1.0)[0] == f"no Kubernetes answers at {line.address}: timed out"


def test_another_clusters_authority_is_not_trusted(plane: Cluster, tmp_path: Path) -> None:
    authority, _ = certificate("another authority")
    server = plane.client.server
    file = kubeconfig(
        tmp_path / "k",
        server,
        cluster={"certificate-authority-data": base64.b64encode(authority).decode()},
    )

    lines = told(said(environ(file)), tmp_path)

    assert lines[0].startswith(f"the API server at {server} cannot be trusted: its certificate is not trusted: ")
    assert lines[2].startswith("have the kubeconfig written anew: the cluster may have been made anew")


def test_whoever_skips_verification_is_let(plane: Cluster, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", plane.client.server, cluster={"insecure-skip-tls-verify": True})
    known = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    told_ = yaml.safe_load(file.read_text(encoding="utf-8")) | {"users": [{**known["users"][0], "name": "me"}]}
    file.write_text(yaml.safe_dump(told_), encoding="utf-8")

    connect(environ(file)).close()


def test_an_authority_that_is_none_is_said_with_its_origin(tmp_path: Path) -> None:
    file = kubeconfig(
        tmp_path / "k", cluster={"certificate-authority-data": base64.b64encode(b"no certificate").decode()}
    )

    lines = told(said(environ(file)), tmp_path)

    assert lines[0].startswith("a certificate or key for https://127.0.0.1:1 cannot be used: ")
    assert lines[1] == "it comes with context `here` of DIR/k"


def test_something_else_that_answers_is_no_kubernetes(line: Front, tmp_path: Path) -> None:
    line.says("GET /version", 200, b"<html>Log in</html>")
    line.says("GET /version", 404, b"not here")
    file = kubeconfig(tmp_path / "k", line.address)

    assert said(environ(file))[0] == f"what answers at {line.address} is no Kubernetes: <html>Log in</html>"
    assert said(environ(file))[:2] == [
        f"what answers at {line.address} is no Kubernetes: not here",
        "the answer has status 404",
    ]


def test_a_cluster_that_is_too_old_is_told_so(line: Front, tmp_path: Path) -> None:
    line.says("GET /version", 200, b'{"major":"1","minor":"27+"}')
    file = kubeconfig(tmp_path / "k", line.address)

    assert said(environ(file))[0] == f"the Kubernetes at {line.address} is too old: it is 1.27"


def test_the_time_is_the_servers_and_not_the_machines(line: Front, tmp_path: Path) -> None:
    line.says("/version", 200, b'{"major": "1", "minor": "34"}', headers="Date: Tue, 06 May 2031 07:08:09 GMT")

    with closing(connect({"KUBECONFIG": str(line.kubeconfig(tmp_path / "k"))})) as client:
        assert f"{client.now():%Y-%m-%d %H}" == "2031-05-06 07"


def test_a_cluster_that_hides_its_version_will_do(line: Front, tmp_path: Path) -> None:
    line.answers("GET /version", 403, "forbidden")

    connect(environ(kubeconfig(tmp_path / "k", line.address))).close()


# ---- credentials that end


def test_a_wrong_token_is_told_at_once(plane: Cluster, tmp_path: Path) -> None:
    authority = base64.b64encode(plane.client.line.target.authority).decode()
    file = kubeconfig(
        tmp_path / "k",
        plane.client.server,
        user={"token": "nobodys"},
        cluster={"certificate-authority-data": authority},
    )

    assert told(said(environ(file)), tmp_path) == [
        f"the API server at {plane.client.server} does not accept our credentials: they are wrong, or they have expired",
        "the answer (401): Unauthorized",
        "they come from context `here` of DIR/k",
        "log in anew, or have the kubeconfig written anew",
    ]


def test_a_certificate_that_has_ended_is_told_with_its_day(plane: Cluster, tmp_path: Path) -> None:
    mine, key = certificate("me", ended=datetime(2024, 5, 6, tzinfo=UTC))
    file = kubeconfig(
        tmp_path / "k",
        plane.client.server,
        user={
            "client-certificate-data": base64.b64encode(mine).decode(),
            "client-key-data": base64.b64encode(key).decode(),
        },
        cluster={"certificate-authority-data": base64.b64encode(plane.client.line.target.authority).decode()},
    )

    assert said(environ(file))[0].endswith(
        "does not accept our credentials: the client's certificate ended on 2024-05-06"
    )


def test_who_has_logged_in_anew_meanwhile_is_known_again(line: Front, tmp_path: Path) -> None:
    client = connect(environ(kubeconfig(tmp_path / "k", line.address, user={"token": "old"})))
    kubeconfig(tmp_path / "k", line.address, user={"token": "new"})
    line.answers("GET .*namespaces", 401, "Unauthorized")

    found = client.get(kinds.NAMESPACE, "", "default")

    client.close()
    assert found is not None
    assert line.said == ["Bearer old", "Bearer old", "Bearer new"]


def test_who_has_not_is_asked_to(line: Front, tmp_path: Path) -> None:
    client = connect(environ(kubeconfig(tmp_path / "k", line.address, user={"token": "old"})))
    line.answers("GET .*namespaces", 401, "Unauthorized", times=10)

    with pytest.raises(KubernetesError) as failure:
        client.get(kinds.NAMESPACE, "", "default")

    client.close()
    assert (failure.value.status, failure.value.transient) == (401, False)
    assert line.said == ["Bearer old", "Bearer old"]


PLUGIN = """#!{python}
import json, os, pathlib
count = pathlib.Path({folder!r}) / "count"
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
(count.parent / "info").write_text(os.environ["KUBERNETES_EXEC_INFO"])
(count.parent / "said").write_text(os.environ.get("SAID", ""))
{body}
"""
TOKEN = """
status = {{"token": f"t{{number}}" {more}}}
print(json.dumps({{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": status}}))
"""


def plugin(folder: Path, body: str) -> Path:
    """A credential plugin; it counts how often it is run."""
    path = folder / "plugin"
    path.write_text(PLUGIN.format(python=sys.executable, folder=str(folder), body=body), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def named(command: str, **more: object) -> dict[str, object]:
    """The user of a kubeconfig that names it."""
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, **more}}


def test_a_plugin_is_run_once_for_many_requests(line: Front, tmp_path: Path) -> None:
    plugin(tmp_path, TOKEN.format(more=""))
    user = named("./plugin", env=[{"name": "SAID", "value": "hello"}], provideClusterInfo=True)
    file = kubeconfig(tmp_path / "k", line.address, user=user)

    client = connect(environ(file))
    client.get(kinds.NAMESPACE, "", "default")
    client.get(kinds.NAMESPACE, "", "default")

    client.close()
    assert line.said == ["Bearer t1"] * 3
    assert (tmp_path / "said").read_text() == "hello"
    assert json.loads((tmp_path / "info").read_text())["spec"] == {
        "interactive": False,
        "cluster": {"server": line.address},
    }


def test_a_token_that_is_about_to_end_is_fetched_anew_before_it_is_refused(line: Front, tmp_path: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat().replace("+00:00", "Z")
    plugin(tmp_path, TOKEN.format(more=f', "expirationTimestamp": "{soon}"'))
    client = connect(environ(kubeconfig(tmp_path / "k", line.address, user=named("./plugin"))))

    client.get(kinds.NAMESPACE, "", "default")

    client.close()
    assert line.said == ["Bearer t2", "Bearer t3"]


def test_a_token_that_the_server_no_longer_knows_is_fetched_anew(line: Front, tmp_path: Path) -> None:
    plugin(tmp_path, TOKEN.format(more=""))
    client = connect(environ(kubeconfig(tmp_path / "k", line.address, user=named("./plugin"))))
    line.answers("GET .*namespaces", 401, "Unauthorized")

    found = client.get(kinds.NAMESPACE, "", "default")

    client.close()
    assert found is not None
    assert line.said == ["Bearer t1", "Bearer t1", "Bearer t2"]


def test_what_waited_too_long_for_its_token_is_not_sent_any_more(line: Front, tmp_path: Path) -> None:
    slow = "import time; time.sleep(1.5 if number > 2 else 0)"
    soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    plugin(tmp_path, slow + TOKEN.format(more=f', "expirationTimestamp": "{soon}" if number < 3 else ""'))
    client = connect(environ(kubeconfig(tmp_path / "k", line.address, user=named("./plugin"))), timeout=1.0)
    line.seen.clear()

    with pytest.raises(KubernetesError) as failure:
        client.get(kinds.NAMESPACE, "", "default")

    assert (failure.value.transient, line.seen) == (True, [])
    assert failure.value.answer == "to get our credentials took longer than the 1 s of a call"
    assert client.get(kinds.NAMESPACE, "", "default") is not None
    client.close()


def test_a_plugin_may_give_a_certificate(tmp_path: Path) -> None:
    mine, key = certificate("me")
    printed = json.dumps({"clientCertificateData": mine.decode(), "clientKeyData": key.decode()})
    body = TOKEN.format(more="").replace('{"token": f"t{number}" }', f"json.loads({printed!r})")
    plugin(tmp_path, body)

    _, wallet = access(environ(kubeconfig(tmp_path / "k", user=named("./plugin"))))

    assert (wallet.current().certificate, wallet.current().key, wallet.current().headers) == (mine, key, ())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import sys; print('log in first', file=sys.stderr); sys.exit(3)", "it ended with exit code 3"),
        ("print('hello')", "what it prints is no ExecCredential: JSON is malformed: invalid character (byte 0)"),
        ("print('{}')", "what it prints is no ExecCredential with a status"),
        (
            'print(\'{"kind": "ExecCredential", "apiVersion": "old", "status": {}}\')',
            "it speaks `old`, and the kubeconfig wants `client.authentication.k8s.io/v1`",
        ),
        (
            'print(\'{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {}}\')',
            "it gave neither a token nor a certificate with its key",
        ),
        (TOKEN.format(more=', "expirationTimestamp": "soon"'), "its `expirationTimestamp` is no time: `soon`"),
    ],
)
def test_a_plugin_that_fails_is_named_with_its_words(tmp_path: Path, body: str, message: str) -> None:
    plugin(tmp_path, body)
    file = kubeconfig(tmp_path / "k", user=named("./plugin", args=["--cluster", "it"]))

    lines = told(said(environ(file)), tmp_path)

    assert lines[0] == f"no credentials for Kubernetes: the plugin `./plugin` failed: {message}"
    assert lines[-2:] == [
        "named by context `here` of DIR/k",
        "run it by hand, and log in if it says so: `./plugin --cluster it`",
    ]
    assert ("it says: log in first" in lines) == ("log in first" in body)


def test_what_a_kubeconfig_gives_to_a_plugin_in_secret_is_not_printed(tmp_path: Path) -> None:
    body = """import os, sys; print("no:", sys.argv[1:], os.environ["API_KEY"], "eyJhbGci.eyJzdWIi.c2ln", file=sys.stderr)
print("Authorization: Bearer abc123", file=sys.stderr); sys.exit(1)"""
    plugin(tmp_path, body)
    arguments = ["get-token", "--client-secret=s3cr3t", "--password", "pa55word", "--cluster", "it", "--token-file"]
    user = named("./plugin", args=arguments, env=[{"name": "API_KEY", "value": "k3yk3y"}])

    lines = told(said(environ(kubeconfig(tmp_path / "k", user=user))), tmp_path)

    assert lines[1:3] == [
        "it says: no: ['get-token', '--client-secret=***', '--password', '***', '--cluster', 'it', '--token-file'] *** ***",
        "it says: Authorization: Bearer ***",
    ]
    assert lines[-1].endswith("`./plugin get-token --client-secret=*** --password *** --cluster it --token-file`")


def test_a_plugin_that_is_not_installed_is_told_how_to_get(tmp_path: Path) -> None:
    user = named("gke-gcloud-auth-plugin", installHint="Install it with:\n  gcloud components install …\n")
    file = kubeconfig(tmp_path / "k", user=user)

    assert told(said({**environ(file), "PATH": str(tmp_path)}), tmp_path) == [
        "no credentials for Kubernetes: the plugin `gke-gcloud-auth-plugin` failed: there is no such program here",
        "named by context `here` of DIR/k",
        "install `gke-gcloud-auth-plugin`, or put it into PATH: Install it with:",
    ]


def test_a_plugin_that_wants_to_ask_is_not_waited_for(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", user=named("./plugin", interactiveMode="Always"))

    assert said(environ(file))[0].endswith(
        "failed: it wants to ask questions, and nobody is there to answer (`interactiveMode: Always`)"
    )


def test_a_plugin_that_cannot_be_run_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "plugin").write_text("", encoding="utf-8")

    assert said(environ(kubeconfig(tmp_path / "k", user=named("./plugin"))))[0].endswith(
        "failed: it cannot be run: Permission denied"
    )


# ---- inside of a cluster


def account(folder: Path, authority: bytes, token: str) -> Path:
    (folder / "ca.crt").write_bytes(authority)
    (folder / "token").write_text(token, encoding="utf-8")
    return folder


def inside(server: str, home: Path) -> dict[str, str]:
    host, _, port = server.removeprefix("https://").rpartition(":")
    return {"HOME": str(home), "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}


def test_a_pods_service_account_is_used_where_there_is_no_kubeconfig(
    plane: Cluster, plane_namespace: str, tmp_path: Path
) -> None:
    folder = account(tmp_path, plane.client.line.target.authority, issued(plane, plane_namespace))

    client = connect(inside(plane.client.server, tmp_path), account=folder)

    assert not client.can("list", kinds.SECRET, plane_namespace)
    assert client.origin == f"the service account in {folder}"
    client.close()


def test_a_token_that_the_kubelet_has_renewed_is_read_anew_when_the_old_one_is_refused(
    plane: Cluster, plane_namespace: str, tmp_path: Path
) -> None:
    folder = account(tmp_path, plane.client.line.target.authority, issued(plane, plane_namespace))
    client = connect(inside(plane.client.server, tmp_path), account=folder)
    good = (folder / "token").read_text()
    client.close()

    (folder / "token").write_text("ended", encoding="utf-8")
    with pytest.raises(UnavailableError):
        connect(inside(plane.client.server, tmp_path), account=folder)
    (folder / "token").write_text(good, encoding="utf-8")
    connect(inside(plane.client.server, tmp_path), account=folder).close()


def test_a_token_file_is_read_again_when_its_token_is_refused(line: Front, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old", encoding="utf-8")
    client = connect(environ(kubeconfig(tmp_path / "k", line.address, user={"tokenFile": "token"})))
    (tmp_path / "token").write_text("new", encoding="utf-8")
    line.answers("GET .*namespaces", 401, "Unauthorized")

    client.get(kinds.NAMESPACE, "", "default")

    client.close()
    assert line.said == ["Bearer old", "Bearer old", "Bearer new"]


def test_a_context_means_nothing_inside_of_a_cluster(tmp_path: Path) -> None:
    assert said(inside("https://10.0.0.1:443", tmp_path), "gke")[0] == (
        "unknown Kubernetes context `gke`: here is no kubeconfig, only a pod's service account"
    )


def test_a_pod_without_service_account_is_told_so(tmp_path: Path) -> None:
    lines = said(inside("https://10.0.0.1:443", tmp_path), account=tmp_path / "none")

    assert lines[0] == (
        f"this pod has no service account: {tmp_path}/none/ca.crt cannot be read: No such file or directory"
    )
    account(tmp_path, b"", "")
    assert told(said(inside("https://10.0.0.1:443", tmp_path), account=tmp_path), tmp_path)[0] == (
        "no credentials for Kubernetes: the token file DIR/token is empty"
    )


def issued(cluster: Cluster, namespace: str) -> str:
    """A token of a service account of the namespace's own, as the kubelet has one made for a pod."""
    manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "worker"}}
    cluster.client.create(kinds.SERVICE_ACCOUNT, namespace, manifest)
    path = f"{kinds.path(kinds.SERVICE_ACCOUNT, namespace, 'worker')}/token"
    request = b'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}'
    return str(json.loads(cluster.client.line.ask("make a token", "POST", path, body=request))["status"]["token"])


def certificate(name: str, ended: datetime | None = None) -> tuple[bytes, bytes]:
    """(certificate, key) that vouch for themselves."""
    key = ec.generate_private_key(ec.SECP256R1())
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = ended or datetime.now(UTC) + timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private
