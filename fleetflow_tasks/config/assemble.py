# SPDX-License-Identifier: Apache-2.0
"""Merged blocks -> services. Here a block of checked values gets its meaning, and what is only wrong as a whole is found.

Knows no files: what stands in an `env_file` or a secret's file is asked for through `Sources`.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Literal, Protocol, cast

from fleetflow_tasks.config.decode import Block
from fleetflow_tasks.config.limits import MAX_COMMAND
from fleetflow_tasks.config.model import (
    Build,
    Condition,
    Dependency,
    Healthcheck,
    Ingress,
    Port,
    PullPolicy,
    Readiness,
    Resources,
    RestartPolicy,
    RuntimeName,
    Scaling,
    Secret,
    SecretSource,
    Service,
    ServiceName,
    Volume,
)
from fleetflow_tasks.errors import Place, Problem

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)
_MAX_NAME = 63  # a DNS label; every platform's limit is this or less
RESERVED_NAME = "stage"  # the stage's own steps are called `stage:prepare`


class Sources(Protocol):
    """Where values outside the text come from. Each answers None, and has kept a Problem, for what is not there."""

    def env_file(self, path: str, place: Place | None) -> Mapping[str, str] | None: ...

    def secret(self, kind: str, name: str, place: Place | None) -> str | None: ...


def name_problem(kind: str, name: str, place: Place | None) -> Problem | None:
    """What is wrong with a name of a project, stage or service, on any runtime."""
    if name == RESERVED_NAME and kind == "service":
        message, fix = f"a service cannot be called `{name}`: FleetFlow's own steps are", "choose another name"
    elif _NAME.fullmatch(name) and len(name) <= _MAX_NAME:
        return None
    else:
        near = fitting(name)
        message = f"`{name[:80]}` cannot be the name of a {kind}"
        fix = f"begin and end with a letter or digit, between them also `-`, `_` and `.`, {_MAX_NAME} at most" + (
            f": `{near}`" if near else ""
        )
    return Problem(code="bad-name", message=message, fix=fix, place=place)


def fitting(name: str) -> str:
    """The nearest name that every platform takes; empty where nothing is left."""
    return re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-_.")[:_MAX_NAME].rstrip("-_.")


def service(block: Block, sources: Sources) -> tuple[Service, list[Problem]]:
    """One service, complete but for its stage's variables."""
    return _Assembler(block, sources).run()


class _Assembler:
    def __init__(self, block: Block, sources: Sources) -> None:
        self.block = block
        self.sources = sources
        self.name = block.get("name", str) or ""
        self.places = dict(block.places)
        self.problems: list[Problem] = []

    def run(self) -> tuple[Service, list[Problem]]:
        get = self.block.get
        ports = self._ports()
        restart = cast("RestartPolicy | None", get("restart", str))
        runtime = get("runtime", str)
        job = get("job", bool)
        timeout = get("timeout", float)
        retries = get("retries", int)
        built = Service(
            name=ServiceName(self.name),
            image=get("image", str),
            version=get("version", str),
            build=self._build(),
            runtime=None if runtime is None else RuntimeName(runtime),
            ports=ports,
            environment=self._environment(),
            secrets=self._secrets(),
            volumes=self._volumes(),
            command=self._words("command"),
            entrypoint=self._words("entrypoint"),
            depends_on=self._dependencies(),
            healthcheck=self._healthcheck(),
            readiness=self._readiness(),
            restart=restart,
            replicas=get("replicas", int),
            resources=self._resources(),
            scaling=self._scaling(),
            labels=self.block.texts("labels"),
            ingress=self._ingress(),
            job=restart == "no" and not ports if job is None else job,
            rerun=cast("Literal['changed', 'always']", get("rerun", str) or "changed"),
            pull=cast("PullPolicy", get("pull", str) or "missing"),
            timeout=300.0 if timeout is None else timeout,
            retries=2 if retries is None else retries,
            options=self._options(),
            places=self.places,
        )
        return built, self.problems

    def _build(self) -> Build | None:
        block = self.block.get("build", Block)
        if block is None:
            return None
        self.places.update({f"build.{field}": place for field, place in block.places.items() if field})
        plain = Build()
        docker = self.block.get("options.docker", Block) or Block()
        return Build(
            context=block.get("context", str) or plain.context,
            dockerfile=block.get("dockerfile", str) or plain.dockerfile,
            target=block.get("target", str) or "",
            args=block.texts("args"),
            platform=docker.get("platform", str) or "",
        )

    def _ports(self) -> tuple[Port, ...]:
        ports = []
        for block in self._indexed("ports"):
            host, container = block.get("host", int), block.get("container", int)
            inside = container or host
            if inside is None:
                self._incomplete(
                    block, "`port` needs a number", "write `port 8080 80` or `port container=80`", "host", "container"
                )
                continue
            protocol = cast("Literal['tcp', 'udp']", block.get("protocol", str) or "tcp")
            ports.append(Port(container=inside, host=host, protocol=protocol, host_ip=block.get("host_ip", str) or ""))
        return tuple(ports)

    def _volumes(self) -> tuple[Volume, ...]:
        volumes = []
        for block in self._indexed("volumes"):
            source, target = block.get("source", str) or "", block.get("target", str)
            if target is None and source.startswith("/") and ":" not in source:
                source, target = "", source
            if target is None or not target.startswith("/"):
                message = "`volume` needs an absolute path inside the container"
                fix = _volume_fix(source, target)
                self._incomplete(block, message, fix, *(("target",) if target is None else ()))
                continue
            read_only = block.get("read_only", bool) or False
            volumes.append(Volume(source=source, target=target, read_only=read_only, size=block.get("size", int)))
        return tuple(volumes)

    def _environment(self) -> dict[str, str]:
        """Files first, in their order; what the text says itself is stronger."""
        environment: dict[str, str] = {}
        for path in self.block.get("env_file", tuple) or ():
            environment.update(self.sources.env_file(path, self.places.get("env_file")) or {})
        return {**environment, **self.block.texts("environment")}

    def _secrets(self) -> dict[str, SecretSource]:
        secrets = {}
        for name, block in (self.block.get("secrets", dict) or {}).items():
            place = self.places.get(f"secrets.{name}")
            said = [kind for kind in ("env", "file", "ref") if kind in block.places]
            if len(said) > 1:
                self._wrong(
                    "secret-sources", f"secret `{name}` has two sources: `{said[0]}` and `{said[1]}`", "keep one", place
                )
                continue
            kind = cast("Literal['env', 'file', 'ref']", said[0] if said else "env")
            source = block.get(kind, str) if said else name
            if source is None:  # it is there, but no text: a problem already
                continue
            value = self.sources.secret(kind, source, place)
            secrets[name] = SecretSource(kind=kind, name=source, value=None if value is None else Secret(value))
        return secrets

    def _words(self, field: str) -> tuple[str, ...] | None:
        """One text is split as a shell does; an empty node means the image's own again."""
        words: tuple[str, ...] = self.block.get(field, tuple) or ()
        if len(words) != 1:
            return words or None
        if len(words[0]) > MAX_COMMAND:
            message, fix = f"`{field}` is longer than {MAX_COMMAND:,} characters", "put it into a script of the image"
            self._wrong("too-large", message, fix, self.places.get(field))
            return None
        try:
            return tuple(shlex.split(words[0])) or None
        except ValueError:
            message = f"`{field}` opens a quote and does not close it"
            self._wrong(
                "shell-words", message, "close it, or write each word as a text of its own", self.places.get(field)
            )
            return None

    def _dependencies(self) -> tuple[Dependency, ...]:
        dependencies: dict[str, Dependency] = {}
        for block in self.block.blocks("depends_on"):
            name = block.get("name", str)
            if name is None:
                continue
            required, wait = block.get("required", bool), block.get("wait", bool)
            dependencies[name] = Dependency(
                service=ServiceName(name),
                condition=cast("Condition | None", block.get("condition", str)),
                required=True if required is None else required,
                wait=True if wait is None else wait,
            )
            self.places[f"depends_on.{name}"] = block.places[""]
        return tuple(dependencies.values())

    def _healthcheck(self) -> Healthcheck | None:
        block = self.block.get("healthcheck", Block)
        if block is None:
            return None
        test: tuple[str, ...] = block.get("test", tuple) or ()
        place = block.places.get("test") or block.place
        if not test:
            fix = 'write `test "CMD-SHELL" "pg_isready"`'
            self._wrong("no-test", f"the healthcheck of `{self.name}` has no `test`", fix, place)
            return None
        if len(test) == 1 and test[0] != "NONE":
            test = ("CMD-SHELL", test[0])
        elif test[0] not in ("CMD", "CMD-SHELL", "NONE"):
            test = ("CMD", *test)
        return Healthcheck(
            test=test,
            interval=block.get("interval", float),
            timeout=block.get("timeout", float),
            retries=block.get("retries", int),
            start_period=block.get("start_period", float),
        )

    def _readiness(self) -> Readiness | None:
        block = self.block.get("readiness", Block)
        if block is None:
            return None
        path = block.get("path", str) or "/"
        if not path.startswith("/"):
            self._wrong(
                "readiness-path",
                f"the path `{path}` of `readiness` must begin with `/`",
                f'write `path="/{path}"`',
                block.place,
            )
        timeout, interval = block.get("timeout", float), block.get("interval", float)
        return Readiness(
            path=path,
            port=block.get("port", int),
            timeout=30.0 if timeout is None else timeout,
            interval=1.0 if interval is None else interval,
        )

    def _resources(self) -> Resources:
        block = self.block.get("resources", Block) or Block()
        cpu, cpu_limit = block.get("cpu", float), block.get("cpu_limit", float)
        memory, memory_limit = block.get("memory", int), block.get("memory_limit", int)
        for asked, low, high in (("cpu", cpu, cpu_limit), ("memory", memory, memory_limit)):
            if low is not None and high is not None and low > high:
                self._wrong(
                    "request-above-limit",
                    f"`{asked}` is more than `{asked}_limit`",
                    "raise the limit",
                    block.places[asked],
                )
        return Resources(cpu=cpu, memory=memory, cpu_limit=cpu_limit, memory_limit=memory_limit)

    def _scaling(self) -> Scaling | None:
        block = self.block.get("scaling", Block)
        if block is None:
            return None
        low = block.get("min", int)
        least = 1 if low is None else low
        most = block.get("max", int) or max(least, 1)
        if least > most:
            self._wrong("scaling-range", f"`min` {least} is more than `max` {most}", "raise `max`", block.place)
        return Scaling(min=least, max=most, cpu=block.get("cpu", int))

    def _ingress(self) -> tuple[Ingress, ...]:
        return tuple(
            Ingress(
                host=host,
                path=block.get("path", str) or "/",
                port=block.get("port", int),
                tls=block.get("tls", str) or "",
            )
            for block in self._indexed("ingress")
            if (host := block.get("host", str)) is not None
        )

    def _options(self) -> dict[str, Mapping[str, object]]:
        every = self.block.values.items()
        found = {key: value for key, value in every if key.startswith("options.") and isinstance(value, Block)}
        for key, block in found.items():
            self.places.update(_inside(block, key))
        return {key.removeprefix("options."): block.plain() for key, block in found.items()}

    def _indexed(self, field: str) -> list[Block]:
        """A list's blocks; each leaves its place as `field.0`."""
        blocks = self.block.blocks(field)
        self.places.update({f"{field}.{index}": block.places[""] for index, block in enumerate(blocks)})
        return blocks

    def _incomplete(self, block: Block, message: str, fix: str, *fields: str) -> None:
        """Something is missing; unless it is there and wrong, which is a problem already."""
        if not any(field in block.places for field in fields):
            self._wrong("incomplete", message, fix, block.place)

    def _wrong(self, code: str, message: str, fix: str, place: Place | None) -> None:
        self.problems.append(Problem(code=code, message=message, fix=fix, place=place))


def _inside(block: Block, name: str) -> dict[str, Place]:
    """Where each field of a runtime's block is said: `options.docker.init`, `options.kubernetes.tolerations.0.key`."""
    places = {f"{name}.{field}": place for field, place in block.places.items() if field}
    for field, value in block.values.items():
        inner = [("", value)] if isinstance(value, Block) else []
        inner += [(f".{index}", each) for index, each in enumerate(block.blocks(field))]
        for suffix, each in inner:
            places |= {f"{name}.{field}{suffix}": each.places[""], **_inside(each, f"{name}.{field}{suffix}")}
    return places


def _volume_fix(source: str, target: str | None) -> str:
    """What Compose users write in one string, FleetFlow has in two."""
    outside, *rest = source.split(":")
    inside = target or (rest[0] if rest else "")
    if not inside:
        return 'write `volume "data" "/data"`'
    read_only = " read_only=#true" if rest[1:] == ["ro"] else ""
    return f'write `volume "{outside}" "/{inside.lstrip("/")}"{read_only}`'
