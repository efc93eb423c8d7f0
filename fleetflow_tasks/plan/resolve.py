# SPDX-License-Identifier: Apache-2.0
"""A stage's services with nothing left open: image, runtime, environment, bind sources, conditions.

Needs no clock, no environment and no disk: what depends on the machine (the home folder behind `~`) is passed in. All
that is wrong comes back at once.
"""

import posixpath
from collections.abc import Collection, Mapping

import msgspec

from fleetflow_tasks.config.model import (
    Build,
    Project,
    RuntimeName,
    Secret,
    SecretSource,
    Service,
    ServiceName,
    Stage,
    Traits,
    Volume,
)
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.config.schema import SETTINGS
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.image import ImageError, built, named
from fleetflow_tasks.plan.model import QueueName, ResolvedBuild, ResolvedDependency, ResolvedService
from fleetflow_tasks.plan.waits import waits

DOCKER = RuntimeName("docker")
KUBERNETES = RuntimeName("kubernetes")
CLOUDRUN = RuntimeName("cloudrun")

NAMES = {
    "docker": DOCKER,
    "kubernetes": KUBERNETES,
    "k8s": KUBERNETES,
    "cloudrun": CLOUDRUN,
    "cloud-run": CLOUDRUN,
    "cloud_run": CLOUDRUN,
}


def resolve(
    project: Project,
    stage: Stage,
    runtimes: "Runtimes",
    *,
    images: Mapping[ServiceName, str] = {},
    contents: Mapping[ServiceName, str] = {},
    home: str | None = None,
    values: bool = True,
) -> tuple[tuple[ResolvedService, ...], tuple[Problem, ...]]:
    """The services in the stage's order, and what is wrong; with an error among the problems they are of no use.

    images: references that count instead of what the text says; what the text says of these is not looked at.
    contents: of services that are built, the hash of what goes into the image.
    home: the folder that `~` means; None where nobody can say, and a path that needs it is then an error.
    values: False: a secret that has no value here is left out, for who needs none; else that is an error.
    """
    dependencies, problems = waits(project, stage)
    complaints = [*runtimes.problems, *problems]
    services = tuple(
        _resolved(
            stage,
            service,
            image=images.get(service.name) or _image(project, service, contents.get(service.name, ""), complaints),
            build=None if service.name in images else _build(service, contents.get(service.name, "")),
            runtime=runtimes.of(service),
            depends_on=dependencies[service.name],
            volumes=_volumes(service, project.root, home, complaints),
            complaints=complaints,
            values=values,
        )
        for service in stage.services
    )
    return services, tuple(complaints)


class Runtimes:
    """Which runtime each service of a stage is for, with its settings and its queue.

    runtime: what was asked for on the command line; beats what the stage says. A service's own word beats both.
    known: names of runtimes beside the built-in ones.
    """

    def __init__(self, stage: Stage, *, runtime: str | None = None, known: Collection[str] = ()) -> None:
        self._stage = stage
        self._known = {**NAMES, **{name: RuntimeName(name) for name in known}}
        self.problems: list[Problem] = []
        self.default = (
            self._named(runtime, None) if runtime is not None else self._named(stage.runtime.name, stage.runtime.place)
        )
        self._own = {
            service.name: self._named(service.runtime, service.places.get("runtime") or service.places.get(""))
            for service in stage.services
            if service.runtime is not None
        }

    def of(self, service: Service) -> RuntimeName:
        return self._own.get(service.name, self.default)

    def options(self, runtime: RuntimeName) -> Mapping[str, str]:
        """The stage's settings, without those that only another runtime understands."""
        said = self._stage.runtime.options
        return {key: said[key] for key in sorted(said) if SETTINGS.get(key, runtime) == runtime}

    def queue(self, runtime: RuntimeName) -> QueueName:
        return queue(runtime, self.options(runtime))

    def _named(self, text: str, place: Place | None) -> RuntimeName:
        name = self._known.get(text) or self._known.get(text.lower())
        if name is None:
            fix = suggestion(text, self._known)
            self.problems.append(
                Problem(code="unknown-runtime", message=f"unknown runtime `{text}`", fix=fix, place=place)
            )
        return name or RuntimeName(text)


def queue(runtime: RuntimeName, options: Mapping[str, str]) -> QueueName:
    """Docker is local to a host: a named host has a queue of its own, which only the worker beside it serves.

    options: the stage's settings for *runtime*, as a plan holds them too.
    """
    host = options.get("host") if runtime == DOCKER else None
    return QueueName(f"{runtime}.{host}" if host else runtime)


def _resolved(
    stage: Stage,
    service: Service,
    *,
    image: str,
    build: ResolvedBuild | None,
    runtime: RuntimeName,
    depends_on: tuple[ResolvedDependency, ...],
    volumes: tuple[Volume, ...],
    complaints: list[Problem],
    values: bool,
) -> ResolvedService:
    secrets, secret_refs = _secrets(service, complaints if values else [])
    traits = {field: getattr(service, field) for field in Traits.__struct_fields__}
    places = {"runtime": stage.runtime.place} if stage.runtime.place is not None else {}
    return ResolvedService(
        **{
            **traits,
            "volumes": volumes,
            "labels": _sorted(service.labels),
            "places": {**places, **_places(service, runtime)},  # what is wrong with the stage's settings is told there
        },
        name=service.name,
        runtime=runtime,
        image=image,
        build=build,
        environment=_sorted({**stage.variables, **service.environment}),
        secrets=secrets,
        secret_refs=secret_refs,
        depends_on=depends_on,
        options=_plain(service.options.get(runtime, {})),
        env_from_stage=tuple(sorted(stage.variables.keys() - service.environment.keys())),
    )


def _places(service: Service, runtime: RuntimeName) -> Mapping[str, Place]:
    """As a plan has them: the block of the service's own runtime is called `options` there, and there is no other."""
    own = f"options.{runtime}"
    return {
        field.replace(own, "options", 1) if field.partition(".")[0] == "options" else field: place
        for field, place in service.places.items()
        if not field.startswith("options.") or field == own or field.startswith(f"{own}.")
    }


def _image(project: Project, service: Service, content: str, complaints: list[Problem]) -> str:
    try:
        if service.build is not None:
            return str(built(project.name, service.name, service.image, service.version, content))
        return str(named(service.name, service.image, service.version))
    except ImageError as error:
        place = next((at for each in (error.field, "image", "version", "") if (at := service.places.get(each))), None)
        complaints.append(
            Problem(code="image-reference", message=f"service `{service.name}`: {error}", fix=error.fix, place=place)
        )
        return ""


def _build(service: Service, content: str) -> ResolvedBuild | None:
    if service.build is None:
        return None
    said = {field: getattr(service.build, field) for field in Build.__struct_fields__}
    return ResolvedBuild(**{**said, "args": _sorted(service.build.args)}, hash=content)


def _secrets(service: Service, complaints: list[Problem]) -> tuple[Mapping[str, Secret], Mapping[str, str]]:
    values: dict[str, Secret] = {}
    refs: dict[str, str] = {}
    for name, source in sorted(service.secrets.items()):
        if source.kind == "ref":
            refs[name] = source.name
        elif source.value is not None:
            values[name] = source.value
        else:
            complaints.append(_without_value(service, name, source))
    return values, refs


def _without_value(service: Service, name: str, source: SecretSource) -> Problem:
    kind, fix = _SECRET_WORDS[source.kind == "file"]
    return Problem(
        code="secret-without-value",
        message=f"secret `{name}` of service `{service.name}` has no value: the {kind} `{source.name}` is not there",
        fix=fix.format(source.name),
        place=service.places.get(f"secrets.{name}") or service.places.get("secrets") or service.places.get(""),
    )


_SECRET_WORDS = {False: ("variable", "set `{}` before you call `flow`"), True: ("file", "write `{}`")}


def _volumes(service: Service, root: str, home: str | None, complaints: list[Problem]) -> tuple[Volume, ...]:
    volumes = []
    for volume in service.volumes:
        source = _absolute(volume.source, root, home) if volume.kind == "bind" else volume.source
        if source is None:
            complaints.append(_homeless(service, volume))
        else:
            volumes.append(msgspec.structs.replace(volume, source=source))
    return tuple(volumes)


def _absolute(source: str, root: str, home: str | None) -> str | None:
    """None where only the machine of somebody else could say it: `~` without a known home, `~somebody`."""
    if not source.startswith("~"):
        return posixpath.normpath(posixpath.join(root, source))
    if home is None or source[1:2] not in {"", "/"}:
        return None
    return posixpath.normpath(posixpath.join(home, source[2:]))


def _homeless(service: Service, volume: Volume) -> Problem:
    return Problem(
        code="volume-home",
        message=f"service `{service.name}`: whose home `{volume.source}` means is not known here",
        fix="write the path in full, or relative to the project's root",
        place=service.places.get("volumes") or service.places.get(""),
    )


def _sorted(values: Mapping[str, str]) -> Mapping[str, str]:
    return {key: values[key] for key in sorted(values)}


def _plain(options: Mapping[str, object]) -> Mapping[str, object]:
    """Lists instead of tuples, as they come out of a plan's bytes, so that a runtime sees the same before and after."""
    plain: Mapping[str, object] = msgspec.json.decode(msgspec.json.encode(options, order="deterministic"))
    return plain
