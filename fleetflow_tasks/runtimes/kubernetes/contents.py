# SPDX-License-Identifier: Apache-2.0
"""What another ConfigMap or Secret in a pod template means for people: which variables change, and not which name.

Both are named by what they hold, so all that a comparison of objects shows is names. What was in the old one is asked
for: it is kept as long as a version is that was made from it. Secrets are told by name alone.
"""

from collections.abc import Iterable, Iterator, Mapping

from fleetflow_tasks.config.model import HIDDEN
from fleetflow_tasks.runtimes.base import FieldChange
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.decide import referred, template_of
from fleetflow_tasks.runtimes.kubernetes.desired import Desired
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, SECRET, named
from fleetflow_tasks.runtimes.kubernetes.objects import Json, mapping
from fleetflow_tasks.runtimes.kubernetes.observe import Key, key, mark

_FORBIDDEN = 403
_HOLDING = (CONFIG_MAP.name, SECRET.name)


def spelled(
    client: Client, namespace: str, wanted: Desired, live: Json, fields: Iterable[FieldChange]
) -> tuple[FieldChange, ...]:
    """*fields* with variables in place of the names of what holds them. live: the workload as it is.

    Raises KubernetesError.
    """
    used, uses = referred(template_of(live)), referred(template_of(wanted.workload))
    old = [found for each in sorted(used - uses) if (found := _ours(client, namespace, each)) is not None]
    new = [each for each in wanted.added if key(each) in uses - used]
    names = {each["metadata"]["name"] for each in (*old, *new)}
    kept = [field for field in fields if not any(name in f"{field.old} {field.new}" for name in names)]
    return (*(change for kind in _HOLDING for change in _changes(kind, old, new)), *kept)


def _ours(client: Client, namespace: str, one: Key) -> Json | None:
    """None where it is gone, or somebody else's: what that holds is not ours to show. Neither is what we may not read."""
    try:
        found = client.get(named(one[0]), namespace, one[1])
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        return None
    return found if found is not None and mark(found).project else None


def _changes(kind: str, old: Iterable[Json], new: Iterable[Json]) -> Iterator[FieldChange]:
    had, has = _data(kind, old), _data(kind, new)
    for name in sorted({*had, *has}):
        if had.get(name) != has.get(name):
            before, after = had.get(name), has.get(name)
            if kind == SECRET.name:
                before, after = (None if value is None else HIDDEN for value in (before, after))
            yield FieldChange(field=f"environment.{name}", old=before, new=after)


def _data(kind: str, objects: Iterable[Json]) -> Mapping[str, str]:
    return {name: value for each in objects if each["kind"] == kind for name, value in mapping(each, "data").items()}
