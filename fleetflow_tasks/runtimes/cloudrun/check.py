# SPDX-License-Identifier: Apache-2.0
"""What Cloud Run cannot honour, said at plan time and offline. Pure; nothing is ignored in silence.

First that each service's block can be read at all, then the stage, then each service by itself: its name here, the rest
by what it is about.
"""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.cloudrun import names
from fleetflow_tasks.runtimes.cloudrun.block_checks import block_problems
from fleetflow_tasks.runtimes.cloudrun.canary import LONGEST_WITH_TAG, TAG
from fleetflow_tasks.runtimes.cloudrun.complaints import wrong
from fleetflow_tasks.runtimes.cloudrun.options import read
from fleetflow_tasks.runtimes.cloudrun.probe_checks import probe_problems
from fleetflow_tasks.runtimes.cloudrun.settings import percent, settings
from fleetflow_tasks.runtimes.cloudrun.shape_checks import shape_problems
from fleetflow_tasks.runtimes.cloudrun.shares import ALL
from fleetflow_tasks.runtimes.cloudrun.size_checks import size_problems
from fleetflow_tasks.runtimes.cloudrun.source import CLOUDRUN, Source, source
from fleetflow_tasks.runtimes.cloudrun.storage_checks import storage_problems
from fleetflow_tasks.runtimes.cloudrun.variable_checks import variable_problems
from fleetflow_tasks.runtimes.labels import stage_name

_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]|[1-9]\d{5,}")
_REGION = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_ZONE = re.compile(r"([a-z]+-[a-z]+\d{1,2})-[a-z]")
_WHERE = 'write `runtime "cloudrun" {{ project "{project}"; region "{region}" }}`'
_RULE = "it takes lower-case letters, digits and, inside, `-`, and begins with a letter"


def check(plan: Plan) -> Iterator[Problem]:
    services = [service for service in plan.services if service.runtime == CLOUDRUN]
    unread = [problem for service in services for problem in _block(service)]
    if unread or not services:
        yield from unread
        return
    yield from _stage(plan, services[0])
    for service in services:
        yield from _service(source(plan, service))


def _block(service: ResolvedService) -> Iterator[Problem]:
    try:
        read(service.options)
    except msgspec.ValidationError as error:
        yield wrong(service, "options", f"does not understand its `cloudrun` block: {error}", "correct the block")


def _service(made_from: Source) -> Iterator[Problem]:
    for rule in _RULES:
        yield from rule(made_from)


def _stage(plan: Plan, first: ResolvedService) -> Iterator[Problem]:
    """What is wrong with the stage's own settings: told where the stage, or its first service, names its runtime."""
    for code, message, cause, fix in (*_project(plan), *_region(plan), *_names(plan), *_canary(plan)):
        yield Problem(
            code=f"{CLOUDRUN}-{code}",
            message=message,
            cause=(cause,) if cause else (),
            fix=fix,
            place=first.place("runtime"),
        )


Said = tuple[str, str, str, str]  # code, message, cause, fix


def _project(plan: Plan) -> Iterator[Said]:
    where = settings(plan)
    fix = _WHERE.format(project="my-project", region=where.region or "europe-west1")
    if not where.project:
        message = f"stage `{plan.stage}` does not say in which Google Cloud project its services run"
        yield "project", message, "", f"{fix}; `gcloud projects list` shows yours"
    elif not _PROJECT.fullmatch(where.project):
        message = f"runtime `cloudrun` has no Google Cloud project called `{where.project}`"
        rule = "an id is 6 to 30 lower-case letters, digits and, inside, `-`, and begins with a letter"
        yield "project", message, rule, "write its id, which `gcloud projects list` shows"


def _region(plan: Plan) -> Iterator[Said]:
    where = settings(plan)
    zone = _ZONE.fullmatch(where.region)
    fix = _WHERE.format(project=where.project or "my-project", region=zone[1] if zone else "europe-west1")
    if not where.region:
        message = f"stage `{plan.stage}` does not say in which region its services run"
        yield "region", message, "", f"{fix}; `gcloud run regions list` shows all"
    elif zone:
        message = f"runtime `cloudrun` runs in regions, and `{where.region}` is a zone"
        yield "region", message, "", fix
    elif not _REGION.fullmatch(where.region):
        message = f"runtime `cloudrun` has no region called `{where.region}`"
        rule = "a region's name is as `europe-west1` and `us-central1` are"
        yield "region", message, rule, "write one that `gcloud run regions list` shows"


def _names(plan: Plan) -> Iterator[Said]:
    """Both stand before each service's name."""
    group = stage_name(plan.project, plan.stage)
    if len(f"{group}-a") > names.LONGEST:
        message = f"the names of project and stage are too long together for runtime `cloudrun`: `{group}`"
        cause = f"`{group}-` stands before each service's name, and all of it has {names.LONGEST} characters at most"
        yield "names", message, cause, "shorten one of them"
    elif not names.is_name(group):
        message = f"the names of project and stage cannot begin a name on runtime `cloudrun`: `{group}`"
        yield "names", message, _RULE, f"call them so that they make `{names.fitting(group) or 'shop-prd'}`"


def _canary(plan: Plan) -> Iterator[Said]:
    said = plan.options.get(CLOUDRUN, {}).get("canary", "")
    if said and percent(said) is None:
        message = f"`{said}` is no share of the requests that a new revision could get"
        yield "canary", message, "", "say percent, from 0 to 100: `--canary 10`"


def _name(made_from: Source) -> Iterator[Problem]:
    """That a name of the service is one at all is the plan's own check to say, and the stage's part `_names`'."""
    service, options = made_from.service, made_from.options
    name = names.short_name(made_from.plan, service)
    share = options.traffic if made_from.settings.canary is None else made_from.settings.canary
    gradual = share not in {None, ALL} and not service.job
    longest, why = (
        (LONGEST_WITH_TAG, f", where a new revision is tried at an address with the tag `{TAG}`")
        if gradual
        else (names.LONGEST, "")
    )
    before = len(name) - len(service.name)
    if len(name) > longest and before < names.LONGEST:
        text = f"takes names of {longest} characters at most{why}: `{name}` has {len(name)}"
        fits = names.fitting(service.name, longest - before)
        yield wrong(service, "", text, f"call it `{fits}`" if fits else "shorten the name of the project or the stage")


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (
    _name,
    shape_problems,
    variable_problems,
    storage_problems,
    size_problems,
    probe_problems,
    block_problems,
)
