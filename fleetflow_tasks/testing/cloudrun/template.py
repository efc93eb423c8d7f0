# SPDX-License-Identifier: Apache-2.0
"""A revision's and a task's template: its defaults, and whether it may be.

Defaults are those that `GetService` shows for what nobody said: `RevisionTemplate`, `TaskTemplate`, `RevisionScaling` ("100"),
`ResourceRequirements` ("true by default. However, if ResourceRequirements is set, …"), `Probe`;
https://cloud.google.com/run/docs/configuring/healthchecks ("default TCP startup probe": timeout and period 240, threshold 1).
"""

import re
from copy import deepcopy
from typing import Any

from . import metadata, volumes, workload
from .clock import seconds
from .names import ID, LONGEST_REVISION
from .violations import Violations

Json = dict[str, Any]

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def filled_revision(template: Json, account: str) -> Json:
    """With all defaults. account: whom it runs as where it does not say."""
    filled = deepcopy(template)
    filled.setdefault("timeout", "300s")
    filled.setdefault("serviceAccount", account)
    filled.setdefault("scaling", {}).setdefault("maxInstanceCount", 100)
    for container in filled.get("containers", []):
        _filled(container)
    _exposed(filled.get("containers", []))
    if not filled.get("maxInstanceRequestConcurrency"):
        filled["maxInstanceRequestConcurrency"] = 1 if _small(filled) else 80
    return filled


def filled_task(template: Json, account: str) -> Json:
    filled = deepcopy(template)
    filled.setdefault("timeout", "600s")
    filled.setdefault("maxRetries", 3)
    filled.setdefault("serviceAccount", account)
    for container in filled.get("containers", []):
        _filled(container, idle=False)
    return filled


def _filled(container: Json, *, idle: bool = True) -> None:
    if "resources" not in container:
        container["resources"] = {"cpuIdle": True} if idle else {}
    limits = container["resources"].setdefault("limits", {})
    limits.setdefault("cpu", "1000m")
    limits.setdefault("memory", "512Mi")


def _exposed(containers: list[Json]) -> None:
    """The one that requests go to: port 8080 where it does not say, and a startup probe upon it."""
    if not containers:
        return
    front = next((container for container in containers if container.get("ports")), containers[0])
    if not front.get("ports") and len(containers) > 1:
        return
    port = front.setdefault("ports", [{"name": "http1", "containerPort": 8080}])[0]
    port.setdefault("name", "http1")
    default = {"timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1, "tcpSocket": {}}
    probe = front.setdefault("startupProbe", default)
    for kind in ("tcpSocket", "httpGet", "grpc"):
        if kind in probe:
            probe[kind].setdefault("port", port.get("containerPort", 8080))


def _small(template: Json) -> bool:
    limits = (container["resources"]["limits"].get("cpu", "1") for container in template.get("containers", []))
    return any((said.endswith("m") and int(said[:-1] or 0) < 1000) or said.startswith("0.") for said in limits)


def checked(service: str, template: Json, field: str, found: Violations) -> None:
    """A revision's, with its defaults. service: its id."""
    _common(template, field, found, job=False)
    metadata.checked(template, field, found)
    _revision(service, template.get("revision", ""), f"{field}revision", found)
    scaling = template.get("scaling", {})
    _range(scaling, f"{field}scaling", found)
    concurrency = template.get("maxInstanceRequestConcurrency", 0)
    name = f"{field}maxInstanceRequestConcurrency"
    found.say_if(not 0 <= concurrency <= 1000, name, "must be between 0 and 1000.")
    # https://cloud.google.com/run/docs/configuring/request-timeout: up to 60 minutes
    found.say_if(not 0 < seconds(template["timeout"]) <= 3600, f"{field}timeout", "must be between 1s and 3600s.")


def checked_task(template: Json, field: str, found: Violations) -> None:
    _common(template, field, found, job=True)
    # https://cloud.google.com/run/quotas: 10 retries, 168 h
    found.say_if(not 0 <= template["maxRetries"] <= 10, f"{field}maxRetries", "must be between 0 and 10.")
    found.say_if(not 0 < seconds(template["timeout"]) <= 604800, f"{field}timeout", "must be between 1s and 604800s.")


def scaling(scaling: Json, found: Violations) -> None:
    """A service's own."""
    _range(scaling, "scaling", found)


def _range(scaling: Json, field: str, found: Violations) -> None:
    least, most = scaling.get("minInstanceCount", 0), scaling.get("maxInstanceCount", 0)
    found.say_if(least < 0 or most < 0, field, "must not be negative.")
    found.say_if(bool(most) and least > most, field, "minInstanceCount must not be greater than maxInstanceCount.")


def _common(template: Json, field: str, found: Violations, *, job: bool) -> None:
    workload.checked(template, field, found, job=job)
    volumes.checked(template, field, found)
    account = template["serviceAccount"]
    found.say_if(not _EMAIL.fullmatch(account), f"{field}serviceAccount", f"'{account}' is no email address.")
    vpc = template.get("vpcAccess", {})
    interfaces = vpc.get("networkInterfaces", [])
    both = bool(vpc.get("connector")) and bool(interfaces)
    found.say_if(both, f"{field}vpcAccess", "connector and networkInterfaces are mutually exclusive.")
    # `VpcAccess.network_interfaces`: "Currently only single network interface is supported."
    found.say_if(len(interfaces) > 1, f"{field}vpcAccess.networkInterfaces", "only one network interface is supported.")
    for interface in interfaces:
        neither = not interface.get("network") and not interface.get("subnetwork")
        found.say_if(neither, f"{field}vpcAccess.networkInterfaces", "one of network or subnetwork must be specified.")


def _revision(service: str, name: str, field: str, found: Violations) -> None:
    """https://cloud.google.com/run/docs/managing/revisions: it begins with the service's name."""
    if not name:
        return
    good = ID.fullmatch(name) and len(name) <= LONGEST_REVISION and name.startswith(f"{service}-")
    found.say_if(not good, field, f"'{name}' must be a DNS label that begins with '{service}-'.")
