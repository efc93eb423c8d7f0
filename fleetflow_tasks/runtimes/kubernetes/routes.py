# SPDX-License-Identifier: Apache-2.0
"""How a service is reached: its Service, under its name and the ports inside, so that `postgres:5432` means here what
it means on Docker; the address of each pod of a StatefulSet; its Ingress.

A host port is no port of a cluster. It counts where the Service has an address outside (`NodePort`, `LoadBalancer`).
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from fleetflow_tasks.config.model import Data, Ingress, Port
from fleetflow_tasks.runtimes.kubernetes import storage
from fleetflow_tasks.runtimes.kubernetes.kinds import INGRESS, SERVICE
from fleetflow_tasks.runtimes.kubernetes.manifests import Source, manifest, said, selector
from fleetflow_tasks.runtimes.kubernetes.names import PODS
from fleetflow_tasks.runtimes.kubernetes.template import inside, port_name

OUTSIDE = ("NodePort", "LoadBalancer")


class Route(Data, frozen=True, kw_only=True):
    """A port of a Service and the port inside that it leads to."""

    port: int
    target: Port


def routes(made_from: Source) -> list[Route]:
    """Each once; those inside first. Two of one number that lead to different ports are an error of `check`'s."""
    return list(dict.fromkeys([*_inside(made_from), *_outside(made_from)]))


def services(made_from: Source) -> list[dict[str, Any]]:
    found = []
    if storage.is_stateful(made_from):
        found.append(_of_pods(made_from))
    if made_from.service.ports and not made_from.service.job:
        found.append(_service(made_from))
    return found


def ingresses(made_from: Source) -> list[dict[str, Any]]:
    """One object with all of a service's addresses."""
    service = made_from.service
    if not service.ingress:
        return []
    spec = said(
        ingressClassName=made_from.options.ingress_class,
        rules=[
            {"host": host, "http": {"paths": [_path(made_from, each) for each in same]}}
            for host, same in _by_host(service.ingress)
        ],
        tls=[
            {"hosts": [host], "secretName": secret}
            for host, secret in dict.fromkeys((each.host, each.tls) for each in service.ingress if each.tls)
        ],
    )
    annotations = made_from.options.ingress_annotations
    return [manifest(made_from, INGRESS, service.name, annotations=annotations, spec=spec)]


def ingress_port(made_from: Source, ingress: Ingress) -> int | None:
    """The port inside that an address leads to; None where it names none and there is not just one."""
    if ingress.port is not None:
        return ingress.port
    ports = [port.container for port in inside(made_from.service.ports) if port.protocol == "tcp"]
    return ports[0] if len(ports) == 1 else None


def _inside(made_from: Source) -> Iterator[Route]:
    for port in inside(made_from.service.ports):
        yield Route(port=port.container, target=_target(port))


def _outside(made_from: Source) -> Iterator[Route]:
    for port in made_from.service.ports if made_from.options.service_type in OUTSIDE else ():
        if port.host is not None:
            yield Route(port=port.host, target=_target(port))


def _target(port: Port) -> Port:
    return Port(container=port.container, protocol=port.protocol)


def _service(made_from: Source) -> dict[str, Any]:
    options, service = made_from.options, made_from.service
    headless = options.service_type == "Headless"
    spec = said(
        type="ClusterIP" if headless else options.service_type,
        clusterIP="None" if headless else None,
        selector=selector(made_from),
        ports=_ports(routes(made_from), options.node_port),
    )
    return manifest(made_from, SERVICE, service.name, annotations=options.service_annotations, spec=spec)


def _of_pods(made_from: Source) -> dict[str, Any]:
    """`{pod}.{service}-pods` is one pod's address, also before it is ready: its peers must find it to become so."""
    spec = said(
        type="ClusterIP",
        clusterIP="None",
        publishNotReadyAddresses=True,
        selector=selector(made_from),
        ports=_ports(list(_inside(made_from)), None),
    )
    return manifest(made_from, SERVICE, made_from.service.name + PODS, spec=spec)


def _ports(wanted: list[Route], node_port: int | None) -> list[dict[str, Any]]:
    """node_port: of the first."""
    return [
        said(
            name=port_name(Port(container=each.port, protocol=each.target.protocol)),
            port=each.port,
            targetPort=each.target.container,
            protocol=each.target.protocol.upper(),
            nodePort=node_port if index == 0 else None,
        )
        for index, each in enumerate(wanted)
    ]


def _by_host(ingress: tuple[Ingress, ...]) -> Iterator[tuple[str, list[Ingress]]]:
    for host, same in groupby(sorted(ingress, key=_host), key=_host):
        yield host, list(same)


def _host(ingress: Ingress) -> str:
    return ingress.host


def _path(made_from: Source, ingress: Ingress) -> dict[str, Any]:
    port = {"number": ingress_port(made_from, ingress)}
    return {
        "path": ingress.path,
        "pathType": "Prefix",
        "backend": {"service": {"name": made_from.service.name, "port": port}},
    }
