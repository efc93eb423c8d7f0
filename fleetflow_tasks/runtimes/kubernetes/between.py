# SPDX-License-Identifier: Apache-2.0
"""What is wrong between the services of a stage: two that want one thing, or want it in two ways."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes import storage
from fleetflow_tasks.runtimes.kubernetes.complaints import warned, wrong
from fleetflow_tasks.runtimes.kubernetes.desired import desired
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM
from fleetflow_tasks.runtimes.kubernetes.manifests import Source
from fleetflow_tasks.runtimes.kubernetes.options import Options

T = TypeVar("T")
Claim = tuple[ResolvedService, str]  # who wants a thing, and the field that says so


def between(plan: Plan, sources: list[Source]) -> Iterator[Problem]:
    """Needs services that are each right."""
    yield from _conflicts("node port", _node_ports(sources), "give one of them another `node_port`")
    yield from _conflicts("address", _addresses(sources), "give one of them another host or path")
    yield from _conflicts("object", _objects(plan, sources), "give one of the two services another name")
    for name in sorted({name for each in sources for name in each.shared}):
        yield from _shared(name, storage.users(plan, name))


def _conflicts(what: str, wanted: Iterable[tuple[T, Claim]], fix: str) -> Iterator[Problem]:
    first: dict[T, ResolvedService] = {}
    for thing, (service, field) in wanted:
        other = first.setdefault(thing, service)
        if other is not service:
            columns = max(len(other.name), len(service.name))
            where = [(each.name, each.place(field)) for each in (other, service)]
            yield Problem(
                code=f"kubernetes-{what.replace(' ', '-')}-conflict",
                message=f"services `{other.name}` and `{service.name}`: runtime `kubernetes` has one {what} `{thing}`",
                cause=tuple(f"{name:{columns}} wants it   {at}" if at else f"{name} wants it" for name, at in where),
                fix=fix,
            )


def _node_ports(sources: Iterable[Source]) -> Iterator[tuple[int, Claim]]:
    for each in sources:
        if each.options.node_port is not None:
            yield each.options.node_port, (each.service, "options.node_port")


def _addresses(sources: Iterable[Source]) -> Iterator[tuple[str, Claim]]:
    for each in sources:
        for ingress in each.service.ingress:
            yield f"{ingress.host}{ingress.path}", (each.service, "ingress")


def _objects(plan: Plan, sources: Iterable[Source]) -> Iterator[tuple[str, Claim]]:
    """Shared claims apart, which several services make alike."""
    for each in sources:
        for made in desired(plan, each.service).objects:
            if made["kind"] != CLAIM.name:
                yield f"{made['kind']} {made['metadata']['name']}", (each.service, "")


def _shared(name: str, mounting: list[Source]) -> Iterator[Problem]:
    services = ", ".join(f"`{each.service.name}`" for each in mounting)
    for field in ("storage_class", "access_mode"):
        said = {_said(each.options, field): each for each in mounting if _said(each.options, field)}
        if len(said) > 1:
            text = f"can give volume `{name}` only one `{field}`, not {' and '.join(f'`{value}`' for value in said)}"
            yield wrong(list(said.values())[1].service, f"options.{field}", text, f"say the same in {services}")
    if storage.access_mode(mounting) in (storage.ONE_NODE, storage.ONE_POD):
        text = f"mounts volume `{name}` in {services}: they share one claim, so all their pods must run on one node"
        fix = (
            "give each a volume of its own name, "
            'or say `kubernetes { access_mode "ReadWriteMany" }` in each, where the storage class can'
        )
        yield warned(mounting[0].service, "volumes", text, fix)


def _said(options: Options, field: str) -> str:
    return str(getattr(options, field) or "")
