# SPDX-License-Identifier: Apache-2.0
"""The life of an execution: its tasks, their attempts, and how all of it ends.

`Execution`, `Task`, `TaskAttemptResult` in google.cloud.run_v2.types; https://cloud.google.com/run/docs/create-jobs ("a failed task
is retried up to maxRetries times; if any task exceeds them, the execution is failed"); `ExecutionTemplate.parallelism`.
"""

from copy import deepcopy
from typing import Any

from .accounts import Account
from .clock import seconds
from .conditions import FAILED, PENDING, RECONCILING, SUCCEEDED, condition, put
from .entries import STDOUT, SYSTEM, said
from .names import last, parent
from .runner import Broken, Exited, Phase, Say, Serving, Starting
from .state import ExecutionState, JobState, State, TaskState, end, new_uid, shown

Json = dict[str, Any]


def begun(state: State, job: JobState, id_: str, template: Json, caller: Account) -> ExecutionState:
    """A new execution of *job*, from its template or an overridden one."""
    name, count = f"{job.body['name']}/executions/{id_}", template["taskCount"]
    body: Json = {
        "name": name,
        "uid": new_uid(),
        "creator": caller.email,
        "generation": "1",
        "labels": deepcopy(template.get("labels", {})),
        "annotations": deepcopy(template.get("annotations", {})),
        "createTime": state.now,
        "updateTime": state.now,
        "launchStage": job.body["launchStage"],
        "job": job.body["name"],
        "parallelism": min(template.get("parallelism") or count, count),
        "taskCount": count,
        "template": deepcopy(template["template"]),
        "reconciling": True,
        "logUri": f"https://console.cloud.google.com/logs/viewer?project={parent(name).project}&resource=cloud_run_job/{id_}",
    }
    put(body, condition("Completed", RECONCILING, state.now), condition("Started", PENDING, state.now))
    execution = ExecutionState(body=body, tasks=[TaskState(_task(state, body, index)) for index in range(count)])
    job.executions[id_] = execution
    job.body["executionCount"] = len(job.executions)
    _refer(job, execution)
    state.agenda.after(state.world.pace.begin, lambda: _begin(state, job, execution))
    return execution


def stop(execution: ExecutionState) -> None:
    for each in execution.tasks:
        if each.started is not None:
            each.started.stop()


def _task(state: State, execution: Json, index: int) -> Json:
    body: Json = {
        "name": f"{execution['name']}/tasks/{last(execution['name'])}-task{index}",
        "uid": new_uid(),
        "generation": "1",
        "createTime": state.now,
        "updateTime": state.now,
        "job": execution["job"],
        "execution": execution["name"],
        "index": index,
        "reconciling": True,
        "logUri": execution["logUri"],
        **deepcopy(execution["template"]),
    }
    put(body, condition("Completed", PENDING, state.now))
    return body


def _begin(state: State, job: JobState, execution: ExecutionState) -> None:
    if execution.ended:
        return
    body = execution.body
    broken = state.world.objection(body["template"], body["name"], "Job")
    if broken is not None:
        _broken(state, job, execution, broken)
        return
    body["startTime"] = state.now
    put(body, condition("Started", SUCCEEDED, state.now))
    for then in execution.then:
        then()
    execution.then.clear()
    _fill(state, job, execution)


def _fill(state: State, job: JobState, execution: ExecutionState) -> None:
    """As many tasks at once as may be."""
    for each in execution.tasks:
        running = sum(other.started is not None and not other.ended for other in execution.tasks)
        if running >= execution.body["parallelism"] or execution.ended:
            break
        if each.started is None:
            each.body["startTime"] = state.now
            _attempt(state, job, execution, each)
    _count(execution)


def _attempt(state: State, job: JobState, execution: ExecutionState, each: TaskState) -> None:
    each.begun = state.agenda.now
    put(each.body, condition("Completed", RECONCILING, state.now))
    each.started = state.runner.task(shown(each.body), each.body.get("retried", 0), _say(state, each, STDOUT))
    state.agenda.after(0, lambda: _look(state, job, execution, each))


def _look(state: State, job: JobState, execution: ExecutionState, each: TaskState) -> None:
    if execution.ended or each.ended or each.started is None:
        return
    left = each.begun + seconds(each.body["timeout"]) - state.agenda.now
    match each.started.look():
        case Exited() as phase:
            _exited(state, job, execution, each, phase.code)
        case Broken() as broken:
            _broken(state, job, execution, broken)
        case phase if left <= 0:
            each.started.stop()
            _failed(state, job, execution, each, {"status": {"code": 4, "message": _TIMEOUT}})
        case phase:
            state.agenda.after(min(_again(phase), left), lambda: _look(state, job, execution, each))


_TIMEOUT = "The configured timeout was reached."
_EXIT = "The container exited with an error."  # googlecodelabs/feedback #1369


def _again(phase: Phase) -> float:
    assert isinstance(phase, Starting | Serving)
    return phase.again


def _say(state: State, each: TaskState, log: str) -> Say:
    label = {"run.googleapis.com/task_index": str(each.body["index"])}
    return said(state, "cloud_run_job", each.body["name"], log, **label)


def _exited(state: State, job: JobState, execution: ExecutionState, each: TaskState, code: int) -> None:
    _say(state, each, SYSTEM)(f"Container called exit({code}).")
    if code:
        _failed(state, job, execution, each, {"status": {"code": 2, "message": _EXIT}, "exitCode": code})
        return
    each.body["lastAttemptResult"] = {"status": {}}
    _over(state, each, condition("Completed", SUCCEEDED, state.now))
    _count(execution)
    if all(other.ended for other in execution.tasks):
        _complete(state, job, execution, condition("Completed", SUCCEEDED, state.now, message=_WELL))
    else:
        _fill(state, job, execution)


_WELL = "Execution completed successfully."


def _failed(state: State, job: JobState, execution: ExecutionState, each: TaskState, result: Json) -> None:
    """One attempt. The last one fails the task, and with it the execution: what else runs is cancelled."""
    each.body["lastAttemptResult"] = result
    if each.body.get("retried", 0) < each.body["maxRetries"]:
        each.body["retried"] = each.body.get("retried", 0) + 1
        _attempt(state, job, execution, each)
        return
    text = result["status"]["message"]
    reason = "NON_ZERO_EXIT_CODE" if "exitCode" in result else ""
    _over(state, each, condition("Completed", FAILED, state.now, message=text, reason=reason))
    text = f"Task {last(each.body['name'])} failed with message: {text}"
    failed = condition("Completed", FAILED, state.now, message=text, reason="NON_ZERO_EXIT_CODE", severity="ERROR")
    _complete(state, job, execution, failed)


def _broken(state: State, job: JobState, execution: ExecutionState, broken: Broken) -> None:
    """Nothing could be started."""
    told = {"message": broken.message, "reason": broken.reason}
    put(execution.body, condition(broken.at, FAILED, state.now, **told))
    _complete(state, job, execution, condition("Completed", FAILED, state.now, severity="ERROR", **told))


def cancel(state: State, job: JobState, execution: ExecutionState) -> None:
    if not execution.ended:
        text = "The execution was cancelled."  # guess
        why = condition("Completed", FAILED, state.now, message=text, reason="CANCELLED", severity="ERROR")
        _complete(state, job, execution, why)


def _over(state: State, each: TaskState, how: Json) -> None:
    each.ended = True
    each.body["completionTime"] = state.now
    each.body["reconciling"] = False
    put(each.body, how)
    if each.started is not None:
        each.started.stop()


def _complete(state: State, job: JobState, execution: ExecutionState, how: Json) -> None:
    for each in execution.tasks:
        if not each.ended:
            _over(state, each, condition("Completed", FAILED, state.now, reason="CANCELLED"))
    execution.ended = True
    body = execution.body
    body["completionTime"] = body["updateTime"] = state.now
    body["reconciling"] = False
    body["observedGeneration"] = "1"
    put(body, how)
    _count(execution)
    _refer(job, execution)
    failed = how["state"] == FAILED and not execution.cancelled
    error = {"code": 2, "message": how.get("message", "")} if failed and state.world.failed_run_is_error else None
    end(execution.waiting, error)
    for then in execution.then:
        then()
    execution.then.clear()


def _count(execution: ExecutionState) -> None:
    body = execution.body
    for field, state in (("succeededCount", SUCCEEDED), ("failedCount", FAILED), ("runningCount", RECONCILING)):
        of = [each for each in execution.tasks if _completed(each.body)["state"] == state]
        body[field] = sum(_completed(each.body).get("executionReason") != "CANCELLED" for each in of)
    cancelled = (each for each in execution.tasks if _completed(each.body).get("executionReason") == "CANCELLED")
    body["cancelledCount"] = sum(1 for _ in cancelled)
    body["retriedCount"] = sum(bool(each.body.get("retried")) for each in execution.tasks)


def _completed(body: Json) -> Json:
    return next(each for each in body["conditions"] if each["type"] == "Completed")


def succeeded(execution: ExecutionState) -> bool:
    return execution.ended and _completed(execution.body)["state"] == SUCCEEDED


def words(execution: ExecutionState) -> str:
    """Why it ended as it did."""
    return str(_completed(execution.body).get("message", ""))


def _refer(job: JobState, execution: ExecutionState) -> None:
    """`Job.latest_created_execution`."""
    if next(reversed(job.executions.values())) is not execution:
        return
    body = execution.body
    status = "EXECUTION_RUNNING"
    if execution.ended:
        bad = "EXECUTION_CANCELLED" if execution.cancelled else "EXECUTION_FAILED"
        status = "EXECUTION_SUCCEEDED" if succeeded(execution) else bad
    told = {"name": last(body["name"]), "createTime": body["createTime"], "completionStatus": status}
    if execution.ended:
        told["completionTime"] = body["completionTime"]
    job.body["latestCreatedExecution"] = told
