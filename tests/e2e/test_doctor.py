# SPDX-License-Identifier: Apache-2.0
"""`flow doctor` on a real machine: short where all is well, and the exit code of what is not there where it is not."""

import json

from tests.e2e.conftest import BASE, Desk

SHOP = f"""
service "api" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}
stage "local" {{ service "api" }}
"""


def test_a_laptop_in_order_gets_a_line_for_each_thing_and_nothing_else(desk: Desk) -> None:
    desk.write(SHOP)
    assert desk.flow("up").code == 0

    result = desk.flow("doctor")

    assert result.code == 0, result
    names = [line.split()[1] for line in result.out.splitlines() if line.startswith("✓")]
    assert names == ["fleetflow", "state", "key", "redis", "engine"]
    assert result.out.splitlines()[-1] == "all is well"


def test_a_redis_that_is_not_there_is_said_with_its_fix_and_the_rest_is_looked_at_all_the_same(desk: Desk) -> None:
    desk.write(SHOP)

    result = desk.flow("doctor", FLEETFLOW_REDIS_URL="redis://eve:s3cr3t@127.0.0.1:1/0")

    assert result.code == 4, result
    assert "✗ redis" in result.out
    assert "Redis at redis://127.0.0.1:1/0 does not answer" in result.out
    assert "✓ engine" in result.out
    assert "s3cr3t" not in result.out + result.err


def test_machines_are_told_of_workers_and_persistence_too(desk: Desk) -> None:
    desk.write(SHOP)
    worker = desk.start("worker", "docker")
    worker.until("worker.ready")
    desk.flow("submit", "--wait")
    with_worker = json.loads(desk.flow("doctor", "--json").out)
    worker.process.terminate()
    worker.wait()

    assert (with_worker["type"], with_worker["ok"]) == ("doctor", True)
    found = {check["name"]: check for check in with_worker["checks"]}
    assert found["workers docker"]["verdict"] == "ok"
    assert found["engine"]["verdict"] == "ok"
    assert found["redis"]["text"].startswith("Valkey ")
    assert found["persistence"]["text"].startswith("an append-only file")


def test_a_folder_without_a_project_and_a_key_that_is_too_short_are_two_things(desk: Desk) -> None:
    result = desk.flow("doctor", FLEETFLOW_KEY="short")

    assert result.code == 4, result
    assert "✗ settings" in result.out
    assert "the key has 5 characters, at least 32 are needed" in result.out
    assert "files" not in result.out


def test_which_stage_is_meant_has_to_be_said_where_there_are_several(desk: Desk) -> None:
    desk.write('service "api" { image "x:1" }\nstage "stg" { service "api" }\nstage "prd" { service "api" }\n')

    result = desk.flow("doctor")

    assert result.code == 0, result
    assert "i files      and engine were not looked at\n" in result.out
    assert "fix: name it: flow doctor STAGE" in result.out


def test_files_with_errors_are_told_with_where_to_see_them_alone(desk: Desk) -> None:
    desk.write('stage "local" {')

    result = desk.flow("doctor")

    assert result.code == 4, result
    assert "✗ files      of this folder have errors: `flow validate` shows them alone\n" in result.out
