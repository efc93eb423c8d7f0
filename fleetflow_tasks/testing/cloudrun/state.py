# SPDX-License-Identifier: Apache-2.0
"""Everything that the server remembers. Plain dictionaries in the API's own JSON form, with what hangs on them.

Whoever touches it holds `lock` and has let the agenda catch up: `Api.call` does both, `look` does for who looks from outside.
"""

import base64
import hashlib
import itertools
import json
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from .clock import Agenda, stamp
from .names import last, parent
from .refused import missing
from .runner import Broken, Runner, Started
from .world import World, project_number

Json = dict[str, Any]

TYPE = "type.googleapis.com/google.cloud.run.v2."
LINES = 10_000  # that are remembered, of all containers together


@dataclass
class Operation:
    """kind: the message that it carries, "Service". look: that message as it is at a moment."""

    name: str
    kind: str
    metadata: Json
    look: Callable[[], Json]
    done: bool = False
    error: Json | None = None
    response: Json | None = None


@dataclass
class RevisionState:
    """ready: None while it is not decided. stuck: it serves, and the service never learns of it."""

    body: Json
    template: Json
    started: Started | None = None
    ready: bool | None = None
    stuck: bool = False
    broken: Broken | None = None


@dataclass
class ServiceState:
    """revisions: by id, the oldest first. created: id of the latest that was asked for. made: how many there ever were."""

    body: Json
    revisions: dict[str, RevisionState] = field(default_factory=dict)
    created: str = ""
    made: int = 0
    policy: Json = field(default_factory=dict)
    waiting: list[Operation] = field(default_factory=list)


@dataclass
class TaskState:
    body: Json
    started: Started | None = None
    begun: float = 0.0
    ended: bool = False


@dataclass
class ExecutionState:
    body: Json
    tasks: list[TaskState]
    waiting: list[Operation] = field(default_factory=list)
    then: list[Callable[[], None]] = field(default_factory=list)
    ended: bool = False
    cancelled: bool = False


@dataclass
class JobState:
    """executions: by id, the oldest first."""

    body: Json
    executions: dict[str, ExecutionState] = field(default_factory=dict)
    policy: Json = field(default_factory=dict)
    broken: Broken | None = None
    waiting: list[Operation] = field(default_factory=list)


class State:
    """url: of a service, by its full name and a tag ("" for itself); whoever serves it for real puts its own here."""

    def __init__(self, agenda: Agenda, runner: Runner) -> None:
        self.lock = threading.RLock()
        self.agenda = agenda
        self.runner = runner
        self.world = World()
        self.services: dict[str, ServiceState] = {}
        self.jobs: dict[str, JobState] = {}
        self.operations: dict[str, Operation] = {}
        self.lines: deque[Json] = deque(maxlen=LINES)
        self.numbers = itertools.count()
        self.url: Callable[[str, str], str] = documented_url

    @property
    def now(self) -> str:
        return stamp(self.agenda.now)

    @contextmanager
    def look(self) -> Iterator["State"]:
        """From outside: nothing moves meanwhile, and what was due has happened."""
        with self.lock:
            self.agenda.catch_up()
            yield self

    def close(self) -> None:
        """Whatever runs, ends."""
        with self.lock:
            started = [each.started for service in self.services.values() for each in service.revisions.values()]
            runs = [run for job in self.jobs.values() for run in job.executions.values()]
            started += [each.started for run in runs for each in run.tasks]
        for each in started:
            if each is not None:
                each.stop()

    def service(self, name: str) -> ServiceState:
        found = self.services.get(name)
        if found is None:
            raise missing("Service", last(name))
        return found

    def job(self, name: str) -> JobState:
        found = self.jobs.get(name)
        if found is None:
            raise missing("Job", last(name))
        return found

    def begin(self, name: str, kind: str, look: Callable[[], Json]) -> Operation:
        """A new operation upon the resource *name*; `Metadata` is the resource itself (client.create_service)."""
        made = Operation(f"{parent(name)}/operations/{uuid.uuid4()}", kind, _typed(kind, look()), look)
        self.operations[made.name] = made
        return made


def end(waiting: list[Operation], error: Json | None = None) -> None:
    """All of *waiting*, well or not; it is empty then."""
    for operation in waiting:
        operation.done, operation.error = True, error
        if error is None:
            operation.response = _typed(operation.kind, operation.look())
    waiting.clear()


def told(operation: Operation) -> Json:
    """As `GetOperation` shows it."""
    answer: Json = {"name": operation.name, "metadata": operation.metadata, "done": operation.done}
    if operation.error is not None:
        answer["error"] = operation.error
    if operation.response is not None:
        answer["response"] = operation.response
    return answer


def tried(kind: str, body: Json) -> Json:
    """Of `validate_only`: "validated and default values populated, without persisting"; an operation that is over."""
    return {
        "done": True,
        "response": _typed(kind, shown(body)),
    }  # guess: it has no name, as there is nothing to ask for


def shown(body: Json) -> Json:
    """A copy with its etag, which is another one whenever anything in it is (AIP-154)."""
    copy = deepcopy(body)
    copy.pop("etag", None)
    digest = hashlib.sha256(json.dumps(copy, sort_keys=True).encode()).digest()[:15]
    return {**copy, "etag": f'"{base64.urlsafe_b64encode(digest).decode()}"'}


def documented_url(service: str, tag: str) -> str:
    """https://cloud.google.com/run/docs/triggering/https-request: the deterministic form, and with a tag `TAG---SERVICE-…`."""
    where = parent(service)
    host = f"{last(service)}-{project_number(where.project)}.{where.location}.run.app"
    return f"https://{tag}---{host}" if tag else f"https://{host}"


def new_uid() -> str:
    return str(uuid.uuid4())


def _typed(kind: str, body: Json) -> Json:
    return {"@type": f"{TYPE}{kind}", **body}
