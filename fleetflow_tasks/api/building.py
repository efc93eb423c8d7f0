# SPDX-License-Identifier: Apache-2.0
"""Images built, and pushed, by the Docker Engine of this machine, for a stage of any runtime.

It is the very work of a stage on docker that prepares a service, done by hand and before: afterwards such a stage finds
its images there, and any other finds them in their registry.
"""

import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import cast

from fleetflow_tasks.api.connected import opened
from fleetflow_tasks.api.reading import plan
from fleetflow_tasks.api.request import Request, runtimes_of
from fleetflow_tasks.config.model import Data, ServiceName
from fleetflow_tasks.engine.hide import Hide, hidden_problem, hider
from fleetflow_tasks.errors import FleetFlowError, PlanError, Problem
from fleetflow_tasks.plan.build import BUILD
from fleetflow_tasks.plan.image import is_pushable, parse
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.plan.resolve import DOCKER
from fleetflow_tasks.runtimes.base import Building, DeployError, Stopped

AT_ONCE = 4  # as many as a worker builds for one engine
WAIT = 0.2  # seconds between two looks whether somebody pressed Ctrl-C


class Image(Data, frozen=True, kw_only=True):
    """service: one of those that it is for. image: the reference. hash: of what it is made of. anew: it was built now.

    digest: under which its registry knows it, "" where it was not pushed.
    """

    service: ServiceName
    image: str
    hash: str
    anew: bool
    digest: str = ""


class Images(Data, frozen=True, kw_only=True):
    """What `flow build` made of a stage. warnings: of its plan."""

    plan: Plan
    images: tuple[Image, ...]
    warnings: tuple[Problem, ...] = ()


Report = Callable[[ServiceName, str], None]  # service, what is being done; from several threads


def built(
    request: Request,
    *,
    only: Collection[str] = (),
    push: bool = False,
    pull: bool = False,
    cache: bool = True,
    report: Report = lambda service, text: None,
) -> Images:
    """The stage's images, built where they are not there, and pushed. only: of these services alone.

    pull: what they begin with is asked for again. cache: False: each step is done anew. With either, images are built that
    are there too. Raises ConfigError, PlanError, UnavailableError, and
    FleetFlowError with all that went wrong: what can be built is built all the same.
    """
    planned = plan(request, only=only, with_dependencies=False)
    services = [each for each in _stepped(planned.plan) if each.build is not None]
    if not services:
        raise PlanError(_nothing(planned.plan, only))
    builder = cast(Building, runtimes_of(request)(DOCKER))
    stop, hide = threading.Event(), hider(planned.plan)  # a step prints what its arguments hold

    def one(service: ResolvedService) -> Image:
        attempt = _ByHand(stop, lambda text: report(service.name, hide(text)))
        found = builder.build(planned.plan, service, attempt, pull=pull, cache=cache)
        digest = builder.push(planned.plan, service, attempt) if push else ""
        return Image(
            service=service.name,
            image=service.image,
            hash=service.build.hash if service.build else "",
            anew=found.anew,
            digest=digest,
        )

    return Images(plan=planned.plan, images=_all(one, services, stop, hide), warnings=planned.warnings)


def unpushed(request: Request, made: Plan, *, workers: bool = False) -> tuple[Problem, ...]:
    """Warnings of images that whoever deploys *made* could neither find nor build. workers: they do it, not this process.

    Asked is the registry, through an engine of this machine; where there is none, or it may not look, nobody warns.
    """
    wanted = [each for each in _stepped(made) if each.build is not None and is_pushable(parse(each.image))]
    far = _far(request, made) if workers else frozenset()
    wanted = [each for each in wanted if each.runtime != DOCKER or each.name in far]
    builder = cast(Building, runtimes_of(request)(DOCKER)) if wanted else None
    missing = [each for each in wanted if builder is not None and builder.is_pushed(made, each) is False]
    nowhere = [each for each in _stepped(made) if each.name in far and not is_pushable(parse(each.image))]
    return (*(_unpushed(made, each) for each in missing), *(_nowhere(made, each) for each in nowhere))


def _far(request: Request, made: Plan) -> frozenset[ServiceName]:
    """Services on docker that are built, and whose workers are all on other machines, as far as is known."""
    steps = [step for step in made.steps if step.action == "prepare" and step.service and step.runtime == DOCKER]
    steps = [step for step in steps if made.service_of(step).build is not None]
    if not steps:
        return frozenset()
    with opened(request) as store:
        workers = store.workers()
    here = socket.gethostname()
    hosts = {step.queue: {each.host for each in workers if step.queue in each.queues} for step in steps}
    return frozenset(
        step.service for step in steps if step.service and (hosts[step.queue] or {here}).isdisjoint({here})
    )


def _unpushed(made: Plan, service: ResolvedService) -> Problem:
    return Problem(
        code="build-unpushed",
        message=f"image `{service.image}` of service `{service.name}` is not in its registry yet",
        fix=f"run `flow build {made.stage} --push` first",
        place=service.places.get("image") or service.place("build"),
        severity="warning",
    )


def _nowhere(made: Plan, service: ResolvedService) -> Problem:
    return Problem(
        code="build-far",
        message=f"service `{service.name}` is built from files of this machine, and its workers are on others",
        fix=f"name a registry in `image`, run `flow build {made.stage} --push`, then submit",
        place=service.place("build"),
        severity="warning",
    )


def _stepped(made: Plan) -> Iterable[ResolvedService]:
    return [made.service_of(step) for step in made.steps if step.action == "deploy"]


def _all(
    one: Callable[[ResolvedService], Image], services: list[ResolvedService], stop: threading.Event, hide: Hide
) -> tuple[Image, ...]:
    """Several at once. A KeyboardInterrupt stops them all, and comes out."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            running = [pool.submit(one, service) for service in services]
            while not all(each.done() for each in running):
                time.sleep(WAIT)
        except BaseException:
            stop.set()
            raise
    failed = [error for each in running if (error := each.exception()) is not None]
    problems = [hidden_problem(error.problem, hide) for error in failed if isinstance(error, DeployError)]
    for error in failed:
        if not isinstance(error, DeployError):
            raise error
    if problems:
        raise FleetFlowError(*dict.fromkeys(problems))
    return tuple(each.result() for each in running)


class _ByHand:
    """An attempt of a person who waits for it: nobody holds a lease, and nothing but Ctrl-C stops it."""

    number = 1
    generation = 0
    run = ""

    def __init__(self, stop: threading.Event, report: Callable[[str], None]) -> None:
        self.deadline = time.monotonic() + BUILD
        self._stop = stop
        self._report = report

    def report(self, text: str, current: float | None = None, total: float | None = None) -> None:
        self._report(text)

    def checkpoint(self) -> None:
        if self._stop.is_set():
            raise Stopped("cancelled")
        if time.monotonic() > self.deadline:
            raise Stopped("timeout")

    def sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self.checkpoint()


def _nothing(made: Plan, only: Collection[str]) -> Problem:
    which = f"services {', '.join(f'`{name}`' for name in sorted(only))}" if only else "services"
    return Problem(
        code="build-nothing",
        message=f"none of the {which} of stage `{made.stage}` is built",
        fix='write `build "."` in a service whose image is to be built',
    )
