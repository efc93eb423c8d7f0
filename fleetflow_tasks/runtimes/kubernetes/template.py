# SPDX-License-Identifier: Apache-2.0
"""A service's pod: its container, what waits before it, where it may run.

Nothing here depends on how many copies there are, so that starting one more leaves the others alone.
"""

from collections.abc import Sequence
from typing import Any

from fleetflow_tasks.config.model import Port, PullPolicy
from fleetflow_tasks.plan.model import ResolvedDependency
from fleetflow_tasks.runtimes.kubernetes import environment, quantities, stopping, storage
from fleetflow_tasks.runtimes.kubernetes.dependencies import WAIT, waited_for
from fleetflow_tasks.runtimes.kubernetes.manifests import Source, said, selector, service_labels
from fleetflow_tasks.runtimes.kubernetes.names import shortened
from fleetflow_tasks.runtimes.kubernetes.options import Options, Toleration
from fleetflow_tasks.runtimes.kubernetes.probes import escaped, probes

_PULL: dict[PullPolicy, str] = {"missing": "IfNotPresent", "always": "Always", "never": "Never"}

# The Pod Security Standard `restricted`, as far as a container says it.
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}

_NOBODY = 65534
# A quota may demand both. With a limit as small as what is asked for, the container alone takes a second to start.
_SMALL = {"cpu": "10m", "memory": "16Mi"}
_SMALL_LIMIT = {"cpu": "50m", "memory": "16Mi"}


def pod_template(made_from: Source) -> dict[str, Any]:
    """The pod template, without its own hash."""
    return {
        "metadata": said(labels=service_labels(made_from), annotations=dict(made_from.options.annotations)),
        "spec": _spec(made_from),
    }


def port_name(port: Port) -> str:
    """At most 15 characters, of which one is a letter. No protocol's name in front: some meshes would believe it."""
    return f"port-{port.container}" + ("-udp" if port.protocol == "udp" else "")


def inside(ports: Sequence[Port]) -> list[Port]:
    """The ports inside, each once: two host ports may lead to one."""
    return list({(port.container, port.protocol): port for port in ports}.values())


def _spec(made_from: Source) -> dict[str, Any]:
    options, service = made_from.options, made_from.service
    account = options.service_account
    return said(
        initContainers=[_waiting(made_from, each, port) for each, port in waited_for(made_from)],
        containers=[_container(made_from)],
        volumes=storage.pod_volumes(made_from),
        restartPolicy="Never" if service.job else None,
        terminationGracePeriodSeconds=stopping.grace(made_from),
        serviceAccountName=account.name or (service.name if account.create else None),
        automountServiceAccountToken=account.automount,
        enableServiceLinks=False,  # a Service called `redis` would set REDIS_PORT, and break who reads that
        imagePullSecrets=[{"name": name} for name in options.image_pull_secrets],
        nodeSelector=dict(options.node_selector),
        tolerations=[_toleration(each) for each in options.tolerations],
        priorityClassName=options.priority_class,
        securityContext=said(fsGroup=options.fs_group),
        topologySpreadConstraints=[] if service.job else _spread(made_from),
    )


def _container(made_from: Source) -> dict[str, Any]:
    options, service = made_from.options, made_from.service
    return said(
        name=service.name,
        image=service.image,
        imagePullPolicy=_PULL[service.pull],
        command=[escaped(word) for word in service.entrypoint or ()],
        args=[escaped(word) for word in service.command or ()],
        workingDir=options.working_dir,
        ports=[
            {"name": port_name(port), "containerPort": port.container, "protocol": port.protocol.upper()}
            for port in inside(service.ports)
        ],
        env=environment.env(made_from),
        resources=_resources(made_from),
        volumeMounts=storage.mounts(service),
        **({} if service.job else probes(service)),
        lifecycle=said(preStop=stopping.before_stop(made_from)),
        securityContext=_security(options),
    )


def _resources(made_from: Source) -> dict[str, Any]:
    asked = made_from.service.resources
    return said(
        requests=_amounts(asked.cpu, asked.memory),
        limits=_amounts(asked.cpu_limit, asked.memory_limit),
    )


def _amounts(cpu: float | None, memory: int | None) -> dict[str, str]:
    return said(
        cpu=None if cpu is None else quantities.cores(cpu),
        memory=None if memory is None else quantities.size(memory),
    )


def _security(options: Options) -> dict[str, Any]:
    dropped = sorted({*options.cap_drop, *(["ALL"] if options.restricted else [])})
    asked = said(
        runAsUser=options.run_as_user,
        runAsGroup=options.run_as_group,
        runAsNonRoot=options.run_as_non_root or None,
        readOnlyRootFilesystem=options.read_only or None,
        privileged=options.privileged or None,
        capabilities=said(add=sorted(options.cap_add), drop=dropped),
    )
    return {**asked, **_RESTRICTED} if options.restricted else asked


def _toleration(said_of: Toleration) -> dict[str, Any]:
    return said(
        key=said_of.key,
        operator="Equal" if said_of.value else "Exists",
        value=said_of.value,
        effect=said_of.effect,
        tolerationSeconds=said_of.seconds,
    )


def _spread(made_from: Source) -> list[dict[str, Any]]:
    """Over nodes and zones, as far as there are any: a wish, not a condition."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(made_from)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


def _waiting(made_from: Source, dependency: ResolvedDependency, port: int) -> dict[str, Any]:
    """Connects through the dependency's Service, which leads only to pods that are ready: no right on the API needed.

    The service's own image cannot do that, which may have no shell; so a small one does. Of its two spellings of one
    question each `nc` knows one: whether somebody takes the connection.
    """
    where = f"{dependency.service} {port}"
    ask = f"nc -z -w 2 {where} || nc -w 2 {where} -e true"
    line = f"echo waiting for {dependency.service}:{port}; until {ask}; do sleep 1; done 2>/dev/null"
    return {
        "name": shortened(WAIT + dependency.service),
        "image": made_from.settings.wait_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", line],
        "resources": {"requests": _SMALL, "limits": _SMALL_LIMIT},
        "securityContext": {
            **_RESTRICTED,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsUser": _NOBODY,
        },
    }
