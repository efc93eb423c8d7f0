# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes cannot honour, said at plan time and offline. Nothing is ignored in silence.

In three rounds, since each needs the one before: can the block be read at all; what is wrong with each service; what
is wrong between them.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from fleetflow_tasks.errors import Problem, errors_among
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes import complaints, names, storage
from fleetflow_tasks.runtimes.kubernetes.between import between
from fleetflow_tasks.runtimes.kubernetes.complaints import note, warned, wrong
from fleetflow_tasks.runtimes.kubernetes.environment import config_data, reference
from fleetflow_tasks.runtimes.kubernetes.manifests import Source, source
from fleetflow_tasks.runtimes.kubernetes.option_checks import option_problems
from fleetflow_tasks.runtimes.kubernetes.options import read
from fleetflow_tasks.runtimes.kubernetes.routes import OUTSIDE, ingress_port, routes
from fleetflow_tasks.runtimes.kubernetes.settings import OLDEST, USUAL, settings, version
from fleetflow_tasks.runtimes.labels import SLASHED, stage_name

_LARGEST = 1 << 20  # bytes of values that a ConfigMap or a Secret may hold; a Secret's before base64


def check(plan: Plan) -> Iterator[Problem]:
    services = [service for service in plan.services if service.runtime == "kubernetes"]
    unread = [problem for service in services for problem in _block(service)]
    if unread:
        yield from unread
        return
    found = [*_stage(plan), *(problem for service in services for problem in _service(source(plan, service)))]
    yield from found
    if not errors_among(found):
        yield from between(plan, [source(plan, service) for service in services])


def _block(service: ResolvedService) -> Iterator[Problem]:
    try:
        read(service.options)
    except msgspec.ValidationError as error:
        yield wrong(service, "options", f"does not understand its `kubernetes` block: {error}", "correct the block")


def _stage(plan: Plan) -> Iterator[Problem]:
    asked = plan.options.get("kubernetes", {}).get("version", "")
    if asked and version(asked) is None:
        oldest, usual = (".".join(map(str, each)) for each in (OLDEST, USUAL))
        yield Problem(
            code="kubernetes-version",
            message=f"runtime `kubernetes` makes nothing for version `{asked}`",
            cause=(f"it makes what Kubernetes {oldest} and later take",),
            fix=f'write `runtime "kubernetes" {{ version "{oldest}" }}`, or leave it out for {usual}',
        )
    namespace, group = settings(plan).namespace, stage_name(plan.project, plan.stage)
    if not names.is_label(namespace):
        fix = names.fitting(namespace) or "shop"
        yield Problem(
            code="kubernetes-namespace",
            message=f"runtime `kubernetes` cannot have the namespace `{namespace}`",
            cause=(complaints.LABEL_RULE,),
            fix=f'write `runtime "kubernetes" {{ namespace "{fix}" }}`',
        )
    if len(group) > names.LABEL:
        yield Problem(
            code="kubernetes-names",
            message=f"the names of project and stage are too long together for runtime `kubernetes`: `{group}`",
            cause=(f"they are one label's value, of {names.LABEL} characters at most; these are {len(group)}",),
            fix="shorten one of them",
        )


def _service(made_from: Source) -> Iterator[Problem]:
    for rule in _RULES:
        yield from rule(made_from)


def _name(made_from: Source) -> Iterator[Problem]:
    """That it is a name at all is the plan's own check to say."""
    service = made_from.service
    longest, why = _longest(made_from)
    if longest < len(service.name) <= names.LABEL:
        text = f"takes no name longer than {longest} characters for {why}; this one has {len(service.name)}"
        yield wrong(service, "name", text, f"call it `{names.fitting(service.name, longest)}`")


def _longest(made_from: Source) -> tuple[int, str]:
    service = made_from.service
    if service.job:
        rerun = 1 + names.RUN_HASH if service.rerun == "always" else 0
        return names.LABEL - 1 - names.JOB_HASH - rerun, "a job, whose object's name ends in a hash"
    if storage.is_stateful(made_from):
        return names.STATEFUL_SET, "a service with volumes of its own, which a StatefulSet runs"
    return names.LABEL, ""


def _volumes(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for index, volume in enumerate(service.volumes):
        field = f"volumes.{index}"
        if volume.kind == "bind":
            fix = 'build the files into the image, or name a volume: `volume "data" "…"`'
            yield wrong(service, field, f"cannot mount the host's path `{volume.source}`: pods move between hosts", fix)
        elif volume.kind == "bucket":
            yield wrong(service, field, f"cannot mount the bucket `{volume.source}`", "use a named volume")
        elif volume.kind == "anonymous":
            text = f"keeps what is in `{volume.target}` only as long as a pod lives: the volume has no name"
            yield note(service, field, text, f'name it to keep it: `volume "data" "{volume.target}"`')
        elif not names.is_label(volume.source):
            fix = names.fitting(volume.source) or "data"
            yield wrong(service, field, f"takes no volume called `{volume.source}`", f"call it `{fix}`")
        elif volume.size is None and not _sized(made_from, volume.source):
            yield note(
                service, field, f"gives volume `{volume.source}` 1Gi: the text says no size", 'say `size="10Gi"`'
            )


def _sized(made_from: Source, name: str) -> bool:
    services = made_from.plan.services
    return any(volume.source == name and volume.size for service in services for volume in service.volumes)


def _copies(made_from: Source) -> Iterator[Problem]:
    service, scaling = made_from.service, made_from.service.scaling
    if service.job:
        return
    if made_from.copies > 1 and storage.writes_alone(made_from):
        text = f"runs {made_from.copies} copies that write one volume, which pods of one node alone can do"
        fix = 'say `access_mode "ReadWriteMany"`, where the storage class can, or `replicas 1`'
        yield warned(service, "scaling" if scaling else "replicas", text, fix)
    if scaling is None:
        return
    if scaling.min < 1:
        yield wrong(service, "scaling", "cannot scale to zero copies", "say `scaling min=1`")
    if service.resources.cpu is None and service.resources.cpu_limit is None:
        text = "cannot scale before `resources` says how much cpu a copy asks for: the percent is of that"
        yield warned(service, "scaling", text, 'say `resources { cpu "100m" }`')
    if service.replicas is not None:
        yield note(service, "replicas", "lets `scaling` choose the number of copies: `replicas` has no effect", "")
    if storage.is_stateful(made_from):
        text = "scales a service whose every copy has volumes of its own: a new copy begins with empty ones"
        yield warned(service, "scaling", text, "leave `scaling` out, if the copies do not share the data themselves")


def _job(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    if not service.job:
        return
    if (service.replicas or 1) > 1 or service.scaling is not None:
        field = "replicas" if (service.replicas or 1) > 1 else "scaling"
        yield wrong(service, field, "runs a job once, not in several copies", f"leave `{field}` out")
    if service.ingress:
        yield wrong(service, "ingress", "has no ingress for a job", "leave `ingress` out")
    if service.ports:
        yield note(service, "ports", "gives a job no address: nobody can reach its ports", "")
    if service.restart not in (None, "no"):
        text = f'does not restart a job: `restart "{service.restart}"` has no effect'
        fix = "leave `restart` out; `kubernetes { backoff_limit 3 }` lets the cluster begin it again"
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


def _ports(made_from: Source) -> Iterator[Problem]:
    service, options = made_from.service, made_from.options
    taken: dict[tuple[int, str], int] = {}
    for route in routes(made_from):
        key = (route.port, route.target.protocol)
        target = taken.setdefault(key, route.target.container)
        if target != route.target.container:
            text = f"cannot lead port {route.port}/{key[1]} of the service to {target} and to {route.target.container}"
            yield wrong(service, "ports", text, "give one of them another host port")
    for index, port in enumerate(service.ports):
        if port.host_ip:
            text = f"cannot listen on the address `{port.host_ip}`: a pod has its own"
            yield warned(service, f"ports.{index}", text, "leave `host_ip` out for this stage")
        if port.host not in (None, port.container) and options.service_type not in OUTSIDE and not service.job:
            text = f"opens no port {port.host} on a host: inside the cluster it is `{service.name}:{port.container}`"
            fix = '`ingress`, or `kubernetes { service_type "LoadBalancer" }`, lets it be reached from outside'
            yield note(service, f"ports.{index}", text, fix)
    if options.node_port is not None:
        yield from _node_port(made_from)


def _node_port(made_from: Source) -> Iterator[Problem]:
    service, options = made_from.service, made_from.options
    if options.service_type not in OUTSIDE:
        text = f"opens `node_port` {options.node_port} only for another type of service than {options.service_type}"
        yield wrong(service, "options.node_port", text, 'say `service_type "NodePort"`')
    elif len(routes(made_from)) != 1:
        text = f"cannot tell which of its {len(routes(made_from))} ports `node_port` {options.node_port} is for"
        fix = "leave it out: the cluster chooses, or let the service have one port, the same on host and container"
        yield wrong(service, "options.node_port", text, fix)


def _ingress(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    inside = {port.container for port in service.ports if port.protocol == "tcp"}
    for index, ingress in enumerate(service.ingress):
        field, port = f"ingress.{index}", ingress_port(made_from, ingress)
        host = ingress.host.removeprefix("*.")
        if not names.is_subdomain(host):
            fix = "write a host name in lower case, such as `shop.example.org`"
            yield wrong(service, field, f"takes no ingress for the host `{ingress.host}`", fix)
        if not ingress.path.startswith("/"):
            text = f"takes no ingress for the path `{ingress.path}`"
            yield wrong(service, field, text, f'write `path="/{ingress.path}"`')
        if ingress.tls and not names.is_subdomain(ingress.tls):
            yield wrong(service, field, f"has no secret called `{ingress.tls}`", "name the secret of the certificate")
        if port is None:
            text = (
                f"cannot tell which port the ingress `{ingress.host}` leads to: the service has {len(inside) or 'none'}"
            )
            yield wrong(service, field, text, "say which: `ingress port=80`, and `port container=80`")
        elif port not in inside:
            text = f"cannot lead the ingress `{ingress.host}` to port {port}, which the service does not have"
            yield wrong(service, field, text, f"add `port container={port}`")


def _environment(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for field, found in (
        ("environment", service.environment),
        ("secrets", service.secrets),
        ("secrets", service.secret_refs),
    ):
        for name in found:
            if not names.is_variable(name):
                text = f"takes no variable called `{name}`"
                fix = "use letters, digits, `_`, `-` and `.`, a digit not in front"
                yield wrong(service, f"{field}.{name}", text, fix)
    hidden = [value.reveal() for value in service.secrets.values()]
    for field, values in (("environment", config_data(made_from).values()), ("secrets", hidden)):
        size = sum(len(value.encode()) for value in values)
        if size > _LARGEST:
            text = f"holds 1 MiB of `{field}` at most; these are {size:,} bytes"
            yield wrong(service, field, text, "put what is large into the image or a volume")


def _references(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for name, ref in service.secret_refs.items():
        secret, key = reference(ref)
        if not names.is_subdomain(secret) or not names.is_data_key(key):
            text = f"cannot read secret `{name}` from `{ref}`: that names no Secret and key"
            yield wrong(service, f"secrets.{name}", text, f'write `{name} ref="secret/key"`, or give it with `env=`')


def _labels(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for key, value in service.labels.items():
        field = f"labels.{key}"
        if key.startswith(SLASHED):
            yield wrong(service, field, f"keeps `{SLASHED}…` for its own labels: `{key}`", "take another prefix")
        elif not names.is_key(key):
            yield wrong(service, field, f"takes no label called `{key}`", complaints.KEY_RULE)
        elif not names.is_label_value(value):
            yield wrong(service, field, f"takes no label `{key}` with the value `{value}`", complaints.VALUE_RULE)


def _unreachable(made_from: Source) -> Iterator[Problem]:
    """On Docker a service is reached at any port, here only at those it names."""
    service = made_from.service
    dependants = _dependants(made_from)
    if service.job or service.ports or not dependants:
        return
    text = (
        f"gives no address to a service without `port`: {', '.join(f'`{name}`' for name in dependants)} cannot reach it"
    )
    yield warned(service, "", text, "say `port container=…`, or `wait=#false` where it need not be reached")


def _dependants(made_from: Source) -> list[str]:
    return [
        other.name
        for other in made_from.plan.services
        for each in other.depends_on
        if each.service == made_from.service.name and each.wait and other.runtime == "kubernetes"
    ]


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (
    _name,
    _volumes,
    _copies,
    _job,
    _restart,
    _ports,
    _ingress,
    _environment,
    _references,
    _labels,
    option_problems,
    _unreachable,
)
