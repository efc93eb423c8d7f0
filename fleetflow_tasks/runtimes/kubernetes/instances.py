# SPDX-License-Identifier: Apache-2.0
"""A service's pods as people name them: the oldest first, each by the end of its name (`api-6c9f7-x2kqp` is `x2kqp`)."""

from collections.abc import Iterable, Mapping, Sequence

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.kinds import POD
from fleetflow_tasks.runtimes.kubernetes.objects import Json, at, holds, items, text
from fleetflow_tasks.runtimes.kubernetes.settings import settings
from fleetflow_tasks.runtimes.labels import SLASHED, Mark, written

SERVICE = f"{SLASHED}service"


def labels(plan: Plan, service: ServiceName | None = None) -> Mapping[str, str]:
    """Of the pods of one service, or of the whole stage."""
    return written(Mark(project=plan.project, stage=plan.stage, service=service), SLASHED)


def listed(client: Client, plan: Plan, service: ServiceName | None = None) -> list[Json]:
    """Those that are there, the oldest first."""
    return ordered(client.list(POD, settings(plan).namespace, labels(plan, service)).items)


def ordered(pods: Iterable[Json]) -> list[Json]:
    return sorted(pods, key=lambda pod: (text(pod, "metadata", "creationTimestamp"), name(pod)))


def name(pod: Json) -> str:
    return text(pod, "metadata", "name")


def service(pod: Json) -> ServiceName:
    return ServiceName(text(pod, "metadata", "labels", SERVICE))


def short(pod: Json) -> str:
    """How its name ends: enough to tell a service's pods apart."""
    return name(pod).rpartition("-")[2]


def containers(pod: Json) -> tuple[str, ...]:
    """Those of the service itself; the ones that wait for others say nothing that a user wants to read."""
    return tuple(text(each, "name") for each in items(pod, "spec", "containers"))


def is_ready(pod: Json) -> bool:
    return is_running(pod) and holds(pod, "Ready")


def is_running(pod: Json) -> bool:
    return text(pod, "status", "phase") == "Running" and at(pod, "metadata", "deletionTimestamp") is None


def chosen(pods: Sequence[Json], plan: Plan, service: ServiceName, instance: str) -> Json:
    """The one that *instance* means, by number from 1 or by the end of its name; "": the oldest that is ready, else that runs.

    pods: of that service, the oldest first. Raises UnavailableError where none is meant, or none runs.
    """
    meant = _meant(pods, instance) if instance else pods
    if not meant and instance:
        raise UnavailableError(_no_such(pods, service, instance))
    running = [pod for pod in meant if is_running(pod)]
    if not running:
        raise UnavailableError(_none_runs(meant, plan, service, instance))
    return next((pod for pod in running if is_ready(pod)), running[0])


def _meant(pods: Sequence[Json], instance: str) -> Sequence[Json]:
    """The pod `db-1` of a StatefulSet is `1` by its name, and the second by number: the name counts first."""
    named = [pod for pod in pods if instance in {name(pod), short(pod)}]
    return named or [pod for number, pod in enumerate(pods, 1) if instance == str(number)]


def _no_such(pods: Sequence[Json], service: ServiceName, instance: str) -> Problem:
    there = ", ".join(f"{number}: {name(pod)}" for number, pod in enumerate(pods, 1))
    return Problem(
        code="no-pod",
        message=f"service `{service}` has no pod `{instance}`",
        cause=(f"it has {there}" if pods else "it has none at all",),
        fix="name one by its number, or by how its name ends",
    )


def _none_runs(pods: Sequence[Json], plan: Plan, service: ServiceName, instance: str) -> Problem:
    message = (
        f"pod `{instance}` of service `{service}` does not run" if instance else f"no pod of service `{service}` runs"
    )
    return Problem(
        code="nothing-runs",
        message=f"{message} in stage `{plan.stage}`",
        cause=tuple(f"{name(pod)} is {text(pod, 'status', 'phase').lower() or 'unknown'}" for pod in pods),
        fix=f"deploy the stage, or see what keeps it: flow ps {plan.stage}",
    )
