# SPDX-License-Identifier: Apache-2.0
"""Docker before a run: what it cannot honour, what its block may say, where an Engine may be, what differs."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.config.model import (
    Healthcheck,
    Ingress,
    Port,
    ProjectName,
    RuntimeName,
    Scaling,
    Secret,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.docker.check import check
from fleetflow_tasks.runtimes.docker.desired import definition
from fleetflow_tasks.runtimes.docker.differences import differences
from fleetflow_tasks.runtimes.docker.endpoints import endpoints
from fleetflow_tasks.runtimes.docker.observe import State
from fleetflow_tasks.runtimes.docker.options import SCHEMA, Options
from fleetflow_tasks.runtimes.docker.status import remark, seconds, service_state
from fleetflow_tasks.runtimes.docker.stream import lines


def service(**fields: Any) -> ResolvedService:
    usual = {"name": ServiceName("api"), "runtime": RuntimeName("docker"), "image": "api:1"}
    return ResolvedService(**{**usual, **fields})


def plan(*services: ResolvedService) -> Plan:
    return Plan(project=ProjectName("shop"), stage=StageName("local"), root="/shop", services=services, steps=())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"replicas": 1}, []),
        ({"replicas": 3}, ["error: cannot run 3 replicas: one container is one service"]),
        ({"scaling": Scaling(max=3)}, ["error: cannot scale by itself"]),
        ({"ingress": (Ingress(host="x"),)}, ["error: has no ingress"]),
        ({"volumes": (Volume(source="gs://b", target="/b"),)}, ["error: cannot mount the bucket `gs://b`"]),
        ({"secret_refs": {"A": "projects/p"}}, ["error: cannot read secret `A` from `projects/p`"]),
        (
            {"options": {"init": "maybe"}},
            ["error: does not understand its `docker` block: Expected `bool`, got `str` - at `$.init`"],
        ),
        (
            {"volumes": (Volume(source="data", target="/d", size=1), Volume(source="x", target="/x"))},
            ["note: gives volume `data` no size: it takes what it needs"],
        ),
        (
            {"job": True, "restart": "always"},
            ['warning: does not restart a job: `restart "always"` has no effect'],
        ),
        ({"job": True, "restart": "no"}, []),
        ({"runtime": RuntimeName("kubernetes"), "replicas": 3}, []),
    ],
)
def test_what_docker_cannot_honour_is_said_and_never_ignored(fields: dict[str, Any], expected: list[str]) -> None:
    found = [
        f"{problem.severity}: {problem.message.removeprefix('service `api`: runtime `docker` ')}"
        for problem in check(plan(service(**fields)))
    ]

    assert found == expected


def test_each_word_of_the_block_is_a_field_and_each_field_a_word() -> None:
    assert {row.field for row in SCHEMA} == set(Options.__struct_fields__)


# --- where an Engine may be


def test_what_somebody_said_is_the_only_place(tmp_path: Path) -> None:
    environ = {"DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}

    (option,) = endpoints("ssh://web1", {}, tmp_path)
    (host,) = endpoints("", environ, tmp_path)

    assert (option.url, option.origin) == ("ssh://web1", "`docker_host` of the stage")
    assert (host.url, host.origin, host.certificates) == ("tcp://h:2376", "DOCKER_HOST", "/certs")


@pytest.mark.parametrize(
    ("url", "environ", "certificates"),
    [
        ("tcp://h:2376", {}, ""),
        ("tcp://h:2376", {"DOCKER_CERT_PATH": "/certs"}, ""),
        ("tcp://h:2376", {"DOCKER_TLS_VERIFY": "1"}, "{home}/.docker"),
        ("tcp://h:2376", {"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": "/etc/d"}, "/etc/d"),
        ("unix:///run/d.sock", {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, ""),
        ("ssh://me@h", {"DOCKER_TLS_VERIFY": "1"}, ""),
    ],
)
def test_tls_is_asked_for_as_docker_asks_for_it(
    url: str, environ: dict[str, str], certificates: str, tmp_path: Path
) -> None:
    (host,) = endpoints("", {"DOCKER_HOST": url, **environ}, tmp_path)
    (option,) = endpoints(url, environ, tmp_path)

    assert host.certificates == option.certificates == certificates.format(home=tmp_path)


def context(folder: Path, name: str, meta: object) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    (folder / "contexts" / "meta" / digest).mkdir(parents=True)
    (folder / "contexts" / "meta" / digest / "meta.json").write_text(json.dumps(meta))
    return digest


def test_a_docker_context_is_followed_with_its_certificates(tmp_path: Path) -> None:
    folder = tmp_path / ".docker"
    digest = context(folder, "away", {"Endpoints": {"docker": {"Host": "tcp://h:2376"}}})
    (folder / "contexts" / "tls" / digest / "docker").mkdir(parents=True)
    (folder / "config.json").write_text('{"currentContext": "away"}')

    (found,) = endpoints("", {}, tmp_path)

    assert (found.url, found.origin) == ("tcp://h:2376", "docker context `away`")
    assert found.certificates == str(folder / "contexts" / "tls" / digest / "docker")


@pytest.mark.parametrize("meta", [{}, {"Endpoints": 3}, {"Endpoints": {"docker": 3}}, []])
def test_a_docker_context_that_is_not_known_is_an_error(tmp_path: Path, meta: object) -> None:
    context(tmp_path, "away", meta)

    with pytest.raises(UnavailableError, match="the docker context `away` is not known on this machine"):
        endpoints("", {"DOCKER_CONTEXT": "away", "DOCKER_CONFIG": str(tmp_path)}, tmp_path)


def test_else_the_sockets_of_known_products_are_tried(tmp_path: Path) -> None:
    (tmp_path / ".colima" / "default").mkdir(parents=True)
    (tmp_path / ".colima" / "default" / "docker.sock").touch()
    (tmp_path / "run" / "podman").mkdir(parents=True)
    (tmp_path / "run" / "podman" / "podman.sock").touch()
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("no json")

    found = endpoints("", {"XDG_RUNTIME_DIR": str(tmp_path / "run")}, tmp_path)

    assert [place.origin for place in found if str(tmp_path) in place.url] == ["Colima", "Podman"]
    assert [place for place in endpoints("", {}, tmp_path) if place.origin == "rootless Docker"] == []


# --- what differs


def changed(
    live: dict[str, Any], image: dict[str, Any] | None = None, **fields: Any
) -> list[tuple[str, str | None, str | None]]:
    wanted = service(**fields)
    found = {"Config": live.pop("Config", {}), "HostConfig": {"NetworkMode": "shop-local", **live}}
    desired = definition(plan(wanted), wanted)
    found["Config"] = {"Labels": {**desired.labels, "fleetflow.run": "r1"}, **found["Config"]}
    return [(c.field, c.old, c.new) for c in differences(desired, found, image and {"Config": image})]


def test_what_the_image_says_is_no_change() -> None:
    base = {"Env": ["PATH=/bin"], "Cmd": ["/bin/x"], "Labels": {"a": "b"}}
    live = {"Config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/x"], "Hostname": "0123"}, "RestartPolicy": {"Name": ""}}

    assert changed(live, base) == []
    assert changed({"Config": {"Cmd": ["/bin/x"]}}, None) == [("command", '["/bin/x"]', None)]


def test_variables_are_compared_one_by_one_and_secrets_by_name() -> None:
    live = {"Config": {"Env": ["A=1", "B=2", "C=3", "D=4"], "Labels": {"fleetflow.secrets": "C"}}}

    found = changed(live, {"Env": ["D=4"]}, environment={"A": "1", "B": "3"}, secrets={"S": Secret("x")})

    assert found[:3] == [
        ("environment.B", "2", "3"),
        ("environment.C", "[hidden]", None),
        ("environment.S", None, "[hidden]"),
    ]


def test_ports_are_compared_but_for_those_that_are_chosen() -> None:
    live = {
        "PortBindings": {
            "80/tcp": [{"HostPort": "80"}],
            "81/tcp": [{"HostPort": "11000"}],
            "82/tcp": None,
            "84/tcp": [{"HostPort": "84"}],
        }
    }

    found = changed(
        live,
        ports=(
            Port(container=80, host=8080, host_ip="127.0.0.1"),
            Port(container=81),
            Port(container=83),
            Port(container=82, host=82),
            Port(container=84, host=84),
        ),
    )

    assert found == [
        ("ports.80/tcp", "80", "127.0.0.1:8080"),
        ("ports.82/tcp", "", "82"),
        ("ports.83/tcp", None, "first free from 11000"),
    ]


def test_mounts_and_labels_are_compared() -> None:
    live = {
        "Mounts": [{"Source": "/a", "Target": "/a", "ReadOnly": True}, {"Target": "/same"}],
    }

    found = changed(
        live, volumes=(Volume(source="/a", target="/a"), Volume(source="", target="/same")), labels={"t": "x"}
    )

    assert found[-1] == ("volumes./a", "/a read-only", "/a")
    assert [each for each in found if each[0].startswith("labels")] == []
    wanted = service(labels={"t": "x"})
    desired = definition(plan(wanted), wanted)
    live_labels = {
        "HostConfig": {},
        "Config": {"Labels": {"t": "w", "fleetflow.run": "1", "com.docker.compose.x": "y"}},
    }
    assert [(c.field, c.old, c.new) for c in differences(desired, live_labels, None)] == [("labels.t", "w", "x")]


def test_the_rest_is_compared_as_text() -> None:
    live = {
        "Config": {"User": "1", "Healthcheck": {"Test": ["CMD", "a"], "Retries": 0}},
        "RestartPolicy": {"Name": "always"},
        "Init": True,
    }

    found = changed(live, options={"user": "2"}, healthcheck=Healthcheck(test=("CMD", "b")))

    assert found == [
        ("healthcheck", '{"Test": ["CMD", "a"]}', '{"Test": ["CMD", "b"]}'),
        ("init", "true", None),
        ("restart", "always", None),
        ("user", "1", "2"),
    ]


# --- what a container wrote, and how it is


class Answer:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, amount: int | None = None) -> bytes:
        amount = len(self.data) if amount is None else amount
        taken, self.data = self.data[:amount], self.data[amount:]
        return taken


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_frames_of_two_streams_become_lines() -> None:
    raw = Answer(frame(1, b"one\ntw") + frame(2, b"oops\r\n") + frame(1, b"o\nlast"))

    assert list(lines(raw)) == [("stdout", "one"), ("stderr", "oops"), ("stdout", "two"), ("stdout", "last")]
    assert list(lines(Answer(b"a terminal's output\nof two lines"))) == [
        ("stdout", "a terminal's output"),
        ("stdout", "of two lines"),
    ]


@pytest.mark.parametrize(
    ("state", "job", "expected"),
    [
        (State(status="running"), False, "running"),
        (State(status="running", health="starting"), False, "starting"),
        (State(status="running", health="unhealthy"), False, "unhealthy"),
        (State(status="restarting"), False, "restarting"),
        (State(status="exited", exit=0), True, "completed"),
        (State(status="exited", exit=1), True, "failed"),
        (State(status="exited", exit=143), False, "stopped"),
        (State(status="exited", exit=137, out_of_memory=True), False, "failed"),
        (State(status="dead"), False, "failed"),
        (State(status="created"), False, "stopped"),
    ],
)
def test_a_state_has_one_word(state: State, job: bool, expected: str) -> None:
    assert service_state(state, job=job) == expected


def test_a_remark_says_only_what_state_and_age_do_not() -> None:
    assert remark(State(status="running")) == ""
    assert remark(State(status="running", health="healthy")) == "healthy"
    assert remark(State(status="exited", exit=0)) == ""
    assert remark(State(status="exited", exit=137)) == "exit code 137"


def test_the_engines_times_become_seconds() -> None:
    assert seconds("1970-01-01T00:01:00.123456789Z") == pytest.approx(60.123456)
    assert seconds("0001-01-01T00:00:00Z") is None
    assert seconds("") is None
    assert seconds("yesterday") is None
