# SPDX-License-Identifier: Apache-2.0
"""All that the objects of a service are made from, in one hand."""

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.cloudrun.options import Options, read
from fleetflow_tasks.runtimes.cloudrun.settings import Settings, settings

CLOUDRUN = "cloudrun"
PORT = 8080  # where the platform sends requests that a service has named no port for


class Source(Data, frozen=True, kw_only=True):
    plan: Plan
    service: ResolvedService
    options: Options
    settings: Settings

    @property
    def port(self) -> int:
        """Where requests go."""
        return next((port.container for port in self.service.ports if port.protocol == "tcp"), PORT)


def source(plan: Plan, service: ResolvedService) -> Source:
    return Source(plan=plan, service=service, options=read(service.options), settings=settings(plan))
