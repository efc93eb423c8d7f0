# SPDX-License-Identifier: Apache-2.0
"""What a team does: workers on a Redis, runs handed to them, watched from anywhere, killed in the middle."""

import json
import re
import signal

from tests.e2e.conftest import BASE, Desk, Running, eventually

SLOW = f"""
service "db" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}
service "api" {{
    image "{BASE}"
    depends_on "db"
    command "sh" "-c" "sleep 4; touch /ready; exec sleep 1000"
    docker {{ init #true }}
    healthcheck {{ test "CMD" "test" "-f" "/ready"; interval 1; retries 60 }}
}}
service "web" {{ image "{BASE}"; depends_on "api"; command "sleep" "1000"; docker {{ init #true }} }}
stage "local" {{ service "db"; service "api"; service "web" }}
"""


def test_a_submitted_stage_is_carried_out_by_a_worker_and_the_exit_code_is_the_runs(desk: Desk) -> None:
    desk.write(SLOW)
    desk.start("worker", "docker").until("worker.ready")

    well = desk.flow("submit", "--stage=local", "--wait")
    desk.write(SLOW.replace('depends_on "api"', f'depends_on "api"; pull "never"; image "{BASE}-not"', 1))
    badly = desk.flow("submit", "--stage=local", "--wait")

    assert well.code == 0, well
    assert "succeeded in" in well.out
    assert badly.code != 0, badly
    assert len(desk.containers()) == 3


def test_a_worker_killed_in_the_middle_does_not_change_the_end(desk: Desk) -> None:
    desk.write(SLOW)
    workers = [desk.start("worker", "docker", "--concurrency=1") for _ in range(2)]
    for worker in workers:
        worker.until("worker.ready")
    submitted = desk.start("submit", "--wait")
    submitted.until(r"api: deploy started")
    holder = _holder(workers, "api:deploy")

    holder.process.send_signal(signal.SIGKILL)
    result = submitted.wait(150)

    assert result.code == 0, result
    assert "lost its worker, another takes it" in result.out, result
    assert len(desk.containers()) == 3
    assert len(desk.container_ids()) == 3


def test_a_run_whose_only_worker_died_says_so_and_goes_on_with_the_next_one(desk: Desk) -> None:
    desk.write(SLOW)
    only = desk.start("worker", "docker")
    only.until("worker.ready")
    submitted = desk.start("submit", "--wait")
    submitted.until(r"api: deploy started")

    only.process.send_signal(signal.SIGKILL)
    submitted.until(r"no worker serves", timeout=90)
    desk.start("worker", "docker").until("worker.ready")
    result = submitted.wait(90)

    assert result.code == 0, result
    assert len(desk.containers()) == 3


def test_watch_follows_a_run_that_somebody_else_submitted_and_ends_as_it_does(desk: Desk) -> None:
    desk.write(SLOW)
    desk.start("worker", "docker").until("worker.ready")
    told = desk.flow("submit")
    run = re.match(r"run (\w+) of", told.out)
    assert run, told

    watched = desk.flow("watch", run[1][-6:])

    assert watched.code == 0, watched
    assert "web: ready" in watched.out


def test_an_interrupted_submit_says_that_the_run_goes_on_and_it_does(desk: Desk) -> None:
    desk.write(SLOW)
    desk.start("worker", "docker").until("worker.ready")
    submitted = desk.start("submit", "--wait")
    submitted.until(r"api: deploy started")

    submitted.process.send_signal(signal.SIGINT)
    result = submitted.wait()

    assert result.code == 130, result
    assert "the run goes on" in result.out
    assert desk.flow("watch", "--quiet").code == 0
    assert len(desk.containers()) == 3


def test_a_cancelled_run_begins_nothing_new_and_says_how_it_ended(desk: Desk) -> None:
    desk.write(SLOW)
    desk.start("worker", "docker").until("worker.ready")
    submitted = desk.start("submit", "--wait")
    submitted.until(r"api: deploy started")
    run = re.search(r"run (\w+) of", submitted.text)
    assert run

    cancelled = desk.flow("cancel", run[1])
    result = submitted.wait(60)

    assert cancelled.code == 0, cancelled
    assert result.code == 6, result
    assert f"{desk.project}-local-web" not in desk.containers()


def test_a_submit_with_a_key_that_was_used_finds_its_run(desk: Desk) -> None:
    desk.write(SLOW)
    desk.start("worker", "docker").until("worker.ready")

    first = json.loads(desk.flow("submit", "--idempotency-key=job-7", "--json").out)
    second = json.loads(desk.flow("submit", "--idempotency-key=job-7", "--json").out)

    assert (first["run"], first["repeated"]) == (second["run"], False)
    assert desk.flow("watch", first["run"]).code == 0


def test_a_key_that_was_used_for_another_plan_is_refused_and_no_success_is_told_for_work_never_done(desk: Desk) -> None:
    desk.write(SLOW)
    desk.start("worker", "docker").until("worker.ready")
    assert desk.flow("submit", "--wait", "--idempotency-key=job-8").code == 0
    desk.write(SLOW.replace("sleep 4", "sleep 3"))

    again = desk.flow("submit", "--wait", "--idempotency-key=job-8")

    assert again.code == 5, again
    assert "the idempotency key belongs to run" in again.err
    assert "succeeded" not in again.out


def test_a_watcher_whose_redis_was_emptied_says_so_and_ends(desk: Desk) -> None:
    desk.write(SLOW)
    worker = desk.start("worker", "docker")
    worker.until("worker.ready")
    submitted = desk.start("submit", "--wait")
    submitted.until(r"api: deploy started")

    desk.empty_redis()
    result = submitted.wait(30)

    assert result.code == 4, result
    assert "is not there any more" in result.out
    assert f"{desk.project}-local-db" in desk.containers()


def test_a_busy_stage_is_waited_for_or_refused_as_asked(desk: Desk) -> None:
    desk.write(SLOW)
    desk.start("worker", "docker").until("worker.ready")
    running = json.loads(desk.flow("submit", "--json").out)["run"]

    refused = desk.flow("submit", "--no-wait")
    queued = json.loads(desk.flow("submit", "--json").out)

    assert refused.code == 5, refused
    assert running in refused.err
    assert queued["status"] == "queued"
    assert desk.flow("watch", queued["run"]).code == 0


def test_a_drained_worker_hands_its_waiting_step_on_and_ends_well(desk: Desk) -> None:
    desk.write(SLOW)
    workers = [desk.start("worker", "docker", "--concurrency=1") for _ in range(2)]
    for worker in workers:
        worker.until("worker.ready")
    submitted = desk.start("submit", "--wait")
    submitted.until(r"api: deploy started")
    holder = _holder(workers, "api:deploy")

    holder.process.send_signal(signal.SIGTERM)

    assert holder.process.wait(20) == 0, holder.text
    assert submitted.wait().code == 0, submitted.text
    assert len(eventually(desk.containers, 5, lambda: "nothing runs")) == 3


def _holder(workers: list[Running], step: str) -> Running:
    """The worker whose log says that it took *step*."""
    return eventually(
        lambda: next((worker for worker in workers if step in worker.text), None),
        10,
        lambda: "\n".join(worker.text for worker in workers),
    )
