# SPDX-License-Identifier: Apache-2.0
"""Where the v2 form and Knative's differ in more than spelling: rules that look at a whole template.

- Whether the cpu is there between requests: of a container in v2, of a template in Knative's form. Not said, v2 means
  always (once there are `resources`), and Knative means no.
- Cloud SQL: a volume and its mount in v2, an annotation with the instances in Knative's form.
- Which container waits for which: of a container in v2, an annotation in Knative's form.

Each stands behind the rules for the lists that it reaches into. Each is told where the template is, `at`, and where its
annotations are, `notes`.
"""

from collections.abc import Sequence
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.mapping import Path, Reading, Written, carried, put, put_if
from fleetflow_tasks.runtimes.cloudrun.spelling import WORD, UnfitError, decoded, encoded, parted, text, texts
from fleetflow_tasks.runtimes.cloudrun.storage import CLOUD_SQL

IDLE = ("resources", "cpuIdle")
BOOST = ("resources", "startupCpuBoost")
_VOLUME = "cloudsql"  # the name that Cloud Run reserves for it
_INSTANCES = ("cloudSqlInstance", "instances")


class Cpu(Data, frozen=True, kw_only=True):
    """boost: of more cpu while an instance starts, which is told in the same places."""

    at: Path
    note: Path
    boost: Path

    def there(self, source: Reading, target: Written) -> None:
        containers = source.each((*self.at, "containers"))
        main = main_of(containers)
        if main is None or not main.peek(IDLE[:1]):
            return
        idle = main.peek(IDLE) is True
        put(target, self.note, WORD.there(idle))
        carried(main, BOOST, target, self.boost, WORD.there)
        for container in containers:
            if container is main or container.peek(IDLE) == idle:
                container.took(IDLE)

    def back(self, source: Reading, target: Written) -> None:
        if containers := _written(target, self.at):
            idle = source.value(self.note, WORD.back)
            main = containers[_chosen([bool(each.get("ports")) for each in containers])]
            put(main, IDLE, idle is not False)
            carried(source, self.boost, main, BOOST, WORD.back)


class CloudSql(Data, frozen=True, kw_only=True):
    at: Path
    note: Path

    def there(self, source: Reading, target: Written) -> None:
        volumes = list(filter(is_sql, source.each((*self.at, "volumes"))))
        instances = [each for volume in volumes for each in volume.value(_INSTANCES, texts) or ()]
        known = [volume.value(("name",), text) for volume in volumes]
        for container in source.each((*self.at, "containers")):
            for mount in filter(is_sql_mount, container.each(("volumeMounts",))):
                if mount.peek(("name",)) in known:
                    mount.took(("name",))
                    mount.took(("mountPath",))
        put_if(target, self.note, ",".join(instances))

    def back(self, source: Reading, target: Written) -> None:
        instances = source.value(self.note, parted)
        containers = _written(target, self.at)
        if instances and containers:
            main = containers[_chosen([bool(each.get("ports")) for each in containers])]
            main.setdefault("volumeMounts", []).append({"name": _VOLUME, "mountPath": CLOUD_SQL})
            volume: dict[str, Any] = {"name": _VOLUME}
            put(volume, _INSTANCES, instances)
            put(target, (*self.at, "volumes"), [*_written(target, self.at, "volumes"), volume])


class Waits(Data, frozen=True, kw_only=True):
    at: Path
    note: Path

    def there(self, source: Reading, target: Written) -> None:
        waits = {}
        for container in source.each((*self.at, "containers")):
            if others := container.value(("dependsOn",), texts):
                waits[str(container.peek(("name",)))] = others
        put_if(target, self.note, encoded(waits) if waits else "")

    def back(self, source: Reading, target: Written) -> None:
        waits = source.value(self.note, _waits) or {}
        for container in _written(target, self.at):
            put_if(container, ("dependsOn",), waits.get(container.get("name", "")))


def is_sql(volume: Reading) -> bool:
    return volume.peek(("cloudSqlInstance",)) is not None


def is_sql_mount(mount: Reading) -> bool:
    """The only thing that may be mounted there."""
    return mount.peek(("mountPath",)) == CLOUD_SQL


def main_of(containers: Sequence[Reading]) -> Reading | None:
    """The one that gets the requests."""
    ports = [bool(each.peek(("ports",))) for each in containers]
    return containers[_chosen(ports)] if containers else None


def _chosen(ports: list[bool]) -> int:
    return ports.index(True) if True in ports else 0


def _waits(value: object) -> dict[str, list[str]]:
    found = decoded(value)
    if not isinstance(found, dict):
        raise UnfitError(value)
    return {name: texts(others) for name, others in found.items()}


def _written(target: Written, at: Path, what: str = "containers") -> list[dict[str, Any]]:
    """What the rules before have put there."""
    for name in at:
        target = target.get(name, {})
    found: list[dict[str, Any]] = target.get(what, [])
    return found
