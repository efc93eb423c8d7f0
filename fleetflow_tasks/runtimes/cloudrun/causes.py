# SPDX-License-Identifier: Apache-2.0
"""Why a service or a job did not become ready: Cloud Run's conditions as a cause, with what to do about it. Pure.

What Cloud Run knows stands in several places, and not in all of them each time: the conditions of the newest revision,
those of the service, the error in which the operation ended. All are read, the most telling first; a `reason` counts before
the words of a message, since its meaning is documented (`Condition.CommonReason`, `.RevisionReason`). The words, which are
Google's to change, decide where the reason is a vague one: "the revision failed", "the container is not healthy".
"""

import re
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.cloudrun import container_causes, image_causes, project_causes
from fleetflow_tasks.runtimes.cloudrun.conditions import failures, reason
from fleetflow_tasks.runtimes.cloudrun.diagnosis import USUAL_PORT, Cause, Facts, plain
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.reading import mapping, number, text

__all__ = ["Cause", "cause", "plain", "problem", "told"]


def cause(service: Json, revision: Json | None = None, operation: str = "") -> Cause:
    """Of a service (or a job) as the API returns it. revision: its newest, where there is one to be looked at.

    operation: the words of the error in which the operation ended, "" where it did not.
    """
    found = list(_facts(service, revision, operation))
    for facts in found:
        if known := _known(facts):
            return known
    return _unknown(found)


def told(execution: Json) -> Cause | None:
    """Of an execution that failed: why it could not run. None where it ran, and its program ended badly."""
    found = [facts for facts in _facts(execution, None, "") if facts.reason != "NON_ZERO_EXIT_CODE"]
    return next((known for facts in found if (known := _known(facts))), None)


def problem(why: Cause, service: ResolvedService, doing: str = "deploy", more: str = "") -> Problem:
    """As a person reads it. doing: as in "cannot deploy `api`". more: a command that shows more."""
    return Problem(
        code=why.code,
        message=f"cannot {doing} `{service.name}`: {why.message}",
        cause=why.lines,
        fix=why.fix,
        more=more,
        place=service.place(why.field),
    )


def _facts(service: Json, revision: Json | None, operation: str) -> Iterator[Facts]:
    runs = revision or _template(service)
    container = mapping(runs, "containers", 0)
    about = Facts(
        reason="",
        message="",
        project=text(service, "name").split("/")[1] if text(service, "name").startswith("projects/") else "",
        image=text(container, "image"),
        account=text(runs, "serviceAccount"),
        port=number(container, "ports", 0, "containerPort", absent=USUAL_PORT),
    )
    for condition in (*failures(revision or {}), *failures(service)):
        yield replace(about, reason=reason(condition), message=text(condition, "message"))
    if operation:
        yield replace(about, message=operation)


def _template(service: Json) -> Json:
    """What a service makes revisions from, and a job tasks."""
    template = mapping(service, "template")
    return mapping(template, "template") or template


def _known(facts: Facts) -> Cause | None:
    told = _REASONS.get(facts.reason)
    by_words = next((make for pattern, make in _WORDS if pattern.search(facts.message)), None)
    make = told or by_words
    return make(facts) if make else None


def _unknown(found: Sequence[Facts]) -> Cause:
    """Nothing that has a place in our tables: Cloud Run's own words, the longest story first."""
    said = [plain(each.message) for each in found if plain(each.message)]
    if said:
        return Cause(code="not-ready", message=said[0], lines=tuple(dict.fromkeys(said[1:])))
    word = next((each.reason for each in found if each.reason), "")
    if word in {"INTERNAL", "UNKNOWN", ""}:
        return Cause(
            code="platform-failed",
            message="Cloud Run failed, and does not say why",
            fix="look whether Google knows of it: https://status.cloud.google.com",
            again=True,
        )
    return Cause(code="not-ready", message=f"Cloud Run says no more than {word}")


Make = Callable[[Facts], Cause]

_REASONS: dict[str, Make] = {
    "CONTAINER_MISSING": image_causes.missing,
    "CONTAINER_PERMISSION_DENIED": image_causes.denied,
    "CONTAINER_IMAGE_UNAUTHORIZED": image_causes.unauthorized,
    "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED": image_causes.unchecked,
    "PROGRESS_DEADLINE_EXCEEDED": container_causes.late,
    "ENCRYPTION_KEY_PERMISSION_DENIED": project_causes.key_denied,
    "ENCRYPTION_KEY_CHECK_FAILED": project_causes.key_denied,
    "SECRETS_ACCESS_CHECK_FAILED": project_causes.secrets,
    "VPC_NETWORK_NOT_FOUND": project_causes.no_network,
    "CUSTOMIZED_PATH_RESPONSE_PENDING": container_causes.bad_path,
    "ACTIVE_REVISION_LIMIT_REACHED": project_causes.too_many_revisions,
}

# Where the reason is none of these: what the message speaks of. The first that fits counts.
_WORDS: tuple[tuple[re.Pattern[str], Make], ...] = (
    (project_causes.SECRET, project_causes.no_secret),
    (re.compile(r"Permission denied on secret"), project_causes.secret_denied),
    (re.compile(r"must have permission to read the image|does not have access to image"), image_causes.denied),
    (re.compile(r"must support amd64/linux|exec format error"), image_causes.of_another_platform),
    (re.compile(r"Image '[^']*' not found"), image_causes.missing),
    (re.compile(r"failed to create init process|not found in PATH|no such file or|Application failed to start"), container_causes.unstartable),
    (re.compile(r"[Mm]emory limit of .* exceeded|out of memory"), container_causes.out_of_memory),
    (container_causes.EXIT, container_causes.crashed),
    (re.compile(r"startup probe"), container_causes.unhealthy),
    (re.compile(r"start and (?:then )?listen on the port"), container_causes.not_listening),
    (re.compile(r"CpuAllocPerProjectRegion|[Qq]uota|[Mm]ax instances must be set to"), project_causes.quota),
)  # fmt: skip
