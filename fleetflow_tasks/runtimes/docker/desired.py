# SPDX-License-Identifier: Apache-2.0
"""What should exist: a service of a plan -> the container that an Engine would be asked to create. Pure.

The hash in a container's label says what it was made from: the configuration as it is sent, and the id of the image.
Left out is what may differ without a difference in content: run, generation, a host port or an address that we chose
ourselves, whether it is in DNS yet, and the *values* of limits, which can be changed in place while a label cannot (see `decide`). Its prefix is the version of
these rules, so that a later FleetFlow can tell its own rules from a change of yours.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from fleetflow_tasks.config.model import Data, Port, Readiness, ServiceName, Volume
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.docker.options import Options, read
from fleetflow_tasks.runtimes.labels import (
    DOTTED,
    Mark,
    selector,
    service_name,
    stage_name,
    volume_name,
    written,
)

HASH = "v1:"
PORTS = DOTTED + "ports"  # which host ports we chose: "8080/tcp=11000"; kept when the container is replaced
IMAGE = DOTTED + "image"  # the reference that the plan gave
GRACE = DOTTED + "grace"  # seconds a stop may take, where the text says so
SIGNAL = DOTTED + "signal"  # what stops it, where that is not TERM
RESTART = DOTTED + "restart"  # its restart policy, which is off while it is being replaced
APART = DOTTED + "apart"  # "yes" where it was made without its alias, to be introduced when it is ready
ADDRESSES = DOTTED + "addresses"  # on a network: the half of its subnet from which we give addresses
BUILD = DOTTED + "build"  # on an image, and so on its containers: the hash of the files that it was made of
SECRETS = DOTTED + "secrets"  # names of the variables that nobody may be shown
OURS = (DOTTED, "com.docker.compose.")  # what no user writes
COMPOSE = "com.docker.compose."  # Docker Desktop, OrbStack and `docker compose ls` group by these

NEXT = ".next"  # behind a container's name while it waits to replace another
PREVIOUS = ".prev"  # behind the name of the one that was replaced, until it is removed

Json = Mapping[str, Any]  # a piece of the Engine's API


class Definition(Data, frozen=True, kw_only=True):
    """One container as it should be.

    body: the Engine's create request, without image, labels of ours, limits and chosen ports.
    limits: the part of HostConfig that can be changed while the container runs.
    choose: container ports ("8080/tcp") whose host port the runtime chooses, and at which address.
    volumes: names of the named volumes. binds: host paths.
    writable: what two containers must not write at once: its read-write volumes, by name or path.
    build: the hash of what the image is built of; "" where it is taken as it is.
    """

    service: ServiceName
    name: str
    network: str
    image: str
    body: Json
    limits: Mapping[str, int] = {}
    labels: Mapping[str, str] = {}
    choose: Mapping[str, str] = {}
    fixed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    restart: str = "no"
    job: bool = False
    rerun: bool = False
    readiness: Readiness | None = None
    readiness_port: str = ""
    grace: float | None = None
    signal: str = ""
    platform: str = ""
    pull: str = "missing"
    build: str = ""

    @property
    def asks(self) -> bool:
        """Whether the registry is asked each time; not for a digest, an id or a content's hash, which can only ever mean
        one image."""
        return self.pull == "always" and "sha256:" not in self.image and not self.build


def definition(plan: Plan, service: ResolvedService, *, masked: bool = False) -> Definition:
    """masked: secrets are replaced by `[hidden]`, for what people read."""
    options = read(service.options)
    name = service_name(plan.project, plan.stage, service.name)
    network = stage_name(plan.project, plan.stage)
    mounts = [_mount(plan, volume) for volume in service.volumes]
    return Definition(
        service=service.name,
        name=name,
        network=network,
        image=service.image,
        body=_body(plan, service, options, mounts, masked=masked),
        limits=_limits(service),
        labels={**service.labels, **_grouping(network, service.name)},
        choose={_inside(port): port.host_ip for port in service.ports if port.host is None},
        fixed_ports=tuple(f"{port.host}/{port.protocol}" for port in service.ports if port.host is not None),
        volumes=tuple(volume_name(plan.project, plan.stage, v.source) for v in service.volumes if v.kind == "named"),
        binds=tuple(volume.source for volume in service.volumes if volume.kind == "bind"),
        writable=tuple(m["Source"] for m in mounts if m.get("Source") and not m["ReadOnly"]),
        secrets=tuple(sorted(service.secrets)),
        restart=_restart(service),
        job=service.job,
        rerun=service.job and service.rerun == "always",
        readiness=service.readiness,
        readiness_port=_readiness_port(service),
        grace=options.stop_grace,
        signal=options.stop_signal,
        platform=options.platform,
        pull=service.pull,
        build=service.build.hash if service.build is not None else "",
    )


def hashed(desired: Definition, image: str) -> str:
    """image: the id that the reference stands for on this Engine."""
    content = {
        "image": image,
        "body": desired.body,
        "labels": desired.labels,
        "limits": sorted(desired.limits),
        "platform": desired.platform,
    }
    return HASH + sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sent(
    desired: Definition,
    mark: Mark,
    *,
    image: str,
    ports: Mapping[str, int],
    version: tuple[int, int] = (1, 41),
    address: str = "",
    apart: bool = False,
) -> Json:
    """The create request. mark: who makes it. image: its id. ports: the chosen host ports, by `8080/tcp`.

    address: in the stage's network, "" where the Engine chooses. apart: without its alias there.
    """
    body = dict(desired.body)
    host = dict(body["HostConfig"])
    bindings = dict(host.get("PortBindings", {}))
    for inside, number in ports.items():
        bindings[inside] = [*bindings.get(inside, ()), _binding(desired.choose.get(inside, ""), str(number))]
    if bindings:
        host["PortBindings"] = bindings
    if "Healthcheck" in body and version >= (1, 44):
        # Without it the first probe runs one whole interval after the start.
        body["Healthcheck"] = {"StartInterval": _nanoseconds(1.0), **body["Healthcheck"]}
    labels = {
        **desired.labels,
        **written(mark),
        IMAGE: desired.image,
        DOTTED + "hash": hashed(desired, image),
        COMPOSE + "config-hash": hashed(desired, image).removeprefix(HASH),
    }
    if ports:
        labels[PORTS] = ",".join(f"{inside}={number}" for inside, number in sorted(ports.items()))
    if desired.grace is not None:
        labels[GRACE] = f"{desired.grace:g}"
    if desired.secrets:
        labels[SECRETS] = ",".join(desired.secrets)
    if desired.signal:
        labels[SIGNAL] = desired.signal
    if apart:
        labels[APART] = "yes"
    if desired.restart != "no":
        labels[RESTART] = desired.restart
    end = endpoint(() if apart else (desired.service,), address)
    return {
        **body,
        "Image": desired.image,
        "Labels": labels,
        "HostConfig": {**host, **desired.limits},
        "NetworkingConfig": {"EndpointsConfig": {desired.network: end}},
    }


def endpoint(aliases: Sequence[str], address: str = "", mac: str = "") -> Json:
    """A container's place in a network."""
    return _said(
        Aliases=list(aliases), IPAMConfig={"IPv4Address": address} if address else None, MacAddress=mac or None
    )


def rendered(desired: Definition) -> str:
    """The request as people read it; what the runtime would choose is said so."""
    body = {
        **desired.body,
        "Image": desired.image,
        "Labels": dict(desired.labels),
        "HostConfig": {**desired.body["HostConfig"], **desired.limits},
    }
    if desired.choose:
        body["HostConfig"]["PortBindings"] = {
            **body["HostConfig"].get("PortBindings", {}),
            **{inside: [_binding(ip, "first free from 11000")] for inside, ip in desired.choose.items()},
        }
    return json.dumps({"name": desired.name, "create": body}, indent=2, sort_keys=True)


def _grouping(group: str, service: ServiceName) -> dict[str, str]:
    return {
        COMPOSE + "project": group,
        COMPOSE + "service": service,
        COMPOSE + "container-number": "1",
        COMPOSE + "oneoff": "False",
    }


def _body(
    plan: Plan, service: ResolvedService, options: Options, mounts: Sequence[Json], *, masked: bool
) -> dict[str, Any]:
    network = stage_name(plan.project, plan.stage)
    ports = sorted({_inside(port) for port in service.ports})
    return _said(
        Env=_environment(service, masked=masked),
        Cmd=None if service.command is None else list(service.command),
        Entrypoint=None if service.entrypoint is None else list(service.entrypoint),
        Hostname=options.hostname,
        User=options.user,
        WorkingDir=options.working_dir,
        StopSignal=options.stop_signal,
        StopTimeout=None if options.stop_grace is None else int(options.stop_grace),
        ExposedPorts={port: {} for port in ports},
        Healthcheck=_healthcheck(service),
        HostConfig=_said(
            NetworkMode=network,
            RestartPolicy={"Name": _restart(service)},
            PortBindings=_fixed_bindings(service.ports),
            Mounts=list(mounts),
            Init=options.init or None,
            Privileged=options.privileged or None,
            ReadonlyRootfs=options.read_only or None,
            CapAdd=sorted(options.cap_add),
            CapDrop=sorted(options.cap_drop),
            ExtraHosts=list(options.extra_hosts),
            Dns=list(options.dns),
            ShmSize=options.shm_size,
            Tmpfs={target: rest for target, _, rest in (each.partition(":") for each in options.tmpfs)},
            LogConfig={"Type": options.log_driver or "json-file", "Config": dict(options.log_options)}
            if options.log_driver or options.log_options
            else None,
        ),
        NetworkingConfig={"EndpointsConfig": {network: endpoint([service.name])}},
    )


def _said(**fields: object) -> dict[str, Any]:
    """The fields that say something. An empty command or entrypoint says something: it clears the image's."""
    return {
        name: value
        for name, value in fields.items()
        if value not in (None, "", {}, []) or (name in _CLEARING and value == [])
    }


_CLEARING = {"Cmd", "Entrypoint"}


def _environment(service: ResolvedService, *, masked: bool) -> list[str]:
    """Docker has no other way for a secret without a swarm than the environment."""
    hidden = {name: "[hidden]" if masked else value.reveal() for name, value in service.secrets.items()}
    return sorted(f"{name}={value}" for name, value in {**service.environment, **hidden}.items())


def _healthcheck(service: ResolvedService) -> dict[str, object] | None:
    check = service.healthcheck
    if check is None:
        return None
    return _said(
        Test=list(check.test),
        Interval=_nanoseconds(check.interval),
        Timeout=_nanoseconds(check.timeout),
        Retries=check.retries,
        StartPeriod=_nanoseconds(check.start_period),
    )


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000_000)


def _restart(service: ResolvedService) -> str:
    """A job ends; a policy would begin it again."""
    return "no" if service.job else service.restart or "no"


def _limits(service: ResolvedService) -> dict[str, int]:
    asked = service.resources
    limits = {
        "CpuShares": None if asked.cpu is None else max(2, round(asked.cpu * 1024)),
        "MemoryReservation": asked.memory,
        "NanoCpus": None if asked.cpu_limit is None else round(asked.cpu_limit * 1_000_000_000),
        "Memory": asked.memory_limit,
    }
    return {name: value for name, value in limits.items() if value is not None}


def _inside(port: Port) -> str:
    return f"{port.container}/{port.protocol}"


def _fixed_bindings(ports: Sequence[Port]) -> dict[str, list[Json]]:
    bindings: dict[str, list[Json]] = {}
    for port in ports:
        if port.host is not None:
            bindings.setdefault(_inside(port), []).append(_binding(port.host_ip, str(port.host)))
    return bindings


def _binding(ip: str, port: str) -> Json:
    return {"HostIp": ip, "HostPort": port} if ip else {"HostPort": port}


def _mount(plan: Plan, volume: Volume) -> dict[str, Any]:
    """Mounts and not Binds: with Binds the Engine makes a missing path itself, as root's."""
    mount: dict[str, Any] = {"Type": "volume", "Target": volume.target, "ReadOnly": volume.read_only}
    match volume.kind:
        case "bind":
            return {**mount, "Type": "bind", "Source": volume.source}
        case "named":
            labels = selector(plan.project, plan.stage)
            name = volume_name(plan.project, plan.stage, volume.source)
            return {**mount, "Source": name, "VolumeOptions": {"Labels": labels}}
        case "anonymous" | "bucket":  # pragma: no branch  (the last there is)
            return mount  # a bucket is refused by `check` before


def _readiness_port(service: ResolvedService) -> str:
    """The container port that readiness is asked at, as `8080/tcp`; "" where none is asked or known."""
    if service.readiness is None:
        return ""
    if service.readiness.port is not None:
        return f"{service.readiness.port}/tcp"
    ports = [_inside(port) for port in service.ports if port.protocol == "tcp"]
    return ports[0] if ports else ""
