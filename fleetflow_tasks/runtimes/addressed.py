# SPDX-License-Identifier: Apache-2.0
"""The URLs of services, asked of the runtimes that they are on; of each one once, and only where it can tell any."""

from collections.abc import Callable, Mapping
from typing import cast

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import Addressed, Runtime


def urls(
    plan: Plan, wanted: Mapping[ServiceName, RuntimeName], runtimes: Callable[[RuntimeName], Runtime]
) -> Mapping[ServiceName, str | None]:
    """wanted: services and their runtimes. None: it is not there yet; "": it is, and has no URL.

    What is on a runtime that tells no URLs is left out. Raises UnavailableError.
    """
    found: dict[ServiceName, str | None] = {}
    for name in sorted(set(wanted.values())):
        runtime = runtimes(name)
        if callable(getattr(runtime, "urls", None)):
            services = [service for service, its in wanted.items() if its == name]
            there = cast(Addressed, runtime).urls(plan, services)
            found |= {service: there.get(service) for service in services}
    return found
