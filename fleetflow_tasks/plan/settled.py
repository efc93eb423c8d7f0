# SPDX-License-Identifier: Apache-2.0
"""A stage with nothing left open, as values of the language's own shape, and where each of them came from.

What is here reads back as the same plan: images with their tags, paths in full, `env_file`s as the variables in them,
conditions and times where nothing was said. Secrets stay what they were, the name of a source; and where a secret's value
stands in another text, the name of its variable stands there again.
"""

from collections.abc import Iterator, Mapping

from fleetflow_tasks.config.decode import Block
from fleetflow_tasks.config.model import Data, Project, RuntimeName, Stage
from fleetflow_tasks.config.provenance import BY_DEFAULT, Origin, Origins, Path, Told, at, strongest
from fleetflow_tasks.config.trail import Trail
from fleetflow_tasks.plan.hidden import Hider, Shown, hider
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.plan.settled_service import service_origins, service_values

Values = Mapping[str, object]

STAGE: Path = ("stages", 0)
"""The path of the one stage."""


class Settled(Data, frozen=True, kw_only=True):
    """Each a field -> its value, as the language's rows name them; secrets are hidden in every text.

    origins: by path in the document; what is not there is the default.
    """

    project: str
    stage: str
    runtime: Values
    variables: Values
    services: tuple[Values, ...]
    origins: Origins

    @property
    def document(self) -> Values:
        """As the one stage of a file, for a row of the language to write."""
        variables = {"variables": self.variables} if self.variables else {}
        stage = {"name": self.stage, "runtime": self.runtime, **variables, "services": self.services}
        return {"project": self.project, "stages": (stage,)}

    def origin(self, path: Path) -> Origin:
        return self.origins.get(path, BY_DEFAULT)


def settled(project: Project, plan: Plan, told: Told, *, runtime: RuntimeName, forced: Origin | None = None) -> Settled:
    """The stage of *plan*, with those of its services that have steps there.

    runtime: the stage's own. forced: what beat the text's word for it: an option, a variable of the process.
    """
    stage = project.stage(plan.stage)
    assert stage is not None, plan.stage  # noqa: S101  (the plan was made of it)
    trail = Trail(told, stage.name)
    origins = {("project",): _said(told.document, "project"), STAGE: at(stage.place)}
    origins |= {(*STAGE, "runtime", *path): origin for path, origin in _runtime(stage, told, trail, forced)}
    origins |= {(*STAGE, "variables", name): _variable(name, told, trail) for name in stage.variables}
    there = {step.service for step in plan.steps}
    services = [service for service in stage.services if service.name in there]
    for index, service in enumerate(services):
        found = service_origins(service, plan.service(service.name), stage, told.services[service.name], trail)
        origins |= {(*STAGE, "services", index, *path): origin for path, origin in found.items()}
    origins = {path: trail.with_parts(origin) for path, origin in origins.items()}
    hiding = _Hiding(origins, trail, hider(stage, plan, trail))
    written = [service_values(service, plan.service(service.name)) for service in services]
    return Settled(
        project=project.name,
        stage=stage.name,
        runtime=hiding.seen({"name": runtime, **stage.runtime.options}, (*STAGE, "runtime")),
        variables=hiding.seen(stage.variables, (*STAGE, "variables")),
        services=tuple(hiding.seen(values, (*STAGE, "services", index)) for index, values in enumerate(written)),
        origins=origins,
    )


def _said(block: Block, field: str) -> Origin:
    return at(block.places.get(field), block.beaten.get(field, ()))


def _variable(name: str, told: Told, trail: Trail) -> Origin:
    """None of the scope's in a stage whose own name comes from a template."""
    return trail.variable(name) or _said(told.stage, f"variables.{name}")


def _runtime(stage: Stage, told: Told, trail: Trail, forced: Origin | None) -> Iterator[tuple[Path, Origin]]:
    node = told.stage.get("runtime", Block) or Block()
    backend = told.stage.places.get("backend")
    said = [
        forced,
        _said(node, "name") if "name" in node.places else None,
        at(backend) if backend else None,
        trail.variable("RUNTIME"),
    ]
    name = strongest(*said)
    yield (), name
    yield ("name",), name
    for option in stage.runtime.options:
        own = _said(node, option) if option in node.values else None
        yield (option,), strongest(own, trail.variable(option.upper()))


class _Hiding:
    """Values with their texts as they may be shown; but names of services, and the sources of secrets, stay."""

    def __init__(self, origins: Origins, trail: Trail, hide: Hider) -> None:
        self._origins = origins
        self._trail = trail
        self._hide = hide

    def seen(self, values: Values, path: Path) -> Values:
        return {
            name: value if name in ("name", "secrets") else self._seen(value, (*path, name))
            for name, value in values.items()
        }

    def _seen(self, value: object, path: Path) -> object:
        if isinstance(value, str):
            return self._texts((value,), path)[0]
        if isinstance(value, Mapping):
            return {key: self._seen(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
            return self._texts(value, path)
        if isinstance(value, tuple):
            return tuple(self._seen(each, (*path, index)) for index, each in enumerate(value))
        return value

    def _texts(self, texts: tuple[str, ...], path: Path) -> tuple[Shown, ...]:
        origin = self._origins.get(path, BY_DEFAULT)
        used = dict.fromkeys((part.name for part in origin.parts), 1)
        return self._hide.shown(texts, {**used, **(self._trail.used_at(origin.place) if origin.place else {})})
