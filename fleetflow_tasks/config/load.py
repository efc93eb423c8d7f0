# SPDX-License-Identifier: Apache-2.0
"""Text -> Project: the steps of this room, in order.

    discover   which files, and their text
    outline    what must be known before templates are rendered: includes, variables, stages
    template   rendered with one stage's variables
    kdl        a tree that knows its places; `${NAME}` filled in
    decode     blocks of checked values
    merge      a later definition over an earlier one
    assemble   services

A file means something else in each stage, so each stage is read by itself. Asked for one stage, only that one is read:
what another stage lacks, a variable or a secret, is nobody's problem then. Asked for none, all are.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from fleetflow_tasks.config import assemble, kdl, merge, template
from fleetflow_tasks.config.decode import Block, decode
from fleetflow_tasks.config.discover import Disk, File, Include
from fleetflow_tasks.config.kdl import Node, Value
from fleetflow_tasks.config.limits import MAX_PROBLEMS, MAX_WORDS, VALUE
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.model import (
    Data,
    Project,
    ProjectName,
    RuntimeChoice,
    RuntimeName,
    Service,
    ServiceName,
    Stage,
    StageName,
)
from fleetflow_tasks.config.nearest import listed, nearest, suggestion
from fleetflow_tasks.config.outline import Outline, outline
from fleetflow_tasks.config.provenance import Told
from fleetflow_tasks.config.schema import RESERVED_VARIABLES, RUNTIMES, SETTINGS, Blocks, document_row
from fleetflow_tasks.config.sources import StageSources
from fleetflow_tasks.config.variables import Scope, given, process
from fleetflow_tasks.errors import ConfigError, Place, Problem, errors_among


class Loaded(Data, frozen=True, kw_only=True):
    """warnings: what is odd but not wrong. files: all that were read, as a person names them.

    told: stage -> what its files say, for who asks where a value came from. incomplete: an `env_file` is not there, and
    nobody needed it.
    """

    project: Project
    warnings: tuple[Problem, ...] = ()
    files: tuple[str, ...] = ()
    told: Mapping[StageName, Told] = {}
    incomplete: bool = False


class Shelf(msgspec.Struct):
    """What was read of a project's files, for who reads them again in the same breath, for another stage say."""

    texts: dict[Path, Text] = {}
    outlines: dict[str, Outline] = {}
    trees: dict[str, tuple[Node, ...]] = {}


def load(
    root: Path,
    *,
    file: Path | None = None,
    stage: StageName | None = None,
    variables: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    strict: bool = False,
    blocks: Blocks | None = None,
    values: bool = True,
    shelf: Shelf | None = None,
) -> Loaded:
    """The project that is found from *root* upwards, or in *file*, or where `FLEETFLOW_FILE` of *environ* says.

    stage: the one to read, with its secrets; None reads all, and a secret that is not at hand is then left open.
    variables: `--var`, the strongest. environ: of the process; only what `variables.PREFIXES` allows reaches templates.
    strict: unknown nodes are errors. blocks: the rows of each runtime's own block. values: False: what stands outside of
    the text, a secret or an `env_file`, may be missing. shelf: files on it are not looked at again.
    Raises ConfigError with all problems.
    """
    if file is None and environ and environ.get("FLEETFLOW_FILE"):
        file = Path(environ["FLEETFLOW_FILE"])
    shelf = shelf or Shelf()
    disk = Disk(root, file, shelf.texts)
    loader = _Loader(
        disk, shelf, stage, variables or {}, environ or {}, strict=strict, blocks=blocks or {}, values=values
    )
    return loader.run()


class _Reading(msgspec.Struct, frozen=True):
    """What the files say in one stage. names: of all stages that they hold. texts: the files."""

    sources: StageSources
    document: Block
    names: list[str]
    texts: list[Text]


class _Loader:
    def __init__(
        self,
        disk: Disk,
        shelf: Shelf,
        stage: StageName | None,
        variables: Mapping[str, str],
        environ: Mapping[str, str],
        *,
        strict: bool,
        blocks: Blocks,
        values: bool,
    ) -> None:
        self.disk = disk
        self.stage = stage
        self.variables = variables
        self.environ = environ
        self.strict = strict
        self.needed = values and stage is not None
        self.row = document_row(blocks)
        self.runtimes = {alias: name for name, aliases in RUNTIMES.items() for alias in (name, *aliases)}
        self.runtimes.update({name: name for name in blocks})
        self.outlines = shelf.outlines
        self.trees = shelf.trees
        self.files: dict[str, None] = {}
        self.problems: dict[Problem, None] = {}
        self.unused: set[str] = set()
        self.errors = self.words = 0
        self.told: dict[StageName, Told] = {}

    def run(self) -> Loaded:
        readings = dict(self._readings())
        known = list(dict.fromkeys(name for reading in readings.values() for name in reading.names))
        blocks = {name: merge.stages(reading.document.blocks("stages")) for name, reading in readings.items()}
        held = [name for name in known if name in blocks.get(name, {})]
        stages = [self._stage(name, blocks[name][name], readings[name]) for name in held]
        declared = [
            name for reading in readings.values() for name in merge.by_name(reading.document.blocks("services"))
        ]
        project = Project(
            name=self._project_name(next(iter(readings.values())).document),
            root=str(self.disk.root),
            stages=tuple(stages),
            declared=tuple(ServiceName(name) for name in dict.fromkeys(declared)),
        )
        self._check_stages(known, project.declared)
        self._say(self.disk.warnings)
        problems = self._sorted()
        if errors := errors_among(problems):
            raise ConfigError(*errors, *(problem for problem in problems if problem.severity != "error"))
        return Loaded(
            project=project,
            warnings=tuple(problems),
            files=tuple(self.files),
            told={stage.name: self.told[stage.name] for stage in stages},
            incomplete=any(reading.sources.incomplete for reading in readings.values()),
        )

    # --- reading the files, once per stage

    def _readings(self) -> Iterator[tuple[str | None, _Reading]]:
        """Of the stage that was asked for, or of every stage; stages may turn up while others are read."""
        waiting = [self.stage] if self.stage is not None else self._named_stages()
        seen: set[str | None] = set()
        while waiting:
            name = waiting.pop(0)
            if name not in seen:
                seen.add(name)
                reading = self._read(name)
                yield name, reading
                waiting += [] if self.stage is not None else [StageName(each) for each in reading.names]

    def _named_stages(self) -> list[StageName | None]:
        """Those to be seen before templates are rendered. Where there are none, the files are read without a stage."""
        names = self._outlined(None)
        names += [name for name in self.disk.stage_files() if name not in names and name in self._outlined(name)]
        return [StageName(name) for name in names] or [None]

    def _outlined(self, stage: str | None) -> list[str]:
        """Names of stages in the files that are read for *stage*."""
        texts = [each.text for file in self.disk.files(stage, self._includes) for each in file.all()]
        return list(dict.fromkeys(name for text in texts for name in self._outline(text).stages))

    def _read(self, stage: StageName | None) -> _Reading:
        """The document as *stage* sees it: what only another stage says is left out."""
        sources = StageSources(self.disk, stage, self.environ, needed=self.needed)
        files = self.disk.files(stage, self._includes)
        flat = [each for file in files for each in file.all()]
        self.files.update(dict.fromkeys(each.text.name for each in flat))
        outlines = [self._outline(each.text) for each in flat]
        sources.scope = self._scope(stage, sources, outlines)
        nodes = [node for file in files for node in self._nodes(file, stage, sources.scope)]
        rendered = [name for node in nodes if (name := _stage_name(node)) is not None]
        kept = [self._filled(node, sources.scope) for node in nodes if _stage_name(node) in (None, stage)]
        document, problems = decode(kept, self.row, strict=self.strict)
        self._say(problems)
        names = list(dict.fromkeys([*(name for each in outlines for name in each.stages), *rendered]))
        return _Reading(sources, document, names, [each.text for each in flat])

    def _includes(self, text: Text) -> list[Include]:
        return self._outline(text).includes

    def _outline(self, text: Text) -> Outline:
        if text.name not in self.outlines:
            self.outlines[text.name] = outline(text)
        return self.outlines[text.name]

    def _scope(self, stage: StageName | None, sources: StageSources, outlines: list[Outline]) -> Scope:
        projects = [each.variables for each in outlines]
        stages = [each.stages.get(stage, {}) for each in outlines] if stage is not None else []
        return Scope([*sources.levels, *projects, *stages, process(self.environ), given(self.variables)])

    def _nodes(self, file: File, stage: StageName | None, scope: Scope) -> Iterator[Node]:
        """The file's nodes, with those of included files where their `include` stands."""
        included = iter(file.included)
        nodes = self._tree(file.text, stage, scope)
        self._check_size(file.text)
        for node in nodes:
            yield node
            if node.name == "include":
                for each in (each for _ in node.args for each in next(included, [])):
                    yield from self._nodes(each, stage, scope)

    def _tree(self, text: Text, stage: StageName | None, scope: Scope) -> tuple[Node, ...]:
        """A file that cannot be read is a problem and holds nothing; the others are read all the same."""
        try:
            if template.is_template(text.source):
                others = [span for name, span in self._outline(text).spans if name != stage]
                return self._parsed(template.render(text, scope.lookup, without=others))
            if text.name not in self.trees:
                self.trees[text.name] = kdl.parse(text)
            self.words += text.size
            return self.trees[text.name]
        except ConfigError as error:
            self._say(error.problems)
            return ()

    def _parsed(self, text: Text) -> tuple[Node, ...]:
        self.words += text.size
        return kdl.parse(text)

    def _check_size(self, text: Text) -> None:
        """A stage takes its time, so all stages of a large project may take too long."""
        if self.words > MAX_WORDS:
            message = (
                f"`{text.name}` and the files before it hold more than {MAX_WORDS:,} words, counted once per stage"
            )
            fix = "read one stage with `--stage`, or split the project"
            raise ConfigError(Problem(code="too-large", message=message, fix=fix))

    def _filled(self, node: Node, scope: Scope) -> Node:
        """The node with `${NAME}` filled in, below it too."""
        if "$" not in node.text.final:
            return node
        return msgspec.structs.replace(
            node,
            args=tuple(self._filled_value(value, scope) for value in node.args),
            props={key: self._filled_value(value, scope) for key, value in node.props.items()},
            children=tuple(self._filled(child, scope) for child in node.children),
        )

    def _filled_value(self, value: Value, scope: Scope) -> Value:
        if not isinstance(value.value, str) or "$" not in value.value:
            return value
        try:
            return msgspec.structs.replace(value, value=scope.fill(value.value, value.place))
        except ConfigError as error:
            self._say(error.problems)
            return value

    # --- from blocks to stages

    def _stage(self, name: str, block: Block, reading: _Reading) -> Stage:
        self._check_name("stage", name, block.place)
        variables = self._variables(block, reading)
        services = self._complete(name, block, reading)
        texts = tuple(reading.texts)
        self._count_variables(variables, len(services), block, reading)
        self.told[StageName(name)] = Told(reading.document, block, services, reading.sources, texts, self.row)
        built = Stage(
            name=StageName(name),
            runtime=self._runtime(block, variables, reading),
            services=tuple(self._service(each, reading) for each in services.values()),
            variables={key: value for key, value in variables.items() if key not in RESERVED_VARIABLES},
            place=block.place,
        )
        self._say(reading.sources.problems)
        self._say(_without_effect(built, block))
        return built

    def _complete(self, stage: str, block: Block, reading: _Reading) -> dict[str, Block]:
        """The stage's services: its own word over the top-level definition."""
        defined = merge.by_name(reading.document.blocks("services"))
        for name, definition in defined.items():
            self._check_name("service", name, definition.place)
        held = merge.by_name(block.blocks("services"))
        if not held:
            names = f": {listed(defined)}" if defined else ""
            self._wrong(
                "no-services",
                f"stage `{stage}` holds no service",
                f'write `service "…"` for each that it holds{names}',
                block.place,
            )
        complete = {}
        for name, own in held.items():
            if name in defined:
                complete[name] = merge.over(defined[name], own)
            elif {"image", "version", "build"} & own.places.keys():
                self._check_name("service", name, own.place)
                complete[name] = own
            else:
                fix = suggestion(name, defined) or f'define it at top level: `service "{name}" {{ image "…" }}`'
                self._wrong("unknown-service", f"stage `{stage}` names an unknown service `{name}`", fix, own.place)
        return complete

    def _service(self, block: Block, reading: _Reading) -> Service:
        said = block.get("runtime", str)
        if said is not None:
            block = merge.over(block, Block({"runtime": self._runtime_name(said, block.places["runtime"])}))
        service, problems = assemble.service(block, reading.sources)
        self._say(problems)
        return service

    def _runtime(self, block: Block, variables: Mapping[str, str], reading: _Reading) -> RuntimeChoice:
        """The stage's own node, then `backend`, then the variable `RUNTIME`, then docker."""
        scope = reading.sources.scope
        reserved = self._reserved({**self._variables(reading.document, reading), **variables})
        node = block.get("runtime", Block) or Block()
        said: list[tuple[str | None, Place | None]] = [
            (node.get("name", str), node.places.get("name")),
            (block.get("backend", str), block.places.get("backend")),
            (reserved.pop("RUNTIME", None), scope.place("RUNTIME")),
            ("docker", block.place),
        ]
        name, place = next((name, place) for name, place in said if name)
        options = {key.lower(): value for key, value in reserved.items() if value}
        options.update({key: value for key, value in node.values.items() if key != "name" and isinstance(value, str)})
        return RuntimeChoice(name=RuntimeName(self._runtime_name(name, place)), options=options, place=place)

    def _reserved(self, said: Mapping[str, str]) -> dict[str, str]:
        """The runtime's settings among the variables of the project, the stage and `--var`; `.env` has no say."""
        every = {**said, **self.variables}
        return {name: every[name] for name in RESERVED_VARIABLES if name in every}

    def _runtime_name(self, said: str, place: Place | None) -> str:
        name = self.runtimes.get(said.lower())
        if name is None:
            self._wrong("unknown-runtime", f"unknown runtime `{said}`", suggestion(said, self.runtimes), place)
        return name or said

    def _variables(self, block: Block, reading: _Reading) -> dict[str, str]:
        """The names that *block* defines, each with the value of its strongest definition."""
        scope = reading.sources.scope
        return {name: self._strongest(name, value, scope) for name, value in block.texts("variables").items()}

    def _count_variables(self, variables: Mapping[str, str], times: int, block: Block, reading: _Reading) -> None:
        """Every service is given all of them."""
        characters = sum(VALUE + len(name) + len(value) for name, value in variables.items())
        try:
            reading.sources.scope.count(times * characters, block.place)
        except ConfigError as error:
            self._say(error.problems)

    def _strongest(self, name: str, said: str, scope: Scope) -> str:
        try:
            found = scope.lookup(name)
        except ConfigError as error:
            self._say(error.problems)
            return said
        return said if found is None else found  # None: in a stage whose own name comes from a template

    def _project_name(self, document: Block) -> ProjectName:
        name = document.get("project", str)
        if name is None:
            return ProjectName(assemble.fitting(self.disk.root.name) or "project")
        self._check_name("project", name, document.places["project"])
        return ProjectName(name)

    # --- what is wrong

    def _check_stages(self, known: list[str], services: Collection[str]) -> None:
        if self.stage is not None and known and self.stage in services and self.stage not in known:
            fix = f"`{self.stage}` is a service: `--only {self.stage}`; stages are {listed(known)}"
            self._wrong("unknown-stage", f"unknown stage `{self.stage}`", fix, None)
        elif self.stage is not None and known and self.stage not in known:
            near = nearest(self.stage, known)
            fix = f"did you mean `{near}`? known are {listed(known)}" if near else f"known are {listed(known)}"
            self._wrong("unknown-stage", f"unknown stage `{self.stage}`", fix, None)
        elif not known and not errors_among(self.problems):
            main = self.disk.name(self.disk.main)
            self._wrong("no-stage", f"`{main}` has no stage", 'add one: `stage "local" { service "…" }`', None)

    def _check_name(self, kind: str, name: str, place: Place | None) -> None:
        problem = assemble.name_problem(kind, name, place)
        self._say([problem] if problem else [])

    def _wrong(self, code: str, message: str, fix: str, place: Place | None) -> None:
        self._say([Problem(code=code, message=message, fix=fix, place=place)])

    def _say(self, problems: Iterable[Problem]) -> None:
        """Keep them once: what stands outside the stages is read again for each. A node of no use is told of once a project."""
        for problem in problems:
            if problem.message in self.unused:
                continue
            if problem.code == "not-used":
                self.unused.add(problem.message)
            self.problems[problem] = None
            self.errors += problem.severity == "error"
        if self.errors > MAX_PROBLEMS:  # the rest is not looked at
            raise ConfigError(*self._sorted())

    def _sorted(self) -> list[Problem]:
        """As a person reads the files: file by file, from top to bottom; what has no place comes last."""
        order = {name: index for index, name in enumerate(self.files)}

        def position(problem: Problem) -> tuple[int, str, int, int]:
            place = problem.place
            if place is None:
                return len(order) + 1, "", 0, 0
            return order.get(place.file, len(order)), place.file, place.line, place.column

        return _fewer(sorted(self.problems, key=position))


def _fewer(problems: list[Problem]) -> list[Problem]:
    """No more than a person can mend at once; errors before what is no error."""
    if len(problems) <= MAX_PROBLEMS:
        return problems
    errors = errors_among(problems)
    told = set((errors or problems)[:MAX_PROBLEMS])
    message = f"{len(problems) - len(told):,} more problems are not told of"
    more = Problem(code="more-problems", message=message, fix="mend these first", severity="warning")
    return [*(problem for problem in problems if problem in told), more]


def _stage_name(node: Node) -> str | None:
    """The name of a `stage` node; None for other nodes, and for a stage without a name: `decode` complains of it."""
    if node.name != "stage" or not node.args:
        return None
    return str(node.args[0].value)


def _without_effect(stage: Stage, block: Block) -> Iterator[Problem]:
    """Settings of the `runtime` node that mean something to a runtime alone that the stage does not use."""
    node = block.get("runtime", Block) or Block()
    used = {stage.runtime.name, *(service.runtime for service in stage.services)}
    for name in node.values:
        owner = SETTINGS.get(name)
        if owner is not None and owner not in used:
            message = f"`{name}` is a setting of {owner}, and stage `{stage.name}` runs on {stage.runtime.name}"
            fix = f'leave it out, or write `runtime "{owner}"`'
            place = node.places[name]
            yield Problem(code="no-effect", message=message, fix=fix, place=place, severity="warning")
