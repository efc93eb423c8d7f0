# SPDX-License-Identifier: Apache-2.0
"""Which fields of a service are not as they should be, in the words of the language. Pure.

Cloud Run itself is asked how the object would be if it were sent (`validate_only`), defaults and all, and that is compared with
what it is. Where it was not asked, only what we say can be compared: what we leave out, and it has, may be its default.
Environment, labels and the command are ours alone: there, what we leave out goes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fleetflow_tasks.runtimes.base import FieldChange
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.reading import at, items, mapping, text
from fleetflow_tasks.runtimes.labels import DASHED, SLASHED

_AROUND = ("description", "ingress", "invokerIamDisabled", "scaling", "labels", "annotations")
_WORDS = {  # the API's place -> the language's word
    "args": "command",
    "command": "entrypoint",
    "workingDir": "working_dir",
    "resources.limits.cpu": "resources.cpu",
    "resources.limits.memory": "resources.memory",
    "resources.startupCpuBoost": "cpu_boost",
    "maxInstanceRequestConcurrency": "concurrency",
    "executionEnvironment": "execution_environment",
    "serviceAccount": "service_account",
    "sessionAffinity": "session_affinity",
    "invokerIamDisabled": "public",
    "scaling.minInstanceCount": "scaling.min",
    "scaling.maxInstanceCount": "scaling.max",
    "vpcAccess": "vpc",
    "startupProbe": "healthcheck",
    "livenessProbe": "liveness",
    "volumeMounts": "volumes",
}
# Told as one: what is in them is Google's form.
_WHOLE = frozenset({"ports", "volumes", "vpc", "healthcheck", "liveness"})
_OURS = ("environment.", "labels.", "command", "entrypoint")

Flat = Mapping[str, str]


def differences(wanted: Json, found: Json, after: Json | None = None) -> tuple[FieldChange, ...]:
    """What sending *wanted* would change. found: the object as it is. after: as it would be, where Cloud Run said so."""
    old, new = _flat(found), _flat(after or wanted)
    gone = [name for name in old if name not in new and (after is not None or name.startswith(_OURS))]
    names = sorted({*(name for name in new if new[name] != old.get(name)), *gone})
    return tuple(FieldChange(field=name, old=old.get(name), new=new.get(name)) for name in names)


def _flat(body: Json) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in _told(body):
        found.setdefault(name, []).append(value)
    return {name: " ".join(values) for name, values in found.items()}


def _told(body: Json) -> Iterator[tuple[str, str]]:
    template = mapping(body, "template")
    inner = mapping(template, "template") or template  # a job's tasks have a template of their own
    for name in _AROUND:
        yield from _leaves(name, body.get(name))
    for name, value in {**template, **inner}.items():
        if name not in {"containers", "template", "revision", "labels", "annotations"}:
            yield from _leaves(name, value)
    container = mapping(inner, "containers", 0)
    for name, value in container.items():
        if name != "env":
            yield from _leaves(name, value)
    if container.get("resources") and not at(container, "resources", "cpuIdle"):
        yield "cpu_always", "true"
    for each in items(container, "env"):
        yield f"environment.{each.get('name', '')}", _value(each)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each field and what stands in it; what is ours to note, and not the user's, is left out."""
    name = _WORDS.get(path, path)
    if (
        path == "resources.cpuIdle"
        or path.startswith((f"labels.{DASHED}", f"annotations.{SLASHED}"))
        or value in (None, "", False)
    ):
        return
    if isinstance(value, Mapping) and name not in _WHOLE:
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list | tuple) and name not in _WHOLE:
        yield from ((name, str(each)) for each in value)
    else:
        yield name, _spelled(path, value)


def _spelled(path: str, value: Any) -> str:
    said = str(value)
    if path.endswith("limits.cpu") and said.endswith("m") and said[:-1].isdigit():
        return f"{int(said[:-1]) / 1000:g}"
    return {"True": "true"}.get(said, said)


def _value(variable: Json) -> str:
    """A secret's by its name: its value is never here."""
    source = mapping(variable, "valueSource", "secretKeyRef")
    return f"secret {text(source, 'secret')}:{text(source, 'version')}" if source else text(variable, "value")
