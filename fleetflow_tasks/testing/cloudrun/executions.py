# SPDX-License-Identifier: Apache-2.0
"""Executions and tasks, as a caller sees them. What becomes of them is `running`'s."""

from typing import Any

from . import paging, running
from .accounts import Account
from .conditions import RECONCILING, condition, put
from .names import above, last, parent, parts
from .refused import Refused, missing
from .state import ExecutionState, JobState, State, end, shown, told, tried

Json = dict[str, Any]


def get(state: State, caller: Account, request: Json) -> Json:
    return shown(_found(state, request["name"])[1].body)


def listed(state: State, caller: Account, request: Json) -> Json:
    """ "Results are sorted by creation time, descending." (client.list_executions); "-" for all jobs."""
    bodies = [shown(execution.body) for execution in _among(state, request["parent"], "jobs")]
    return paging.page("executions", sorted(bodies, key=paging.newest, reverse=True), request)


def cancelled(state: State, caller: Account, request: Json) -> Json:
    """https://cloud.google.com/run/docs/stop-jobs. The operation ends well, with the execution (apache/airflow #67050)."""
    job, execution = _found(state, request["name"])
    paging.match(request, shown(execution.body))
    if request.get("validateOnly"):
        return tried("Execution", execution.body)
    if execution.ended:  # guess: code and text
        text = f"Execution '{last(request['name'])}' is already completed and cannot be cancelled."
        raise Refused("FAILED_PRECONDITION", text)
    operation = state.begin(request["name"], "Execution", lambda: shown(execution.body))
    execution.cancelled = True
    put(execution.body, condition("Completed", RECONCILING, state.now, reason="CANCELLING"))
    execution.waiting.append(operation)
    state.agenda.after(0, lambda: running.cancel(state, job, execution))
    return told(operation)


def deleted(state: State, caller: Account, request: Json) -> Json:
    job, execution = _found(state, request["name"])
    paging.match(request, shown(execution.body))
    if request.get("validateOnly"):
        return tried("Execution", execution.body)
    operation = state.begin(request["name"], "Execution", lambda: shown(execution.body))
    running.stop(execution)
    execution.ended = True
    del job.executions[last(request["name"])]
    state.agenda.after(state.world.pace.delete, lambda: end([operation]))
    return told(operation)


def task(state: State, caller: Account, request: Json) -> Json:
    parts(request["name"], "jobs", "executions", "tasks")
    _, execution = _found(state, above(request["name"]))
    for each in execution.tasks:
        if each.body["name"] == request["name"]:
            return shown(each.body)
    raise missing("Task", last(request["name"]))


def tasks(state: State, caller: Account, request: Json) -> Json:
    found = _among(state, request["parent"], "jobs", "executions")
    return paging.page("tasks", [shown(each.body) for execution in found for each in execution.tasks], request)


def _found(state: State, name: str) -> tuple[JobState, ExecutionState]:
    parts(name, "jobs", "executions")
    job = state.job(above(name))
    execution = job.executions.get(last(name))
    if execution is None:
        raise missing("Execution", last(name))
    return job, execution


def _among(state: State, name: str, *collections: str) -> list[ExecutionState]:
    """Those below *name*, in which "-" stands for all."""
    ids, where = parts(name, *collections), str(parent(name))
    if ids[0] != "-":
        state.job(f"{where}/jobs/{ids[0]}")
    jobs = [job for job_name, job in state.jobs.items() if above(job_name) == where and ids[0] in {"-", last(job_name)}]
    return [found for job in jobs for id_, found in job.executions.items() if len(ids) == 1 or ids[1] in {"-", id_}]
