# SPDX-License-Identifier: Apache-2.0
"""What each new revision of a service, or each execution of a job, is made from. Built from the plan alone.

It never names a revision and carries no mark of a run: so the same plan makes the same template, and the platform, which
makes no revision of a template that it has already, has nothing to do.
"""

from typing import Any

from fleetflow_tasks.runtimes.cloudrun.form import said, seconds, yes
from fleetflow_tasks.runtimes.cloudrun.options import Vpc
from fleetflow_tasks.runtimes.cloudrun.probes import probes
from fleetflow_tasks.runtimes.cloudrun.sizes import resources
from fleetflow_tasks.runtimes.cloudrun.source import Source
from fleetflow_tasks.runtimes.cloudrun.storage import mounts, needs_gen2, volumes
from fleetflow_tasks.runtimes.cloudrun.variables import env

USUAL_MAX = 100  # instances of a revision, where it does not say how many

_ENVIRONMENTS = {"gen1": "EXECUTION_ENVIRONMENT_GEN1", "gen2": "EXECUTION_ENVIRONMENT_GEN2"}
_EGRESS = {"private-ranges-only": "PRIVATE_RANGES_ONLY", "all-traffic": "ALL_TRAFFIC"}


def revision_template(made_from: Source) -> dict[str, Any]:
    options = made_from.options
    return said(
        labels=dict(made_from.service.labels),
        timeout=seconds(options.timeout),
        maxInstanceRequestConcurrency=options.concurrency,
        scaling=_scaling(made_from),
        sessionAffinity=yes(options.session_affinity),
    ) | _common(made_from)


def execution_template(made_from: Source) -> dict[str, Any]:
    """max_retries is always sent: silence means 3 more, and a migration is not to be repeated unasked."""
    options, service = made_from.options, made_from.service
    limit = seconds(options.timeout or service.timeout)
    task = {**_common(made_from), "maxRetries": options.max_retries, "timeout": limit}
    return said(
        labels=dict(service.labels), taskCount=options.tasks or 1, parallelism=options.parallelism, template=task
    )


def _scaling(made_from: Source) -> dict[str, Any]:
    """How many instances is the service's to say, at once and without a new revision. But a revision has a limit of its own,
    which must not be in the way."""
    scaling = made_from.service.scaling
    return {} if scaling is None or scaling.max <= USUAL_MAX else {"maxInstanceCount": scaling.max}


def _common(made_from: Source) -> dict[str, Any]:
    options = made_from.options
    return said(
        containers=[_container(made_from)],
        volumes=volumes(made_from),
        serviceAccount=options.service_account,
        executionEnvironment=_environment(made_from),
        vpcAccess=None if options.vpc is None else _vpc(options.vpc),
        encryptionKey=options.encryption_key,
    )


def _container(made_from: Source) -> dict[str, Any]:
    service, options = made_from.service, made_from.options
    return said(
        image=service.image,
        command=list(service.entrypoint or ()),
        args=list(service.command or ()),
        workingDir=options.working_dir,
        env=env(made_from),
        resources=resources(made_from),
        ports=_ports(made_from),
        volumeMounts=mounts(made_from),
        **probes(made_from),
    )


def _ports(made_from: Source) -> list[dict[str, Any]]:
    """One, and always said: so that the platform's idea of it never changes under a service. A job listens to nobody."""
    if made_from.service.job:
        return []
    return [{"name": made_from.options.protocol or "http1", "containerPort": made_from.port}]


def _environment(made_from: Source) -> str | None:
    asked = made_from.options.execution_environment or ("gen2" if needs_gen2(made_from) else None)
    return None if asked is None else _ENVIRONMENTS[asked]


def _vpc(vpc: Vpc) -> dict[str, Any]:
    interface = said(network=vpc.network, subnetwork=vpc.subnet, tags=list(vpc.tags))
    return said(connector=vpc.connector, networkInterfaces=[interface] if interface else [], egress=_EGRESS[vpc.egress])
