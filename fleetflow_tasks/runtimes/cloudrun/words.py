# SPDX-License-Identifier: Apache-2.0
"""Why we did not even try, and what became of the version before. Pure.

What Cloud Run answers is put into words by `explain`, why a version is not ready by `causes`.
"""

from collections.abc import Sequence

import msgspec

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import mark
from fleetflow_tasks.runtimes.cloudrun.reading import last, text
from fleetflow_tasks.runtimes.labels import Mark


def kind(found: Json) -> str:
    """`service` or `job`, as its name has it."""
    return "job" if "/jobs/" in found["name"] else "service"


def foreign(found: Json) -> Problem:
    """An object of our name that somebody else made."""
    what, name = kind(found), last(found["name"])
    project, region = found["name"].split("/")[1::2][:2]
    fix = (
        f"give the stage a region or project of its own, or remove it if nobody needs it: "
        f"`gcloud run {what}s delete {name} --region={region} --project={project}`"
    )
    return Problem(
        code=f"foreign-{what}",
        message=f"a {what} called `{name}` is in project `{project}`, region `{region}` already, and it is not ours",
        cause=(owner(found),),
        fix=fix,
    )


def owner(found: Json) -> str:
    """Whose it is, as far as it says."""
    theirs = mark(found)
    if theirs is not None:
        return f"it belongs to stage `{theirs.stage}` of project `{theirs.project}`"
    by, who = text(found, "client"), text(found, "creator")
    made = " ".join(filter(None, (f"with `{by}`" if by else "", f"by {who}" if who else "")))
    return f"it was made {made}" if made else "it has no label of ours"


def stale(found: Json, theirs: Mark, ours: int) -> Problem:
    return Problem(
        code="stale",
        message=f"`{last(found['name'])}` was made by a newer run (generation {theirs.generation}); this one ({ours}) "
        "must not touch it",
    )


def busy(name: str) -> Problem:
    return Problem(
        code="changed-meanwhile",
        message=f"`{last(name)}` changes all the time while it is being deployed",
        cause=("each time it was looked at, somebody else had changed it before we could",),
        fix="see who does: its revisions and its audit log in Google's console name them",
    )


def not_as_deployed(service: str, why: str) -> Problem:
    """Another share of the requests was asked for, and more than that would have to be changed."""
    return Problem(
        code="not-as-deployed",
        message=f"service `{service}` is not as the stage's last run has it, so its requests are left alone",
        cause=(why,) if why else (),
        fix="deploy it first",
    )


def not_newest(service: str, where: str) -> Problem:
    """A restart makes a revision, and this one would get no requests."""
    return Problem(
        code="not-newest",
        message=f"service `{service}` cannot be restarted: its requests do not go to its newest revision",
        cause=(f"they go to: {where}", "a restart makes a new revision, which is served as the newest"),
        fix="let the newest have them first: `flow promote-traffic`, or deploy a new version",
    )


def unheard(service: ResolvedService, trouble: str) -> Problem:
    """Nobody answered until the time was over, so it is not known how it is."""
    return Problem(
        code="outcome-unknown",
        message=f"how `{service.name}` is could not be learned in time: {trouble}",
        fix="see that Cloud Run can be reached from here, and try again",
    )


def noted(problem: Problem, note: str) -> Problem:
    """*problem*, and what serves now."""
    return msgspec.structs.replace(problem, cause=(*problem.cause, note)) if note else problem


def with_lines(problem: Problem, lines: Sequence[str]) -> Problem:
    """*problem*, and what the container printed last."""
    return msgspec.structs.replace(problem, cause=(*problem.cause, *headed(lines))) if lines else problem


def headed(lines: Sequence[str]) -> Sequence[str]:
    """*lines*, and before them whose they are."""
    if not lines:
        return ()
    head = "its last line:" if len(lines) == 1 else f"its last {len(lines)} lines:"
    return (head, *(f"  {line}" for line in lines))


def unready(service: ResolvedService, why: str, more: str) -> Problem:
    """It was sent, and did not become ready in time."""
    return Problem(
        code="not-ready",
        message=f"`{service.name}` did not become ready: {why}",
        fix="see its log; if it is only slow, raise its `timeout`",
        more=more,
        place=service.places.get("timeout") or service.places.get("healthcheck") or service.places.get(""),
    )


def unremoved(what: str, why: str) -> Problem:
    return Problem(code="not-removed", message=f"{what} could not be removed: {why}", fix="try again")
