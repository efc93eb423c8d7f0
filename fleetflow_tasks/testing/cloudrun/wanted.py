# SPDX-License-Identifier: Apache-2.0
"""What a revision or a task says, in the API's JSON -> the container that is run for it.

cloud.google.com/run/docs/container-contract#env-vars: PORT, K_SERVICE, K_REVISION and K_CONFIGURATION for services,
CLOUD_RUN_JOB and its fellows for jobs. Of several containers the one with a port is run.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fleetflow_tasks.testing.cloudrun.containers import Wanted
from fleetflow_tasks.testing.cloudrun.startup import Probe, probe

Json = Mapping[str, Any]
Secret = Callable[[str, str], bytes]  # name, version -> its value

PORT = 8080  # where none is said
CPU, MEMORY = "1", "512Mi"  # cloud.google.com/run/docs/configuring/services/memory-limits
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def of_revision(revision: Json, secret: Secret) -> Wanted:
    container = _facing(revision.get("containers", ()))
    port = next((int(each.get("containerPort", PORT)) for each in container.get("ports", ())), PORT)
    service = str(revision.get("service", "")).rpartition("/")[2]
    name = _last(revision)
    told = {"PORT": str(port), "K_SERVICE": service, "K_REVISION": name, "K_CONFIGURATION": service}
    return _wanted(name, container, revision, told, secret, port=port, startup=probe(container.get("startupProbe")))


def of_task(task: Json, attempt: int, secret: Secret) -> Wanted:
    """attempt: from 0."""
    container = _facing(task.get("containers", ()))
    told = {
        "CLOUD_RUN_JOB": str(task.get("job", "")).rpartition("/")[2],
        "CLOUD_RUN_EXECUTION": str(task.get("execution", "")).rpartition("/")[2],
        "CLOUD_RUN_TASK_INDEX": str(task.get("index", 0)),
        "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
    }
    return _wanted(_last(task), container, task, told, secret)


def seconds(duration: object, default: float) -> float:
    """Of "300s"."""
    return float(duration.removesuffix("s")) if isinstance(duration, str) and duration else default


def bytes_of(quantity: str) -> int:
    """ "512Mi" -> 536870912."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    if found is None or found[2] not in UNITS:
        raise ValueError(f"no amount of memory: {quantity}")
    return int(float(found[1]) * UNITS[found[2]])


def cores(quantity: str) -> float:
    """ "500m" -> 0.5."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def _wanted(
    name: str,
    container: Json,
    whole: Json,
    told: Mapping[str, str],
    secret: Secret,
    *,
    port: int = 0,
    startup: Probe | None = None,
) -> Wanted:
    limits = container.get("resources", {}).get("limits", {})
    mounts = {each["name"]: each["mountPath"] for each in container.get("volumeMounts", ())}
    volumes = [(mounts[volume["name"]], volume) for volume in whole.get("volumes", ()) if volume["name"] in mounts]
    return Wanted(
        name=name,
        image=container["image"],
        entrypoint=tuple(container.get("command", ())),
        arguments=tuple(container.get("args", ())),
        environ={**_environ(container.get("env", ()), secret), **told},
        port=port,
        cpu=cores(limits.get("cpu", CPU)),
        memory=bytes_of(limits.get("memory", MEMORY)),
        folders=tuple(path for path, volume in volumes if "secret" not in volume and "cloudSqlInstance" not in volume),
        files={file: content for path, volume in volumes for file, content in _files(path, volume, secret).items()},
        probe=startup or Probe(),
    )


def _facing(containers: Sequence[Json]) -> Json:
    """The one that requests go to."""
    return next((each for each in containers if each.get("ports")), containers[0])


def _environ(variables: Sequence[Json], secret: Secret) -> dict[str, str]:
    found = {}
    for each in variables:
        source = each.get("valueSource", {}).get("secretKeyRef")
        if source is None:
            found[each["name"]] = each.get("value", "")
        else:
            found[each["name"]] = secret(source["secret"], source.get("version", "latest")).decode()
    return found


def _files(path: str, volume: Json, secret: Secret) -> dict[str, bytes]:
    """Of a volume that is a secret: one file, named after the secret, unless items name others."""
    source = volume.get("secret")
    if source is None:
        return {}
    name = str(source["secret"])
    items = source.get("items") or [{"path": name.rpartition("/")[2], "version": "latest"}]
    return {f"{path}/{item['path']}": secret(name, item.get("version", "latest")) for item in items}


def _last(resource: Json) -> str:
    return str(resource["name"]).rpartition("/")[2]
