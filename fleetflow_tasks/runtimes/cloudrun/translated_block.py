# SPDX-License-Identifier: Apache-2.0
"""The options of `cloudrun { … }`, read out of a Service or Job. `options` says what each means."""

from collections.abc import Iterator
from typing import get_args

from fleetflow_tasks.config.as_kdl import Node, block, node, switch
from fleetflow_tasks.runtimes.cloudrun import names
from fleetflow_tasks.runtimes.cloudrun.amounts import duration
from fleetflow_tasks.runtimes.cloudrun.crossing import BOOST, IDLE
from fleetflow_tasks.runtimes.cloudrun.knative_head import Kind
from fleetflow_tasks.runtimes.cloudrun.knative_tables import EGRESS, GENERATIONS, INGRESS
from fleetflow_tasks.runtimes.cloudrun.mapping import Path, Reading
from fleetflow_tasks.runtimes.cloudrun.options import Ingress, Protocol
from fleetflow_tasks.runtimes.cloudrun.spelling import (
    Spelt,
    UnfitError,
    flag,
    number,
    text,
    texts,
    texts_by_name,
)
from fleetflow_tasks.runtimes.cloudrun.translated_probes import probes

_NOTES = "fleetflow.io/"  # annotations that a deployment writes itself
_TASK_RETRIES, _TASK_TIME = 3, 600  # of a job's task, where nothing is said: times, seconds


def cloudrun(source: Reading, template: Path, main: Reading | None, kind: Kind, project: str) -> Iterator[Node]:
    """template: where it stands. main: the container that gets the requests. project: by id or number."""
    yield from _access(source)
    yield from _per_task(source, template) if kind == "job" else _per_request(source, template)
    yield from _said("execution_environment", source, (*template, "executionEnvironment"), GENERATIONS.there)
    yield from _but(usual_account(project), _said("service_account", source, (*template, "serviceAccount"), text))
    yield from _said("encryption_key", source, (*template, "encryptionKey"), text)
    yield from _vpc(source, (*template, "vpcAccess"))
    if main is not None:
        yield from _of_container(main, kind)
    yield from _said("description", source, ("description",), text)
    notes = source.value(("annotations",), texts_by_name) or {}
    if others := {name: value for name, value in notes.items() if not name.startswith(_NOTES)}:
        yield block("annotations", *(node(name, value) for name, value in others.items()))


def usual_account(number: str) -> str:
    """Who a service is where nothing is said, by the number of its project."""
    return f"{number}-compute@developer.gserviceaccount.com"


def _access(source: Reading) -> Iterator[Node]:
    """Who may call it, as far as the object itself says it, and from where."""
    if source.value(("invokerIamDisabled",), flag):
        yield switch("public")
    elif members := source.value(("annotations", names.INVOKERS), text):
        yield node("invoker", *members.split(","))
    yield from _but("all", _said("ingress", source, ("ingress",), _ingress))


def _per_request(source: Reading, template: Path) -> Iterator[Node]:
    yield from _said("concurrency", source, (*template, "maxInstanceRequestConcurrency"), number)
    yield from _said("timeout", source, (*template, "timeout"), duration)
    if source.value((*template, "sessionAffinity"), flag):
        yield switch("session_affinity")


def _per_task(source: Reading, template: Path) -> Iterator[Node]:
    yield from _said("tasks", source, ("template", "taskCount"), number)
    yield from _said("parallelism", source, ("template", "parallelism"), number)
    retries = source.value((*template, "maxRetries"), number)
    yield node("max_retries", _TASK_RETRIES if retries is None else retries)
    yield node("timeout", source.value((*template, "timeout"), duration) or _TASK_TIME)


def _of_container(main: Reading, kind: Kind) -> Iterator[Node]:
    """Not said, the cpu is there always, once there are `resources`."""
    if kind == "service" and main.peek(IDLE[:1]) and not main.value(IDLE, flag):
        yield switch("cpu_always")
    if main.value(BOOST, flag):
        yield switch("cpu_boost")
    for port in main.each(("ports",))[:1]:
        yield from _but("http1", _said("protocol", port, ("name",), _protocol))
    yield from probes(main)
    yield from _said("working_dir", main, ("workingDir",), text)


def _vpc(source: Reading, at: Path) -> Iterator[Node]:
    interfaces = source.each((*at, "networkInterfaces"))
    inner = interfaces[0] if len(interfaces) == 1 else Reading({})
    said = {
        "network": inner.value(("network",), text),
        "subnet": inner.value(("subnetwork",), text),
        "connector": source.value((*at, "connector"), text),
    }
    props = {name: value for name, value in said.items() if value is not None}
    tags = inner.value(("tags",), texts)
    if props:
        egress = source.value((*at, "egress"), EGRESS.there)
        props |= {} if egress is None else {"egress": egress}
        yield Node(name="vpc", props=props, children=(node("tags", *tags),) if tags else None)


def _said(name: str, source: Reading, path: Path, spelt: Spelt) -> Iterator[Node]:
    value = source.value(path, spelt)
    if value is not None:
        yield node(name, value)


def _but(usual: str, nodes: Iterator[Node]) -> Iterator[Node]:
    """Without what is meant where nothing is said."""
    return (each for each in nodes if each.args != (usual,))


def _ingress(value: object) -> str:
    word = INGRESS.there(value)
    if word not in get_args(Ingress):
        raise UnfitError(value)
    return text(word)


def _protocol(value: object) -> str:
    if value not in get_args(Protocol):
        raise UnfitError(value)
    return text(value)
