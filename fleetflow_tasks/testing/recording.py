# SPDX-License-Identifier: Apache-2.0

"""A runtime without a platform: its world is a folder, and it writes down all that was asked of it.

For tests of the engine, over real processes. Several processes may share a folder: each effect is a file that only one
of them can make, each call a line in a journal that is appended to whole. How a step behaves is written in
`behaviour.json` and may be changed while it runs.

    world/api          which run's generation made it; exists once, however often its step was carried out
    journal            one line for each thing that happened: `begin api:deploy run=… attempt=1 generation=7 at=9.5 pid=42`,
                       `made`, `found`, `end`, …; at: seconds of the machine's monotonic clock. And `tidy <run>`
    engine             which engine this is; without it none that can be told from others
    behaviour.json     {"api:deploy": {"seconds": 3, "fail": 2, "transient": true}}
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, Step, StepId
from fleetflow_tasks.runtimes.base import (
    PROTOCOL,
    Attempt,
    Change,
    DeployError,
    LogLine,
    LogOptions,
    Outcome,
    ServiceStatus,
    StaleError,
    Stopped,
)


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a step goes.

    seconds: how long it waits, asking for permission to go on all the while. deaf: how long it is in a call that cannot
    be asked. landing: how long its last call is on its way: the effect comes that long after the last permission, and
    whatever happens to the process's lease meanwhile.
    fail: how many attempts fail; -1: all. transient: they may pass. crash: it raises what no runtime should.
    kill: the process dies, as by `kill -9`, in this many attempts.
    """

    seconds: float = 0.0
    deaf: float = 0.0
    landing: float = 0.0
    fail: int = 0
    transient: bool = True
    retry_after: float | None = None
    crash: bool = False
    kill: int = 0


class RecordingRuntime:
    name: ClassVar[RuntimeName] = RuntimeName("recording")
    protocol: ClassVar[int] = PROTOCOL

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._world = folder / "world"
        self._world.mkdir(parents=True, exist_ok=True)

    def behave(self, **steps: Behaviour) -> None:
        """api__deploy=Behaviour(…): two underscores stand for the colon."""
        told = {step.replace("__", ":"): behaviour for step, behaviour in steps.items()}
        made = self.folder / f"behaviour.{os.getpid()}.{threading.get_ident()}"
        made.write_bytes(msgspec.json.encode(told))
        made.replace(self.folder / "behaviour.json")

    def journal(self) -> list[str]:
        file = self.folder / "journal"
        return file.read_text().splitlines() if file.exists() else []

    def count(self, word: str, step: str) -> int:
        """How often *word* was written about *step*."""
        return sum(line.split()[:2] == [word, step] for line in self.journal())

    def world(self) -> list[str]:
        return sorted(file.name for file in self._world.iterdir())

    def check(self, plan: Plan) -> Sequence[Problem]:
        return ()

    def diff(self, plan: Plan) -> Mapping[StepId, Change]:
        there = set(self.world())
        return {
            step.id: Change(kind="none" if step.service in there else "create")
            for step in plan.steps
            if step.action == "deploy"
        }

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self._go(step, attempt)
        return Outcome(changed=False, text="prepared")

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self._go(step, attempt)
        asked = time.monotonic()
        attempt.checkpoint()
        if landing := self._behaviour(step, attempt).landing:
            self._write("sent", step, attempt)
            threading.Event().wait(landing)
        made = self._made(step, attempt, asked)
        return Outcome(changed=made == "made", text=made)

    def restart(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self._go(step, attempt)
        there = (self._world / str(step.service)).exists()
        self._write("restarted", step, attempt)
        return Outcome(changed=there, text="restarted" if there else "not there")

    def remove(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self._go(step, attempt)
        gone = (self._world / str(step.service)).exists()
        (self._world / str(step.service)).unlink(missing_ok=True)
        self._write("removed", step, attempt)
        return Outcome(changed=gone, text="removed" if gone else "not there")

    def tidy(self, plan: Plan, run: str) -> Outcome:
        self._append(f"tidy {run}")
        return Outcome(changed=False, text="nothing was left")

    def status(self, plan: Plan) -> Sequence[ServiceStatus]:
        return [ServiceStatus(service=ServiceName(name), state="running", runtime=self.name) for name in self.world()]

    def logs(self, plan: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
        return iter(LogLine(service=name, text=line) for name in services for line in self.journal() if name in line)

    def render(self, plan: Plan, *, secrets: bool = False) -> Mapping[str, str]:
        return {f"{service.name}.txt": f"{service.image}\n" for service in plan.services}

    def identity(self, plan: Plan) -> str:
        file = self.folder / "engine"
        return file.read_text(encoding="ascii") if file.exists() else ""

    def close(self) -> None: ...

    def _go(self, step: Step, attempt: Attempt) -> None:
        behaviour = self._behaviour(step, attempt)
        self._write("begin", step, attempt)
        if behaviour.kill and self._begun(step, attempt) <= behaviour.kill:
            os._exit(9)
        try:
            attempt.checkpoint()
            if behaviour.deaf:
                threading.Event().wait(behaviour.deaf)
            attempt.checkpoint()
            if behaviour.seconds:
                attempt.report(f"waiting {behaviour.seconds:g} s", 0, behaviour.seconds)
                attempt.sleep(behaviour.seconds)
        except Stopped as stopped:
            self._write("stopped", step, attempt, f" {stopped.reason}")
            raise
        self._trouble(step, attempt, behaviour)
        self._write("end", step, attempt)

    def _trouble(self, step: Step, attempt: Attempt, behaviour: Behaviour) -> None:
        if behaviour.crash:
            raise ZeroDivisionError("nobody foresaw this")
        if behaviour.fail and (behaviour.fail < 0 or self._begun(step, attempt) <= behaviour.fail):
            self._write("failed", step, attempt)
            problem = Problem(code="recorded", message=f"`{step.id}` was told to fail")
            raise DeployError(problem, transient=behaviour.transient, retry_after=behaviour.retry_after)

    def _made(self, step: Step, attempt: Attempt, asked: float) -> Literal["made", "found"]:
        """The one effect: a file that can be made once. A higher generation's is not touched.

        asked: when leave was asked for. Who comes long after that may come too late, and nobody else may.
        """
        file = self._world / str(step.service)
        try:
            with file.open("x", encoding="ascii") as new:
                new.write(str(attempt.generation))
        except FileExistsError:
            if int(file.read_text(encoding="ascii") or 0) > attempt.generation:
                self._landed("stale", step, attempt, asked)
                raise StaleError(Problem(code="stale", message=f"a newer run made `{step.service}`")) from None
            self._landed("found", step, attempt, asked)
            return "found"
        self._landed("made", step, attempt, asked)
        return "made"

    def _behaviour(self, step: Step, attempt: Attempt) -> Behaviour:
        try:
            told = (self.folder / "behaviour.json").read_bytes()
        except FileNotFoundError:
            return Behaviour()
        return msgspec.json.decode(told, type=dict[str, Behaviour]).get(step.id, Behaviour())

    def _begun(self, step: Step, attempt: Attempt) -> int:
        """How often, in whichever run."""
        return self.count("begin", step.id)

    def _landed(self, word: str, step: Step, attempt: Attempt, asked: float) -> None:
        self._write(word, step, attempt, f" after={time.monotonic() - asked:.6f}")

    def _write(self, word: str, step: Step, attempt: Attempt, text: str = "") -> None:
        who = f"run={attempt.run} attempt={attempt.number} generation={attempt.generation}"
        self._append(f"{word} {step.id}{text} {who} at={time.monotonic():.6f} pid={os.getpid()}")

    def _append(self, line: str) -> None:
        handle = os.open(self.folder / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode() + b"\n")
        finally:
            os.close(handle)
