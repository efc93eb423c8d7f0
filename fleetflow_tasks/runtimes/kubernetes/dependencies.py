# SPDX-License-Identifier: Apache-2.0
"""Which dependencies a pod waits for by itself, after the deployment that made it: when its cluster starts again, say.

Only what can be asked without rights on the API: a dependency in the same cluster that listens on TCP behind a Service.
What a job has done cannot be seen that way; there the order of deployment must do.
"""

from fleetflow_tasks.plan.model import ResolvedDependency, ResolvedService
from fleetflow_tasks.runtimes.kubernetes.manifests import Source
from fleetflow_tasks.runtimes.kubernetes.options import read

WAIT = "wait-for-"  # before the name of a dependency: the init container that waits for it


def waited_for(made_from: Source) -> list[tuple[ResolvedDependency, int]]:
    """Each with the port that is asked."""
    found = []
    for dependency in made_from.service.depends_on:
        other = made_from.plan.service(dependency.service)
        port = _port(other)
        if dependency.wait and port is not None and _is_waited_for(other):
            found.append((dependency, port))
    return found


def _is_waited_for(other: ResolvedService) -> bool:
    """A headless Service leads to pods that are not ready too; and where none is to run, nobody would ever answer."""
    if other.runtime != "kubernetes" or other.job or other.replicas == 0:
        return False
    return read(other.options).service_type != "Headless"


def _port(other: ResolvedService) -> int | None:
    return next((port.container for port in other.ports if port.protocol == "tcp"), None)
