# SPDX-License-Identifier: Apache-2.0
"""Where the text says what a change is about: `services/api.kdl:4`, for who wants to mend it there."""

from collections.abc import Iterator

from fleetflow_tasks.errors import Place
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.view.ink import clean


def of_service(plan: Plan, name: str) -> str:
    """ "" of a service that no text declares any more, or whose plan comes from no text of this machine."""
    service = _service(plan, name)
    return _told(service.places.get("")) if service else ""


def of_field(plan: Plan, name: str, field: str) -> str:
    """field: as a runtime names it, `environment.LOG` or `ports.80/tcp`. "" where the text does not say it: a default, or
    what the service has from its stage."""
    service = _service(plan, name)
    return _told(_place(service, field)) if service else ""


def _service(plan: Plan, name: str) -> ResolvedService | None:
    return next((service for service in plan.services if service.name == name), None)


def _place(service: ResolvedService, field: str) -> Place | None:
    """Of the field itself, or of the nearest that holds it."""
    if field.removeprefix("environment.") in service.env_from_stage:
        return None
    return next((service.places[name] for name in _names(field) if name in service.places), None)


def _names(field: str) -> Iterator[str]:
    """What the text may call it, then what it is a part of: `environment.A`, `secrets.A`, `environment`."""
    while field:
        yield field
        if field == "image":
            yield "version"
        if field.startswith("environment."):
            yield field.replace("environment.", "secrets.", 1)
        field = field.rpartition(".")[0]


def _told(place: Place | None) -> str:
    return f"{clean(place.file)}:{place.line}" if place is not None else ""
