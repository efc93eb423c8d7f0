# SPDX-License-Identifier: Apache-2.0
"""Probes as `startup` and `liveness` say them. Read as a whole, or not at all: half a probe would be another one."""

from collections.abc import Iterator, Mapping
from typing import Any

from fleetflow_tasks.config.as_kdl import Node, Scalar
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.mapping import Reading
from fleetflow_tasks.runtimes.cloudrun.spelling import UnfitError, number, text

_COUNTS = {
    "delay": "initialDelaySeconds",
    "interval": "periodSeconds",
    "timeout": "timeoutSeconds",
    "retries": "failureThreshold",
}
_USUAL = {"periodSeconds": 240, "timeoutSeconds": 240, "failureThreshold": 1}  # what the platform asks by itself


def probes(main: Reading) -> Iterator[Node]:
    port = next((each.peek(("containerPort",)) for each in main.each(("ports",))), None)
    for name, field in (("startup", "startupProbe"), ("liveness", "livenessProbe")):
        found = main.value((field,), lambda value: _said(value, port))
        if found:
            yield Node(name=name, props=found)


def _said(value: object, port: object) -> dict[str, Scalar]:
    """Empty where it is the platform's own, which it asks where nothing is said."""
    probe = _object(value)
    if probe in ({**_USUAL, "tcpSocket": {"port": port}}, {}):
        return {}
    counts = {name: number(probe[field]) for name, field in _COUNTS.items() if field in probe}
    asked = [(kind, _object(each)) for kind, each in probe.items() if kind not in _COUNTS.values()]
    if len(asked) != 1:
        raise UnfitError(value)
    return {**_question(*asked[0], port), **counts}


def _question(kind: str, content: Json, port: object) -> dict[str, Scalar]:
    """Its port only where it is not the container's own."""
    said = {name: each for name, each in content.items() if name != "port" or each != port}
    where: dict[str, Scalar] = {"port": number(said.pop("port"))} if "port" in said else {}
    if kind == "httpGet" and set(said) <= {"path"}:
        return {"http": text(said.get("path", "/")), **where}
    if kind == "grpc" and set(said) <= {"service"}:
        return {"grpc": text(said.get("service", "")), **where}
    if kind == "tcpSocket" and not said:
        return {"tcp": True, **where}
    raise UnfitError(kind)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UnfitError(value)
    return dict(value)
