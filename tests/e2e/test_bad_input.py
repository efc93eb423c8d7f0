# SPDX-License-Identifier: Apache-2.0
"""What people get wrong: one clear line with place, cause and fix, the right exit code, and nothing half-changed."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import BASE, Desk, Result

GOOD = f"""
service "api" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}
stage "local" {{ service "api" }}
"""


def _fails(result: Result, code: int, *texts: str) -> None:
    assert result.code == code, result
    printed = result.out + result.err
    for text in texts:
        assert text in printed, f"{text!r} is not in:\n{result}"
    assert "Traceback" not in printed, result


def test_no_file(desk: Desk) -> None:
    result = desk.flow("up")

    _fails(result, 3, "there is no FleetFlow file here", "fleet.kdl", "fix: ")


def test_broken_kdl_points_at_the_place(desk: Desk) -> None:
    desk.write('service "api" {\n    image "a:1\n}\n')

    result = desk.flow("up")

    _fails(result, 3, "fleet.kdl:3:11: this string is never closed", "    3 |     image ", "^")


def test_broken_kdl_is_told_as_json_too(desk: Desk) -> None:
    desk.write('service "api" {')

    result = desk.flow("validate", "--json")

    document = json.loads(result.out)
    assert result.code == 3, result
    assert document["valid"] is False
    assert document["problems"][0]["place"]["line"] == 2


def test_an_unknown_stage_names_those_there_are(desk: Desk) -> None:
    desk.write(GOOD + 'stage "staging" { service "api" }')

    result = desk.flow("up", "--stage=stagin")

    _fails(result, 3, "unknown stage `stagin`", "did you mean `staging`?")


def test_a_cycle_is_printed_as_a_path_with_both_places(desk: Desk) -> None:
    desk.write(
        'service "api" { image "a:1"; depends_on "web" }\n'
        'service "web" { image "a:1"; depends_on "api" }\n'
        'stage "local" { service "api"; service "web" }\n'
    )

    result = desk.flow("up")

    _fails(
        result,
        3,
        "stage `local`: services wait for each other: api -> web -> api",
        "api depends on web   fleet.kdl:2:",
        "web depends on api   fleet.kdl:3:",
        "fix: ",
    )
    assert desk.container_ids() == []


def test_an_image_that_does_not_exist(desk: Desk) -> None:
    desk.write('service "api" { image "fleetflow/no-such-image:9" }\nstage "local" { service "api" }')

    result = desk.flow("up")

    _fails(result, 1, "api:prepare failed on docker", "fleetflow/no-such-image:9", "fix: ")
    assert desk.container_ids() == []


def test_a_port_that_a_process_holds_names_the_port_and_leaves_nothing_behind(desk: Desk) -> None:
    with _listener() as (port, _):
        desk.write(f'service "web" {{ image "{BASE}"; port {port} 8080 }}\nstage "local" {{ service "web" }}')

        result = desk.flow("up")

    _fails(result, 1, "web:deploy failed on docker", f"port {port}", "fix: ")
    assert desk.container_ids() == []


def test_a_port_that_another_container_holds_names_the_container(desk: Desk) -> None:
    with _listener() as (port, held):
        held.close()
    holder = f"{desk.project}-holder"
    label = f"fleetflow.project={desk.project}"
    desk.docker("run", "-d", "--name", holder, "--label", label, "-p", f"{port}:8080", BASE)
    desk.write(f'service "web" {{ image "{BASE}"; port {port} 8080 }}\nstage "local" {{ service "web" }}')

    result = desk.flow("up")

    _fails(result, 1, "web:deploy failed on docker", f"port {port}", holder, "fix: ")


def test_a_foreign_container_of_our_name_is_named_and_left_alone(desk: Desk) -> None:
    name = f"{desk.project}-local-api"
    foreign = desk.docker("run", "-d", "--name", name, BASE)
    desk.write(GOOD)
    try:
        result = desk.flow("up")

        _fails(result, 1, "failed on docker", name, foreign[:12], "fix: ")
        assert desk.docker("inspect", "-f", "{{.State.Running}}", foreign) == "true"
    finally:
        desk.docker("rm", "-f", foreign)


def test_no_engine(desk: Desk) -> None:
    desk.write(GOOD)

    result = desk.flow("up", DOCKER_HOST="unix:///nowhere/docker.sock")

    _fails(result, 4, "Docker", "/nowhere/docker.sock", "fix: ")


def test_no_redis(desk: Desk) -> None:
    desk.write(GOOD)
    with _listener() as (port, held):
        held.close()

    result = desk.flow("submit", FLEETFLOW_REDIS_URL=f"redis://127.0.0.1:{port}/0")

    _fails(result, 4, f"Redis at redis://127.0.0.1:{port}/0 does not answer", "fix: ")


def test_a_redis_that_others_can_reach_is_refused_without_a_key(desk: Desk) -> None:
    desk.write(GOOD)

    result = desk.flow("submit", FLEETFLOW_REDIS_URL="redis://redis.example.org:6379/0")

    _fails(result, 5, "FLEETFLOW_KEY is not set", "redis.example.org", "openssl rand -base64 32")


def test_no_worker_on_the_queue_is_told_at_once_with_the_command_that_starts_one(desk: Desk) -> None:
    desk.write(GOOD)

    result = desk.flow("submit", "--wait")

    _fails(result, 4, "no worker serves the queue `docker`", "flow worker docker")
    assert desk.container_ids() == []


def test_a_worker_with_another_key_is_told_at_submit_and_nothing_is_begun(desk: Desk) -> None:
    desk.write(GOOD)
    worker = desk.start("worker", "docker", FLEETFLOW_KEY="k" * 40)
    worker.until("worker.ready")

    result = desk.flow("submit", "--wait", FLEETFLOW_KEY="q" * 40)

    _fails(result, 5, "key", "FLEETFLOW_KEY", "fix: ")
    assert desk.container_ids() == []


def test_a_key_that_is_too_short(desk: Desk) -> None:
    desk.write(GOOD)

    result = desk.flow("submit", FLEETFLOW_KEY="short")

    _fails(result, 5, "the key has 5 characters, at least 32 are needed", "openssl rand -base64 32")


def test_a_bind_source_that_does_not_exist(desk: Desk) -> None:
    desk.write(
        f'service "api" {{ image "{BASE}"; volumes {{ volume "/no/such/folder" "/data" }} }}\n'
        'stage "local" { service "api" }'
    )

    result = desk.flow("up")

    _fails(result, 1, "/no/such/folder", "fix: ")
    assert desk.container_ids() == []


def test_a_runtime_that_this_version_does_not_bring_is_told_before_anything_is_touched(desk: Desk) -> None:
    desk.write(GOOD)

    result = desk.flow("up", "--runtime=nomad")

    _fails(result, 3, "nomad")
    assert desk.container_ids() == []


@pytest.mark.parametrize(
    "arguments",
    [["upp"], ["up", "--var", "novalue"], ["up", "a", "--stage=b"], ["watch", "--bad"], ["up", "-C", "fleet.kdl"]],
)
def test_usage_errors_leave_with_two(desk: Desk, arguments: list[str]) -> None:
    result = desk.flow(*arguments)

    _fails(result, 2, "Error: ")


def test_a_reader_that_has_enough_is_no_error(desk: Desk) -> None:
    desk.write(GOOD)

    done = subprocess.run(
        ["bash", "-c", "set -o pipefail; flow graph --json | true"],
        cwd=desk.folder,
        env=desk.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@contextmanager
def _listener() -> Iterator[tuple[int, socket.socket]]:
    """A port on all addresses that somebody listens on."""
    with socket.socket() as held:
        held.bind(("0.0.0.0", 0))
        held.listen()
        yield held.getsockname()[1], held
