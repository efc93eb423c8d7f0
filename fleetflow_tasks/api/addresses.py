# SPDX-License-Identifier: Apache-2.0
"""The URLs that services are told, for who only looks: asked of the runtimes, and only where somebody has to be told one.

What a run will be told stands in the run (engine/urls.py). Here what is there now counts; in the place of the URL of a
service that is not there yet stands a placeholder.
"""

from collections.abc import Callable, Collection

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.handed import asked, handed, placeholders
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.addressed import urls
from fleetflow_tasks.runtimes.base import Runtime

Runtimes = Callable[[RuntimeName], Runtime]


def with_urls(made: Plan, runtimes: Runtimes, services: Collection[ServiceName] | None = None) -> Plan:
    """*made* as the runtimes are to see it. services: those that are looked at; None: all. Raises UnavailableError."""
    looked_at = [service.name for service in made.services] if services is None else services
    wanted = asked(made, looked_at)
    found = urls(made, wanted, runtimes) if wanted else {}
    unknown = placeholders(name for name, url in found.items() if url is None)
    return handed(made, {**unknown, **{name: url for name, url in found.items() if url is not None}}, looked_at)


def with_urls_if_any(made: Plan, runtimes: Runtimes) -> Plan:
    """The same for who needs no platform: where one does not answer, placeholders stand for all that it knows."""
    try:
        return with_urls(made, runtimes)
    except UnavailableError:
        return handed(made, placeholders(asked(made, [service.name for service in made.services])))
