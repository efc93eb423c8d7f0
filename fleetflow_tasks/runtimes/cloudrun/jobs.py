# SPDX-License-Identifier: Apache-2.0
"""A job, run once: written with the token of its execution, in one change, and waited for until its tasks have ended.

`executions` decides whether it is to run at all, and explains why there can be no second execution. Here the job is
written, with the etag that it was read with: where somebody else was first (or it was we, and the reply was lost), it is
looked at again and decided again. From then on nothing is written: an execution that outlives its step, or its worker,
goes on, and whoever does the step next waits for the same one. It is never cancelled: nobody knows what half a migration
leaves behind.
"""

from collections.abc import Callable, Sequence

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Attempt, DeployError, Outcome
from fleetflow_tasks.runtimes.cloudrun import causes, words
from fleetflow_tasks.runtimes.cloudrun.apply import TRIES, Hands
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError
from fleetflow_tasks.runtimes.cloudrun.conditions import FAILED, failures, state
from fleetflow_tasks.runtimes.cloudrun.decide import outside
from fleetflow_tasks.runtimes.cloudrun.desired import Desired, marked
from fleetflow_tasks.runtimes.cloudrun.executions import (
    EXECUTION,
    OVERDUE,
    Next,
    Ran,
    asked,
    failed,
    following,
    judged,
    note,
    ran,
    token,
    under_way,
)
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import HASH
from fleetflow_tasks.runtimes.cloudrun.reading import at, last, mapping, number, one_line, text
from fleetflow_tasks.runtimes.cloudrun.waiting import Waiter
from fleetflow_tasks.runtimes.labels import Mark
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

TASKS = 100  # that are looked at for how they ended

Look = Callable[[], Json | None]  # the job as it is now; raises where it is not ours to write any more
Lines = Callable[[str], Sequence[str]]  # the last lines that an execution printed; none where they cannot be had


class Work(Data, frozen=True, kw_only=True):
    """One job of a plan. mark: of the run that wants it. look, lines: see above."""

    plan: Plan
    service: ResolvedService
    wanted: Desired
    mark: Mark
    look: Look
    lines: Lines

    @property
    def always(self) -> bool:
        return self.service.rerun == "always"

    def execution(self, name: str) -> str:
        return f"{self.wanted.name}/executions/{name}"


def standing(client: Client, wanted: Desired, live: Json | None) -> Ran:
    """What became of its content so far; asks for the execution only where the job does not say it."""
    name = asked(live, wanted.template)
    found = client.execution(f"{wanted.name}/executions/{name}") if name else None
    return ran(live, wanted.template, found)


def deployed(client: Client, work: Work, live: Json | None, attempt: Attempt) -> Outcome:
    """Run it where it has to run, and return once it has ended well. live: as it was seen last.

    Raises DeployError where it failed, CloudRunError, and what `work.look` and `attempt` raise.
    """
    name, doing = _begun(client, work, live, attempt)
    if doing == "done":
        return Outcome(changed=False, text="ran already", facts={"execution": name})
    verdict, trouble = _awaited(client, work, name, attempt)
    if isinstance(verdict, Ready):
        return Outcome(changed=True, text=verdict.text, facts={"execution": name})
    raise _failure(client, work, name, verdict, trouble)


def _begun(client: Client, work: Work, live: Json | None, attempt: Attempt) -> tuple[str, Next]:
    """The execution to be waited for, and why."""
    hands = Hands(client, attempt)
    for _ in range(TRIES):
        before = standing(client, work.wanted, live)
        doing = following(before, work.mark.run, always=work.always)
        if doing != "start":
            _kept(hands, work, live, attempt)
            return before.name, doing
        if other := under_way(live, before):
            _outlived(client, work, other, attempt)
            live = work.look()
            continue
        begun = token(work.wanted.template, work.mark.run, before, always=work.always)
        attempt.checkpoint()
        if _written(hands, work, live, begun):
            return f"{last(work.wanted.name)}-{begun}", doing
        live = work.look()
    raise DeployError(words.busy(work.wanted.name), transient=True)


def _outlived(client: Client, work: Work, name: str, attempt: Attempt) -> None:
    """Another execution ends first, well or not: two migrations at a time is what nobody has asked for."""
    verdict, trouble = _awaited(client, work, name, attempt)
    if isinstance(verdict, Waiting):
        raise _failure(client, work, name, verdict, trouble)


def _written(hands: Hands, work: Work, live: Json | None, begun: str) -> bool:
    """With the token. False: it is another one than was looked at."""
    body = {**_body(work, note(begun, work.mark.run)), "runExecutionToken": begun}
    if live is None:
        return hands.create(work.wanted.name, body) is not None
    try:
        return hands.update(work.wanted.name, body, text(live, "etag")) is not None
    except CloudRunError as error:
        if error.code not in {"NOT_FOUND", "ALREADY_EXISTS"}:
            raise
        return error.code == "ALREADY_EXISTS"  # the execution: somebody took our note off the job


def _kept(hands: Hands, work: Work, live: Json | None, attempt: Attempt) -> None:
    """What changed beside its content (a label, a timeout), and what somebody else made of it since, is written without a
    token: that makes no execution.

    Not while one goes on; and who else changes the job at this moment has his way.
    """
    if live is None or at(live, "reconciling"):
        return
    if text(live, "annotations", HASH) == work.wanted.hash and not outside(live):
        return
    attempt.checkpoint()
    hands.update(work.wanted.name, _body(work, text(live, "annotations", EXECUTION)), text(live, "etag"))


def _body(work: Work, noted: str) -> Json:
    body = marked(work.wanted, work.mark)
    return {**body, "annotations": {**body["annotations"], EXECUTION: noted}}


def _awaited(client: Client, work: Work, name: str, attempt: Attempt) -> tuple[Verdict, str]:
    """And why nobody answered at last, "" where somebody did."""
    waiter = Waiter(client, attempt, attempt.deadline)

    def look() -> Verdict:
        return _looked(client, work, name)

    verdict = waiter.heard(look, Waiting(text="job is starting"))
    while isinstance(verdict, Waiting) and not waiter.over:
        waiter.rest(verdict.text)
        verdict = waiter.heard(look, verdict)
    return verdict, waiter.trouble


def _looked(client: Client, work: Work, name: str) -> Verdict:
    """At the execution; at the job, as long as there is none."""
    found = client.execution(work.execution(name))
    if found is not None:
        return judged(found)
    job = client.job(work.wanted.name)
    if job is None:
        return Broken(text="somebody removed the job")
    if not at(job, "reconciling") and state(mapping(job, "terminalCondition")) == FAILED:
        return Broken(text=one_line(text(job, "terminalCondition", "message")) or "it cannot begin")
    return Waiting(text="job is starting")


# --- what is told when it did not end well


def _failure(client: Client, work: Work, name: str, verdict: Verdict, trouble: str) -> DeployError:
    if isinstance(verdict, Waiting):
        return DeployError(words.unheard(work.service, trouble) if trouble else _overdue(work, name, verdict))
    found = client.execution(work.execution(name))
    if found is not None:
        return DeployError(_ended(client, work, name, found, verdict))
    job = client.job(work.wanted.name)
    if job is None or not any(failures(job)):
        return DeployError(causes.problem(causes.Cause(code="job-failed", message=verdict.text), work.service, "run"))
    why = causes.cause(job)
    return DeployError(causes.problem(why, work.service, "run"), transient=why.again)


def _ended(client: Client, work: Work, name: str, found: Json, verdict: Verdict) -> Problem:
    known, (ends, unseen) = causes.told(found), _ends(client, work, name)
    link, late = text(found, "logUri"), any(OVERDUE in end for end in ends)
    field = known.field if known else "timeout" if late else ""
    return Problem(
        code=known.code if known else "job-failed",
        message=f"cannot run `{work.service.name}`: {known.message if known else _why(ends, verdict, found)}",
        cause=(
            *(known.lines if known else ()),
            *unseen,
            *(ends if len(ends) > 1 else ()),
            *words.headed(work.lines(name)),
            *((f"its log: {link}",) if link else ()),
        ),
        fix=known.fix if known else "give it more time with `timeout`" if late else "",
        more=f"flow logs --stage={work.plan.stage} {work.service.name}",
        place=work.service.places.get(field) or work.service.places.get(""),
    )


def _ends(client: Client, work: Work, name: str) -> tuple[list[str], tuple[str, ...]]:
    """How its tasks failed; and why that cannot be seen: who may not ask for tasks is told of the failure all the same."""
    try:
        return list(failed(client.tasks(work.execution(name), at_most=TASKS))), ()
    except CloudRunError as error:
        return [], (f"how its tasks ended cannot be seen: {error.answer}",)


def _why(ends: Sequence[str], verdict: Verdict, execution: Json) -> str:
    """One task's end is the job's; of many, how many failed and how the first did."""
    if not ends:
        return verdict.text
    if number(execution, "taskCount") <= 1:
        return ends[0].partition(": ")[2]
    return f"{verdict.text}; {ends[0]}"


def _overdue(work: Work, name: str, verdict: Waiting) -> Problem:
    region = work.wanted.name.split("/")[3]
    return Problem(
        code="job-timeout",
        message=f"cannot run `{work.service.name}`: it has not ended within {work.service.timeout:g} s: {verdict.text}",
        cause=(f"execution {name} was not stopped; the next deployment waits for the same one",),
        fix=f"give it more `timeout`, or stop it: `gcloud run jobs executions cancel {name} --region={region}`",
        place=work.service.places.get("timeout") or work.service.places.get(""),
    )
