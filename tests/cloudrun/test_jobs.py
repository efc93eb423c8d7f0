# SPDX-License-Identifier: Apache-2.0
"""A job runs once per content, whatever happens to who runs it; and how it ended is told."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from fleetflow_tasks.errors import Place
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import DeployError, StaleError, Stopped
from fleetflow_tasks.runtimes.cloudrun.executions import EXECUTION
from fleetflow_tasks.testing import Trial, eventually
from fleetflow_tasks.testing.cloudrun import Server

from .stage import Stage, service, told

DEPLOY = "migrate:deploy"


def job(image: str = "scripted/job:0", **fields: Any) -> ResolvedService:
    return service("migrate", image, job=True, **fields)


def overdue(stage: Stage, slow: ResolvedService, run: str = "one") -> DeployError:
    """A run whose time is over long before the job has ended."""
    with pytest.raises(DeployError) as failure:
        stage.carry(DEPLOY, slow, attempt=Trial(1, run=run, timeout=0.5))
    stage.generation = 1
    return failure.value


def executions(stage: Stage) -> list[str]:
    """By their images, the newest first."""
    found = stage.client.executions(stage.name("migrate", "jobs"))
    return [each["template"]["containers"][0]["image"] for each in found]


def live(stage: Stage) -> Any:
    return stage.client.job(stage.name("migrate", "jobs"))


def test_a_job_runs_and_the_step_ends_with_it(stage: Stage) -> None:
    outcome = stage.up(job())[DEPLOY]

    assert (outcome.changed, outcome.text) == (True, "ended with exit code 0")
    assert executions(stage) == ["scripted/job:0"]
    assert live(stage)["latestCreatedExecution"]["name"].endswith(outcome.facts["execution"])


def test_deployed_again_it_does_not_run_again_and_nothing_is_written(stage: Stage) -> None:
    stage.up(job())
    stage.requests.clear()

    outcome = stage.up(job())[DEPLOY]

    assert (outcome.changed, outcome.text) == (False, "ran already")
    assert executions(stage) == ["scripted/job:0"]
    assert stage.asked("CreateJob", "UpdateJob", "RunJob", "GetExecution") == []


def test_another_content_runs_once_more_and_so_does_the_old_one_when_it_comes_back(stage: Stage) -> None:
    stage.up(job())
    stage.up(job(environment={"TO": "2"}))
    stage.up(job())

    assert executions(stage) == ["scripted/job:0"] * 3


def test_a_label_is_no_content(stage: Stage) -> None:
    stage.up(job())

    outcome = stage.up(job(labels={"team": "core"}))[DEPLOY]

    assert outcome.text == "ran already"
    assert live(stage)["labels"]["team"] == "core"
    assert executions(stage) == ["scripted/job:0"]


def test_what_somebody_changed_outside_is_told_and_set_right_and_runs_nothing(stage: Stage) -> None:
    stage.up(job())
    template = {**live(stage)["template"]["template"], "containers": [{"image": "scripted/job:1"}]}
    stage.client.update_job(
        {**live(stage), "template": {**live(stage)["template"], "template": template}, "client": "gcloud"}
    )
    assert stage.changes(job())[DEPLOY] == "update: changed outside, by `gcloud`"

    stage.up(job())

    assert live(stage)["template"]["template"]["containers"][0]["image"] == "scripted/job:0"
    assert executions(stage) == ["scripted/job:0"]
    assert stage.changes(job()) == {}


def test_one_that_is_to_run_always_runs_once_in_each_run(stage: Stage) -> None:
    always = job(rerun="always")
    stage.up(always, run="one")
    stage.carry(DEPLOY, always, attempt=Trial(1, run="one"))
    stage.up(always, run="two")

    assert executions(stage) == ["scripted/job:0"] * 2


@pytest.mark.parametrize("checkpoint", range(8))
def test_a_step_that_was_lost_anywhere_and_is_done_again_runs_it_once(stage: Stage, checkpoint: int) -> None:
    lost = Trial(1, run="one", stop_at=checkpoint)
    slow = job("scripted/job:0-after-300ms")

    with suppress(Stopped):
        stage.carry(DEPLOY, slow, attempt=lost)
    stage.carry(DEPLOY, slow, attempt=Trial(1, run="one"))

    assert executions(stage) == [slow.image]


def test_a_reply_that_got_lost_after_the_job_was_made_makes_no_second_execution(stage: Stage, server: Server) -> None:
    server.faults.lose("Jobs.CreateJob")

    stage.up(job())

    assert executions(stage) == ["scripted/job:0"]


def test_a_job_that_somebody_else_changes_at_the_same_moment_is_looked_at_again(stage: Stage) -> None:
    stage.up(job())

    def changed() -> None:
        stage.client.update_job({**live(stage), "annotations": {**live(stage)["annotations"], "example.org/x": "1"}})

    outcome = stage.carry(DEPLOY, job(environment={"TO": "2"}), attempt=Trial(2, run="two", meanwhile={1: changed}))

    assert outcome.text == "ended with exit code 0"
    assert len(executions(stage)) == 2


@pytest.mark.parametrize("code", ["ABORTED", "NOT_FOUND"])
def test_who_was_not_the_first_looks_again(stage: Stage, server: Server, code: str) -> None:
    stage.up(job())
    server.faults.refuse("Jobs.UpdateJob", code, times=2)

    outcome = stage.carry(DEPLOY, job(environment={"TO": "2"}), attempt=Trial(2, run="two"))

    assert outcome.text == "ended with exit code 0"
    assert len(executions(stage)) == 2


def test_a_job_that_others_change_all_the_time_is_given_up_for_now(stage: Stage, server: Server) -> None:
    stage.up(job())
    server.faults.refuse("Jobs.UpdateJob", "ABORTED", times=99)

    with pytest.raises(DeployError) as failure:
        stage.carry(DEPLOY, job(environment={"TO": "2"}), attempt=Trial(2, run="two"))

    assert (failure.value.problem.code, failure.value.transient) == ("changed-meanwhile", True)
    assert len(executions(stage)) == 1


def test_a_job_that_may_not_be_written_is_told_by_the_permission(stage: Stage, server: Server) -> None:
    stage.up(job())
    server.faults.refuse("Jobs.UpdateJob", "PERMISSION_DENIED", "Permission 'run.jobs.update' denied on resource 'x'.")

    with pytest.raises(DeployError, match=r"lacks permission `run\.jobs\.update`"):
        stage.carry(DEPLOY, job(environment={"TO": "2"}), attempt=Trial(2, run="two"))


def test_an_execution_that_cannot_be_seen_yet_is_waited_for(stage: Stage, server: Server) -> None:
    server.faults.refuse("Executions.GetExecution", "NOT_FOUND", times=2)

    assert stage.up(job("scripted/job:0-after-2s"))[DEPLOY].text == "ended with exit code 0"


def test_where_there_is_no_execution_the_job_tells_why(stage: Stage, server: Server) -> None:
    image = "europe-west1-docker.pkg.dev/shop-prd/images/migrate:1"
    server.world.missing_images.add(image)
    server.faults.refuse("Executions.GetExecution", "NOT_FOUND", times=99)

    failure = stage.fails(job(image))

    assert failure.problem.code == "image-not-found"


def test_a_job_that_somebody_removed_meanwhile_is_told(stage: Stage, server: Server) -> None:
    server.faults.refuse("Executions.GetExecution|Jobs.GetJob", "NOT_FOUND", times=99)

    failure = stage.fails(job())

    assert failure.problem.message == "cannot run `migrate`: somebody removed the job"


def test_who_gets_no_answer_at_last_says_so(stage: Stage, server: Server) -> None:
    server.faults.refuse("Executions.GetExecution", "UNAVAILABLE", "no backends", times=99)

    failure = overdue(stage, job())

    assert failure.problem.code == "outcome-unknown"


def test_of_many_tasks_it_is_told_how_many_failed_and_how_each_did(stage: Stage) -> None:
    failure = stage.fails(job("scripted/job:3", options={"tasks": 2, "parallelism": 2}))

    assert re.fullmatch(
        r"cannot run `migrate`: [12] of 2 tasks failed; task [01]: it ended with exit code 3", failure.problem.message
    )


def test_how_tasks_ended_may_be_hidden_but_not_that_they_failed(stage: Stage, server: Server) -> None:
    server.faults.refuse("Tasks.ListTasks", "PERMISSION_DENIED", "Permission 'run.tasks.list' denied")

    failure = stage.fails(job("scripted/job:3"))

    assert failure.problem.message.startswith("cannot run `migrate`: ")
    assert failure.problem.cause[0] == "how its tasks ended cannot be seen: Permission 'run.tasks.list' denied"


def test_an_execution_that_somebody_cancelled_is_told_as_that(stage: Stage) -> None:
    def cancelled() -> None:
        name = live(stage)["latestCreatedExecution"]["name"].rpartition("/")[2]
        stage.client.cancel_execution(f"{stage.name('migrate', 'jobs')}/executions/{name}")

    with pytest.raises(DeployError, match="cannot run `migrate`: it was cancelled"):
        stage.carry(DEPLOY, job("scripted/hangs"), attempt=Trial(1, run="one", meanwhile={4: cancelled}))


def test_a_job_that_fails_is_told_by_its_exit_code_and_its_last_lines(stage: Stage) -> None:
    here = Place(file="fleet.kdl", line=7)

    failure = stage.fails(job("scripted/job:3", places={"": here}))

    assert not failure.transient
    assert failure.problem.message == "cannot run `migrate`: it ended with exit code 3"
    assert failure.problem.more == "flow logs --stage=prd migrate"
    assert failure.problem.place == here
    *printed, log = failure.problem.cause
    assert printed == ["its last 2 lines:", "  started: scripted/job:3, attempt 0", "  Container called exit(3)."]
    assert log.startswith("its log: https://console.cloud.google.com/")


def test_it_is_not_run_again_by_the_same_run_and_is_by_the_next(stage: Stage) -> None:
    bad = job("scripted/job:3")
    stage.fails(bad)

    with pytest.raises(DeployError):
        stage.carry(DEPLOY, bad, attempt=Trial(1, run="run-1"))
    once = executions(stage)
    stage.fails(bad)

    assert once == ["scripted/job:3"]
    assert executions(stage) == ["scripted/job:3"] * 2


def test_tasks_are_counted_while_they_run(stage: Stage) -> None:
    three = job("scripted/job:0-after-200ms", options={"tasks": 3, "parallelism": 1})
    trial = Trial(1, run="one")

    outcome = stage.carry(DEPLOY, three, attempt=trial)

    assert outcome.text == "3 tasks succeeded"
    assert [report for report in trial.reports if report.endswith("of 3 tasks succeeded")]


def test_an_image_that_does_not_exist_is_told_and_once_it_is_there_the_job_runs(stage: Stage, server: Server) -> None:
    image = "europe-west1-docker.pkg.dev/shop-prd/images/migrate:1"
    server.world.missing_images.add(image)

    failure = stage.fails(job(image))
    server.world.missing_images.discard(image)
    outcome = stage.up(job(image))[DEPLOY]

    assert failure.problem.message == f"cannot run `migrate`: the image `{image}` does not exist, or cannot be seen"
    assert outcome.text == "ended with exit code 0"


def test_a_job_that_the_platform_stopped_after_its_timeout_is_told_at_that_line(stage: Stage) -> None:
    here = Place(file="fleet.kdl", line=8)

    failure = stage.fails(job("scripted/job:0-after-20s", timeout=1.0, places={"timeout": here}))

    assert failure.problem.message == ("cannot run `migrate`: it took longer than its timeout allows, and was stopped")
    assert (failure.problem.fix, failure.problem.place) == ("give it more time with `timeout`", here)


def test_a_job_that_takes_too_long_is_left_alone_and_the_next_run_waits_for_it(stage: Stage) -> None:
    slow = job("scripted/job:0-after-2s", timeout=60.0)

    failure = overdue(stage, slow)
    outcome = stage.up(slow, run="two")[DEPLOY]

    assert failure.problem.message.startswith("cannot run `migrate`: it has not ended within 60 s: job is ")
    assert outcome.text == "ended with exit code 0"
    assert executions(stage) == [slow.image]


@pytest.mark.parametrize(("rerun", "content"), [("always", "old"), ("changed", "new")])
def test_no_execution_begins_before_the_one_of_an_earlier_run_has_ended(stage: Stage, rerun: Any, content: str) -> None:
    slow = job("scripted/job:0-after-2s", environment={"CONTENT": "old"})
    overdue(stage, slow)

    stage.up(msgspec.structs.replace(slow, rerun=rerun, environment={"CONTENT": content}), run="two")

    begun = [each["createTime"] for each in stage.client.executions(stage.name("migrate", "jobs"))]
    ended = [each["completionTime"] for each in stage.client.executions(stage.name("migrate", "jobs"))]
    assert len(begun) == 2
    assert max(begun) >= min(ended)


def test_who_waits_for_an_execution_of_before_until_his_own_time_is_over_has_begun_none(stage: Stage) -> None:
    slow = job("scripted/hangs", rerun="always")
    overdue(stage, slow)

    failure = overdue(stage, slow, run="two")

    assert failure.problem.code == "job-timeout"
    assert executions(stage) == [slow.image]


def test_an_execution_that_somebody_began_by_hand_is_not_taken_for_ours(stage: Stage) -> None:
    stage.up(job())
    stage.client.run_job(stage.name("migrate", "jobs"))
    eventually(lambda: _by_hand_has_ended(stage), within=30)

    outcome = stage.up(job())[DEPLOY]

    assert outcome.text == "ran already"
    assert len(executions(stage)) == 2


def _by_hand_has_ended(stage: Stage) -> bool:
    return bool(live(stage)["latestCreatedExecution"].get("completionStatus") == "EXECUTION_SUCCEEDED")


def test_where_our_note_was_taken_off_the_job_its_execution_is_found_all_the_same(stage: Stage) -> None:
    stage.up(job())
    found = live(stage)
    notes = {name: text for name, text in found["annotations"].items() if name != EXECUTION}
    stage.client.update_job({**found, "annotations": notes})

    stage.up(job())

    assert executions(stage) == ["scripted/job:0"]


def test_so_it_is_where_cloud_run_refuses_a_token_that_it_knows(stage: Stage, server: Server) -> None:
    stage.up(job())
    found = live(stage)
    notes = {name: text for name, text in found["annotations"].items() if name != EXECUTION}
    stage.client.update_job({**found, "annotations": notes})
    server.world.finds_executions = False

    outcome = stage.up(job())[DEPLOY]

    assert outcome.text == "ended with exit code 0"
    assert executions(stage) == ["scripted/job:0"]


def test_a_job_of_our_name_that_is_somebody_elses_is_let_be(stage: Stage) -> None:
    body = {"template": {"template": {"containers": [{"image": "scripted/job:0"}]}}, "client": "gcloud"}
    parent, _, name = stage.name("migrate", "jobs").partition("/jobs/")
    stage.client.create_job(parent, name, body)

    failure = stage.fails(job())

    assert _first(told(failure)).endswith("already, and it is not ours")
    assert executions(stage) == []


def _first(lines: Sequence[str]) -> str:
    return lines[0]


def test_a_newer_runs_job_is_never_touched_by_an_older_run(stage: Stage) -> None:
    stage.up(job(), run="one")
    stage.up(job(environment={"TO": "2"}), run="two")

    with pytest.raises(StaleError, match="made by a newer run"):
        stage.carry(DEPLOY, job(), attempt=Trial(1, run="one"))

    assert len(executions(stage)) == 2
