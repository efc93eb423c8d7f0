# SPDX-License-Identifier: Apache-2.0
"""What one run of a job does otherwise: `RunJobRequest.Overrides`.

`task_count` and `timeout` "will replace existing" ones, `args` too; `env` "will be merged with existing env for override".
"""

from copy import deepcopy
from typing import Any

from .refused import Refused

Json = dict[str, Any]


def applied(template: Json, said: Json) -> Json:
    """*template*, an ExecutionTemplate, as this run has it."""
    changed = deepcopy(template)
    if said.get("taskCount"):
        changed["taskCount"] = said["taskCount"]
    if said.get("timeout"):
        changed["template"]["timeout"] = said["timeout"]
    containers = changed["template"]["containers"]
    for override in said.get("containerOverrides", []):
        _container(_named(containers, override.get("name", "")), override)
    return changed


def _named(containers: list[Json], name: str) -> Json:
    """Without a name, the only one."""
    for container in containers:
        if not name or container.get("name", "") == name:
            return container
    raise Refused("INVALID_ARGUMENT", f"There is no container '{name}' to override.")


def _container(container: Json, override: Json) -> None:
    if override.get("clearArgs"):
        container.pop("args", None)
    if override.get("args"):
        container["args"] = override["args"]
    merged = {entry["name"]: entry for entry in (*container.get("env", []), *override.get("env", []))}
    if merged:
        container["env"] = list(merged.values())
