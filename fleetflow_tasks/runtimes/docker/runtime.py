# SPDX-License-Identifier: Apache-2.0
"""Docker as a runtime: the five rooms, called in the order of the story.

Nothing is remembered between two steps but connections: what is to be done is always decided from what the Engine
shows, so that any worker may do any step, and do it again.
"""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

import msgspec

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.handed import awaited
from fleetflow_tasks.plan.model import Plan, ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import (
    PROTOCOL,
    Attempt,
    Built,
    Change,
    DeployError,
    HeldVolume,
    LogLine,
    LogOptions,
    Outcome,
    ServiceStatus,
    StaleError,
    Terminal,
)
from fleetflow_tasks.runtimes.docker import check as checks
from fleetflow_tasks.runtimes.docker import explain, interactive, observe
from fleetflow_tasks.runtimes.docker.addresses import cut
from fleetflow_tasks.runtimes.docker.client import TIMEOUT, Client, EngineError, Trace, connect
from fleetflow_tasks.runtimes.docker.decide import decide, newer, prepared, removed, restarted, superfluous, unstarted
from fleetflow_tasks.runtimes.docker.desired import ADDRESSES, COMPOSE, Definition, definition, rendered
from fleetflow_tasks.runtimes.docker.differences import differences
from fleetflow_tasks.runtimes.docker.endpoints import Endpoint, endpoints
from fleetflow_tasks.runtimes.docker.hosts import made_binds
from fleetflow_tasks.runtimes.docker.identity import Identity
from fleetflow_tasks.runtimes.docker.images import Found, Images
from fleetflow_tasks.runtimes.docker.logs import lines
from fleetflow_tasks.runtimes.docker.observe import Container
from fleetflow_tasks.runtimes.docker.options import SCHEMA
from fleetflow_tasks.runtimes.docker.status import told
from fleetflow_tasks.runtimes.docker.work import Mutating, Work, carried
from fleetflow_tasks.runtimes.labels import Mark, stage_name, written

NAME = RuntimeName("docker")
_SUBNETS = 3  # times that a subnet is asked for
_CONFLICT, _FORBIDDEN = 409, 403  # a name that is taken, a container that runs; a network that is in use


class Engine:
    """One Engine, shared by all steps that go to it. choosing: held from the choice of a host port to its label."""

    def __init__(self, client: Client) -> None:
        from fleetflow_tasks.runtimes.docker.builds import Builds  # it reads files: not for a plan that asks no engine

        self.client = client
        self.images = Images(client)
        self.builds = Builds(client, self.images)
        self.identity = Identity(client)
        self.choosing = threading.Lock()

    def local(self, desired: Definition) -> str:
        """The id of the image that the plan means; "" where it is not here."""
        return self.builds.local(desired) if desired.build else self.images.local(desired.image)

    def present(
        self, plan: Plan, service: ResolvedService, desired: Definition, attempt: Attempt, *, ask: bool
    ) -> Found:
        """The image, brought here where it is not. ask: even so, where the pull policy wants it asked for again."""
        if desired.build:
            return self.builds.present(plan, service, desired, attempt)
        return self.images.present(service, desired, attempt, ask=ask)

    def close(self) -> None:
        self.identity.close()
        self.client.close()


class DockerRuntime:
    name: ClassVar[RuntimeName] = NAME
    protocol: ClassVar[int] = PROTOCOL
    schema = SCHEMA

    def __init__(self, environ: Mapping[str, str], *, trace: Trace | None = None, timeout: float = TIMEOUT) -> None:
        """environ: where an Engine may be named. trace: told of each request, for counting. timeout: of one call."""
        self._environ = environ
        self._trace = trace
        self._timeout = timeout
        self._engines: dict[str, Engine] = {}
        self._connecting = threading.Lock()

    # --- before a run

    def place(self, plan: Plan) -> str:
        try:
            found = self._endpoints(plan)
        except UnavailableError:
            found = ()
        return f"docker at {found[0].url}" if found else "docker"

    def check(self, plan: Plan) -> Sequence[Problem]:
        return tuple(checks.check(plan))

    def render(self, plan: Plan, *, secrets: bool = False) -> Mapping[str, str]:
        services = sorted(_services(plan), key=lambda service: service.name)
        return {f"{each.name}.json": rendered(definition(plan, each, masked=not secrets)) + "\n" for each in services}

    def diff(self, plan: Plan) -> Mapping[StepId, Change]:
        with _unavailable():
            engine = self._engine(plan)
            containers = observe.stage(engine.client, plan.project, plan.stage)
            changes: dict[StepId, Change] = {}
            for step in _steps(plan):
                if step.action == "deploy" and step.service is not None:
                    service = plan.service(step.service)
                    changes[step.id] = self._change(engine, plan, service, _of(containers, step.service))
                elif step.action == "remove" and step.service is not None and _of(containers, step.service):
                    changes[step.id] = Change(kind="remove", cause="asked for", downtime="for good")
                elif step.action == "prune":
                    changes |= self._pruned(engine, plan, step, containers)
            return changes

    def _change(self, engine: Engine, plan: Plan, service: ResolvedService, containers: Sequence[Container]) -> Change:
        desired = definition(plan, service)
        change = self._decided(engine, desired, containers)
        if change.kind == "none" and desired.asks and not engine.images.newest(desired):
            return Change(kind="replace", cause=f'the registry holds another `{desired.image}` now (pull "always")')
        if change.kind == "replace" and change.cause.startswith("configuration changed"):
            current = next((each for each in containers if each.name == desired.name), containers[0])
            found = engine.client.container(current.id)
            fields = differences(desired, found, engine.client.image(current.image))
            names = ", ".join(sorted({field.field.partition(".")[0] for field in fields}))
            cause = change.cause.replace("configuration", names, 1) if names else change.cause
            return msgspec.structs.replace(change, cause=cause, fields=fields)
        return change

    def _decided(self, engine: Engine, desired: Definition, containers: Sequence[Container]) -> Change:
        """From the list alone, where it tells enough."""
        image = _shown(desired, containers) or (engine.local(desired) if containers or desired.build else "")
        seen = _with_limits(engine.client, desired, containers)
        return decide(desired, image, seen, network=_network(engine.client, desired, seen)).change

    def _pruned(self, engine: Engine, plan: Plan, step: Step, containers: Sequence[Container]) -> dict[StepId, Change]:
        wanted = {service.name for service in _services(plan)}
        removing = {each.service for each in plan.steps if each.action == "remove"}
        unknown = {c.mark.service for c in containers if c.mark.service} - wanted - removing
        gone = Change(kind="remove", cause="the stage does not hold it any more", downtime="for good")
        changes = {StepId(f"{name}:remove"): gone for name in sorted(unknown)}
        if not wanted:
            left = [n.name for n in _our_networks(engine.client, plan)] + self._volumes_to_go(engine, plan)
            if left:
                changes[step.id] = Change(kind="remove", cause="the stage is empty: " + ", ".join(left))
        return changes

    # --- a run

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with _deploying():
            engine = self._engine(plan)
            if step.service is None:
                return self._prepare_stage(engine, plan, attempt)
            return self._prepare_service(engine, plan, plan.service_of(step), attempt)

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with _deploying():
            engine = self._engine(plan)
            service = plan.service_of(step)
            desired = definition(plan, service)
            look = partial(self._looked, engine, plan, service.name, attempt)
            containers = look()
            image = _shown(desired, containers) or engine.present(plan, service, desired, attempt, ask=False).id
            work = Work(engine.client, plan, service, desired, image, attempt, look=look, choosing=engine.choosing)
            for _ in range(work.TRIES):
                seen = _with_limits(engine.client, desired, containers)
                network = _network(engine.client, desired, seen)
                outcome = work.deployed(decide(desired, image, seen, run=attempt.run, network=network), seen)
                if outcome is not None:
                    return outcome
                containers = look()
            raise DeployError(work.gave_up())

    def restart(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with _deploying():
            engine, service = self._engine(plan), plan.service_of(step)
            look = partial(self._looked, engine, plan, service.name, attempt)
            containers = look()
            desired = _as_it_runs(plan, service, containers)
            image = _shown(desired, containers) or engine.local(desired)
            work = Work(engine.client, plan, service, desired, image, attempt, look=look, choosing=engine.choosing)
            for _ in range(work.TRIES):
                network = _network(engine.client, desired, containers)
                decision = restarted(
                    desired, image, containers, run=attempt.run, network=network, again=attempt.number > 1
                )
                if (outcome := work.deployed(decision, containers)) is not None:
                    return _restarted(outcome, decision.change)
                containers = look()
            raise DeployError(work.gave_up())

    def remove(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        with _deploying():
            engine = self._engine(plan)
            if step.service is not None:
                look = partial(self._looked, engine, plan, step.service, attempt)
                return _cleared(engine.client, look(), Mutating(attempt, look), "removed")
            look = partial(self._all_looked, engine, plan, attempt)
            wanted = [service.name for service in _services(plan)]
            gone, mutating = superfluous(wanted, look()), Mutating(attempt, look)
            outcome = _cleared(engine.client, gone, mutating, "removed what the stage does not hold")
            return outcome if wanted else self._emptied(engine, plan, mutating, outcome)

    def tidy(self, plan: Plan, run: str) -> Outcome:
        with _deploying():
            client = self._engine(plan).client
            left = unstarted(run, observe.stage(client, plan.project, plan.stage)) if run else ()
            names = sorted(container.name for container in left if _removed_unstarted(client, container))
            text = f"removed what was prepared: {', '.join(names)}" if names else "nothing to remove"
            return Outcome(changed=bool(names), text=text)

    def _looked(self, engine: Engine, plan: Plan, service: ServiceName, attempt: Attempt) -> tuple[Container, ...]:
        containers = observe.service(engine.client, plan.project, plan.stage, service)
        _guard(containers, attempt)
        return containers

    def _all_looked(self, engine: Engine, plan: Plan, attempt: Attempt) -> tuple[Container, ...]:
        containers = observe.stage(engine.client, plan.project, plan.stage)
        _guard(containers, attempt)
        return containers

    def _prepare_stage(self, engine: Engine, plan: Plan, attempt: Attempt) -> Outcome:
        client, name = engine.client, stage_name(plan.project, plan.stage)
        there = observe.networks(client, name)
        if there:
            return Outcome(changed=False, text=_usable(client, plan, there, attempt), facts={"network": name})
        mark = Mark(project=plan.project, stage=plan.stage, run=attempt.run, generation=attempt.generation)
        attempt.checkpoint()
        try:
            made = _made_network(client, name, {**written(mark), COMPOSE + "project": name})
        except EngineError as error:
            if error.status != _CONFLICT:
                raise
            made = ""
        there = observe.networks(client, name)
        text = _usable(client, plan, there, attempt)
        if made and there[0].id != made:  # an old Engine lets two workers make one name twice
            client.remove_network(made)
        changed = there[0].id == made
        return Outcome(changed=changed, text=f"made network {name}" if changed else text, facts={"network": name})

    def _prepare_service(self, engine: Engine, plan: Plan, service: ResolvedService, attempt: Attempt) -> Outcome:
        desired = definition(plan, service)
        look = partial(self._looked, engine, plan, service.name, attempt)
        containers = look()
        shown = "" if desired.asks else _shown(desired, containers)
        found = Found(id=shown) if shown else engine.present(plan, service, desired, attempt, ask=True)
        pulled = ["built"] if found.built else []
        pulled += [] if found.pulled is None else [f"pulled {found.pulled / 1_000_000:.0f} MB"]
        work = Work(engine.client, plan, service, desired, found.id, attempt, look=look, choosing=engine.choosing)
        operations = prepared(
            desired, found.id, containers, run=attempt.run, network=_network(engine.client, desired, containers)
        )
        if operations:
            made = made_binds(engine.client, plan, service)
            self._check_volumes(engine, plan, desired)
            pulled += [f"made folder {path}" for path in made]
            if not awaited(service):  # whose environment is not known before its deployment
                work.prepared(operations, containers)
                pulled.append("created")
        facts = {"image": found.id}
        return Outcome(changed=bool(pulled), text=", ".join(pulled) or "unchanged", facts=facts)

    def _check_volumes(self, engine: Engine, plan: Plan, desired: Definition) -> None:
        """The Engine would hand a foreign volume of our name over without a word."""
        for name in desired.volumes:
            there, mark = observe.volume_mark(engine.client, name)
            if there and (mark is None or (mark.project, mark.stage) != (plan.project, plan.stage)):
                raise DeployError(explain.foreign("volume", name, _owner(mark)))

    def _emptied(self, engine: Engine, plan: Plan, mutating: Mutating, outcome: Outcome) -> Outcome:
        texts = [outcome.text] if outcome.changed else []
        for network in _our_networks(engine.client, plan):
            mutating()
            try:
                engine.client.remove_network(network.id)
                texts.append(f"removed network {network.name}")
            except EngineError as error:
                if error.status != _FORBIDDEN:
                    raise
                texts.append(f"kept network {network.name}: containers of others are on it")
        for name in self._volumes_to_go(engine, plan):
            mutating()
            engine.client.remove_volume(name)
            texts.append(f"removed volume {name}")
        return Outcome(changed=bool(texts), text=", ".join(texts) or "nothing to remove")

    def _volumes_to_go(self, engine: Engine, plan: Plan) -> list[str]:
        if plan.options.get(NAME, {}).get("volumes") != "remove":
            return []
        return list(observe.volumes(engine.client, plan.project, plan.stage))

    # --- beside a run

    def status(self, plan: Plan) -> Sequence[ServiceStatus]:
        with _unavailable():
            engine = self._engine(plan)
            containers = observe.stage(engine.client, plan.project, plan.stage)
            drifted = {
                service.name
                for service in _services(plan)
                if self._decided(engine, definition(plan, service), _of(containers, service.name)).kind != "none"
            }
            return told(engine.client, plan, _services(plan), containers, drifted)

    def volumes(self, plan: Plan) -> Sequence[HeldVolume]:
        with _unavailable():
            return observe.held(self._engine(plan).client, plan.project, plan.stage)

    def logs(self, plan: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
        if options.previous:
            raise UnavailableError(explain.no_previous())
        with _unavailable():
            client = self._engine(plan).client
            yield from lines(client, plan.project, plan.stage, services, options)

    def build(
        self, plan: Plan, service: ResolvedService, attempt: Attempt, *, pull: bool = False, cache: bool = True
    ) -> Built:
        builds, desired = self._engine(plan).builds, definition(plan, service)
        if cache and not pull:
            found = builds.present(plan, service, desired, attempt)
        else:
            found = builds.anew(plan, service, desired, attempt, pull=pull, cache=cache)
        return Built(image=found.id, anew=found.built)

    def push(self, plan: Plan, service: ResolvedService, attempt: Attempt) -> str:
        return self._engine(plan).builds.push(service, attempt)

    def is_pushed(self, plan: Plan, service: ResolvedService) -> bool | None:
        try:
            return self._engine(plan).images.is_published(service.image)
        except UnavailableError:
            return None

    def execute(
        self, plan: Plan, service: ServiceName, command: Sequence[str], terminal: Terminal, *, instance: str = ""
    ) -> int:
        with _unavailable():
            return interactive.execute(self._engine(plan).client, plan, service, command, terminal, instance)

    def reached(self, plan: Plan, service: ServiceName, *, instance: str = "") -> str:
        with _unavailable():
            return interactive.reached(self._engine(plan).client, plan, service, instance)

    def carry(self, plan: Plan, service: ServiceName, port: int, line: socket.socket, *, instance: str = "") -> None:
        with _unavailable():
            interactive.carry(self._engine(plan).client, plan, service, port, line, instance)

    def identity(self, plan: Plan) -> str:
        with _unavailable():
            return self._engine(plan).identity()

    def close(self) -> None:
        with self._connecting:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def _engine(self, plan: Plan) -> Engine:
        option = plan.options.get(NAME, {}).get("docker_host", "")
        with self._connecting:
            if option not in self._engines:
                found = self._endpoints(plan)
                self._engines[option] = Engine(connect(found, self._trace, timeout=self._timeout))
            return self._engines[option]

    def _endpoints(self, plan: Plan) -> tuple[Endpoint, ...]:
        home = Path(self._environ.get("HOME") or Path.home())
        return endpoints(plan.options.get(NAME, {}).get("docker_host", ""), self._environ, home)


def _services(plan: Plan) -> list[ResolvedService]:
    return [service for service in plan.services if service.runtime == NAME]


def _steps(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if step.runtime == NAME]


def _of(containers: Sequence[Container], service: ServiceName) -> tuple[Container, ...]:
    return tuple(container for container in containers if container.mark.service == service)


def _shown(desired: Definition, containers: Sequence[Container]) -> str:
    """The id behind the desired reference, where a container's own line of the list tells it; else ""."""
    built = (c for c in containers if not desired.build or c.build == desired.build)
    return next((c.image for c in built if c.reference == desired.image == c.shown), "")


def _as_it_runs(plan: Plan, service: ResolvedService, containers: Sequence[Container]) -> Definition:
    """With the image that runs, where nobody has read the files that it is built of, as nobody wants another one."""
    desired = definition(plan, service)
    if service.build is None or desired.build or not containers:
        return desired
    current = next((each for each in containers if each.name == desired.name), containers[0])
    return msgspec.structs.replace(desired, image=current.reference, build=current.build)


def _with_limits(client: Client, desired: Definition, containers: Sequence[Container]) -> tuple[Container, ...]:
    """Only a service that has limits is inspected for them."""
    if not desired.limits:
        return tuple(containers)
    return tuple(observe.with_limits(client, c) if c.name == desired.name else c for c in containers)


def _network(client: Client, desired: Definition, containers: Sequence[Container]) -> str:
    """Asked for only where a stopped container may hang on a network that is gone."""
    stopped = any(container.state == "exited" for container in containers)
    found = observe.network(client, desired.network) if stopped and not desired.job else None
    return found.id if found else ""


def _made_network(client: Client, name: str, labels: Mapping[str, str]) -> str:
    """Its id. With its subnet said, where that goes: the Engine is asked for one that is free, and told it again.

    In between somebody else may take it, so a few times; a network of the Engine's own choice does all but keep
    addresses.
    """
    made = client.create_network(name, labels)
    for _ in range(_SUBNETS):
        subnet = next((each.subnet for each in observe.networks(client, name) if each.id == made), "")
        halves = cut(subnet)
        if halves is None:
            return made
        try:
            client.remove_network(made)
        except EngineError as error:
            if error.status != _FORBIDDEN:
                raise
            return made  # another worker was faster, and has put a container on it
        with suppress(EngineError):
            return client.create_network(name, {**labels, ADDRESSES: halves[1]}, subnet, halves[0])
        made = client.create_network(name, labels)
    return made


def _our_networks(client: Client, plan: Plan) -> list[observe.Network]:
    name = stage_name(plan.project, plan.stage)
    return [
        n
        for n in observe.networks(client, name)
        if n.mark and (n.mark.project, n.mark.stage) == (plan.project, plan.stage)
    ]


def _usable(client: Client, plan: Plan, networks: Sequence[observe.Network], attempt: Attempt) -> str:
    """ "unchanged", or what is odd about a network that is used all the same. Raises DeployError where it is foreign."""
    network = networks[0]
    mark = network.mark
    if mark is not None and (mark.project, mark.stage) == (plan.project, plan.stage):
        if mark.generation > attempt.generation:
            raise StaleError(explain.stale(network.name, mark.generation, attempt.generation))
        return "unchanged"
    ours = observe.stage(client, plan.project, plan.stage)
    if any(network.id in container.networks.values() for container in ours):
        return f"uses network {network.name} of an earlier tool, and will not remove it"
    raise DeployError(explain.foreign("network", network.name, _owner(mark)))


def _owner(mark: Mark | None) -> str:
    return f"stage `{mark.stage}` of project `{mark.project}`" if mark else ""


def _guard(containers: Sequence[Container], attempt: Attempt) -> None:
    late = newer(containers, attempt.generation)
    if late is not None:
        raise StaleError(explain.stale(late.name, late.mark.generation, attempt.generation))


def _cleared(client: Client, containers: Sequence[Container], mutating: Mutating, text: str) -> Outcome:
    for container in containers:
        mutating.attempt.report(f"stopping {container.name}")
        carried(client, removed([container]), [container], mutating)
    return Outcome(changed=bool(containers), text=text if containers else "nothing to remove")


def _restarted(outcome: Outcome, change: Change) -> Outcome:
    text = f"restarted, {change.cause}" if outcome.changed else change.cause or "restarted already"
    return msgspec.structs.replace(outcome, text=text)


def _removed_unstarted(client: Client, container: Container) -> bool:
    """Without force: the next run may use what it finds prepared, and the Engine keeps what was started meanwhile."""
    try:
        client.remove(container.id, force=False)
    except EngineError as error:
        if error.status != _CONFLICT:
            raise
        return False
    return True


@contextmanager
def _deploying() -> Iterator[None]:
    """An Engine that does not answer is a failure that may pass, to a step."""
    try:
        yield
    except UnavailableError as error:
        raise DeployError(error.problems[0], transient=True) from error


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        raise UnavailableError(error.problem) from error
