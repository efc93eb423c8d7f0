# SPDX-License-Identifier: Apache-2.0
"""A stage that gets the very images that another one runs.

What runs there counts, and not what its files or a registry's tags say today: the containers are asked which image
they were made of, and the answer is a digest. The rest of the plan is the target's own: its files with other images.
What is not well in the source is not worth going on with, so it is refused; whoever knows better says `force`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from fleetflow_tasks.api.reading import plan, status
from fleetflow_tasks.api.request import Request, foreign, load_project, runtime_of, runtimes_of
from fleetflow_tasks.api.running import is_held
from fleetflow_tasks.config.model import Data, ServiceName, StageName
from fleetflow_tasks.errors import ConfigError, PlanError, Problem, RefusedError
from fleetflow_tasks.plan.build import teardown
from fleetflow_tasks.plan.image import is_id, short
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.plan.resolve import CLOUDRUN, KUBERNETES
from fleetflow_tasks.runtimes.base import ServiceStatus

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import Because

WELL = {"running", "completed"}


class Promotion(Data, frozen=True, kw_only=True):
    """plan: of the target, with the images of the source. images: those, by service.

    runs: which made what was promoted, the newest last. warnings: of the plan, and of what was found in the source.
    """

    source: StageName
    plan: Plan
    images: Mapping[ServiceName, str]
    runs: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()

    @property
    def because(self) -> "Because | None":
        """None where what runs in the source was made by none of our runs."""
        from fleetflow_tasks.engine.model import Because, RunId

        return Because(kind="promote", run=RunId(self.runs[-1])) if self.runs else None


def promotion(
    request: Request, source: str, target: str, *, only: Collection[str] = (), force: bool = False
) -> Promotion:
    """What takes the images that *source* runs to *target*. Changes nothing.

    only: these services alone. force: also what is not well, or is being deployed just now.
    Raises ConfigError, PlanError, UnavailableError where a platform does not answer, RefusedError.
    """
    if source == target:
        raise RefusedError(Problem(code="promote-same", message=f"stage `{source}` cannot be promoted to itself"))
    onto = replace(request, stage=target)
    there = _Source(replace(request, stage=source, force_conflicts=False, replaced=()))
    wanted = plan(onto, only=only, with_dependencies=False)
    names = [step.service for step in wanted.plan.steps if step.action == "deploy" and step.service is not None]
    found = [each for each in there.statuses if each.service in names]
    _refuse(_obstacles(there, found, request, target, force=force))
    images = {each.service: each.digest for each in found if each.digest}
    _refuse(_bound(there, wanted.plan, found, onto, severity="error"))
    made = plan(onto, only=only, with_dependencies=False, images=images)
    return Promotion(
        source=there.plan.stage,
        plan=made.plan,
        images=images,
        runs=tuple(sorted({each.run for each in found if each.run and each.digest})),
        warnings=(*_told(there, wanted.plan, names, found, onto), *made.warnings),
    )


class _Source:
    """The stage whose images are wanted. unread: why its plan cannot be made here, as where its secrets are not at hand;
    what runs there can be seen all the same, but not whether that is what its files say."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.unread: Problem | None = None
        try:
            self.plan = plan(request).plan
        except (ConfigError, PlanError) as error:
            self.unread = error.problems[0]
            self.plan = _empty(request)
        self.statuses: Sequence[ServiceStatus] = status(request, self.plan)


def _empty(request: Request) -> Plan:
    """The stage's plan without services: read with all stages, so that a secret that is not at hand is left open."""
    loaded, stage = load_project(request, None), StageName(request.stage or "")
    return teardown(loaded.project, stage, services=(), runtime=runtime_of(request), known=foreign(loaded, request))


def _obstacles(
    there: _Source, found: Sequence[ServiceStatus], request: Request, target: str, *, force: bool
) -> Iterator[Problem]:
    stage = there.plan.stage
    if not any(_runs(each) for each in found):
        message = f"stage `{stage}` runs nothing that stage `{target}` holds"
        yield Problem(code="promote-nothing", message=message, fix=f"deploy it first: `flow up {stage}`")
        return
    for each in found:
        if not each.digest and _runs(each):
            yield _unknown(each, stage)
    if force:
        return
    if is_held(there.request, there.plan):
        message = f"stage `{stage}` is being deployed just now: what runs there may be half old and half new"
        yield Problem(
            code="promote-busy", message=message, fix="wait for the run's end, or say --force", more="flow queue"
        )
    for each in found:
        if not _is_well(each, there):
            yield Problem(
                code="promote-unwell",
                message=f"service `{each.service}` of stage `{stage}` is {each.state}"
                + (each.text and f": {each.text}"),
                fix="bring it up there first, leave it out with --only, or say --force",
                more=f"flow ps {stage}",
            )


def _runs(each: ServiceStatus) -> bool:
    return each.digest != "" or each.state != "missing"


def _unknown(each: ServiceStatus, stage: StageName) -> Problem:
    why, fix = "its engine has it no more", f"deploy it there anew: `flow up {stage}`"
    if each.runtime == CLOUDRUN:
        why = f"it was deployed as `{short(each.image)}`, and Cloud Run does not tell what that tag meant then"
        fix = 'deploy it there by its digest, `version "sha256:…"`'
    elif each.runtime == KUBERNETES:
        why = "none of its pods has begun to run"
    return Problem(
        code="promote-unknown-image",
        message=f"which image service `{each.service}` of stage `{stage}` runs is not known: {why}",
        fix=f"{fix}, or leave it out with --only",
    )


def _is_well(each: ServiceStatus, there: _Source) -> bool:
    """Where the plan could not be read, nobody knows that an ended container was a job; its exit code then tells."""
    return each.state in WELL or (there.unread is not None and each.state == "stopped" and not each.text)


def _bound(
    there: _Source, onto: Plan, found: Iterable[ServiceStatus], request: Request, *, severity: Literal["error", "note"]
) -> Iterator[Problem]:
    """Images that no registry knows. The engine that has one can make another container of it; no other can."""
    bound: dict[tuple[str, str], list[str]] = {}
    for each in found:
        if is_id(each.digest) and _is_shared(there, onto, each, request) == (severity == "note"):
            bound.setdefault((short(each.image), short(each.digest)), []).append(f"`{each.service}`")
    for (name, digest), services in bound.items():
        image = f"image `{name}` of service{'s' * (len(services) > 1)} {', '.join(services)}"
        if severity == "note":
            yield Problem(
                code="promote-by-id",
                message=f"{image} is known to no registry: it is promoted by its id, `{digest}`",
                severity="note",
            )
        else:
            yield Problem(
                code="promote-local",
                message=f"{image} is known to no registry, and stage `{onto.stage}` is on another engine",
                fix=f"push it, and deploy stage `{there.plan.stage}` from the registry",
            )


def _is_shared(there: _Source, onto: Plan, each: ServiceStatus, request: Request) -> bool:
    """Whether the service is, in both stages, on one platform."""
    name = onto.service(each.service).runtime
    if name != each.runtime:
        return False
    ours = runtimes_of(there.request)(name).identity(there.plan)
    return ours != "" and ours == runtimes_of(request)(name).identity(onto)


def _told(
    there: _Source, onto: Plan, names: Sequence[ServiceName], found: Sequence[ServiceStatus], request: Request
) -> Iterator[Problem]:
    """What a person should know of it, though nothing is in its way."""
    stage = there.plan.stage
    if there.unread is not None:
        message = f"stage `{stage}` cannot be planned here, so nobody can say whether it runs what its files say"
        yield Problem(code="promote-unread", message=message, cause=(there.unread.message,), severity="warning")
    for each in found:
        if each.drift and there.unread is None and _is_well(each, there):
            message = f"service `{each.service}` of stage `{stage}` is not what its files say; what runs is promoted"
            yield Problem(code="promote-drift", message=message, severity="warning", more=f"flow plan {stage}")
    taken = {each.service for each in found if each.digest}
    for name in sorted(set(names) - taken):
        message = f"service `{name}` does not run in stage `{stage}`: it keeps its own image, `{short(onto.service(name).image)}`"
        yield Problem(code="promote-own-image", message=message, severity="note")
    held = {service.name for service in onto.services}
    for each in there.statuses:
        if each.service not in held:
            message = (
                f"service `{each.service}` of stage `{stage}` is left out: stage `{onto.stage}` has none of that name"
            )
            yield Problem(code="promote-left-out", message=message, severity="note")
    yield from _bound(there, onto, found, request, severity="note")


def _refuse(problems: Iterator[Problem]) -> None:
    if wrong := tuple(problems):
        raise RefusedError(*wrong)
