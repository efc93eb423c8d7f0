# SPDX-License-Identifier: Apache-2.0
"""Containers: image, environment, ports, resources, probes.

`Container`, `EnvVar`, `ContainerPort` in google.cloud.run_v2.types; https://cloud.google.com/run/docs/container-contract (names
that are reserved); https://cloud.google.com/run/docs/configuring/services/environment-variables (limits);
https://cloud.google.com/run/docs/deploying#images (which registries); https://cloud.google.com/run/quotas (10 containers).
"""

import re
from typing import Any

from . import capacity, probing
from .names import ID
from .violations import Violations

Json = dict[str, Any]

RESERVED = frozenset({"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"})
RESERVED_OF_JOBS = frozenset(
    f"CLOUD_RUN_{name}" for name in ("JOB", "EXECUTION", "TASK_INDEX", "TASK_ATTEMPT", "TASK_COUNT")
)
_HOST = re.compile(r"(?:[a-z0-9-]+\.)?gcr\.io|(?:[a-z0-9-]+-)?docker\.pkg\.dev|docker\.io|mirror\.gcr\.io")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@sha256:[0-9a-f]{64})?")
_LARGEST = 32768


def checked(template: Json, field: str, found: Violations, *, job: bool) -> None:
    """template: with its defaults."""
    containers = template.get("containers", [])
    found.say_if(not 1 <= len(containers) <= 10, f"{field}containers", "must contain 1 to 10 containers.")
    for index, container in enumerate(containers):
        _container(container, template, f"{field}containers[{index}]", found, job=job)
    _together(containers, f"{field}containers", found, job=job)


def _container(container: Json, template: Json, field: str, found: Violations, *, job: bool) -> None:
    _image(container.get("image", ""), f"{field}.image", found)
    _env(container.get("env", []), f"{field}.env", found, job=job)
    _ports(container.get("ports", []), f"{field}.ports", found)
    capacity.checked(template, container, f"{field}.resources.limits", found, job=job)
    probing.checked(container, field, found, job=job)


def _image(image: str, field: str, found: Violations) -> None:
    """The texts as quoted in terraform-provider-ko #205."""
    if not image:
        found.say(field, "must be specified.")
        return
    first, slash, _ = image.partition("/")
    hosted = bool(slash) and ("." in first or ":" in first or first == "localhost")
    if not _IMAGE.fullmatch(image) or (hosted and not _HOST.fullmatch(first)):
        text = (
            "Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io,"
        )
        found.say(field, f"{text} [region-]docker.pkg.dev or docker.io but obtained {image}")


def _env(env: list[Json], field: str, found: Violations, *, job: bool) -> None:
    names = [entry.get("name", "") for entry in env]
    reserved = sorted({name for name in names if name in (RESERVED_OF_JOBS if job else RESERVED)})
    if reserved:  # terraform-provider-google #26877
        text = "These values are automatically set by the system."
        found.say(field, f"The following reserved env names were provided: {', '.join(reserved)}. {text}")
    found.say_if(len(env) > 1000, field, "a container can have at most 1000 environment variables.")
    for index, entry in enumerate(env):
        _variable(entry, f"{field}[{index}]", found)
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.say(field, f"'{name}' is set more than once.")  # guess


def _variable(entry: Json, field: str, found: Violations) -> None:
    name = entry.get("name", "")
    wrong = not name or "=" in name or len(name) > _LARGEST
    found.say_if(wrong, f"{field}.name", f"'{name[:64]}' is no name of an environment variable.")
    long = len(entry.get("value", "").encode()) > _LARGEST
    found.say_if(long, f"{field}.value", f"must be at most {_LARGEST} bytes.")
    source = entry.get("valueSource")
    if source is not None:
        here = f"{field}.valueSource.secretKeyRef"
        found.say_if(not source.get("secretKeyRef", {}).get("secret"), here, "the name of a secret is required.")
        # https://cloud.google.com/run/docs/configuring/services/secrets: a version must be named, "latest" or a number
        found.say_if(not source.get("secretKeyRef", {}).get("version"), here, "a version is required.")


def _ports(ports: list[Json], field: str, found: Violations) -> None:
    found.say_if(len(ports) > 1, field, "ports should contain 0 or 1 port.")
    for port in ports:
        number, name = port.get("containerPort", 0), port.get("name", "http1")
        found.say_if(not 0 < number < 65536, field, f"'{number}' is not a valid port, 0 < port < 65536.")
        found.say_if(name not in {"http1", "h2c"}, field, f"the name '{name}' must be http1 or h2c.")


def _together(containers: list[Json], field: str, found: Violations, *, job: bool) -> None:
    """https://cloud.google.com/run/docs/deploying#sidecars: one container alone has a port."""
    names = [container.get("name", "") for container in containers]
    several = len(containers) > 1
    for name in names:
        wrong = (several or name) and not ID.fullmatch(name)
        found.say_if(bool(wrong), field, f"'{name}' must be a DNS label; with several containers, each needs a name.")
    found.say_if(len({*names}) < len(names), field, "two containers have the same name.")
    with_port = sum(bool(container.get("ports")) for container in containers)
    found.say_if(several and not job and with_port != 1, field, "exactly one of several containers must have a port.")
    for container in containers:
        for other in container.get("dependsOn", []):
            found.say_if(other not in names, field, f"there is no container '{other}' to depend on.")
