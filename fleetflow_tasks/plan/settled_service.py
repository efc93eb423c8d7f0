# SPDX-License-Identifier: Apache-2.0
"""One service of a settled stage: its values, and where each of them came from."""

import shlex
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from fleetflow_tasks.config.decode import Block
from fleetflow_tasks.config.model import Service, Stage, Traits
from fleetflow_tasks.config.provenance import Origin, Part, Path, at, of_block, of_definitions, strongest
from fleetflow_tasks.config.trail import Trail
from fleetflow_tasks.plan.model import ResolvedDependency, ResolvedService

Values = Mapping[str, object]

_EMPTY: tuple[object, ...] = ("", (), [], {}, None)


def service_values(service: Service, resolved: ResolvedService) -> Values:
    """What the text says, with what the plan made of it in its place. Defaults that mean nothing to it are left out."""
    traits = {name: _plain(getattr(resolved, name)) for name in Traits.__struct_fields__ if name != "places"}
    values = {
        "name": service.name,
        **_image(service, resolved),
        "runtime": resolved.runtime if service.runtime is not None else None,
        "build": _plain(service.build),
        **traits,
        "command": _words(resolved.command),
        "entrypoint": _words(resolved.entrypoint),
        "environment": service.environment,
        "secrets": {name: {source.kind: source.name} for name, source in service.secrets.items()},
        "depends_on": tuple(map(_dependency, resolved.depends_on)),
        "job": _job(resolved),
        "rerun": resolved.rerun if resolved.job or resolved.rerun != "changed" else None,
        f"options.{resolved.runtime}": service.options.get(resolved.runtime),
    }
    return {name: value for name, value in values.items() if value not in _EMPTY}


def service_origins(
    service: Service, resolved: ResolvedService, stage: Stage, block: Block, trail: Trail
) -> dict[Path, Origin]:
    """By path inside the service."""
    origins = of_block(block)
    origins |= {("environment", name): _environment(name, stage, block, trail) for name in service.environment}
    for name, source in service.secrets.items():
        origin = at(block.places.get(f"secrets.{name}"), block.beaten.get(f"secrets.{name}", ()))
        origins[("secrets", name)] = replace(origin, parts=trail.secret(source.kind, source.name))
    if "version" in block.places:
        origins[("image",)] = _with_version(origins.get(("image",)), origins[("version",)], trail)
    if "job" not in block.places and "restart" in block.places:
        origins[("job",)] = origins[("restart",)]
    said = {each.get("name", str): each.place for each in block.blocks("depends_on")}
    for index, dependency in enumerate(resolved.depends_on):
        origins[("depends_on", index)] = at(said[dependency.service], block.beaten.get("depends_on", ()))
    return origins


def _image(service: Service, resolved: ResolvedService) -> Values:
    """Of one that is built, the text's own words: its tag may be the hash of what goes in."""
    return {"image": service.image, "version": service.version} if service.build else {"image": resolved.image}


def _with_version(image: Origin | None, version: Origin, trail: Trail) -> Origin:
    """The reference is made of both, where both are said."""
    if image is None:
        return version
    parts = (Part(name="version", source=version.source), *trail.with_parts(version).parts)
    return replace(image, parts=(*image.parts, *parts))


def _environment(name: str, stage: Stage, block: Block, trail: Trail) -> Origin:
    """The text's own word is over its files, and both are over the stage's variables."""
    field = f"environment.{name}"
    said = [at(place) for place in (block.places.get(field), *block.beaten.get(field, ())) if place]
    lines = trail.env_lines(block).get(name)
    said += [of_definitions(name, lines)] if lines else []
    variable = trail.variable(name) if name in stage.variables else None
    return strongest(*said, variable)


def _words(words: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """One text is split as a shell does, so one word alone must be written to stay one."""
    return (shlex.quote(words[0]),) if words and len(words) == 1 else words


def _job(resolved: ResolvedService) -> bool | None:
    """None where nobody would take it for one."""
    looks_like_one = resolved.restart == "no" and not resolved.ports
    return resolved.job if resolved.job or looks_like_one else None


def _dependency(dependency: ResolvedDependency) -> Values:
    wait = {} if dependency.wait else {"wait": False}
    return {"name": dependency.service, "condition": dependency.condition, **wait}


def _plain(value: object) -> object:
    """Fields by name, without those that say nothing: empty ones, and switches that stand as they do by themselves."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        plain = {field.name: _plain(getattr(value, field.name)) for field in fields if not _silent(value, field)}
        return {name: each for name, each in plain.items() if each not in _EMPTY}
    return tuple(_plain(each) for each in value) if isinstance(value, tuple) else value


def _silent(value: msgspec.Struct, field: msgspec.structs.FieldInfo) -> bool:
    return isinstance(field.default, bool) and getattr(value, field.name) == field.default
