# SPDX-License-Identifier: Apache-2.0
"""Which fields of a live container differ from what is desired. Pure; a secret never appears by value."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fleetflow_tasks.config.model import HIDDEN
from fleetflow_tasks.runtimes.base import FieldChange
from fleetflow_tasks.runtimes.docker.desired import OURS, SECRETS, Definition, Json

# The language's word -> where the Engine holds it. What the image may set is only compared where the text says it.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "command": ("Cmd",),
    "entrypoint": ("Entrypoint",),
    "healthcheck": ("Healthcheck",),
    "user": ("User",),
    "hostname": ("Hostname",),
    "working_dir": ("WorkingDir",),
    "stop_signal": ("StopSignal",),
    "stop_grace": ("StopTimeout",),
}
_HOST_FIELDS: Mapping[str, tuple[str, ...]] = {
    "restart": ("HostConfig", "RestartPolicy", "Name"),
    "init": ("HostConfig", "Init"),
    "privileged": ("HostConfig", "Privileged"),
    "read_only": ("HostConfig", "ReadonlyRootfs"),
    "cap_add": ("HostConfig", "CapAdd"),
    "cap_drop": ("HostConfig", "CapDrop"),
    "extra_hosts": ("HostConfig", "ExtraHosts"),
    "dns": ("HostConfig", "Dns"),
    "tmpfs": ("HostConfig", "Tmpfs"),
}
_NOTHING: tuple[object, ...] = (None, "", False, 0, [], {}, "no")  # many words of the Engine for "not set"


def differences(desired: Definition, found: object, image: object) -> tuple[FieldChange, ...]:
    """found, image: as inspecting the container and its image told; the image may be gone (None)."""
    live, base = _object(found), _object(_object(image).get("Config"))
    config = {**_object(live.get("Config")), "HostConfig": _object(live.get("HostConfig"))}
    changes = [
        *_environment(desired, config, base),
        *_ports(desired, config),
        *_volumes(desired, config),
        *_labels(desired, config, base),
        *_fields(desired, config, base),
    ]
    return tuple(sorted(changes, key=lambda change: change.field))


def _environment(desired: Definition, config: Json, base: Json) -> Iterator[FieldChange]:
    """Variables of the image itself are no change; those of a secret, past or coming, are shown by name alone."""
    secret = {*desired.secrets, *_object(config.get("Labels")).get(SECRETS, "").split(",")}
    inherited, had, wants = (
        _variables(base.get("Env")),
        _variables(config.get("Env")),
        _variables(desired.body.get("Env")),
    )
    for name in sorted({*had, *wants}):
        old, new = had.get(name), wants.get(name)
        if old == new or (new is None and inherited.get(name) == old):
            continue
        if name in secret:
            old, new = (None if value is None else HIDDEN for value in (old, new))
        yield FieldChange(field=f"environment.{name}", old=old, new=new)


def _variables(env: object) -> dict[str, str]:
    pairs = (str(entry).partition("=") for entry in env or ()) if isinstance(env, list) else ()
    return {name: value for name, _, value in pairs}


def _ports(desired: Definition, config: Json) -> Iterator[FieldChange]:
    """A port that the runtime chooses is none that could differ."""
    old = {k: v for k, v in _host_ports(config["HostConfig"]).items() if k not in desired.choose}
    new = _host_ports(desired.body["HostConfig"])
    for inside in sorted({*old, *new}):
        if old.get(inside) != new.get(inside):
            yield FieldChange(field=f"ports.{inside}", old=old.get(inside), new=new.get(inside))
    for inside in sorted(set(desired.choose) - set(_host_ports(config["HostConfig"]))):
        yield FieldChange(field=f"ports.{inside}", old=None, new="first free from 11000")


def _host_ports(host: Json) -> dict[str, str]:
    bindings = _object(host.get("PortBindings"))
    return {
        inside: ",".join(":".join(filter(None, (b.get("HostIp"), b.get("HostPort")))) for b in entries or ())
        for inside, entries in bindings.items()
    }


def _volumes(desired: Definition, config: Json) -> Iterator[FieldChange]:
    old, new = _mounts(config["HostConfig"]), _mounts(desired.body["HostConfig"])
    for target in sorted({*old, *new}):
        if old.get(target) != new.get(target):
            yield FieldChange(field=f"volumes.{target}", old=old.get(target), new=new.get(target))


def _mounts(host: Json) -> dict[str, str]:
    return {
        mount["Target"]: (mount.get("Source") or "anonymous") + (" read-only" if mount.get("ReadOnly") else "")
        for mount in host.get("Mounts") or ()
    }


def _labels(desired: Definition, config: Json, base: Json) -> Iterator[FieldChange]:
    """The user's own; ours change with every container."""
    inherited = _object(base.get("Labels"))
    old = {k: v for k, v in _object(config.get("Labels")).items() if not k.startswith(OURS) and inherited.get(k) != v}
    new = {k: v for k, v in desired.labels.items() if not k.startswith(OURS)}
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield FieldChange(field=f"labels.{name}", old=old.get(name), new=new.get(name))


def _fields(desired: Definition, config: Json, base: Json) -> Iterator[FieldChange]:
    for field, path in {**_FIELDS, **_HOST_FIELDS}.items():
        old, new = _at(config, path), _at(desired.body, path)
        unsaid = new in _NOTHING and (old in _NOTHING or (field in _FIELDS and old == _at(base, path)))
        if field == "hostname" and new in _NOTHING:
            continue  # the Engine takes the container's id
        if not unsaid and _comparable(old) != _comparable(new):
            yield FieldChange(field=field, old=_text(old), new=_text(new))


def _at(tree: Json, path: tuple[str, ...]) -> Any:
    value: Any = tree
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _comparable(value: Any) -> Any:
    """Without what the Engine adds by itself: zeros in a health check."""
    return {k: v for k, v in value.items() if v not in _NOTHING} if isinstance(value, dict) else value


def _text(value: Any) -> str | None:
    if value in _NOTHING:
        return None
    return value if isinstance(value, str) else json.dumps(_comparable(value), sort_keys=True)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
