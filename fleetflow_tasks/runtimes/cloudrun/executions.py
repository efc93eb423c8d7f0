# SPDX-License-Identifier: Apache-2.0
"""Whether a job has run, and how it went. Pure.

A job runs once per content; a second execution would be a second migration. Cloud Run makes an execution when a job is
written with a token that it has not seen (`runExecutionToken`), and calls it after that token. So the token is made of
the job's content, it is written together with everything else in one change that has an etag, and it is noted on the job
(`fleetflow.io/execution`, with the run that began it): whoever comes after a worker that died, or whose reply was lost,
finds the execution by its name.

The token is made of the run too where the content may run a second time: its execution failed, and another run asks for
it; the job had another content meanwhile; or it is to run in each deployment.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.conditions import FAILED, SUCCEEDED, failures, named, reason, state
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import TEMPLATE, digest
from fleetflow_tasks.runtimes.cloudrun.reading import at, last, mapping, number, one_line, text
from fleetflow_tasks.runtimes.exits import ended
from fleetflow_tasks.runtimes.labels import SLASHED
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

EXECUTION = SLASHED + "execution"  # annotation of a job: token and run of the execution that we began last

OVERDUE = "it took longer than its timeout allows, and was stopped"
_DEADLINE_EXCEEDED = 4  # of google.rpc.Code

TOKEN = 12  # characters; with the longest name, 49, and a hyphen it is "fewer than 63"

Became = Literal["never", "going", "succeeded", "failed"]
Next = Literal["start", "wait", "done", "failed"]

_BECAME: dict[str, Became] = {
    "EXECUTION_SUCCEEDED": "succeeded",
    "EXECUTION_FAILED": "failed",
    "EXECUTION_CANCELLED": "failed",
    "EXECUTION_RUNNING": "going",
    "EXECUTION_PENDING": "going",
}


class Ran(Data, frozen=True, kw_only=True):
    """Of a job's content, the execution that we began last. name: its last part, "" where there is none.

    run: that began the job's last execution of ours, of this content or another; "" where there was none.
    """

    became: Became
    name: str = ""
    run: str = ""


def noted(live: Json | None) -> tuple[str, str]:
    """Name of the execution that we began last, and the run that began it; empty where there is none."""
    token, _, run = text(live, "annotations", EXECUTION).partition(" ")
    return (f"{last(text(live, 'name'))}-{token}" if token else "", run)


def note(token: str, run: str) -> str:
    return f"{token} {run}"


def asked(live: Json | None, template: str) -> str:
    """The execution that has to be looked at to know whether the content *template* has run; "" where the job says it."""
    name, _ = noted(live)
    known = last(text(live, "latestCreatedExecution", "name")) == name
    return "" if known or not name or _is_another(live, template) else name


def ran(live: Json | None, template: str, execution: Json | None = None) -> Ran:
    """What became of the content whose hash is *template*. execution: what was found under the name that `asked` said."""
    name, run = noted(live)
    if live is None or not name or _is_another(live, template):
        return Ran(became="never", run=run)
    return Ran(became=_became(live, name, execution), name=name, run=run)


def following(before: Ran, run: str, *, always: bool) -> Next:
    """What *run* does about the job. always: it runs in each deployment."""
    mine = before.run == run
    if before.became == "never" or (always and not mine):
        return "start"
    if before.became == "failed":
        return "failed" if mine else "start"
    return "wait" if before.became == "going" else "done"


def under_way(live: Json | None, before: Ran) -> str:
    """The execution that goes on at this moment, of whatever content and whoever began it; "" where none is known of."""
    latest = mapping(live, "latestCreatedExecution")
    if _BECAME.get(text(latest, "completionStatus")) == "going":
        return last(text(latest, "name"))
    return before.name if before.became == "going" else ""


def token(template: str, run: str, before: Ran, *, always: bool) -> str:
    """Of the execution to be begun."""
    again = always or before.run
    return digest([template, run] if again else [template])[:TOKEN]


def judged(execution: Json) -> Verdict:
    """Of an execution that is there: by its tasks and its condition `Completed`."""
    done, failed, total = (number(execution, f"{each}Count") for each in ("succeeded", "failed", "task"))
    total = total or 1
    completed = named(execution, "Completed")
    if state(completed) == SUCCEEDED:
        return Ready(text=f"{_counted(total, 'task')} succeeded" if total > 1 else "ended with exit code 0")
    if state(completed) == FAILED:
        return Broken(text=_why(execution, completed, failed, total))
    if total == 1 and not failed:
        return Waiting(text="job is running" if number(execution, "runningCount") else "job is starting")
    told = f"{done} of {total} tasks succeeded" + (f", {failed} failed" if failed else "")
    return Waiting(text=told, current=done, total=total)


def failed(tasks: Iterable[Json]) -> Iterator[str]:
    """How each task that failed ended, the first one first. What was cancelled did not fail."""
    for task in sorted(tasks, key=lambda each: number(each, "index")):
        if any(reason(each) != "CANCELLED" for each in failures(task)) or _badly(mapping(task, "lastAttemptResult")):
            yield f"task {number(task, 'index')}: {_ended(task)}"


def _is_another(live: Json | None, template: str) -> bool:
    return text(live, "annotations", TEMPLATE) != template


def _became(live: Json, name: str, execution: Json | None) -> Became:
    latest = mapping(live, "latestCreatedExecution")
    if last(text(latest, "name")) == name and text(latest, "completionStatus") in _BECAME:
        return _BECAME[text(latest, "completionStatus")]
    if execution is not None:
        verdict = judged(execution)
        return "succeeded" if isinstance(verdict, Ready) else "failed" if isinstance(verdict, Broken) else "going"
    # It is not there: not yet, or not any more. The job is ready once it has ended well, and failed where it could not begin.
    if at(live, "reconciling"):
        return "going"
    return {SUCCEEDED: "succeeded", FAILED: "failed"}.get(state(mapping(live, "terminalCondition")), "going")  # type: ignore[return-value]


def _why(execution: Json, completed: Json, failed: int, total: int) -> str:
    # One task that failed has the others cancelled.
    if reason(completed) in {"CANCELLED", "CANCELLING"} or (number(execution, "cancelledCount") and not failed):
        return "it was cancelled"
    if reason(completed) == "DELETED":
        return "its execution was removed"
    if failed and total > 1:
        return f"{failed} of {total} tasks failed"
    return one_line(text(completed, "message")) or reason(completed) or "it failed"


def _badly(result: Json) -> bool:
    return any(number(result, *path) for path in (("exitCode",), ("termSignal",), ("status", "code")))


def _ended(task: Json) -> str:
    result = mapping(task, "lastAttemptResult")
    retried = number(task, "retried")
    again = f", after {_counted(retried + 1, 'attempt')}" if retried else ""
    if code := number(result, "exitCode"):
        return ended(code) + again
    if signal := number(result, "termSignal"):
        return ended(128 + signal) + again
    if number(result, "status", "code") == _DEADLINE_EXCEEDED:
        return OVERDUE + again
    said = text(result, "status", "message") or next((text(each, "message") for each in failures(task)), "")
    return (one_line(said) or "it failed") + again


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
