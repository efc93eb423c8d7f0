# SPDX-License-Identifier: Apache-2.0
"""A service of a plan, as the Engine is asked to create it. No Engine."""

import json
from typing import Any

import pytest

from fleetflow_tasks.config.model import (
    Healthcheck,
    Port,
    ProjectName,
    Readiness,
    Resources,
    RuntimeName,
    Secret,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.docker.desired import Definition, definition, hashed, rendered, sent
from fleetflow_tasks.runtimes.labels import Mark

MARK = Mark(
    project=ProjectName("shop"), stage=StageName("local"), service=ServiceName("api"), run="r1", generation=7, hash=""
)


def wanted(*, masked: bool = False, **fields: Any) -> Definition:
    usual = {"name": ServiceName("api"), "runtime": RuntimeName("docker"), "image": "api:1"}
    service = ResolvedService(**{**usual, **fields})
    plan = Plan(project=ProjectName("shop"), stage=StageName("local"), root="/shop", services=(service,), steps=())
    return definition(plan, service, masked=masked)


def request(desired: Definition, **more: Any) -> dict[str, Any]:
    return dict(sent(desired, MARK, **{"image": "sha256:1", "ports": {}, **more}))


def test_a_service_of_few_words_is_a_request_of_few_words() -> None:
    body = request(wanted())

    labels = body.pop("Labels")
    assert body == {
        "Image": "api:1",
        "HostConfig": {"NetworkMode": "shop-local", "RestartPolicy": {"Name": "no"}},
        "NetworkingConfig": {"EndpointsConfig": {"shop-local": {"Aliases": ["api"]}}},
    }
    digest = hashed(wanted(), "sha256:1")
    assert labels == {
        "com.docker.compose.config-hash": digest.removeprefix("v1:"),
        "com.docker.compose.container-number": "1",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project": "shop-local",
        "com.docker.compose.service": "api",
        "fleetflow.generation": "7",
        "fleetflow.hash": digest,
        "fleetflow.image": "api:1",
        "fleetflow.project": "shop",
        "fleetflow.run": "r1",
        "fleetflow.service": "api",
        "fleetflow.stage": "local",
    }


def test_a_service_of_many_words_says_them_all() -> None:
    desired = wanted(
        ports=(Port(container=80, host=8080, host_ip="127.0.0.1"), Port(container=53, protocol="udp")),
        environment={"LOG": "info"},
        secrets={"TOKEN": Secret("s")},
        volumes=(
            Volume(source="/srv/conf", target="/conf", read_only=True),
            Volume(source="data", target="/data"),
            Volume(source="", target="/cache"),
        ),
        command=("serve",),
        entrypoint=(),
        healthcheck=Healthcheck(test=("CMD", "true"), interval=0.5, timeout=2, retries=4, start_period=1),
        restart="always",
        resources=Resources(cpu=0.5, memory=64, cpu_limit=1.5, memory_limit=128),
        labels={"team": "core"},
        options={
            "init": True,
            "stop_signal": "SIGQUIT",
            "stop_grace": 20.0,
            "hostname": "box",
            "user": "1000",
            "working_dir": "/work",
            "privileged": True,
            "read_only": True,
            "cap_add": ["B", "A"],
            "cap_drop": ["C"],
            "platform": "linux/amd64",
            "log_driver": "local",
            "log_options": {"max-size": "1m"},
            "extra_hosts": ["db:10.0.0.5"],
            "dns": ["10.0.0.1"],
            "shm_size": 1024,
            "tmpfs": ["/run", "/tmp:size=1m"],
        },
    )

    body = request(desired, ports={"53/udp": 11000})

    labels = body.pop("Labels")
    assert body == {
        "Image": "api:1",
        "Env": ["LOG=info", "TOKEN=s"],
        "Cmd": ["serve"],
        "Entrypoint": [],
        "Hostname": "box",
        "User": "1000",
        "WorkingDir": "/work",
        "StopSignal": "SIGQUIT",
        "StopTimeout": 20,
        "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Interval": 500_000_000,
            "Timeout": 2_000_000_000,
            "Retries": 4,
            "StartPeriod": 1_000_000_000,
        },
        "HostConfig": {
            "NetworkMode": "shop-local",
            "RestartPolicy": {"Name": "always"},
            "PortBindings": {
                "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
                "53/udp": [{"HostPort": "11000"}],
            },
            "Mounts": [
                {"Type": "bind", "Source": "/srv/conf", "Target": "/conf", "ReadOnly": True},
                {
                    "Type": "volume",
                    "Source": "shop-local_data",
                    "Target": "/data",
                    "ReadOnly": False,
                    "VolumeOptions": {"Labels": {"fleetflow.project": "shop", "fleetflow.stage": "local"}},
                },
                {"Type": "volume", "Target": "/cache", "ReadOnly": False},
            ],
            "Init": True,
            "Privileged": True,
            "ReadonlyRootfs": True,
            "CapAdd": ["A", "B"],
            "CapDrop": ["C"],
            "ExtraHosts": ["db:10.0.0.5"],
            "Dns": ["10.0.0.1"],
            "ShmSize": 1024,
            "Tmpfs": {"/run": "", "/tmp": "size=1m"},
            "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}},
            "CpuShares": 512,
            "MemoryReservation": 64,
            "NanoCpus": 1_500_000_000,
            "Memory": 128,
        },
        "NetworkingConfig": {"EndpointsConfig": {"shop-local": {"Aliases": ["api"]}}},
    }
    assert {name: labels[f"fleetflow.{name}"] for name in ("ports", "grace", "signal", "restart", "secrets")} == {
        "ports": "53/udp=11000",
        "grace": "20",
        "signal": "SIGQUIT",
        "restart": "always",
        "secrets": "TOKEN",
    }
    assert labels["team"] == "core"
    assert desired.writable == ("shop-local_data",)
    assert desired.binds == ("/srv/conf",)


def test_the_hash_is_of_the_content_and_of_nothing_else() -> None:
    usual = hashed(wanted(), "sha256:1")

    assert usual.startswith("v1:")
    assert hashed(wanted(), "sha256:2") != usual
    assert hashed(wanted(environment={"A": "1"}), "sha256:1") != usual
    assert hashed(wanted(labels={"a": "b"}), "sha256:1") != usual
    assert hashed(wanted(secrets={"A": Secret("1")}), "x") != hashed(wanted(secrets={"A": Secret("2")}), "x")
    one, two = (wanted(resources=Resources(memory_limit=size)) for size in (64, 128))
    assert hashed(one, "x") == hashed(two, "x") != hashed(wanted(), "x")
    for same in ({"timeout": 9.0}, {"retries": 9}, {"readiness": Readiness(port=1)}, {"pull": "always"}):
        assert hashed(wanted(**same), "sha256:1") == usual, same


def test_a_place_in_the_network_can_be_without_a_name_and_with_an_address_and_neither_is_content() -> None:
    desired = wanted()

    apart = request(desired, address="10.0.8.5", apart=True)

    assert apart["NetworkingConfig"] == {
        "EndpointsConfig": {"shop-local": {"IPAMConfig": {"IPv4Address": "10.0.8.5"}}},
    }
    assert apart["Labels"]["fleetflow.apart"] == "yes"
    assert apart["Labels"]["fleetflow.hash"] == request(desired)["Labels"]["fleetflow.hash"]
    assert "fleetflow.apart" not in request(desired)["Labels"]


def test_a_new_engine_probes_sooner() -> None:
    desired = wanted(healthcheck=Healthcheck(test=("CMD", "true")))

    assert "StartInterval" not in request(desired)["Healthcheck"]
    assert request(desired, version=(1, 44))["Healthcheck"]["StartInterval"] == 1_000_000_000


def test_what_people_read_shows_no_secret_and_no_chosen_port() -> None:
    desired = wanted(
        masked=True, secrets={"TOKEN": Secret("s3cret")}, ports=(Port(container=80), Port(container=81, host=81))
    )

    shown = json.loads(rendered(desired))

    assert shown["name"] == "shop-local-api"
    assert shown["create"]["Env"] == ["TOKEN=[hidden]"]
    assert shown["create"]["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostPort": "first free from 11000"}],
        "81/tcp": [{"HostPort": "81"}],
    }
    assert "PortBindings" not in json.loads(rendered(wanted()))["create"]["HostConfig"]


@pytest.mark.parametrize(
    ("fields", "port"),
    [
        ({}, ""),
        ({"readiness": Readiness(port=9)}, "9/tcp"),
        ({"readiness": Readiness(), "ports": (Port(container=53, protocol="udp"), Port(container=80))}, "80/tcp"),
        ({"readiness": Readiness()}, ""),
    ],
)
def test_readiness_is_asked_at_a_tcp_port(fields: dict[str, Any], port: str) -> None:
    assert wanted(**fields).readiness_port == port


def test_a_job_is_never_restarted_and_a_digest_never_asked_for() -> None:
    assert wanted(job=True, restart="always").restart == "no"
    assert wanted(pull="always").asks
    assert not wanted(pull="always", image="api@sha256:" + "0" * 64).asks
    assert not wanted(pull="missing").asks


def test_a_log_option_without_a_driver_keeps_the_usual_one() -> None:
    body = request(wanted(options={"log_options": {"max-size": "1m"}}))

    assert body["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
