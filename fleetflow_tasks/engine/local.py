# SPDX-License-Identifier: Apache-2.0
"""A run carried out in this process: what `flow up` does, with no worker and no Celery.

Everything else is what a worker uses: the same store and scripts, the same `execute`, the same leases, the same
reconciling. Only a hint travels less far, into a list that the threads of this process read.

The run gets a queue of its own, `local.<run>`. Workers on the same Redis serve other queues, so none of them carries a
step of it out on another machine's Engine; and this process follows no other hints than those of its run. When the run
has to wait in line behind another one of its stage, it is begun by whoever ends that one; this process notices, since
it looks after its stage itself, once a second, whoever else reconciles.

Ctrl-C once: nothing new begins, what runs comes to its end. Twice: leave now, and give back what runs.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

import msgspec

from fleetflow_tasks import __version__
from fleetflow_tasks.engine.abandoned import birth, local_queue
from fleetflow_tasks.engine.dispatch import submit
from fleetflow_tasks.engine.execute import Plans, Runtimes, execute, once_each
from fleetflow_tasks.engine.lease import Leases
from fleetflow_tasks.engine.logs import log_file, logged_to_file
from fleetflow_tasks.engine.model import Because, Conflict, Hint, Run, RunId, Submitted, WorkerId, WorkerInfo
from fleetflow_tasks.engine.pin import Pins
from fleetflow_tasks.engine.reconcile import EVERY, Memory, care, look_around
from fleetflow_tasks.engine.settings import Settings, slots_of
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.engine.tidy import ENDED_BADLY, tidy
from fleetflow_tasks.engine.trouble import lost
from fleetflow_tasks.errors import Bug, FleetFlowError, UnavailableError
from fleetflow_tasks.plan.model import Plan

log = logging.getLogger(__name__)

FAREWELL = 2.0  # seconds that a second Ctrl-C gives the running steps to stop by themselves

Follow = Callable[[Submitted], None]


def run_here(
    plan: Plan,
    *,
    run: RunId,
    store: Store,
    settings: Settings,
    runtimes: Runtimes,
    follow: Follow,
    actor: str,
    note: str = "",
    conflict: Conflict = "wait",
    key: str | None = None,
    fail_fast: bool = False,
    because: Because | None = None,
    timeout: float | None = None,
    adopt: bool = False,
) -> Run:
    """Submit *plan* as *run*, carry its steps out, and return it as it ended.

    follow: called in this thread once the run is stored; shows what happens, and returns when the run has ended.
    A KeyboardInterrupt that comes out of it cancels the run, and *follow* is called again to see it end; a second one
    comes out of here, when what runs was given back.
    Raises as `dispatch.submit`, but needs no worker; and the first thing that nobody foresaw in a thread of this process,
    which could not carry the run out any further.
    """
    here = _Here(run, plan, store=store, settings=settings, runtimes=once_each(runtimes))
    with logged_to_file(settings.state), here.at_work():
        submitted = submit(
            here.plan,
            run=run,
            store=store,
            keys=settings.keys,
            publish=here.publish,
            actor=actor,
            note=note,
            conflict=conflict,
            key=key,
            fail_fast=fail_fast,
            because=because,
            timeout=timeout,
            adopt=adopt,
        )
        here.see_through(submitted, follow)
        ended = _found(store, submitted.run.id)
        here.tidy(ended)
    return ended


def _found(store: Store, run: RunId) -> Run:
    found = store.run(run)
    if found is None:
        raise UnavailableError(lost(run))
    return found


class _Here:
    def __init__(self, run: RunId, plan: Plan, *, store: Store, settings: Settings, runtimes: Runtimes) -> None:
        self._store = store
        self._settings = settings
        self._runtimes = runtimes
        self._slots = max(slots_of(runtime) for runtime in plan.runtimes)
        self._run = run
        self._queue = local_queue(run)
        self.plan = msgspec.structs.replace(
            plan, steps=tuple(msgspec.structs.replace(step, queue=self._queue) for step in plan.steps)
        )
        self._id = WorkerId(f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")
        self._leases = Leases(store, renew=settings.renew, overstay=settings.overstay, broken=self._break)
        self._plans = Plans(store, settings.keys)
        self._pins = Pins(store)
        self._inbox: SimpleQueue[Hint | None] = SimpleQueue()
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._breaking = threading.Lock()

    def publish(self, hint: Hint) -> None:
        """Hints of another queue are for its workers: their reconciler finds the steps within two seconds."""
        if hint.queue == self._queue:
            self._inbox.put(hint)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._store.beat(self._info())  # first, so that the look for workers finds one
        self._leases.start()
        # Daemons: a step that hangs must not keep the process from ending.
        care_taker = self._thread(self._look_after, "ff-stage")
        for _ in range(self._slots):
            self._thread(self._serve, "ff-step")
        try:
            yield
        finally:
            self._ended.set()
            for _ in range(self._slots):
                self._inbox.put(None)
            self._part()
            care_taker.join()
            self._store.interrupt_watchers(None)

    def _thread(self, work: Callable[[], None], name: str) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001  (the main thread raises it)
                self._break(error)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _break(self, error: Exception) -> None:
        """A thread is gone, and without it the run would not go on: end it, and let the main thread raise the reason."""
        with self._breaking:
            if self._failure is not None or self._ended.is_set():
                return
            log.error("flow.broken", exc_info=error)
            self._failure = error = self._with_place(error)
        self._leases.drain("all")
        with suppress(Exception):  # the same trouble may be why we are here
            self._store.cancel(self._run, request=f"broken {self._id}")
        self._store.interrupt_watchers(error)

    def _with_place(self, error: Exception) -> Exception:
        if not isinstance(error, Bug):
            return error
        where = f"the traceback is in {log_file(self._settings.state)}"
        return Bug(*(msgspec.structs.replace(each, cause=(*each.cause, where)) for each in error.problems))

    def see_through(self, submitted: Submitted, follow: Follow) -> None:
        try:
            follow(submitted)
        except KeyboardInterrupt:
            self._cancel(submitted.run.id)
            follow(submitted)
        if self._failure is not None:
            raise self._failure

    def tidy(self, ended: Run) -> None:
        """Once, after its end: a run that is cancelled may end without a step of it that could do so."""
        if ended.id == self._run and ended.status in ENDED_BADLY:
            tidy(self.plan, ended.id, self.plan.runtimes, self._runtimes)

    def _cancel(self, run: RunId) -> None:
        self._leases.finish_running()
        for hint in self._store.cancel(run, request=f"interrupt {self._id}"):
            self.publish(hint)

    def _part(self) -> None:
        """Nothing is held after a run that ended; after a second Ctrl-C, or a failure of ours, something may be."""
        self._leases.drain("all")
        end = time.monotonic() + FAREWELL
        while len(self._leases) and time.monotonic() < end:
            time.sleep(0.02)
        with suppress(FleetFlowError):
            for held in self._leases.held():
                self._store.release(held.claim, reason="interrupted")
        with suppress(FleetFlowError):
            self._store.leave(self._id)
        self._leases.stop()

    def _serve(self) -> None:
        while (hint := self._inbox.get()) is not None:
            if not self._ended.is_set():
                self._follow(hint)

    def _follow(self, hint: Hint) -> None:
        try:
            execute(
                hint.run,
                hint.step,
                store=self._store,
                plans=self._plans,
                runtimes=self._runtimes,
                pins=self._pins,
                publish=self.publish,
                worker=self._id,
                leases=self._leases,
                tracebacks=str(log_file(self._settings.state)),
            )
        except UnavailableError as error:  # it comes again
            log.warning("hint.dropped", extra={"run": hint.run, "step": hint.step, "problem": str(error)})

    def _look_after(self) -> None:
        """What presence and reconciler are to a worker, for one stage."""
        memory, was_empty, beaten = Memory(), False, time.monotonic()
        while not self._ended.wait(EVERY):
            empty = self._inbox.empty()
            try:
                if time.monotonic() - beaten >= self._settings.beat:
                    self._store.beat(self._info())
                    beaten = time.monotonic()
                memory = look_around(memory, store=self._store, lease=self._settings.lease)
                again = [self._queue] if empty and was_empty else []
                stage = (self.plan.project, self.plan.stage)
                care(
                    stage,
                    memory,
                    store=self._store,
                    publish=self.publish,
                    keys=self._settings.keys,
                    republish=again,
                )
            except UnavailableError as error:
                log.warning("stage.unseen", extra={"problem": str(error)})
                memory = memory.after_outage(lease=self._settings.lease)
            was_empty = empty

    def _info(self) -> WorkerInfo:
        return WorkerInfo(
            id=self._id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=(self._queue,),
            slots=self._slots,
            busy=len(self._leases),
            schema=self.plan.schema,
            runtimes=self.plan.runtimes,
            keys=self._settings.keys.ids,
            birth=birth(os.getpid()),
            version=__version__,
        )
