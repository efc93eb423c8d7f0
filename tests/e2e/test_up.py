# SPDX-License-Identifier: Apache-2.0
"""What a developer on a laptop does, on a real Engine: up, again, change, break, down."""

import json
import re
import signal
import urllib.request

from tests.e2e.conftest import BASE, Desk, eventually

TWO = f"""
service "db" {{
    image "{BASE}"
    command "sh" "-c" "trap exit TERM; touch /tmp/ready; while :; do sleep 0.1; done"
    healthcheck {{ test "CMD" "test" "-f" "/tmp/ready"; interval 1 }}
}}
service "web" {{
    image "{BASE}"
    port container=8080
    depends_on "db"
    readiness path="/" port=8080
    environment {{ GREETING "hello" }}
    docker {{ init #true }}
    command "sh" "-c" "mkdir -p /www && echo $$GREETING > /www/index.html && exec httpd -f -p 8080 -h /www"
}}
stage "local" {{ service "db"; service "web" }}
"""

SLOWLY = f"""
service "slow" {{
    image "{BASE}"
    command "sh" "-c" "sleep 3; touch /ready; exec sleep 1000"
    docker {{ init #true }}
    healthcheck {{ test "CMD" "test" "-f" "/ready"; interval 1; retries 30 }}
}}
service "after" {{ image "{BASE}"; depends_on "slow"; command "sleep" "1000"; docker {{ init #true }} }}
stage "local" {{ service "slow"; service "after" }}
"""


def _port(desk: Desk) -> str:
    return desk.docker("port", f"{desk.project}-local-web", "8080/tcp").splitlines()[0].rpartition(":")[2]


def _page(desk: Desk) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{_port(desk)}/", timeout=5) as answer:
        text: str = answer.read().decode().strip()
        return text


def test_a_two_service_file_deploys_at_the_first_try_and_answers(desk: Desk) -> None:
    desk.write(TWO)

    result = desk.flow("up")

    assert result.code == 0, result
    assert re.search(r"^succeeded in [\d.]+s: 2 services deployed$", result.out, re.MULTILINE), result
    assert desk.containers() == [f"{desk.project}-local-db", f"{desk.project}-local-web"]
    assert _page(desk) == "hello"


def test_a_second_up_changes_nothing_and_starts_no_redis(desk: Desk) -> None:
    desk.write(TWO)
    assert desk.flow("up").code == 0
    before = desk.container_ids()

    result = desk.flow("up")

    assert result.code == 0, result
    assert result.out == f"{desk.project}/local is up to date: 2 services unchanged\n"
    assert result.err == ""
    assert desk.container_ids() == before


def test_a_changed_service_is_replaced_and_the_others_are_left_alone(desk: Desk) -> None:
    desk.write(TWO)
    assert desk.flow("up").code == 0
    db = desk.docker("inspect", "-f", "{{.Id}}", f"{desk.project}-local-db")

    desk.write(TWO.replace('"hello"', '"good morning"'))
    result = desk.flow("up")

    assert result.code == 0, result
    assert _page(desk) == "good morning"
    assert desk.docker("inspect", "-f", "{{.Id}}", f"{desk.project}-local-db") == db
    assert len(desk.container_ids()) == 2


def test_a_broken_new_version_is_diagnosed_and_the_old_one_goes_on_serving(desk: Desk) -> None:
    desk.write(TWO)
    assert desk.flow("up").code == 0

    desk.write(TWO.replace("exec httpd", "echo cannot read the certificate >&2; exit 3; exec httpd"))
    result = desk.flow("up")

    assert result.code == 1, result
    assert "web:deploy failed on docker" in result.out, result
    assert "cannot read the certificate" in result.out, result
    assert "3" in re.search(r"web:deploy failed.*", result.out)[0], result  # type: ignore[index]  # asserted above
    assert _page(desk) == "hello"
    assert len(desk.container_ids()) == 2


def test_a_service_that_is_declared_no_more_is_removed_after_the_others_are_well(desk: Desk) -> None:
    desk.write(TWO)
    assert desk.flow("up").code == 0

    desk.write(TWO.replace('stage "local" { service "db"; service "web" }', 'stage "local" { service "db" }'))
    planned = desk.flow("plan")
    result = desk.flow("up")

    assert "- remove" in planned.out, planned
    assert result.code == 0, result
    assert desk.containers() == [f"{desk.project}-local-db"]


def test_down_removes_services_and_network_and_keeps_volumes_until_it_is_told(desk: Desk) -> None:
    volume = 'volume "data" "/data"'
    desk.write(TWO.replace("healthcheck", f"volumes {{ {volume} }}\n    healthcheck", 1))
    assert desk.flow("up").code == 0
    label = f"label=fleetflow.project={desk.project}"

    first = desk.flow("down")
    kept = desk.docker("volume", "ls", "-q", "--filter", label)
    second = desk.flow("down", "--volumes", "--yes")

    assert first.code == 0, first
    assert desk.container_ids() == []
    assert desk.docker("network", "ls", "-q", "--filter", label) == ""
    assert kept == f"{desk.project}-local_data"
    assert second.code == 0, second
    assert desk.docker("volume", "ls", "-q", "--filter", label) == ""


def test_ps_shows_state_ports_and_image_and_says_so_as_json_too(desk: Desk) -> None:
    desk.write(TWO)
    assert desk.flow("up").code == 0

    table = desk.flow("ps")
    document = json.loads(desk.flow("ps", "--json").out)

    assert table.out.splitlines()[0].split() == ["SERVICE", "STATE", "SINCE", "PORTS", "IMAGE"]
    assert [line.split()[:2] for line in table.out.splitlines()[1:]] == [["db", "running"], ["web", "running"]]
    assert document["v"] == 1
    assert [service["service"] for service in document["services"]] == ["db", "web"]


def test_logs_come_from_all_services_with_their_names_or_from_the_one_that_is_named(desk: Desk) -> None:
    desk.write(
        f"""
        service "one" {{ image "{BASE}"; command "sh" "-c" "echo first; exec sleep 1000"; docker {{ init #true }} }}
        service "two" {{ image "{BASE}"; command "sh" "-c" "echo second; exec sleep 1000"; docker {{ init #true }} }}
        stage "local" {{ service "one"; service "two" }}
        """
    )
    before = desk.flow("logs")
    assert desk.flow("up").code == 0

    everything = desk.flow("logs")
    one = desk.flow("logs", "one")
    nobody = desk.flow("logs", "onee")

    assert re.fullmatch(r"nothing of \S+/local runs\n", before.err), before
    assert sorted(everything.out.splitlines()) == ["one | first", "two | second"]
    assert everything.err == ""
    assert one.out == "one | first\n"
    assert nobody.code == 3
    assert "did you mean `one`?" in nobody.err


def test_a_job_runs_once_and_holds_back_its_dependants_until_it_has_ended_well(desk: Desk) -> None:
    text = f"""
        service "migrate" {{ image "{BASE}"; job #true; command "sh" "-c" "sleep 1; echo migrated" }}
        service "api" {{ image "{BASE}"; depends_on "migrate"; command "sleep" "1000"; docker {{ init #true }} }}
        stage "local" {{ service "migrate"; service "api" }}
        """
    desk.write(text)

    first = desk.flow("up")
    second = desk.flow("up")

    assert first.code == 0, first
    ended = desk.docker("inspect", "-f", "{{.State.FinishedAt}}", f"{desk.project}-local-migrate")
    began = desk.docker("inspect", "-f", "{{.State.StartedAt}}", f"{desk.project}-local-api")
    assert ended < began
    assert second.out == f"{desk.project}/local is up to date: 2 services unchanged\n"


def test_a_failed_job_skips_its_dependants_and_says_so(desk: Desk) -> None:
    desk.write(
        f"""
        service "migrate" {{ image "{BASE}"; job #true; command "sh" "-c" "echo no such table; exit 4" }}
        service "api" {{ image "{BASE}"; depends_on "migrate"; command "sleep" "1000"; docker {{ init #true }} }}
        service "other" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}
        stage "local" {{ service "migrate"; service "api"; service "other" }}
        """
    )

    result = desk.flow("up")

    assert result.code == 1, result
    assert "no such table" in result.out
    assert "not done: api, because migrate:deploy failed" in result.out
    assert desk.containers() == [f"{desk.project}-local-other"]


def test_quiet_says_how_it_ended_and_nothing_else(desk: Desk) -> None:
    desk.write(TWO)

    result = desk.flow("up", "--quiet")

    assert re.fullmatch(r"succeeded in [0-9.]+s: 2 services deployed\n", result.out), result
    assert result.err == ""


def test_ctrl_c_lets_what_has_begun_end_and_begins_nothing_new(desk: Desk) -> None:
    desk.write(SLOWLY)
    run = desk.start("up")
    run.until(r"slow: deploy started")

    run.process.send_signal(signal.SIGINT)
    result = run.wait()

    assert result.code == 6, result
    assert "Ctrl-C again leaves now" in result.out, result
    assert re.search(r"^cancelled in", result.out, re.MULTILINE), result
    assert desk.containers() == [f"{desk.project}-local-slow"]


def test_sigterm_is_ctrl_c_from_somewhere_else(desk: Desk) -> None:
    desk.write(SLOWLY)
    run = desk.start("up")
    run.until(r"slow: deploy started")

    run.process.send_signal(signal.SIGTERM)
    result = run.wait()

    assert result.code == 6, result
    assert "stopping: what has begun comes to its end" in result.out, result
    assert desk.containers() == [f"{desk.project}-local-slow"]


def test_ctrl_c_twice_leaves_at_once_and_the_next_up_goes_on(desk: Desk) -> None:
    desk.write(SLOWLY)
    run = desk.start("up")
    run.until(r"slow: deploy started")

    run.process.send_signal(signal.SIGINT)
    run.until(r"stopping: ")
    run.process.send_signal(signal.SIGINT)
    result = run.wait(10)
    again = desk.flow("up")

    assert result.code == 130, result
    assert "left in the middle of slow:deploy: what it was at may be down" in result.out, result
    assert again.code == 0, again
    assert desk.containers() == [f"{desk.project}-local-after", f"{desk.project}-local-slow"]


def test_an_up_that_was_killed_does_not_stand_in_the_way_of_the_next_one(desk: Desk) -> None:
    desk.write(TWO)
    run = desk.start("up")
    run.until(r"deploy started")

    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    result = desk.flow("up")

    assert result.code == 0, result
    assert _page(desk) == "hello"


def test_up_as_json_is_one_object_per_line_and_its_events_agree_with_its_end(desk: Desk) -> None:
    desk.write(TWO)

    result = desk.flow("up", "--json")

    lines = [json.loads(line) for line in result.out.splitlines()]
    assert {line["v"] for line in lines} == {1}
    assert lines[0]["type"] == "snapshot"
    assert lines[-1]["type"] == "end"
    assert lines[-1]["services"] == {"ready": 2}
    assert [line["status"] for line in lines if line["type"] == "run.ended"] == ["succeeded"]


def test_only_deploys_a_service_with_what_it_depends_on_and_leaves_the_rest(desk: Desk) -> None:
    desk.write(TWO)

    result = desk.flow("up", "--only", "db")

    assert result.code == 0, result
    assert eventually(desk.containers, 5, lambda: "nothing runs") == [f"{desk.project}-local-db"]
