# SPDX-License-Identifier: Apache-2.0
"""Where a dependency is reached, told to those who depend on it: `{NAME}_URL` and `{NAME}_HOST` in their environment.

On one host or in one cluster a service is reached under its name. A service on Cloud Run is not: the platform gives it a
URL, and nobody knows that before it is deployed for the first time. Nor is any service reached by its name from another
runtime. So the plan says who has to be told (`asked`), whoever carries it out finds the URLs, and the plan that a runtime
gets holds them like any other variable: what a container is made of covers them, and an unchanged URL changes nothing.

A Kubernetes service with an `ingress` says by itself where it is reached. What has no URL, as a container on Docker, hands
nothing over: then a dependency on another runtime is an order, and no more.

In the place of a URL that nobody knows yet stands a `placeholder`, for who only looks, and for a `prepare`, which waits
for nobody: what would hold it is not made before its deployment.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.plan.resolve import CLOUDRUN, DOCKER, KUBERNETES

Urls = Mapping[ServiceName, str]
Services = Mapping[ServiceName, ResolvedService]

_PLACEHOLDER = "(known after the first deployment of {})"
_PLAIN = re.compile(r"/[-\w.~/]*")  # a path that is one, and no pattern of an ingress controller's


def handed(plan: Plan, urls: Urls, services: Collection[ServiceName] | None = None) -> Plan:
    """*plan* with the URLs that *services* (None: all) are told, its own and *urls*; what a service sets itself stays.

    urls: of dependencies; "" for one that has none. One that is not named hands nothing over.
    """
    if not _crosses(plan):
        return plan
    there = _by_name(plan)
    wanted = there if services is None else frozenset(services)
    told = tuple(_told(each, there, urls) if each.name in wanted else each for each in plan.services)
    return replace(plan, services=told)


def asked(plan: Plan, services: Collection[ServiceName]) -> Mapping[ServiceName, RuntimeName]:
    """Whose URLs *services* have to be told and the plan does not hold, with the runtimes that know them."""
    if not _crosses(plan):
        return {}
    there = _by_name(plan)
    others = (other for name in services for other in _crossing(there[name], there))
    return {other.name: other.runtime for other in others if other.runtime not in {DOCKER, KUBERNETES}}


def placeholders(names: Iterable[ServiceName]) -> Urls:
    """What stands in the place of the URLs of *names*, which nobody knows yet."""
    return {name: _PLACEHOLDER.format(name) for name in names}


def awaited(service: ResolvedService) -> tuple[ServiceName, ...]:
    """The dependencies of *service*, of a plan that was handed over, whose URLs are not known yet."""
    held = set(service.environment.values())
    stand_ins = placeholders(dependency.service for dependency in service.depends_on)
    return tuple(name for name, text in stand_ins.items() if text in held)


def unreached(service: ResolvedService, services: Services) -> Iterator[ResolvedService]:
    """The dependencies on other runtimes of which *service* is told no more than that they are there."""
    given = _given(service)
    for other in _crossing(service, services):
        silent = other.runtime == DOCKER or (other.runtime == KUBERNETES and not _own(other))
        if silent and given.isdisjoint(variables(other.name)):
            yield other


def variables(name: ServiceName) -> tuple[str, str]:
    """The names under which the URL of *name*, and the host in it, are told."""
    stem = re.sub(r"[^A-Z0-9]", "_", name.upper())
    return f"{stem}_URL", f"{stem}_HOST"


def _crosses(plan: Plan) -> bool:
    """Whether anybody may have to be told anything; False for a stage that is on Docker, or on Kubernetes, as a whole."""
    runtimes = {service.runtime for service in plan.services}
    return len(runtimes) > 1 or CLOUDRUN in runtimes


def _by_name(plan: Plan) -> Services:
    return {service.name: service for service in plan.services}


def _told(service: ResolvedService, services: Services, urls: Urls) -> ResolvedService:
    environment = dict(service.environment)
    given = _given(service)
    for other in _crossing(service, services):
        if url := urls.get(other.name) or _own(other):
            told = zip(variables(other.name), (url, urlsplit(url).hostname or url), strict=True)
            environment |= {name: value for name, value in told if name not in given}
    if len(environment) == len(service.environment):
        return service
    return replace(service, environment={name: environment[name] for name in sorted(environment)})


def _crossing(service: ResolvedService, services: Services) -> Iterator[ResolvedService]:
    """The dependencies that are not reached by their names. A job is reached by nobody."""
    for dependency in service.depends_on:
        other = services[dependency.service]
        if not other.job and (other.runtime != service.runtime or other.runtime == CLOUDRUN):
            yield other


def _own(service: ResolvedService) -> str:
    """The URL that the text gives *service*; "" where it gives none."""
    if service.runtime != KUBERNETES:
        return ""
    for ingress in service.ingress:
        if not ingress.host.startswith("*") and _PLAIN.fullmatch(ingress.path):
            return f"{'https' if ingress.tls else 'http'}://{ingress.host}{ingress.path.rstrip('/')}"
    return ""


def _given(service: ResolvedService) -> set[str]:
    """The names of the variables that the text gives *service*."""
    return {*service.environment, *service.secrets, *service.secret_refs}
