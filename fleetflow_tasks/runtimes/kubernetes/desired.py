# SPDX-License-Identifier: Apache-2.0
"""What should exist: a service of a plan -> the objects that a cluster would be asked to hold. Pure.

Each object carries whose it is (project, stage, service) and a hash; who made it, and when (run, generation), is put on
by `stamped`, just before it is sent. So the same plan gives the same objects, and a live object whose hash equals ours
need not be sent again. On the workload that is the hash of all the service's objects, on each other one of itself
alone: another image is one object to send.

Two hashes of a service: `template` of the pod template, which names a job and tells pods of this version from others;
`hash` of everything. Neither covers a secret's value but through the name of the Secret, whose ten digits say too little to
guess it by. A job is what it runs: what its pod waits for, and how long it may take, belongs to neither of its hashes,
since a job runs again when they change, and an existing Job of the same name must never be sent again (its template
cannot be changed).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fleetflow_tasks.config.model import Data, Secret, ServiceName
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.as_yaml import yaml
from fleetflow_tasks.runtimes.kubernetes import environment, routes, storage, template, workloads
from fleetflow_tasks.runtimes.kubernetes.kinds import NAMESPACE, SECRET, SERVICE_ACCOUNT
from fleetflow_tasks.runtimes.kubernetes.manifests import (
    HASH,
    TEMPLATE,
    Json,
    Source,
    manifest,
    selector,
    source,
    stage_labels,
)
from fleetflow_tasks.runtimes.kubernetes.names import HASH as PREFIX
from fleetflow_tasks.runtimes.kubernetes.names import JOB_HASH, RUN_HASH, digest, hashed
from fleetflow_tasks.runtimes.kubernetes.objects import text
from fleetflow_tasks.runtimes.kubernetes.settings import settings

__all__ = ["HASH", "TEMPLATE", "Desired", "Json", "desired", "namespace", "rendered", "stamped"]

_HIDDEN = Secret("[hidden]")


class Desired(Data, frozen=True, kw_only=True):
    """One service as it should be.

    added: what is made before anything that serves is touched (ConfigMap, Secret, ServiceAccount, claims).
    workload: Deployment, StatefulSet or Job. around: Services, HPA, PDB, Ingress.
    Each with its own hash as the label `HASH`.
    hash: of all these objects; the workload's label.
    template: of the pod template, and the label `TEMPLATE` of the pods. selector: the labels of all its pods, for ever.
    """

    service: ServiceName
    added: tuple[Json, ...]
    workload: Json
    around: tuple[Json, ...]
    hash: str
    template: str
    selector: Mapping[str, str]

    @property
    def objects(self) -> tuple[Json, ...]:
        return (*self.added, self.workload, *self.around)


def desired(plan: Plan, service: ResolvedService, *, run: str = "") -> Desired:
    """run: whose job it is, where one runs in every deployment: its name ends in the run's hash then."""
    made_from = source(plan, service)
    pod = template.pod_template(made_from)
    version = hashed(_content(made_from, pod))
    workload = workloads.workload(made_from, _labelled(pod, TEMPLATE, version), _name(service, version, run))
    added = [*_account(made_from), *environment.objects(made_from), *storage.claims(made_from)]
    around = [*routes.services(made_from), *workloads.scaling(made_from), *routes.ingresses(made_from)]
    own = version if service.job else workload
    whole = hashed([own, *(_open(each) for each in (*added, *around))])
    return Desired(
        service=service.name,
        added=tuple(_hashed(each) for each in added),
        workload=_labelled(workload, HASH, whole),
        around=tuple(_hashed(each) for each in around),
        hash=whole,
        template=version,
        selector=selector(made_from),
    )


def as_it_is(service: ServiceName, workload: Json) -> Desired:
    """A service that is to be no other than its *workload* is now, whatever the text says: to wait for."""
    template_ = text(workload, "spec", "template", "metadata", "labels", TEMPLATE)
    return Desired(service=service, added=(), workload=workload, around=(), hash="", template=template_, selector={})


def namespace(plan: Plan) -> Json:
    """The stage's namespace, for where there is none yet."""
    name = settings(plan).namespace
    return {
        "apiVersion": NAMESPACE.api,
        "kind": NAMESPACE.name,
        "metadata": {"name": name, "labels": stage_labels(plan)},
    }


def stamped(manifest: Json, mark: labels.Mark) -> Json:
    """The object with *mark*'s run and generation on it; on the object alone, so that no pod is replaced for them.

    What it says of itself already (service, hash) stays: a shared claim belongs to no service, whoever sends it.
    """
    metadata = manifest["metadata"]
    run = {"run": mark.run, "generation": str(mark.generation) if mark.generation else ""}
    own = {labels.SLASHED + name: value for name, value in run.items() if value}
    return {**manifest, "metadata": {**metadata, "labels": {**metadata["labels"], **own}}}


def rendered(plan: Plan, *, masked: bool = True) -> dict[str, str]:
    """All that would be sent, as `kubectl apply -f` takes it: a file's name -> YAML, the namespace's first.

    masked: everything is made as if each secret were `[hidden]`, the names of Secrets too: nothing of the values shows,
    and a masked Secret that somebody applies never stands in the place of the real one. The namespace carries none of
    our labels: who applies it makes it his own, and we remove only what we made.
    """
    wanted = _masked(plan) if masked else plan
    bare = {**namespace(plan), "metadata": {"name": settings(plan).namespace}}
    files = {"00-namespace.yaml": yaml([bare])}
    for service in wanted.services:
        if service.runtime == "kubernetes":
            files[f"{service.name}.yaml"] = yaml(_written(desired(wanted, service).objects, masked=masked))
    return files


def _content(made_from: Source, pod: Json) -> Json:
    """What the hash of a template covers."""
    if not made_from.service.job:
        return pod
    spec = {name: value for name, value in pod["spec"].items() if name != "initContainers"}
    return {**pod, "spec": spec}


def _name(service: ResolvedService, version: str, run: str) -> str:
    """A job's name says what it runs: what has run under it need not run again."""
    if not service.job:
        return service.name
    name = f"{service.name}-{version.removeprefix(PREFIX)[:JOB_HASH]}"
    return f"{name}-{digest(run)[:RUN_HASH]}" if run and service.rerun == "always" else name


def _account(made_from: Source) -> list[dict[str, Any]]:
    account = made_from.options.service_account
    if not account.create:
        return []
    name = account.name or made_from.service.name
    return [manifest(made_from, SERVICE_ACCOUNT, name, annotations=account.annotations)]


def _open(manifest: Json) -> Json:
    """The object without what is secret in it."""
    if manifest["kind"] != SECRET.name:
        return manifest
    return {name: value for name, value in manifest.items() if name != "data"}


def _hashed(manifest: Json) -> Json:
    return _labelled(manifest, HASH, hashed(_open(manifest)))


def _labelled(manifest: Json, label: str, value: str) -> Json:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**metadata["labels"], label: value}}}


def _masked(plan: Plan) -> Plan:
    services = tuple(
        msgspec.structs.replace(service, secrets=dict.fromkeys(service.secrets, _HIDDEN)) for service in plan.services
    )
    return msgspec.structs.replace(plan, services=services)


def _written(objects: Iterable[Json], *, masked: bool) -> list[Json]:
    """A masked Secret says so in clear."""
    return [_clear(each) if masked and each["kind"] == SECRET.name else each for each in objects]


def _clear(secret: Json) -> Json:
    shown = dict.fromkeys(secret["data"], _HIDDEN.reveal())
    return {**{name: value for name, value in secret.items() if name != "data"}, "stringData": shown}
