# SPDX-License-Identifier: Apache-2.0
"""Volumes and where they are mounted.

`Volume`, `VolumeMount`, `CloudSqlInstance`, `EmptyDirVolumeSource` in google.cloud.run_v2.types;
https://cloud.google.com/run/docs/configuring/services/nfs-volume-mounts ("NFS needs a VPC network"), …/cloud-storage-volume-mounts
("second generation").
"""

import re
from typing import Any

from .capacity import size
from .names import ID
from .violations import Violations

Json = dict[str, Any]

_KINDS = ("secret", "cloudSqlInstance", "emptyDir", "nfs", "gcs")
_INSTANCE = re.compile(r"[^:\s]+(:[^:\s]+)?:[-a-z0-9]+:[-a-z0-9]+")
_BUCKET = re.compile(r"[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9]")


def checked(template: Json, field: str, found: Violations) -> None:
    volumes = template.get("volumes", [])
    names = [volume.get("name", "") for volume in volumes]
    for index, volume in enumerate(volumes):
        _volume(volume, template, f"{field}volumes[{index}]", found)
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.say(f"{field}volumes", f"the name '{name}' is used more than once.")
    kinds = {volume.get("name", ""): volume for volume in volumes}
    for index, container in enumerate(template.get("containers", [])):
        _mounts(container, kinds, f"{field}containers[{index}]", found)


def _volume(volume: Json, template: Json, field: str, found: Violations) -> None:
    name = volume.get("name", "")
    found.say_if(not ID.fullmatch(name), f"{field}.name", f"'{name}' must be a DNS label.")
    kinds = [kind for kind in _KINDS if kind in volume]
    if len(kinds) != 1:
        found.say(field, "exactly one type of volume must be specified.")
        return
    source = volume[kinds[0]]
    match kinds[0]:
        case "secret":
            found.say_if(not source.get("secret"), f"{field}.secret", "the name of a secret is required.")
        case "cloudSqlInstance":
            _instances(source.get("instances", []), f"{field}.cloudSqlInstance", found)
        case "emptyDir":
            limit = source.get("sizeLimit", "")
            found.say_if(bool(limit) and size(limit) is None, f"{field}.emptyDir.sizeLimit", f"'{limit}' is no size.")
        case "nfs":
            _nfs(source, template, f"{field}.nfs", found)
        case "gcs":
            bucket = source.get("bucket", "")
            found.say_if(not _BUCKET.fullmatch(bucket), f"{field}.gcs.bucket", f"'{bucket}' is no name of a bucket.")
        case other:
            raise AssertionError(other)
    if kinds[0] in {"nfs", "gcs"} and template.get("executionEnvironment") == "EXECUTION_ENVIRONMENT_GEN1":
        found.say(field, f"{kinds[0]} volumes need the second generation execution environment.")


def _instances(instances: list[str], field: str, found: Violations) -> None:
    found.say_if(not instances, field, "at least one instance is required.")
    for name in instances:
        found.say_if(not _INSTANCE.fullmatch(name), field, f"'{name}' must be {{project}}:{{location}}:{{instance}}.")


def _nfs(source: Json, template: Json, field: str, found: Violations) -> None:
    found.say_if(not source.get("server"), f"{field}.server", "is required.")
    found.say_if(not source.get("path", "").startswith("/"), f"{field}.path", "must be an absolute path.")
    found.say_if(not template.get("vpcAccess"), field, "NFS volumes need VPC access.")


def _mounts(container: Json, volumes: dict[str, Json], field: str, found: Violations) -> None:
    paths: list[str] = []
    for index, mount in enumerate(container.get("volumeMounts", [])):
        here = f"{field}.volumeMounts[{index}]"
        name, path = mount.get("name", ""), mount.get("mountPath", "")
        found.say_if(name not in volumes, f"{here}.name", f"there is no volume '{name}'.")
        if "cloudSqlInstance" in volumes.get(name, {}):
            found.say_if(path not in {"", "/cloudsql"}, f"{here}.mountPath", "must be /cloudsql for Cloud SQL volumes.")
        else:
            found.say_if(not path.startswith("/"), f"{here}.mountPath", f"'{path}' must be an absolute path.")
        found.say_if(":" in path, f"{here}.mountPath", "must not contain ':'.")
        found.say_if(path in paths, f"{here}.mountPath", f"'{path}' is mounted more than once.")
        paths.append(path)
