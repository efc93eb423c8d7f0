# SPDX-License-Identifier: Apache-2.0
"""The tables for what stands inside a template: containers, their environment and probes, and volumes."""

from typing import Any

from fleetflow_tasks.runtimes.cloudrun.crossing import is_sql, is_sql_mount
from fleetflow_tasks.runtimes.cloudrun.mapping import Each, Field, Present, Rule
from fleetflow_tasks.runtimes.cloudrun.spelling import (
    BY_NAME,
    FLAG,
    JOINED,
    NUMBER,
    TEXTS,
    Spelling,
    UnfitError,
    decoded,
    encoded,
    text,
    texts,
    words,
)

_BUCKETS = "gcsfuse.run.googleapis.com"  # the driver by which Knative's form mounts a bucket


def same(*path: str, spelling: Spelling | None = None) -> Field:
    """What is called, and written, alike in both."""
    return Field(v2=path, v1=path) if spelling is None else Field(v2=path, v1=path, spelling=spelling)


def _networks(value: object) -> list[dict[str, Any]]:
    """Knative's annotation holds v2's list as JSON."""
    if not isinstance(value, (list, tuple)):
        raise UnfitError(value)
    return [_network(each) for each in value]


def _network(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not set(value) <= {"network", "subnetwork", "tags"}:
        raise UnfitError(value)
    return {name: texts(each) if name == "tags" else text(each) for name, each in value.items()}


NETWORKS = Spelling(there=lambda value: encoded(_networks(value)), back=lambda value: _networks(decoded(value)))

_HEADERS = Each(v2=("httpHeaders",), v1=("httpHeaders",), rules=(same("name"), same("value")))
_ENV = (
    same("name"),
    same("value"),
    Field(v2=("valueSource", "secretKeyRef", "secret"), v1=("valueFrom", "secretKeyRef", "name")),
    Field(v2=("valueSource", "secretKeyRef", "version"), v1=("valueFrom", "secretKeyRef", "key")),
)


def _probe(name: str) -> tuple[Rule, ...]:
    counts = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold")
    ports = ("httpGet", "tcpSocket", "grpc")
    return (
        *(same(name, each, spelling=NUMBER) for each in counts),
        *(Present(v2=(name, each), v1=(name, each)) for each in ports),
        *(same(name, each, "port", spelling=NUMBER) for each in ports),
        same(name, "httpGet", "path"),
        Each(v2=(name, "httpGet", "httpHeaders"), v1=(name, "httpGet", "httpHeaders"), rules=_HEADERS.rules),
        same(name, "grpc", "service"),
    )


CONTAINER: tuple[Rule, ...] = (
    same("name"),
    same("image"),
    same("command", spelling=TEXTS),
    same("args", spelling=TEXTS),
    same("workingDir"),
    Each(v2=("env",), v1=("env",), rules=_ENV),
    same("resources", "limits", spelling=BY_NAME),
    Each(v2=("ports",), v1=("ports",), rules=(same("name"), same("containerPort", spelling=NUMBER))),
    Each(
        v2=("volumeMounts",),
        v1=("volumeMounts",),
        rules=(same("name"), same("mountPath"), same("subPath")),
        but=is_sql_mount,
    ),
    *_probe("startupProbe"),
    *_probe("livenessProbe"),
    *_probe("readinessProbe"),
)

VOLUME: tuple[Rule, ...] = (
    same("name"),
    Field(v2=("secret", "secret"), v1=("secret", "secretName")),
    Field(v2=("secret", "defaultMode"), v1=("secret", "defaultMode"), spelling=NUMBER),
    Each(
        v2=("secret", "items"),
        v1=("secret", "items"),
        rules=(
            same("path"),
            Field(v2=("version",), v1=("key",)),
            same("mode", spelling=NUMBER),
        ),
    ),
    Present(v2=("emptyDir",), v1=("emptyDir",)),
    Field(v2=("emptyDir", "medium"), v1=("emptyDir", "medium"), spelling=words({"MEMORY": "Memory"})),
    same("emptyDir", "sizeLimit"),
    same("nfs", "server"),
    same("nfs", "path"),
    same("nfs", "readOnly", spelling=FLAG),
    Present(v2=("gcs",), v1=("csi",), always={"driver": _BUCKETS}),
    Field(v2=("gcs", "bucket"), v1=("csi", "volumeAttributes", "bucketName")),
    Field(v2=("gcs", "readOnly"), v1=("csi", "readOnly"), spelling=FLAG),
    Field(v2=("gcs", "mountOptions"), v1=("csi", "volumeAttributes", "mountOptions"), spelling=JOINED),
)


def containers(v2: tuple[str, ...], v1: tuple[str, ...]) -> Each:
    """v2, v1: where the list stands."""
    return Each(v2=v2, v1=v1, rules=CONTAINER)


def volumes(v2: tuple[str, ...], v1: tuple[str, ...]) -> Each:
    return Each(v2=v2, v1=v1, rules=VOLUME, but=is_sql)
