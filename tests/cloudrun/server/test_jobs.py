# SPDX-License-Identifier: Apache-2.0
"""Jobs, their executions and tasks, and the token that fixes an execution's name."""

from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError, Operation

from .conftest import PARENT, Cloud, Stock, conditions, refusal

WELL, SLOW = "scripted/job:0", "scripted/job:0-after-5s"


def template(image: str, *, retries: int = 0, **fields: Any) -> dict[str, Any]:
    return {"template": {"containers": [{"image": image}], "maxRetries": retries}, **fields}


def make(cloud: Cloud, image: str = WELL, *, token: str = "", **fields: Any) -> Operation:
    body = {"name": cloud.job, "template": template(image, **fields), "runExecutionToken": token}
    return cloud.client.update_job(body, allow_missing=True)


def execution(cloud: Cloud) -> Any:
    return cloud.client.executions(cloud.job)[0]


def tasks(cloud: Cloud) -> list[Any]:
    return sorted(cloud.client.tasks(execution(cloud)["name"]), key=lambda each: each.get("index", 0))


def counts(body: Any) -> str:
    found = {key.removesuffix("Count"): body[key] for key in sorted(body) if key.endswith("Count") and body[key]}
    return " ".join(f"{name}={number}" for name, number in found.items())


def test_a_job_is_ready_and_has_not_run(cloud: Cloud) -> None:
    ended = cloud.over(cloud.client.create_job(PARENT, cloud.id, {"template": template(WELL)}))

    job = cloud.client.job(cloud.job)
    assert job is not None
    assert ended.response == job
    assert conditions(job) == {"Ready": "succeeded", "ResourcesAvailable": "succeeded"}
    assert job["template"]["taskCount"] == 1
    assert job["template"]["template"]["timeout"] == "600s"
    assert cloud.client.executions(cloud.job) == []


def test_a_task_is_tried_three_times_more_where_nobody_said_otherwise(cloud: Cloud) -> None:
    body = {"template": {"template": {"containers": [{"image": WELL}]}}}
    cloud.client.create_job(PARENT, cloud.id, body)

    job = cloud.client.job(cloud.job)

    assert job is not None
    assert job["template"]["template"]["maxRetries"] == 3


def test_each_run_is_an_execution_of_its_own(cloud: Cloud) -> None:
    make(cloud)
    first = cloud.over(cloud.client.run_job(cloud.job))
    second = cloud.over(cloud.client.run_job(cloud.job))

    job = cloud.client.job(cloud.job)
    assert job is not None
    assert first.response is not None
    assert second.metadata is not None
    assert [each["name"] for each in cloud.client.executions(cloud.job)] == [
        second.metadata["name"],
        first.response["name"],
    ]
    assert job["executionCount"] == 2
    assert job["latestCreatedExecution"]["completionStatus"] == "EXECUTION_SUCCEEDED"
    assert counts(first.response) == "succeeded=1 task=1"
    assert conditions(first.response) == {"Completed": "succeeded", "Started": "succeeded"}


def test_a_token_runs_the_job_and_its_operation_ends_with_the_execution(cloud: Cloud) -> None:
    operation = make(cloud, SLOW, token="abc")
    cloud.clock.advance(4)
    during, waiting = cloud.now(operation), cloud.client.job(cloud.job)
    ended = cloud.over(operation, 1)

    assert waiting is not None
    assert (during.done, conditions(waiting)["Ready"]) == (False, "reconciling")
    assert waiting["latestCreatedExecution"]["completionStatus"] == "EXECUTION_RUNNING"
    assert (ended.done, ended.error) == (True, None)
    assert execution(cloud)["name"] == f"{cloud.job}/executions/{cloud.id}-abc"


def test_the_same_token_runs_nothing_a_second_time(cloud: Cloud) -> None:
    make(cloud, SLOW, token="abc")
    again = make(cloud, SLOW, token="abc")
    during = cloud.now(again)
    later = cloud.over(make(cloud, SLOW, token="abc"))

    assert during.done is False
    assert (later.done, later.error) == (True, None)
    assert len(cloud.client.executions(cloud.job)) == 1


def test_or_it_is_refused(cloud: Cloud) -> None:
    cloud.server.world.finds_executions = False
    make(cloud, token="abc")

    with pytest.raises(CloudRunError) as error:
        make(cloud, token="abc")

    assert refusal(error) == f"ALREADY_EXISTS: Resource '{cloud.id}-abc' already exists."


def test_a_started_execution_is_enough_for_a_start_token(cloud: Cloud) -> None:
    body = {"name": cloud.job, "template": template(SLOW), "startExecutionToken": "abc"}

    ended = cloud.over(cloud.client.update_job(body, allow_missing=True), 0)

    assert (ended.done, ended.error) == (True, None)
    assert execution(cloud)["reconciling"]


def test_a_token_that_is_too_long_is_refused(cloud: Cloud) -> None:
    with pytest.raises(CloudRunError, match="must be fewer than 63 characters"):
        make(cloud, token="x" * (63 - len(cloud.id)))


def test_a_task_that_fails_is_tried_again_and_tells_its_exit_code(cloud: Cloud) -> None:
    cloud.over(make(cloud, "scripted/job:3", token="abc", retries=2))
    (task,) = tasks(cloud)

    assert (task["retried"], task["lastAttemptResult"]["exitCode"]) == (2, 3)
    assert conditions(task)["Completed"] == "failed NON_ZERO_EXIT_CODE"
    assert counts(execution(cloud)) == "failed=1 retried=1 task=1"
    assert conditions(execution(cloud))["Completed"] == "failed NON_ZERO_EXIT_CODE"


def test_a_task_that_succeeds_at_last_has_succeeded(cloud: Cloud) -> None:
    ended = cloud.over(make(cloud, "scripted/flaky:2", token="abc", retries=2))

    assert ended.error is None
    assert counts(execution(cloud)) == "retried=1 succeeded=1 task=1"


def test_a_job_whose_execution_failed_is_not_ready(cloud: Cloud) -> None:
    ended = cloud.over(make(cloud, "scripted/job:3", token="abc"))

    assert ended.error is not None
    text = f"Task {cloud.id}-abc-task0 failed with message: The container exited with an error."
    assert (ended.error.code, ended.error.message) == ("INTERNAL", text)
    job = cloud.client.job(cloud.job)
    assert job is not None
    assert conditions(job)["Ready"] == "failed UNKNOWN"


@pytest.mark.parametrize("is_error", [False, True])
def test_a_run_that_failed_ends_its_operation_well_or_not(cloud: Cloud, is_error: bool) -> None:
    cloud.server.world.failed_run_is_error = is_error
    make(cloud, "scripted/job:3")

    ended = cloud.over(cloud.client.run_job(cloud.job))

    assert (ended.error is not None, ended.response is None) == (is_error, is_error)


def test_tasks_run_as_many_at_once_as_may_be(cloud: Cloud) -> None:
    make(cloud, "scripted/job:0-after-5s", token="abc", taskCount=5, parallelism=2)
    seen = []
    for _ in range(4):
        seen.append(counts(execution(cloud)))
        cloud.clock.advance(5)

    assert seen == [
        "running=2 task=5",
        "running=2 succeeded=2 task=5",
        "running=1 succeeded=4 task=5",
        "succeeded=5 task=5",
    ]


def test_the_first_task_that_fails_for_good_cancels_the_others(cloud: Cloud) -> None:
    cloud.over(make(cloud, "scripted/job:3-after-1s", token="abc", taskCount=3, parallelism=1))

    assert counts(execution(cloud)) == "cancelled=2 failed=1 task=3"


def test_a_task_has_so_much_time_for_each_try(cloud: Cloud) -> None:
    body = template("scripted/hangs")
    body["template"]["timeout"] = "10s"
    operation = cloud.client.update_job(
        {"name": cloud.job, "template": body, "runExecutionToken": "abc"}, allow_missing=True
    )
    cloud.clock.advance(9)
    before = cloud.now(operation)
    ended = cloud.over(operation, 1)

    assert (before.done, ended.done) == (False, True)
    assert tasks(cloud)[0]["lastAttemptResult"]["status"]["message"] == "The configured timeout was reached."


def test_an_execution_that_is_cancelled_ends_its_operations_well(cloud: Cloud) -> None:
    make(cloud)
    run = cloud.client.run_job(cloud.job)
    make(cloud, "scripted/hangs")
    cloud.clock.advance(1)
    hanging = cloud.client.run_job(cloud.job)
    assert hanging.metadata is not None

    cancel = cloud.over(cloud.client.cancel_execution(hanging.metadata["name"]))

    assert (cloud.now(run).done, cancel.done, cancel.error, cloud.now(hanging).error) == (True, True, None, None)
    assert counts(execution(cloud)) == "cancelled=1 task=1"
    assert conditions(execution(cloud))["Completed"] == "failed CANCELLED"
    with pytest.raises(CloudRunError, match="already completed"):
        cloud.client.cancel_execution(hanging.metadata["name"])


def test_an_image_that_is_not_there_fails_the_job(cloud: Cloud) -> None:
    cloud.server.world.missing_images.add("shop/migrate")

    ended = cloud.over(make(cloud, "shop/migrate"))

    assert ended.error is not None
    assert ended.error.message == "Image 'shop/migrate' not found."
    with pytest.raises(CloudRunError, match="is not ready"):
        cloud.client.run_job(cloud.job)


def test_a_run_may_do_otherwise_than_its_job(cloud: Cloud) -> None:
    make(cloud)
    said = {
        "taskCount": 2,
        "timeout": "7s",
        "containerOverrides": [{"args": ["--all"], "env": [{"name": "A", "value": "1"}]}],
    }

    cloud.over(cloud.client.run_job(cloud.job, overrides=said))

    (container,) = execution(cloud)["template"]["containers"]
    assert (container["args"], container["env"]) == (["--all"], [{"name": "A", "value": "1"}])
    assert (execution(cloud)["taskCount"], execution(cloud)["template"]["timeout"]) == (2, "7s")
    with pytest.raises(CloudRunError, match="There is no container 'other'"):
        cloud.client.run_job(cloud.job, overrides={"containerOverrides": [{"name": "other"}]})


def test_a_deleted_job_is_gone_with_its_executions(cloud: Cloud) -> None:
    make(cloud, token="abc")
    cloud.clock.advance(1)
    name = execution(cloud)["name"]

    ended = cloud.over(cloud.client.delete_job(cloud.job))

    assert (ended.done, ended.error) == (True, None)
    assert (cloud.client.job(cloud.job), cloud.client.execution(name)) == (None, None)


def test_executions_and_tasks_of_all_jobs_are_listed_with_a_dash(cloud: Cloud, stock: Stock) -> None:
    make(cloud, token="abc", taskCount=2)
    cloud.clock.advance(1)
    name = execution(cloud)["name"]

    executions = stock.executions.list_executions(parent=f"{PARENT}/jobs/-", metadata=stock.metadata, retry=None)
    listed = stock.tasks.list_tasks(
        parent=f"{PARENT}/jobs/{cloud.id}/executions/-", metadata=stock.metadata, retry=None
    )
    task = stock.tasks.get_task(name=f"{name}/tasks/{cloud.id}-abc-task1", metadata=stock.metadata, retry=None)
    stock.executions.delete_execution(name=name, metadata=stock.metadata, retry=None)

    assert name in [each.name for each in executions]
    assert [each.index for each in listed] == [0, 1]
    assert (task.index, task.execution) == (1, name)
    assert cloud.client.execution(name) is None


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"template": {}}, "1 to 10 containers"),
        ({"template": template(WELL, retries=11)}, "maxRetries: must be between 0 and 10."),
        ({"template": template(WELL, taskCount=10_001)}, "taskCount: must be between 1 and 10000."),
        (
            {"template": {"template": {"containers": [{"image": WELL}], "timeout": "700000s"}}},
            "timeout: must be between",
        ),
        (
            {"template": {"template": {"containers": [{"image": WELL, "env": [{"name": "CLOUD_RUN_JOB"}]}]}}},
            "CLOUD_RUN_JOB",
        ),
        ({"template": template(WELL), "labels": {"a.b": "c"}}, "labels"),
    ],
)
def test_a_job_that_cannot_be_is_refused(cloud: Cloud, body: dict[str, Any], answer: str) -> None:
    with pytest.raises(CloudRunError) as error:
        cloud.client.create_job(PARENT, cloud.id, body)

    assert error.value.code == "INVALID_ARGUMENT"
    assert answer in error.value.answer


def test_a_job_is_tried_changed_and_held_to_its_etag(cloud: Cloud) -> None:
    body = {"name": cloud.job, "template": template(WELL)}
    tried = cloud.client.create_job(PARENT, cloud.id, body, validate_only=True)
    there = cloud.client.job(cloud.job)
    make(cloud)
    job = cloud.client.job(cloud.job)
    cloud.over(cloud.client.update_job({**body, "labels": {"colour": "blue"}}, etag=(job or {})["etag"]))
    retried = cloud.client.update_job(body, validate_only=True)

    assert (tried.done, there, retried.done) == (True, None, True)
    assert (cloud.client.job(cloud.job) or {})["labels"] == {"colour": "blue"}
    assert cloud.id in [each["name"].rpartition("/")[2] for each in cloud.client.jobs(PARENT)]
    with pytest.raises(CloudRunError, match="Conflict"):
        cloud.client.update_job(body, etag=(job or {})["etag"])
    with pytest.raises(CloudRunError, match="already exists"):
        cloud.client.create_job(PARENT, cloud.id, body)


def test_what_is_only_tried_is_not_done(cloud: Cloud, stock: Stock) -> None:
    make(cloud, "scripted/hangs", token="abc")
    cloud.clock.advance(1)
    name = execution(cloud)["name"]
    again: dict[str, Any] = {"metadata": stock.metadata, "retry": None}

    cancel = stock.executions.cancel_execution({"name": name, "validate_only": True}, **again)
    delete = stock.executions.delete_execution({"name": name, "validate_only": True}, **again)
    run = cloud.client.line.ask("RunJob", cloud.job, {"name": cloud.job, "validateOnly": True})
    gone = cloud.client.line.ask("DeleteJob", cloud.job, {"name": cloud.job, "validateOnly": True})

    assert [cancel.operation.done, delete.operation.done, run["done"], gone["done"]] == [True] * 4
    assert counts(execution(cloud)) == "running=1 task=1"
    assert len(cloud.client.executions(cloud.job)) == 1


def test_a_deleted_job_stops_what_runs(cloud: Cloud) -> None:
    operation = make(cloud, "scripted/hangs", token="abc")
    cloud.clock.advance(1)

    cloud.over(cloud.client.delete_job(cloud.job))

    assert cloud.now(operation).done
