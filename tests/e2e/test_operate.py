# SPDX-License-Identifier: Apache-2.0
"""What an operator does when a deployment went wrong: stop it, take it back, do the rest again, and find out what happened."""

import json
import re
from pathlib import Path

from tests.e2e.conftest import BASE, Desk, eventually

SHOP = f"""
service "db" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}
service "api" {{
    image "{BASE}"
    depends_on "db"
    command "sh" "-c" "COMMAND"
    docker {{ init #true }}
    volume "./gate" "/gate" read_only=#true
    healthcheck {{ test "CMD" "test" "-f" "/ready"; interval 1; retries 300 }}
}}
service "web" {{ image "{BASE}"; depends_on "api"; command "sleep" "1000"; docker {{ init #true }} }}
stage "local" {{ service "db"; service "api"; service "web" }}
"""
GOOD = "touch /ready; exec sleep 1000"
SLOW = "sleep 300; touch /ready; exec sleep 1000"
GATED = "test -f /gate/open || exit 3; touch /ready; exec sleep 1000"


def write(desk: Desk, command: str) -> None:
    (desk.folder / "gate").mkdir(exist_ok=True)
    desk.write(SHOP.replace("COMMAND", command))


def newest(desk: Desk, *filters: str) -> dict[str, object]:
    listed = json.loads(desk.flow("runs", "--json", "-n", "1", *filters).out)["runs"]
    assert listed, filters
    found: dict[str, object] = listed[0]
    return found


def command_of(desk: Desk, service: str) -> str:
    return desk.docker("inspect", "--format", "{{.Config.Cmd}}", f"{desk.project}-local-{service}")


def test_a_version_that_fails_is_taken_back_by_itself_and_by_hand(desk: Desk) -> None:
    desk.start("worker", "docker").until("worker.ready")
    write(desk, GOOD)
    assert desk.flow("submit", "--wait", "-q").code == 0
    write(desk, "exit 3")

    failed = desk.flow("submit", "--wait", "--rollback")
    write(desk, f": another; {GOOD}")
    assert desk.flow("submit", "--wait", "-q").code == 0
    looked = desk.flow("rollback", "--dry-run")
    backwards = desk.flow("rollback", "local", "--wait")

    assert failed.code == 1, failed
    assert re.search(r"rolled back by run \w+, to the plan of run \w+\n", failed.out), failed
    assert re.search(r"run \w+ failed, and was rolled back to the plan of run \w+\n$", failed.out), failed
    assert looked.code == 0, looked
    assert f"{desk.project}/local goes back to run" in looked.out
    assert backwards.code == 0, backwards
    assert "another" in looked.out
    assert "another" not in command_of(desk, "api")
    assert [
        run["status"] for run in json.loads(desk.flow("runs", "--json", "--mine", "--status=failed").out)["runs"]
    ] == ["failed"]


def test_what_a_run_did_not_do_is_done_again_once_its_cause_is_gone(desk: Desk) -> None:
    desk.start("worker", "docker").until("worker.ready")
    write(desk, GATED)
    assert desk.flow("submit", "--wait", "-q").code == 1
    run = str(newest(desk)["run"])
    (desk.folder / "gate" / "open").touch()

    again = desk.flow("retry", run[-7:], "--wait")
    shown = desk.flow("show")
    old = json.loads(desk.flow("show", run, "--json").out)
    twice = desk.flow("retry", run)

    assert again.code == 0, again
    assert f"(retry of {run[-8:]})" in again.out
    assert "db: deploy started" not in again.out
    assert "web: ready" in again.out
    assert "api:deploy" in shown.out
    assert f"kept from run {run}" in shown.out, shown
    assert {step["step"]: step["status"] for step in old["steps"]}["web:deploy"] == "skipped"
    assert twice.code == 5, twice
    assert "is not the newest of stage" in twice.err


def test_a_run_that_hangs_is_seen_in_the_queue_and_stopped_softly_or_now(desk: Desk) -> None:
    desk.start("worker", "docker").until("worker.ready")
    write(desk, SLOW)
    first = desk.start("submit", "--wait")
    first.until(r"api: deploy started")
    second = desk.flow("submit", "--timeout=1h")
    queue = desk.flow("queue")

    softly = desk.flow("cancel", str(newest(desk, "--status=running,ending")["run"]), "--wait", "-q")
    ended = first.wait(60)
    eventually(lambda: "api:deploy" in desk.flow("queue").out, 30, lambda: desk.flow("queue").out)
    now = desk.flow("cancel", "--now", str(newest(desk)["run"]))

    assert second.code == 0, second
    assert "1 run ahead" in second.out
    assert re.search(r"running  api:deploy +on \S+ for ", queue.out), queue
    assert re.search(r"next +run \w+ +waits for run \w+ \(submitted ", queue.out), queue
    assert re.search(r"docker +1 +16 ", queue.out), queue
    assert softly.code == 0, softly
    assert ended.code == 6, ended
    assert "taken from their workers: api:deploy on" in now.out, now
    assert desk.flow("cancel", str(newest(desk)["run"])).out.endswith("is cancelled already\n")


def test_a_run_that_takes_longer_than_it_may_fails_and_says_what_it_was_at(desk: Desk) -> None:
    desk.start("worker", "docker").until("worker.ready")
    write(desk, SLOW)

    late = desk.flow("submit", "--wait", "--timeout=5s")

    assert late.code == 1, late
    assert "not done after 5 s" in late.out, late
    assert re.search(r"it was at `\w+:\w+`", late.out), late
    assert "--timeout" in late.out


def test_only_one_service_is_deployed_without_what_it_depends_on(desk: Desk) -> None:
    write(desk, GOOD)

    alone = desk.flow("up", "--only=web", "--no-deps")

    assert alone.code == 0, alone
    assert desk.containers() == [f"{desk.project}-local-web"]
    assert "1 service, 3 steps" in alone.out


def test_words_that_nobody_knows_are_answered_with_those_that_were_meant(desk: Desk) -> None:
    write(desk, GOOD)

    status = desk.flow("runs", "--status=faild")
    both = desk.flow("submit", "--no-wait", "--supersede")
    time = desk.flow("submit", "--timeout=soon")
    run = desk.flow("show", "nobody")
    none = desk.flow("rollback")
    mine = desk.flow("runs", "--mine", "--actor=ann")

    assert (status.code, both.code, time.code, mine.code) == (2, 2, 2, 2)
    assert "unknown status `faild`; did you mean `failed`?" in status.err
    assert "--no-wait and --supersede exclude each other" in both.err
    assert "`soon` is no length of time; write 90, 30s, 5m or 1h30m" in time.err
    assert (run.code, none.code) == (5, 5)
    assert "there is no run `nobody`" in run.err
    assert f"no run of project `{desk.project}` is known here" in none.err
    assert "exclude each other" in mine.err


def test_an_operator_without_runs_or_workers_is_told_how_to_get_some(desk: Desk) -> None:
    none = desk.flow("runs")
    embedded = f"this is the embedded Redis of {desk.environ['FLEETFLOW_STATE_DIR']}; FLEETFLOW_REDIS_URL is not set"
    assert (none.out, none.err) == ("no runs yet\n", embedded + "\n")
    write(desk, GOOD)
    assert f"none was ever seen on this Redis\n  {embedded}" in desk.flow("submit").err
    assert desk.flow("queue").out.startswith("nothing runs, and nothing waits\n")
    assert "no run of stage `shop/stg`" in desk.flow("runs", "shop/stg").out
    assert "begin one with `flow up`" in desk.flow("show").err


def test_a_rollback_without_a_name_is_of_the_project_whose_folder_one_is_in(desk: Desk, tmp_path: Path) -> None:
    write(desk, GOOD)
    assert desk.flow("up").code == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "fleet.kdl").write_text(
        'project "other"\nservice "a"\nstage "local" { service "a" }\n', encoding="utf-8"
    )
    desk.folder = elsewhere

    refused = desk.flow("rollback", "local", "--dry-run")

    assert refused.code == 5
    assert "no run of stage `other/local` is known here" in refused.err
