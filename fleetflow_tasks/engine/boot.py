# SPDX-License-Identifier: Apache-2.0
"""A worker process, put together: Celery's consumer in the main thread, around it what keeps the rules of a run.

    main thread     Celery's event loop: takes hints off the queues, hands each to a thread of its pool
    pool threads    one step each: `execute`
    ff-renewer      keeps the leases of all of them; cancels arrive there
    ff-reconciler   gives back what dead workers held, one worker at a time for the whole Redis
    ff-presence     says every few seconds that this worker is there, and watches for two ways to be there in vain
    ff-exit         waits for the end, and brings it about

Celery's own shutdown waits for every thread, however long, and a thread cannot be killed. So the end is ours: consume
no more, give back what has not begun or only waits, let the rest come to its end for as long as the grace lasts, give
that back too, and leave by `os._exit`. What is given back is with another worker at once; what a crash leaves behind,
after its lease. A worker that is told how old it may get ends the same way by itself, when it has nothing to do.
"""

import logging
import os
import random
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from celery import Celery
from celery.app import trace
from celery.worker import WorkController

from fleetflow_tasks import __version__
from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.engine.address import shown
from fleetflow_tasks.engine.app import Listener, app
from fleetflow_tasks.engine.embedded import redis_for
from fleetflow_tasks.engine.execute import Pause, Plans, Runtimes, execute, nowhere, once_each, send
from fleetflow_tasks.engine.lease import Leases
from fleetflow_tasks.engine.logs import log_as_json
from fleetflow_tasks.engine.model import RunId, WorkerId, WorkerInfo
from fleetflow_tasks.engine.pin import Pins
from fleetflow_tasks.engine.publish import publisher
from fleetflow_tasks.engine.reconcile import Reconciler
from fleetflow_tasks.engine.rollback import UNDO, follow_undo
from fleetflow_tasks.engine.settings import Settings, slots_of
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.engine.tasks import serve
from fleetflow_tasks.engine.tidy import TIDY, follow_tidy
from fleetflow_tasks.engine.trouble import in_words
from fleetflow_tasks.errors import FleetFlowError, RefusedError, UnavailableError
from fleetflow_tasks.plan.model import SCHEMA, QueueName, StepId

log = logging.getLogger(__name__)

LAST_CALL = 5.0  # seconds before the end of the grace at which everything still at work is told to stop
PARTING = 0.5  # seconds of the grace kept for saying goodbye to Redis
SPREAD = 0.1  # of the age at which a worker is renewed, added at most: those that began together must not end together
BUSIEST = 3600.0  # seconds past that age after which it ends though it never was idle
EXIT_AGAIN = 75  # sysexits.h, EX_TEMPFAIL: start me again
EXIT_BUG = 70


def work(
    queues: Sequence[QueueName],
    *,
    settings: Settings,
    runtimes: Runtimes,
    slots: int | None = None,
    pause: Pause = nowhere,
) -> NoReturn:
    """Serve *queues* until SIGTERM or SIGINT; ends the process itself.

    slots: steps at once; None: what suits the first queue's runtime. runtimes: a name -> its runtime.
    Raises UnavailableError or RefusedError where the worker cannot begin: no Redis, too few rights on it, a runtime that
    is not installed.
    """
    log_as_json()
    for queue in queues:
        runtimes(runtime_of(queue))
    with ExitStack() as stack:
        url = stack.enter_context(redis_for(settings, log.info))
        worker = _Worker(
            tuple(queues), url, settings, once_each(runtimes), slots or slots_of(runtime_of(queues[0])), pause
        )
        worker.store.check()
        worker.start(stack)
        worker.consume()
    sys.exit(EXIT_AGAIN)


def runtime_of(queue: QueueName) -> RuntimeName:
    """`docker` serves the queues `docker` and `docker.web1`."""
    return RuntimeName(queue.partition(".")[0])


class _Consumer(WorkController):  # type: ignore[misc]  # Celery ships no types
    """Celery's worker without its command line: no banner, no logging and no signal handlers of its own.

    refused: what Redis refused, for which it ended; the client's own error.
    """

    refused: Any = None

    def on_before_init(self, **_: Any) -> None:
        trace.setup_worker_optimizations(self.app, self.hostname)

    def stop_consuming(self, queues: Sequence[QueueName]) -> None:
        """From another thread: the event loop does it at its next turn. A message under way goes back to its queue."""
        if self.consumer is not None and self.consumer.task_consumer is not None:
            for queue in queues:
                self.consumer.call_soon(self.consumer.cancel_task_queue, queue)


class _Worker:
    def __init__(
        self, queues: tuple[QueueName, ...], url: str, settings: Settings, runtimes: Runtimes, slots: int, pause: Pause
    ) -> None:
        self.store = Store.connect(url, client_name="ff-worker", lease=settings.lease)
        self.id = WorkerId(f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")
        self._shown = shown(url)
        self._queues = queues
        self._settings = settings
        self._slots = slots
        self._celery = app(url, queues)
        self._publish = publisher(self.store)
        self._leases = Leases(self.store, renew=settings.renew, overstay=settings.overstay)
        self._plans = Plans(self.store, settings.keys)
        self._pins = Pins(self.store)
        self._runtimes = runtimes
        self._pause = pause
        self._busy = _Count()
        self._heard = self._heard_before = time.monotonic()  # when the last hint came, or a slot was free again
        self._ignored = 0  # looks in a row at which hints lay there and none was taken
        self._old = time.monotonic() + (settings.recycle or float("inf")) * random.uniform(1, 1 + SPREAD)  # noqa: S311  (no secret)
        self._leave = threading.Event()
        self._at_once = threading.Event()
        self._code = 0
        self._began = 0.0
        self._consumer: _Consumer | None = None

    def start(self, stack: ExitStack) -> None:
        """Everything but the consumer. stack: what the process must let go of before it ends."""
        threading.excepthook = _die
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._on_signal)
        self._began = self.store.now()
        self.store.beat(self._info())
        self._leases.start()
        Reconciler(
            self.store, self._publish, keys=self._settings.keys, worker=self.id, lease=self._settings.lease
        ).start()
        threading.Thread(target=self._be_present, name="ff-presence", daemon=True).start()
        threading.Thread(target=self._end, args=(stack.pop_all(),), name="ff-exit", daemon=True).start()

    def consume(self) -> None:
        """Blocks; when Celery gives up, this process is ended, or told why it cannot work."""
        serve(self._celery, self._follow)
        self._consumer = _consumer(self._celery, self._queues, self._slots)
        log.info("worker.ready", extra={"worker": self.id, "queues": list(self._queues), "slots": self._slots})
        self._consumer.start()
        if not self._leave.is_set():
            self._on_ended(self._consumer.refused)
        threading.Event().wait()  # ff-exit ends the process

    def _on_ended(self, refused: Any) -> None:
        """Celery gave up. Raises RefusedError where a new process would be refused the same, and no step is under way."""
        why = in_words(refused, self._shown) if refused else None
        if isinstance(why, RefusedError) and not self._busy.now:
            with suppress(FleetFlowError):
                self.store.leave(self.id)
            raise why from refused
        self._give_up("consumer.ended", problem=str(why or ""))

    def _follow(self, run: RunId, step: StepId) -> None:
        self._heard = time.monotonic()
        if self._leave.is_set():
            return
        with self._busy.one_more():
            try:
                self._done(run, step)
            except FleetFlowError as error:
                log.warning("hint.dropped", extra={"run": run, "step": step, "problem": str(error)})
            finally:
                self._heard = time.monotonic()  # a consumer whose slots were all taken had nothing to hear until now

    def _done(self, run: RunId, step: StepId) -> None:
        """What a hint asks for: a step, or one of the two things that come after a run."""
        if step == TIDY:
            follow_tidy(run, self._queues, store=self.store, plans=self._plans, runtimes=self._runtimes)
        elif step == UNDO:
            follow_undo(run, store=self.store, keys=self._settings.keys, publish=self._publish)
        else:
            execute(
                run,
                step,
                store=self.store,
                plans=self._plans,
                runtimes=self._runtimes,
                pins=self._pins,
                publish=self._publish,
                worker=self.id,
                leases=self._leases,
                pause=self._pause,
            )

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """The second signal means it."""
        if self._leave.is_set():
            self._at_once.set()
        self._leave.set()

    def _give_up(self, why: str, **more: str) -> None:
        log.error(why, extra={"worker": self.id, **more})
        self._code = EXIT_AGAIN
        self._at_once.set()
        self._leave.set()

    def _be_present(self) -> None:
        while not self._leave.wait(self._settings.beat):
            try:
                self.store.beat(self._info())
                deaf = self._is_deaf()
            except FleetFlowError as error:
                log.warning("worker.unseen", extra={"problem": str(error)})
                continue
            if deaf:
                self._give_up("worker.deaf")
            if self._leases.stuck.is_set():
                self._give_up("worker.stuck")
            if self._is_old():
                log.info("worker.old", extra={"worker": self.id})
                self._leave.set()

    def _is_deaf(self) -> bool:
        """Look after look hints lay in a queue, slots were free, and none was taken.

        Counted in looks, not by the clock: a worker that was idle for an hour, or stopped, heard nothing either.
        """
        ignored = (
            self._heard == self._heard_before
            and self._busy.now < self._slots
            and any(self.store.queue_length(queue) for queue in self._queues)
        )
        self._heard_before = self._heard
        self._ignored = self._ignored + 1 if ignored else 0
        return self._ignored * self._settings.beat >= self._settings.deaf

    def _is_old(self) -> bool:
        """Old enough to be renewed, and idle; or so old that waiting to be idle may never end."""
        overdue = time.monotonic() - self._old
        return overdue >= BUSIEST or (overdue >= 0 and not self._busy.now)

    def _info(self) -> WorkerInfo:
        return WorkerInfo(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self._queues,
            slots=self._slots,
            busy=self._busy.now,
            schema=SCHEMA,
            runtimes=tuple(sorted({runtime_of(queue) for queue in self._queues})),
            keys=self._settings.keys.ids,
            draining=self._leave.is_set(),
            started=self._began,
            version=__version__,
        )

    def _end(self, stack: ExitStack) -> None:
        self._leave.wait()
        end = time.monotonic() + self._settings.grace
        log.info("worker.draining", extra={"worker": self.id, "busy": self._busy.now})
        if self._consumer is not None:
            self._consumer.stop_consuming(self._queues)
        with suppress(UnavailableError):
            self.store.beat(self._info())
        self._leases.drain("waiting")
        self._wait(until=end - LAST_CALL)
        self._leases.drain("all")
        self._wait(until=min(end - PARTING, time.monotonic() + LAST_CALL - PARTING))
        self._part(stack)

    def _wait(self, *, until: float) -> None:
        """For the running steps to end, or for a second signal."""
        while self._busy.now and time.monotonic() < until:
            if self._at_once.is_set() and self._leases.draining == "waiting":
                return
            time.sleep(0.05)

    def _part(self, stack: ExitStack) -> NoReturn:
        with suppress(UnavailableError):
            for held in self._leases.held():
                if (
                    not held.hangs()
                ):  # what hangs is counted as lost when its lease ends: it may be the step's own doing
                    send(self._publish, self.store.release(held.claim, reason="its worker had to end").hints)
            self.store.leave(self.id)
        log.info("worker.ended", extra={"worker": self.id, "code": self._code})
        with suppress(FleetFlowError, OSError):
            stack.close()
        logging.shutdown()
        os._exit(self._code)


class _Count:
    """How many are at work."""

    def __init__(self) -> None:
        self.now = 0
        self._lock = threading.Lock()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._lock:
            self.now += 1
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1


def _consumer(celery: Celery, queues: Sequence[QueueName], slots: int) -> _Consumer:
    return _Consumer(
        app=celery,
        hostname=f"{queues[0]}-{os.getpid()}@{socket.gethostname()}",  # Flower wants a name per process
        pool="threads",  # a step waits on a network; see the leases for why a killable process would be no gain
        concurrency=slots,
        queues=list(queues),
        consumer_cls=Listener,
        without_mingle=True,  # both only make workers read each other's events
        without_gossip=True,
    )


def _die(failure: threading.ExceptHookArgs) -> None:
    """One of our threads met what nobody foresaw. Half a worker is worse than none: leave, and be started again."""
    kind, error, trace_ = failure.exc_type, failure.exc_value, failure.exc_traceback
    log.critical("worker.bug", exc_info=(kind, error or kind(), trace_))
    logging.shutdown()
    os._exit(EXIT_BUG)
