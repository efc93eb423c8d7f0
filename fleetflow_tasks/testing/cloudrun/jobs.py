# SPDX-License-Identifier: Apache-2.0
"""Jobs: what CreateJob, UpdateJob, GetJob, ListJobs, DeleteJob and RunJob do.

An execution's name is fixed by a token of the *job* alone, not of RunJob, which has none: `Job.run_execution_token` is "a unique
string used as a suffix for creating a new execution. The Job will become ready when the execution is successfully completed.
The sum of job name and token length must be fewer than 63 characters"; `start_execution_token` likewise, ready when it has
started. So the operation of such a CreateJob or UpdateJob ends with the execution.

guess: what a token does that an execution was made with already. No page says it. Here it makes none and the operation ends
as that execution does, or, with `World.finds_executions` off, it is ALREADY_EXISTS.
"""

from copy import deepcopy
from typing import Any

from . import metadata, overrides, paging, running, template
from .accounts import Account
from .conditions import FAILED, RECONCILING, SUCCEEDED, condition, put
from .names import above, chance, good_id, last, parent, parts
from .refused import Refused, cannot_act_as, denied, there_already
from .state import ExecutionState, JobState, State, end, new_uid, shown, told, tried
from .violations import Violations
from .world import default_account

Json = dict[str, Any]

SAID = (
    "labels", "annotations", "client", "clientVersion", "launchStage", "binaryAuthorization", "template",
    "startExecutionToken", "runExecutionToken",
)  # fmt: skip


def create(state: State, caller: Account, request: Json) -> Json:
    parent(request.get("parent", ""))
    id_ = request.get("jobId", "")
    good_id("CreateJobRequest.job_id", id_)
    name = f"{request['parent']}/jobs/{id_}"
    return _created(state, caller, name, _asked(request.get("job", {})), try_=bool(request.get("validateOnly")))


def update(state: State, caller: Account, request: Json) -> Json:
    """There is no mask: the whole of it. `allow_missing`: "Caller must have both create and update permissions"."""
    said = request.get("job", {})
    name, try_ = said.get("name", ""), bool(request.get("validateOnly"))
    (id_,) = parts(name, "jobs")
    if name not in state.jobs and request.get("allowMissing"):
        if not caller.may("run.jobs.create"):
            raise denied("run.jobs.create", name)
        good_id("UpdateJobRequest.job.name", id_)
        return _created(state, caller, name, _asked(said), try_=try_)
    job = state.job(name)
    paging.match(said, shown(job.body))
    asked = _asked(said)
    _checked(caller, name, asked)
    if try_:
        return tried("Job", {**job.body, **asked})
    return _changed(state, caller, job, asked)


def get(state: State, caller: Account, request: Json) -> Json:
    parts(request["name"], "jobs")
    return shown(state.job(request["name"]).body)


def listed(state: State, caller: Account, request: Json) -> Json:
    """ "Results are sorted by creation time, descending." (client.list_jobs)"""
    here = str(parent(request["parent"]))
    bodies = [shown(job.body) for name, job in state.jobs.items() if above(name) == here]
    return paging.page("jobs", sorted(bodies, key=paging.newest, reverse=True), request)


def delete(state: State, caller: Account, request: Json) -> Json:
    parts(request["name"], "jobs")
    job = state.job(request["name"])
    paging.match(request, shown(job.body))
    if request.get("validateOnly"):
        return tried("Job", job.body)
    job.body["deleteTime"] = state.now
    operation = state.begin(request["name"], "Job", lambda: shown(job.body))
    job.waiting.append(operation)
    state.agenda.after(state.world.pace.delete, lambda: _gone(state, job))
    return told(operation)


def run(state: State, caller: Account, request: Json) -> Json:
    """ "Triggers creation of a new Execution of this Job." (client.run_job) Each call makes another one."""
    parts(request["name"], "jobs")
    job = state.job(request["name"])
    paging.match(request, shown(job.body))
    wanted = overrides.applied(job.body["template"], request.get("overrides", {}))
    if request.get("overrides") and not caller.may("run.jobs.runWithOverrides"):
        raise denied("run.jobs.runWithOverrides", request["name"])
    if job.broken is not None:  # guess: code; the text is the job's own
        raise Refused("FAILED_PRECONDITION", f"Job '{last(request['name'])}' is not ready. {job.broken.message}")
    if request.get("validateOnly"):
        return tried("Execution", {"job": job.body["name"], **wanted})
    execution = running.begun(state, job, f"{last(request['name'])}-{chance(5)}", wanted, caller)
    operation = state.begin(execution.body["name"], "Execution", lambda: shown(execution.body))
    execution.waiting.append(operation)
    return told(operation)


def _gone(state: State, job: JobState) -> None:
    if state.jobs.pop(job.body["name"], None) is not None:
        for execution in job.executions.values():
            running.stop(execution)
            execution.ended = True
            end(execution.waiting)
    end(job.waiting)


def _asked(job: Json) -> Json:
    asked = {key: deepcopy(job[key]) for key in SAID if key in job}
    asked.setdefault("launchStage", "GA")
    return asked


def _created(state: State, caller: Account, name: str, asked: Json, *, try_: bool) -> Json:
    _checked(caller, name, asked)
    if name in state.jobs:
        raise there_already(last(name))
    body: Json = {"name": name, "uid": new_uid(), "generation": "0", "createTime": state.now, "creator": caller.email}
    if try_:
        return tried("Job", {**body, **asked, "generation": "1"})
    job = state.jobs[name] = JobState(body=body)
    return _changed(state, caller, job, asked)


def _changed(state: State, caller: Account, job: JobState, asked: Json) -> Json:
    token = asked.get("runExecutionToken") or asked.get("startExecutionToken") or ""
    id_ = f"{last(job.body['name'])}-{token}"
    if token and id_ in job.executions and not state.world.finds_executions:
        raise there_already(id_)
    _said(state, caller, job, asked)
    operation = state.begin(job.body["name"], "Job", lambda: shown(job.body))
    job.waiting.append(operation)
    state.agenda.after(state.world.pace.begin + state.world.pace.route, lambda: _settle(state, job))
    if token and id_ not in job.executions:
        running.begun(state, job, id_, asked["template"], caller)
    if token:
        _follow(state, job, job.executions[id_])
    return told(operation)


def _said(state: State, caller: Account, job: JobState, asked: Json) -> None:
    body = job.body
    if {key: body[key] for key in SAID if key in body} != asked:
        for key in SAID:
            body.pop(key, None)
        generation = str(int(body["generation"]) + 1)
        body.update(asked, generation=generation, updateTime=state.now, lastModifier=caller.email)
    body["reconciling"] = True
    body["terminalCondition"] = condition("Ready", RECONCILING, state.now)


def _follow(state: State, job: JobState, execution: ExecutionState) -> None:
    """The job settles when *execution* has come so far."""
    if not execution.ended:
        execution.then.append(lambda: state.agenda.after(0, lambda: _settle(state, job)))


def _settle(state: State, job: JobState) -> None:
    """Nothing while the execution that it waits for is under way."""
    body = job.body
    if not body.get("reconciling"):
        return
    job.broken = state.world.objection(body["template"]["template"], body["name"], "Job")
    execution = _awaited(job)
    if job.broken is not None:
        _failed(state, job, job.broken.reason, job.broken.message)
    elif (
        execution is None
        or (body.get("startExecutionToken") and "startTime" in execution.body)
        or (execution.ended and running.succeeded(execution))
    ):
        _succeeded(state, job)
    elif execution.ended:
        _failed(state, job, "UNKNOWN", running.words(execution))
    else:
        execution.then.append(lambda: state.agenda.after(0, lambda: _settle(state, job)))


def _awaited(job: JobState) -> ExecutionState | None:
    token = job.body.get("runExecutionToken") or job.body.get("startExecutionToken")
    return job.executions.get(f"{last(job.body['name'])}-{token}") if token else None


def _succeeded(state: State, job: JobState) -> None:
    body = job.body
    body["reconciling"] = False
    body["observedGeneration"] = body["generation"]
    body["terminalCondition"] = condition("Ready", SUCCEEDED, state.now)
    put(body, condition("ResourcesAvailable", SUCCEEDED, state.now))
    end(job.waiting)


def _failed(state: State, job: JobState, reason: str, message: str) -> None:
    body = job.body
    body["reconciling"] = False
    body["terminalCondition"] = condition("Ready", FAILED, state.now, message=message, reason=reason, severity="ERROR")
    put(body, condition("ResourcesAvailable", FAILED, state.now, message=message, reason=reason))
    end(job.waiting, {"code": 13, "message": message})  # guess: the code, as for services


def _checked(caller: Account, name: str, asked: Json) -> None:
    """Raises Refused; fills the template with its defaults."""
    found = Violations()
    outer = asked.setdefault("template", {})
    if not outer.get("template", {}).get("containers"):
        found.say("template.template.containers", "must contain 1 to 10 containers.")
        found.refuse()
    outer.setdefault("taskCount", 1)
    outer["template"] = template.filled_task(outer["template"], default_account(parent(name).project))
    metadata.checked(asked, "", found)
    metadata.checked(outer, "template.", found)
    template.checked_task(outer["template"], "template.template.", found)
    # https://cloud.google.com/run/quotas: 10,000 tasks
    found.say_if(not 1 <= outer["taskCount"] <= 10_000, "template.taskCount", "must be between 1 and 10000.")
    found.say_if(outer.get("parallelism", 0) < 0, "template.parallelism", "must not be negative.")
    _token(last(name), asked, found)
    found.refuse()
    account = outer["template"]["serviceAccount"]
    if not caller.may_act_as(account):
        raise cannot_act_as(account)


def _token(id_: str, asked: Json, found: Violations) -> None:
    for field in ("startExecutionToken", "runExecutionToken"):
        long = len(id_) + len(asked.get(field, "")) >= 63
        found.say_if(long, field, "the sum of job name and token length must be fewer than 63 characters.")
