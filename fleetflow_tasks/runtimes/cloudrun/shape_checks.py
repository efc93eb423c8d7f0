# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the shape of a service: its image, ports, copies, how it ends, what stands before it. Pure."""

from collections.abc import Callable, Iterable, Iterator

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan import image
from fleetflow_tasks.runtimes.cloudrun.complaints import note, warned, wrong
from fleetflow_tasks.runtimes.cloudrun.source import PORT, Source

_REGISTRIES = ("docker.io", "index.docker.io", "gcr.io")  # beside Artifact Registry; "" is Docker Hub too


def shape_problems(made_from: Source) -> Iterator[Problem]:
    for rule in _RULES:
        yield from rule(made_from)


def _image(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    registry = image.parse(service.image).registry
    known = not registry or registry in _REGISTRIES or registry.endswith((".gcr.io", "-docker.pkg.dev"))
    if not known:
        text = f"takes images from Artifact Registry and Docker Hub alone, not from `{registry}`"
        fix = "push it to Artifact Registry, or make a remote repository there that fetches it"
        yield warned(service, "image", text, fix)
    if service.pull != "missing":
        text = f'asks the registry once for each revision: `pull "{service.pull}"` has no effect'
        yield note(service, "pull", text)


def _ports(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for index, port in enumerate(service.ports):
        field = f"ports.{index}"
        if port.protocol == "udp":
            text = f"has no UDP: port {port.container}/udp cannot be reached"
            yield wrong(service, field, text, "leave it out for this stage, or run the service on another runtime")
        if port.host_ip:
            text = f"cannot listen on the address `{port.host_ip}`: a service is reached at its HTTPS address"
            yield warned(service, field, text, "leave `host_ip` out for this stage")
    inside = sorted({port.container for port in service.ports if port.protocol == "tcp"})
    if len(inside) > 1 and not service.job:
        text = f"sends requests to one port, and the service has {len(inside)}: {', '.join(map(str, inside))}"
        fix = f"keep the one for requests in this stage: `ports {{ port container={inside[0]} }}`"
        yield wrong(service, "ports", text, fix)


def _port(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    outside = next((port for port in service.ports if port.host not in (None, port.container)), None)
    if service.job:
        if service.ports:
            yield note(service, "ports", "gives a job no address: nobody can reach its ports")
    elif not service.ports:
        text = f"sends requests to port {PORT}, and tells it as `PORT`: the text names none"
        yield note(service, "", text, "say `port container=…` if the service listens on another one")
    elif outside is not None:
        text = f"opens no port {outside.host} on a host: the service is reached at its HTTPS address"
        yield note(service, "ports", text)


def _copies(made_from: Source) -> Iterator[Problem]:
    service, scaling, replicas = made_from.service, made_from.service.scaling, made_from.service.replicas
    if service.job:
        return
    if scaling is not None:
        if replicas is not None:
            text = "lets `scaling` choose the number of instances: `replicas` has no effect"
            yield note(service, "replicas", text)
        if scaling.cpu is not None:
            text = f"starts one more instance when requests ask for it: `cpu={scaling.cpu}` of `scaling` has no effect"
            yield warned(service, "scaling", text, "say `cpu=` in the stages whose runtime can, or `concurrency` here")
    elif replicas == 0:
        text = "cannot run no copies of a service that is there: without requests it has none anyway"
        yield wrong(service, "replicas", text, "leave the service out of this stage")
    elif replicas == 1:
        text = "has an instance when there are requests, and more when there are many: `replicas 1` has no effect"
        yield note(service, "replicas", text, "`scaling min=1 max=1` keeps exactly one")
    elif replicas is not None:
        text = f"does not run exactly {replicas} copies: the number follows the requests"
        yield wrong(service, "replicas", text, f"say between which: `scaling min={replicas} max={replicas}`")


def _job(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    if not service.job:
        return
    if (service.replicas or 1) > 1 or service.scaling is not None:
        field = "replicas" if (service.replicas or 1) > 1 else "scaling"
        fix = f"leave `{field}` out; `cloudrun {{ tasks 3 }}` splits a job into tasks"
        yield wrong(service, field, "runs a job once, not in several copies", fix)
    if service.restart not in (None, "no"):
        text = f'does not restart a job: `restart "{service.restart}"` has no effect'
        fix = "leave `restart` out; `cloudrun { max_retries 3 }` lets the platform begin it again"
        yield warned(service, "restart", text, fix)


def _restart(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    if service.job or service.restart not in ("no", "on-failure"):
        return
    if service.restart == "no":
        fix = 'mark it with `job #true` if it ends by itself, or say `restart "always"`'
        yield wrong(service, "restart", 'starts what ends again, always: `restart "no"` cannot be kept', fix)
    else:
        text = "starts what ends again also after a good end, not `on-failure` alone"
        yield warned(service, "restart", text, 'say `restart "always"`')


def _ingress(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for index, ingress in enumerate(service.ingress):
        text = f"leads no host name to a service: not `{ingress.host}`"
        fix = "say `cloudrun { public #true }`, and map the name with a load balancer or `gcloud beta run domain-mappings`"
        yield wrong(service, f"ingress.{index}", text, fix)


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (_image, _ports, _port, _copies, _job, _restart, _ingress)
