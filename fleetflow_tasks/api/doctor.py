# SPDX-License-Identifier: Apache-2.0
"""Ask everything that a deployment rests on how it is, and go on where one does not answer: `flow doctor`."""

import platform
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from fleetflow_tasks import __version__
from fleetflow_tasks.api.reading import plan
from fleetflow_tasks.api.request import Request, runtimes_of
from fleetflow_tasks.errors import ConfigError, FleetFlowError
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import Examined, Finding, Runtime

if TYPE_CHECKING:
    from fleetflow_tasks.engine.checkup import Check, Checkup
    from fleetflow_tasks.engine.settings import Settings
    from fleetflow_tasks.engine.store import Store

NOT_HERE = frozenset({"no-file"})  # what is wrong with a folder without a project
UNSAID = frozenset({"which-stage"})  # and with one of many stages
PACKAGES = ("celery", "kombu", "redis", "cryptography")


def checkup(request: Request) -> "Checkup":
    """Never raises for what it finds wrong; a Redis that does not run is not started."""
    from fleetflow_tasks.engine.checkup import Checkup

    return Checkup(checks=tuple(_checks(request)))


def _checks(request: Request) -> "Iterator[Check]":
    from fleetflow_tasks.engine.checkup import Check

    yield _versions()
    try:
        settings = _settings(request)
    except FleetFlowError as error:
        yield Check(name="settings", text="cannot be used", problems=error.problems)
    else:
        yield Check(name="state", text=f"{settings.state}, yours alone")
        yield Check(name="key", text=_key(request, settings))
        yield from _redis(settings)
    yield from _engines(request)


def _versions() -> "Check":
    from importlib.metadata import version

    from fleetflow_tasks.engine.checkup import Check

    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return Check(name="fleetflow", text=f"{__version__} on Python {platform.python_version()}, {packages}")


def _settings(request: Request) -> "Settings":
    from fleetflow_tasks.engine.settings import from_environ, private_folder

    settings = from_environ(request.environ)
    private_folder(settings.state)
    return settings


def _key(request: Request, settings: "Settings") -> str:
    where = "FLEETFLOW_KEY" if request.environ.get("FLEETFLOW_KEY", "").strip() else str(settings.state / "key")
    return f"{' and '.join(settings.keys.ids)}, from {where}"


def _redis(settings: "Settings") -> "Iterator[Check]":
    from fleetflow_tasks.engine.address import shown
    from fleetflow_tasks.engine.checkup import Check
    from fleetflow_tasks.engine.embedded import is_up, redis_for
    from fleetflow_tasks.engine.store import Store

    if settings.redis_url is None and not is_up(settings.state):
        yield Check(name="redis", text="embedded, not running now: `flow up` starts it")
        return
    try:
        with redis_for(settings, lambda text: None) as url:
            store = Store.connect(url, client_name="ff-doctor")
            try:
                yield from _store(store, settings, shown(url))
            finally:
                store.close()
    except FleetFlowError as error:
        yield Check(name="redis", text="cannot be used", problems=error.problems)


def _store(store: "Store", settings: "Settings", where: str) -> "Iterator[Check]":
    from fleetflow_tasks.engine import checkup as judge

    info = store.info()
    found = judge.server(info, where)
    yield found
    if any(problem.severity == "error" for problem in found.problems):
        return
    yield judge.persistence(info, where)
    yield judge.memory(store.footprint(), where)
    now = store.now()
    yield judge.clock(time.time(), now)
    waiting = {queue: store.queue_length(queue) for queue in store.known_queues()}
    yield from judge.workers(store.workers(), waiting, settings.keys.ids, __version__, now)


def _engines(request: Request) -> "Iterator[Check]":
    """The platforms of the stage whose file is here; silence where there is none."""
    from fleetflow_tasks.engine.checkup import Check

    try:
        made = plan(request).plan
    except FleetFlowError as error:
        yield from _unplanned(error)
        return
    runtimes = runtimes_of(request)
    for name in made.runtimes:
        try:
            found = _examined(runtimes(name), made)
        except FleetFlowError as error:
            text = f"{name}, of stage {made.stage}: does not answer"
            yield Check(name="engine", text=text, problems=error.problems)
        else:
            yield from (Check(name=each.name, text=each.text, problems=each.problems) for each in found)


def _examined(runtime: Runtime, made: Plan) -> Sequence[Finding]:
    """What the platform says of itself; where a runtime asks it for no more than its name, that."""
    of = f"{runtime.name}, of stage {made.stage}"
    if not callable(getattr(runtime, "examined", None)):
        return [Finding(name="engine", text=f"{of}: {runtime.identity(made) or 'answers'}")]
    first, *rest = cast(Examined, runtime).examined(made)
    return [replace(first, text=f"{of}: {first.text}"), *rest]


def _unplanned(error: FleetFlowError) -> "Iterator[Check]":
    from fleetflow_tasks.engine.checkup import Check

    codes = {problem.code for problem in error.problems}
    if isinstance(error, ConfigError) and codes <= NOT_HERE:
        return
    if codes <= UNSAID:
        noted = tuple(replace(problem, severity="note", fix="name it: flow doctor STAGE") for problem in error.problems)
        yield Check(name="files", text="and engine were not looked at", problems=noted)
    else:
        text = "of this folder have errors: `flow validate` shows them alone"
        yield Check(name="files", text=text, problems=error.problems)
