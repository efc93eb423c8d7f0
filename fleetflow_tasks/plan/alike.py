# SPDX-License-Identifier: Apache-2.0
"""Whether a service is the same image in all stages: what was tried in one is what runs in the next.

On one's own machine, `local`, a floating tag hurts nobody and is not compared; a version is.
"""

from collections.abc import Iterable, Iterator

from fleetflow_tasks.config.model import Service, ServiceName, Stage, StageName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.check import LOCAL
from fleetflow_tasks.plan.image import ImageError, Reference, named

Found = list[tuple[StageName, Service, Reference]]


def unlike(stages: Iterable[Stage], about: StageName) -> Iterator[Problem]:
    """A warning for each service of the stage *about* whose image is another one in some of *stages*, by name.

    It is the same warning whichever of these stages is asked about.
    """
    by_service: dict[ServiceName, Found] = {}
    for stage in stages:
        for service in stage.services:
            if (image := _image(stage, service)) is not None:
                by_service.setdefault(service.name, []).append((stage.name, service, image))
    for name, found in sorted(by_service.items()):
        if about in {stage for stage, _, _ in found} and len({image for _, _, image in found}) > 1:
            yield _warning(name, found)


def _image(stage: Stage, service: Service) -> Reference | None:
    """None where there is nothing to compare: what is built and not named is what its files are, in every stage.

    What is no image at all is told elsewhere.
    """
    if service.build is not None and service.version is None:
        return None
    try:
        image = named(service.name, service.image, service.version)
    except ImageError:
        return None
    return None if image.floating and stage.name == LOCAL else image


def _warning(name: ServiceName, found: Found) -> Problem:
    width = max(len(stage) for stage, _, _ in found)
    places = [service.places.get("version") or service.places.get("image") for _, service, _ in found]
    said = [f"{stage:{width}}  {image}" for stage, _, image in found]
    columns = max(len(line) for line in said)
    *_, (source, _, _), (target, _, _) = found
    return Problem(
        code="image-differs",
        message=f"service `{name}` is not the same image in all stages",
        cause=tuple(f"{line:{columns}}   {place}" if place else line for line, place in zip(said, places, strict=True)),
        fix=f"name one version for all; `flow promote --from {source} --to {target}` takes along what runs",
        severity="warning",
    )
