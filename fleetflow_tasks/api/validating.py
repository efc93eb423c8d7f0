# SPDX-License-Identifier: Apache-2.0
"""What `flow validate` looks at beyond one stage's own plan: its neighbours, each as its own files make it."""

from collections.abc import Iterator
from contextlib import suppress

from msgspec.structs import replace

from fleetflow_tasks.api.reading import Planned, plan, stages
from fleetflow_tasks.api.request import Request, load_project
from fleetflow_tasks.config.model import Stage, StageName
from fleetflow_tasks.errors import ConfigError, PlanError
from fleetflow_tasks.plan.alike import unlike


def validated(request: Request) -> Planned:
    """The stage's plan, checked offline and beside the others. Raises ConfigError or PlanError with all problems."""
    planned = plan(request)
    found = tuple(unlike(_all_stages(request), planned.plan.stage))
    if found and request.strict:
        raise PlanError(*found)
    return Planned(plan=planned.plan, warnings=(*planned.warnings, *found))


def _all_stages(request: Request) -> Iterator[Stage]:
    """What is wrong with another stage is told when that one is looked at; here it is left out."""
    lenient = replace(request, strict=False)
    for name in _names(lenient):
        with suppress(ConfigError):
            yield from load_project(lenient, name).project.stages


def _names(request: Request) -> tuple[StageName, ...]:
    try:
        return stages(request)
    except ConfigError:
        return ()
