# SPDX-License-Identifier: Apache-2.0
"""Deploying to a real Engine: what is made, kept, replaced and put back."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from docker.api.client import APIClient

from fleetflow_tasks.config.model import Healthcheck, Port, Readiness, Resources, Secret, Volume
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.runtimes.base import Stopped
from fleetflow_tasks.runtimes.docker.runtime import DockerRuntime
from fleetflow_tasks.testing import Trial, eventually

from .conftest import Stage, service

HTTPD = ("/bin/httpd", "-f", "-p", "8080", "-h", "/www")


def test_a_service_finds_another_by_its_name_also_after_that_was_replaced(stage: Stage) -> None:
    asks = ("/bin/wget", "-q", "-O", "-", "http://web:8080/index.html")
    write = "echo hello > /www/index.html; exec httpd -f -p 8080 -h /www"
    stage.up(service("web", "/bin/sh", "-c", write))
    stage.up(service("web", "/bin/sh", "-c", write, environment={"A": "1"}))

    outcomes = stage.up(service("web", "/bin/sh", "-c", write, environment={"A": "1"}), service("ask", *asks, job=True))

    assert outcomes["ask:deploy"].text == "ran"
    assert stage.engine.logs(f"{stage.project}-local-ask").decode().strip() == "hello"


def test_tools_of_others_group_the_containers(stage: Stage) -> None:
    stage.up(service("api"))

    labels = stage.look("api")["Config"]["Labels"]
    assert labels["com.docker.compose.project"] == f"{stage.project}-local"
    assert labels["com.docker.compose.service"] == "api"
    assert labels["fleetflow.run"] == "run-1"
    assert labels["fleetflow.hash"].startswith("v1:")


def test_a_plan_that_changes_nothing_is_seen_in_one_request(stage: Stage, requests: list[tuple[str, str]]) -> None:
    services = [service(f"s{number}") for number in range(5)]
    stage.up(*services)
    requests.clear()

    assert stage.changes(*services) == {}
    assert len(requests) == 1, requests


def test_a_stopped_service_is_started_and_not_made_anew(stage: Stage) -> None:
    stage.up(service("api"))
    made = stage.id("api")
    stage.engine.stop(made, timeout=0)
    assert stage.changes(service("api")) == {"api:deploy": "start: stopped (exit code 137)"}

    stage.up(service("api"))

    assert stage.id("api") == made
    assert stage.containers() == {"api": "running"}


def test_a_stopped_service_whose_network_was_made_anew_is_replaced(stage: Stage) -> None:
    stage.up(service("api"))
    stage.engine.stop(stage.id("api"), timeout=0)
    stage.engine.remove_network(f"{stage.project}-local")

    outcomes = stage.up(service("api"))

    assert outcomes["stage:prepare"].changed
    assert "made anew" in outcomes["api:deploy"].text
    assert stage.containers() == {"api": "running"}


def test_an_unhealthy_service_is_started_again(stage: Stage) -> None:
    check = Healthcheck(test=("CMD-SHELL", "test ! -e /tmp/sick"), interval=0.1, retries=1)
    stage.up(service("api", healthcheck=check))
    made = stage.id("api")
    sick = stage.engine.exec_create(made, ["/bin/touch", "/tmp/sick"])["Id"]
    stage.engine.exec_start(sick)
    eventually(lambda: stage.look("api")["State"]["Health"]["Status"] == "unhealthy")
    assert stage.changes(service("api", healthcheck=check)) == {"api:deploy": "start: unhealthy"}

    failure = stage.fails(service("api", healthcheck=check))

    assert failure.problem.message.startswith("`api` did not become ready: its health check failed")
    assert stage.id("api") == made


def test_a_wish_for_limits_is_followed_without_a_restart(stage: Stage) -> None:
    stage.up(service("api", resources=Resources(memory_limit=64 * 2**20, cpu_limit=0.5)))
    made, started = stage.id("api"), stage.look("api")["State"]["StartedAt"]
    more = service("api", resources=Resources(memory_limit=256 * 2**20, cpu_limit=0.5))
    assert stage.changes(more) == {"api:deploy": "update: limits changed"}

    stage.up(more)

    assert (stage.id("api"), stage.look("api")["State"]["StartedAt"]) == (made, started)
    assert stage.look("api")["HostConfig"]["Memory"] == 256 * 2**20
    assert stage.changes(more) == {}
    back = service("api", resources=Resources(memory_limit=64 * 2**20, cpu_limit=0.5))
    assert stage.changes(back) == {"api:deploy": "update: limits changed"}


def test_a_host_port_is_chosen_once_and_kept(stage: Stage) -> None:
    ports = (Port(container=8080),)
    stage.up(service("web", *HTTPD, ports=ports))
    chosen = stage.look("web")["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostPort"]
    assert 11000 <= int(chosen) < 20000

    stage.up(service("web", *HTTPD, ports=ports, environment={"A": "1"}))

    assert stage.look("web")["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostPort"] == chosen


def test_a_chosen_host_port_that_was_taken_meanwhile_is_chosen_again(stage: Stage) -> None:
    ports = (Port(container=8080),)
    web = service("web", *HTTPD, ports=ports)
    stage.step("stage:prepare", web)
    stage.step("web:prepare", web)
    first = int(stage.look("web")["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostPort"])
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("", first))
        thief.listen()

        stage.step("web:deploy", web)

    assert int(stage.look("web")["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostPort"]) != first
    assert stage.containers() == {"web": "running"}


def test_a_replacement_of_what_is_published_says_its_downtime_and_takes_little(stage: Stage) -> None:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    ports = (Port(container=8080, host=port),)
    stage.up(service("web", *HTTPD, ports=ports))
    changed = service("web", *HTTPD, ports=ports, environment={"A": "1"})

    change = stage.runtime.diff(stage.plan(changed))
    assert {c.downtime for c in change.values()} == {"~1 s: published port"}
    stage.up(changed)

    assert stage.containers() == {"web": "running"}


def test_a_named_volume_outlives_replacement_and_removal(stage: Stage) -> None:
    volumes = (Volume(source="data", target="/data"),)
    stage.up(service("db", volumes=volumes))
    write = stage.engine.exec_create(stage.id("db"), ["/bin/sh", "-c", "echo kept > /data/x"])["Id"]
    stage.engine.exec_start(write)

    stage.up(service("db", volumes=volumes, environment={"A": "1"}))
    stage.up()
    stage.up(service("db", "/bin/cat", "/data/x", volumes=volumes, job=True))

    assert stage.engine.logs(stage.id("db")).decode().strip() == "kept"
    assert stage.engine.inspect_volume(f"{stage.project}-local_data")["Labels"]["fleetflow.project"] == stage.project


def test_volumes_go_only_when_asked(stage: Stage, engine: APIClient) -> None:
    stage.up(service("db", volumes=(Volume(source="data", target="/data"),)))

    outcomes = stage.up(volumes="remove")

    assert f"removed volume {stage.project}-local_data" in outcomes["stage:prune"].text
    assert not engine.volumes(filters={"name": f"{stage.project}-local"})["Volumes"]


def test_a_missing_folder_of_the_project_is_made_by_the_user(stage: Stage) -> None:
    data = stage.root / "data"

    outcomes = stage.up(service("db", volumes=(Volume(source=str(data), target="/data"),)))

    assert outcomes["db:prepare"].text == "made folder data, created"
    assert data.is_dir()


def test_a_missing_file_of_the_project_is_an_error_and_makes_no_folder(stage: Stage) -> None:
    conf = stage.root / "nginx.conf"

    failure = stage.fails(service("web", volumes=(Volume(source=str(conf), target="/etc/nginx.conf"),)))

    assert failure.problem.message == f"`web` cannot be started: `{conf}` is not there to be mounted"
    assert not conf.exists()


def test_a_missing_folder_elsewhere_is_an_error(stage: Stage, tmp_path_factory: Any) -> None:
    path: Path = tmp_path_factory.mktemp("elsewhere") / "gone"

    failure = stage.fails(service("db", volumes=(Volume(source=str(path), target="/data"),)))

    assert failure.problem.message == f"`db` cannot be started: `{path}` is not there to be mounted"
    assert not path.exists()


def test_started_is_not_ready(stage: Stage) -> None:
    crash = service("api", "/bin/sh", "-c", "sleep 0.3; echo out of luck; exit 9")

    failure = stage.fails(crash)

    assert failure.problem.message == "`api` did not become ready: it ended with exit code 9"
    assert "  out of luck" in failure.problem.cause
    assert failure.problem.more.startswith("flow logs --stage=")


def test_the_log_of_the_version_before_is_not_given_out_for_that_of_the_one_that_failed(stage: Stage) -> None:
    stage.up(service("api"))

    failure = stage.fails(service("api", "/bin/sh", "-c", "echo out of luck; exit 9"))

    assert failure.problem.cause[-1] == "the version before still serves"
    assert failure.problem.more == ""


def test_a_container_that_crashes_again_and_again_is_not_taken_for_running(stage: Stage) -> None:
    failure = stage.fails(service("api", "/bin/sh", "-c", "echo again; exit 4", restart="always"))

    assert "it crashes again and again (3 restarts): it ended with exit code 4" in failure.problem.message


def test_a_failing_health_check_shows_what_it_said(stage: Stage) -> None:
    check = Healthcheck(test=("CMD-SHELL", "echo the database is away; exit 1"), interval=0.1, retries=2)

    failure = stage.fails(service("api", healthcheck=check))

    assert failure.problem.message.startswith("`api` did not become ready: its health check failed")
    assert "the health check's last output: the database is away" in failure.problem.cause


def test_readiness_is_asked_over_http(stage: Stage) -> None:
    late = "sleep 0.7; echo ok > /www/up; exec httpd -f -p 8080 -h /www"
    began = time.monotonic()

    stage.up(
        service(
            "web", "/bin/sh", "-c", late, ports=(Port(container=8080),), readiness=Readiness(path="/up", interval=0.1)
        )
    )

    assert time.monotonic() - began > 0.7


def test_readiness_that_never_comes_says_what_was_answered(stage: Stage) -> None:
    readiness = Readiness(path="/nothing", timeout=1.0, interval=0.1)

    failure = stage.fails(service("web", *HTTPD, ports=(Port(container=8080),), readiness=readiness))

    assert "/nothing did not answer well within 1 s: 127.0.0.1:" in failure.problem.message
    assert "answered 404" in failure.problem.message


def test_a_service_that_never_becomes_ready_fails_in_its_time(stage: Stage) -> None:
    check = Healthcheck(test=("CMD", "false"), interval=0.1, retries=1000)

    failure = stage.fails(service("api", healthcheck=check, timeout=1.5))

    assert failure.problem.message.startswith(
        "`api` did not become ready: after 1.5 s still waiting for its health check"
    )


def test_a_failed_replacement_puts_the_same_container_back(stage: Stage) -> None:
    ports = (Port(container=8080),)
    stage.up(service("web", *HTTPD, ports=ports, restart="always"))
    old = stage.id("web")

    failure = stage.fails(service("web", "/bin/sh", "-c", "echo new is broken; exit 3", ports=ports, restart="always"))

    assert "  new is broken" in failure.problem.cause
    assert failure.problem.cause[-1] == "the version before was started again"
    assert stage.id("web") == old
    assert stage.look("web")["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert stage.containers() == {"web": "running"}


def test_the_version_before_is_put_back_where_the_new_port_is_taken(stage: Stage) -> None:
    stage.up(service("web", *HTTPD, ports=(Port(container=8080),)))
    old = stage.id("web")
    with socket.socket() as thief:
        thief.bind(("", 0))
        thief.listen()
        port = thief.getsockname()[1]

        failure = stage.fails(service("web", *HTTPD, ports=(Port(container=8080, host=port),)))

    assert failure.problem.message.startswith(f"`web` cannot be started: host port {port} is taken by process `")
    assert stage.id("web") == old
    assert stage.containers() == {"web": "running"}


def test_a_taken_port_names_the_container_that_has_it(stage: Stage) -> None:
    stage.up(service("web", *HTTPD, ports=(Port(container=8080),)))
    port = int(stage.look("web")["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostPort"])

    failure = stage.fails(
        service("web", *HTTPD, ports=(Port(container=8080),)),
        service("api", *HTTPD, ports=(Port(container=8080, host=port),)),
    )

    holder = f"container `{stage.project}-local-web` of stage `local` of project `{stage.project}`"
    assert failure.problem.message == f"`api` cannot be started: host port {port} is taken by {holder}"


def test_a_foreign_container_is_named_with_its_owner(stage: Stage, engine: APIClient) -> None:
    engine.create_container(
        "fleetflow/base:1",
        ["/bin/true"],
        name=f"{stage.project}-local-api",
        labels={"com.docker.compose.project": "old"},
    )

    failure = stage.fails(service("api"))

    assert (
        failure.problem.message
        == f"a container called `{stage.project}-local-api` is there already, and it is not ours"
    )
    assert "it belongs to Docker Compose project `old`" in failure.problem.cause[0]


def test_a_foreign_network_is_named_and_not_used(stage: Stage, engine: APIClient) -> None:
    engine.create_network(f"{stage.project}-local")

    failure = stage.fails(service("api"))

    assert failure.problem.message == f"a network called `{stage.project}-local` is there already, and it is not ours"
    assert stage.containers() == {}


def test_a_foreign_volume_is_named_and_not_written(stage: Stage, engine: APIClient) -> None:
    engine.create_volume(f"{stage.project}-local_data")

    failure = stage.fails(service("db", volumes=(Volume(source="data", target="/data"),)))

    assert (
        failure.problem.message == f"a volume called `{stage.project}-local_data` is there already, and it is not ours"
    )
    assert stage.containers() == {}


def test_a_command_that_does_not_exist_is_said_so(stage: Stage) -> None:
    failure = stage.fails(service("api", "/bin/nothing"))

    assert failure.problem.message == "`api` cannot be started: its command does not exist in the image"


def test_memory_that_ran_out_names_the_limit(stage: Stage) -> None:
    hungry = ("/bin/sh", "-c", "head -c 200m /dev/zero | tail -c 100m > /dev/null; kill -9 $$")

    failure = stage.fails(service("api", *hungry, resources=Resources(memory_limit=16 * 2**20)))

    assert "out of memory: its limit is 16 MiB" in failure.problem.message


def test_a_job_that_fails_can_be_read_and_runs_again(stage: Stage) -> None:
    stage.up(service("seed", "/bin/true", job=True))
    broken = service("seed", "/bin/sh", "-c", "echo broken; exit 5", job=True)

    failure = stage.fails(broken)
    assert failure.problem.message == "job `seed` failed: it ended with exit code 5"
    assert stage.containers() == {"seed": "exited", "seed.next": "exited"}
    stage.fails(broken)

    stage.up(service("seed", "/bin/true", "mended", job=True))
    assert stage.containers() == {"seed": "exited"}


def test_a_job_that_always_runs_does_so_once_in_a_run(stage: Stage) -> None:
    seed = service("seed", "/bin/true", job=True, rerun="always")
    stage.up(seed, run="first")
    made = stage.id("seed")

    stage.up(seed, run="first")
    assert stage.id("seed") == made

    assert stage.changes(seed) == {"seed:deploy": 'run: rerun "always"'}
    stage.up(seed, run="second")
    assert stage.id("seed") != made


def test_secrets_reach_the_container_and_nothing_else(stage: Stage, requests: list[tuple[str, str]]) -> None:
    canary = "canary-4711"
    prints = service("api", "/bin/sh", "-c", "echo $TOKEN; exit 1", secrets={"TOKEN": Secret(canary)})

    failure = stage.fails(prints)

    assert f"TOKEN={canary}" in stage.look("api")["Config"]["Env"]
    assert canary not in str(stage.look("api")["Config"]["Labels"])
    assert canary not in str(failure.problem)
    assert "  [hidden]" in failure.problem.cause
    assert canary not in str(stage.runtime.render(stage.plan(prints)))
    assert f"TOKEN={canary}" in stage.runtime.render(stage.plan(prints), secrets=True)["api.json"]


def test_a_change_names_its_fields_and_hides_secrets(stage: Stage) -> None:
    stage.up(service("api", environment={"LOG": "info"}, secrets={"TOKEN": Secret("old-secret")}))
    changed = service("api", environment={"LOG": "debug"}, secrets={"TOKEN": Secret("new-secret")}, restart="always")

    change = dict(stage.runtime.diff(stage.plan(changed)))

    (deploy,) = (c for step, c in change.items() if step == "api:deploy")
    assert deploy.cause == "environment, restart changed"
    assert [(field.field, field.old, field.new) for field in deploy.fields] == [
        ("environment.LOG", "info", "debug"),
        ("environment.TOKEN", "[hidden]", "[hidden]"),
        ("restart", None, "always"),
    ]


def test_what_docker_can_say_more_reaches_the_container(stage: Stage) -> None:
    options = {
        "init": True,
        "stop_signal": "SIGUSR1",
        "stop_grace": 20,
        "hostname": "box",
        "user": "0",
        "working_dir": "/tmp",
        "read_only": True,
        "cap_add": ["NET_ADMIN"],
        "cap_drop": ["MKNOD"],
        "log_driver": "json-file",
        "log_options": {"max-size": "1m"},
        "extra_hosts": ["db:10.0.0.5"],
        "dns": ["10.0.0.1"],
        "shm_size": 2**20,
        "tmpfs": ["/run", "/tmp:size=64m"],
    }
    stage.up(service("api", options=options))

    config, host = stage.look("api")["Config"], stage.look("api")["HostConfig"]
    assert (config["StopSignal"], config["StopTimeout"], config["Hostname"]) == ("SIGUSR1", 20, "box")
    assert (config["User"], config["WorkingDir"]) == ("0", "/tmp")
    assert (host["Init"], host["ReadonlyRootfs"], host["ShmSize"]) == (True, True, 2**20)
    assert (host["CapAdd"], host["CapDrop"]) == (["NET_ADMIN"], ["MKNOD"])
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert (host["ExtraHosts"], host["Dns"]) == (["db:10.0.0.5"], ["10.0.0.1"])
    assert host["Tmpfs"] == {"/run": "", "/tmp": "size=64m"}
    assert stage.changes(service("api", options=options)) == {}


def test_a_long_grace_is_waited_for_outside_of_a_call(stage: Stage) -> None:
    slow = ("/bin/sh", "-c", "trap 'sleep 0.5; echo bye; exit 0' TERM; while :; do sleep 0.05; done")
    stage.up(service("api", *slow, options={"stop_grace": 60}))
    began = time.monotonic()

    stage.up()

    assert 0.4 < time.monotonic() - began < 8
    assert stage.containers() == {}


def test_leftovers_of_an_interrupted_replacement_are_tidied_when_the_old_version_is_wanted_again(stage: Stage) -> None:
    ports = (Port(container=8080),)
    one, two = service("web", *HTTPD, ports=ports), service("web", *HTTPD, ports=ports, environment={"A": "1"})
    stage.up(one)
    old = stage.id("web")
    stage.step("web:prepare", two, attempt=Trial(2))
    with pytest.raises(Stopped):
        stage.step("web:deploy", two, attempt=Trial(2, stop_at=3))
    stage.generation = 2
    assert list(stage.changes(one)) == ["web:deploy"]

    stage.up(one)

    assert stage.id("web") == old
    assert stage.containers() == {"web": "running"}
    assert stage.changes(one) == {}


def test_status_tells_states_ports_and_drift(stage: Stage) -> None:
    services = (
        service("web", *HTTPD, ports=(Port(container=8080),)),
        service("seed", "/bin/true", job=True),
        service("gone"),
    )
    stage.up(*services)
    stage.engine.remove_container(stage.id("gone"), force=True)
    drifted = service("web", *HTTPD, ports=(Port(container=8080),), environment={"A": "1"})

    found = {s.service: s for s in stage.runtime.status(stage.plan(drifted, *services[1:]))}

    assert {name: (s.state, s.drift) for name, s in found.items()} == {
        "gone": ("missing", False),
        "seed": ("completed", False),
        "web": ("running", True),
    }
    web = found[services[0].name]
    assert web.ports[0].endswith("->8080/tcp")
    assert web.since is not None
    assert abs(web.since - time.time()) < 60
    assert web.run == "run-1"


def test_a_moved_tag_replaces_the_container(stage: Stage, image: Callable[..., str]) -> None:
    reference = image("ENV A=1")
    stage.up(service("api", image=reference))
    image("ENV A=2", name=reference)
    assert stage.changes(service("api", image=reference)) == {
        "api:deploy": f"replace: image changed: `{reference}` is another one now"
    }

    stage.up(service("api", image=reference))

    assert "A=2" in stage.look("api")["Config"]["Env"]
    assert stage.changes(service("api", image=reference)) == {}


def test_a_health_check_of_the_image_is_waited_for(stage: Stage, image: Callable[..., str]) -> None:
    reference = image('HEALTHCHECK --interval=100ms --retries=100 CMD ["/bin/test", "-e", "/tmp/up"]')

    stage.up(service("api", "/bin/sh", "-c", "sleep 0.6; touch /tmp/up; exec sleep 1000", image=reference))

    assert stage.look("api")["State"]["Health"]["Status"] == "healthy"


# --- what a run that ended badly had prepared


@contextmanager
def once_listed(act: Callable[[], object]) -> Iterator[DockerRuntime]:
    """A runtime that has the ground changed under it: *act* happens each time it has listed containers."""

    def told(_: str, path: str) -> None:
        if "/containers/json" in path:
            act()

    runtime = DockerRuntime(os.environ, trace=told)
    yield runtime
    runtime.close()


def test_what_a_run_prepared_is_tidied_with_one_look(stage: Stage, requests: list[tuple[str, str]]) -> None:
    stage.up(service("api"), service("job", "/bin/true", job=True))
    changed = (service("api", environment={"A": "1"}), service("web"))
    for step in ("api:prepare", "web:prepare"):
        stage.step(step, *changed, attempt=Trial(2, run="run-2"))
    assert stage.containers() == {"api": "running", "api.next": "created", "job": "exited", "web": "created"}
    requests.clear()

    outcome = stage.runtime.tidy(stage.plan(*changed), "run-2")

    names = f"{stage.project}-local-api.next, {stage.project}-local-web"
    assert (outcome.changed, outcome.text) == (True, f"removed what was prepared: {names}")
    assert stage.containers() == {"api": "running", "job": "exited"}
    assert [method for method, _ in requests if method == "GET"] == ["GET"]
    assert stage.runtime.tidy(stage.plan(*changed), "run-2").text == "nothing to remove"


def test_what_the_next_run_has_started_meanwhile_is_not_tidied(stage: Stage, engine: APIClient) -> None:
    stage.step("stage:prepare")
    stage.step("web:prepare", service("web"), attempt=Trial(1, run="run-1"))
    made = stage.id("web")

    with once_listed(lambda: engine.start(made)) as runtime:
        assert not runtime.tidy(stage.plan(), "run-1").changed

    assert stage.containers() == {"web": "running"}


def test_what_was_tidied_under_the_hands_of_the_next_run_is_made_again(stage: Stage) -> None:
    stage.step("stage:prepare")
    stage.step("web:prepare", service("web"), attempt=Trial(1, run="run-1"))
    plan = stage.plan(service("web"))

    with once_listed(lambda: stage.runtime.tidy(plan, "run-1")) as runtime:
        outcome = runtime.deploy(plan, plan.step(StepId("web:deploy")), Trial(2))

    assert outcome.changed
    assert stage.containers() == {"web": "running"}
    assert stage.look("web")["Config"]["Labels"]["fleetflow.run"] == "run-2"


def test_a_service_that_was_only_prepared_is_shown_so_that_it_can_be_taken_down(stage: Stage) -> None:
    stage.step("stage:prepare")
    stage.step("web:prepare", service("web"))

    (status,) = stage.runtime.status(stage.plan())

    assert (status.service, status.state) == ("web", "stopped")
