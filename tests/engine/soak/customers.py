# SPDX-License-Identifier: Apache-2.0
"""Who asks: one customer per stage, each with its orders. All of them live in one thread.

A customer whose Redis does not answer asks again later, with the same run id, as people and CI do.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress

from fleetflow_tasks.engine.dispatch import submit
from fleetflow_tasks.engine.model import RUN_ENDS, Because, Hint, Publish, RunId, Snapshot
from fleetflow_tasks.engine.publish import publisher
from fleetflow_tasks.engine.retrying import again
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import RefusedError, UnavailableError
from fleetflow_tasks.plan.codec import Keys
from tests.engine.soak.orders import Order, orders
from tests.engine.soak.world import behaviour

FORESEEN_CODES = {"recorded", "worker-lost"}  # of a step that was told to fail, or whose workers died
ROUND = 0.1  # seconds between two looks of a customer at its runs


class Customers:
    """failure: what ended the thread, and should not have. surprises: steps that failed, and nobody had told them to."""

    def __init__(self, url: str, keys: Keys, *, seed: str, stages: int) -> None:
        self.store = Store.connect(url, client_name="ff-soak")
        self.did: Counter[str] = Counter()
        self.surprises: list[str] = []
        self.failure: Exception | None = None
        publish = publisher(self.store)
        self._customers = [Customer(orders(seed, n), self.store, keys, publish, self.did) for n in range(stages)]
        self._seed = seed
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="customers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nobody asks for anything more."""
        self._closing.set()
        self._thread.join()
        self.store.close()

    def _run(self) -> None:
        try:
            while not self._closing.wait(ROUND):
                for customer in self._customers:
                    with suppress(UnavailableError):
                        self.surprises += surprising(customer.look(), self._seed)
        except Exception as error:  # noqa: BLE001  (told by the main thread)
            self.failure = error


class Customer:
    def __init__(self, orders: Iterator[Order], store: Store, keys: Keys, publish: Publish, did: Counter[str]) -> None:
        self._orders = orders
        self._store = store
        self._keys = keys
        self._publish = publish
        self._did = did
        self._next = next(orders)
        self._open: dict[RunId, Order] = {}
        self._cancels: dict[RunId, float] = {}

    def look(self) -> list[Snapshot]:
        """See what has ended, cancel what is to be cancelled, ask for the next. Returns the runs that have failed."""
        failed: list[Snapshot] = []
        for run in list(self._open):
            found = self._store.snapshot(run)
            if found is not None and found.run.status in RUN_ENDS:
                self._ended(found)
                failed += [found] if found.run.status == "failed" else []
        for run, at in list(self._cancels.items()):
            if time.monotonic() >= at:
                self._cancel(run)
        if len(self._open) < self._next.together:
            self._ask(self._next)
            self._next = next(self._orders)
        return failed

    def _ask(self, order: Order) -> None:
        submit(
            order.plan,
            run=order.run,
            store=self._store,
            keys=self._keys,
            publish=self._publish if order.hinted else nobody,
            actor="soak",
            conflict=order.conflict,
            fail_fast=order.fail_fast,
            rollback=order.rollback,
            timeout=order.timeout,
            wait_workers=True,
        )
        self._did["superseding" if order.conflict == "supersede" else "submitted"] += 1
        self._open[order.run] = order
        if order.cancel is not None:
            self._cancels[order.run] = time.monotonic() + order.cancel

    def _cancel(self, run: RunId) -> None:
        now = self._open[run].now
        for hint in self._store.cancel(run, request=f"soak {run}", now=now):
            self._publish(hint)
        self._did["cancelled at once" if now else "cancelled"] += 1
        del self._cancels[run]

    def _ended(self, found: Snapshot) -> None:
        order = self._open[found.run.id]
        if order.again and found.run.status == "failed" and len(self._open) == 1:
            self._ask_again(order, found)
        del self._open[found.run.id]
        self._cancels.pop(found.run.id, None)

    def _ask_again(self, order: Order, found: Snapshot) -> None:
        """For what a run has not done. Refused where its stage has gone on without us: it was being rolled back."""
        failed = found.run
        with suppress(RefusedError):
            submit(
                order.plan,
                run=RunId(f"1{failed.id[1:]}"),
                store=self._store,
                keys=self._keys,
                publish=self._publish,
                actor="soak",
                conflict="fail",
                kept=again(order.plan, found.steps),
                because=Because(kind="retry", run=failed.id, plan=failed.id),
                wait_workers=True,
                after=failed.generation,
            )
            self._did["asked again"] += 1


def surprising(failed: Iterable[Snapshot], seed: str) -> Iterator[str]:
    """Failures that the steps' behaviour does not explain, nor that their workers were killed again and again."""
    for snapshot in failed:
        for state in snapshot.steps:
            code = state.problem.code if state.problem else "no problem"
            told = code in FORESEEN_CODES or behaviour(seed, snapshot.run.id, state.step).crash
            if state.status == "failed" and not told:
                yield f"a step failed that nobody had told to: {state.step} of run {snapshot.run.id}: {state.problem}"


def nobody(hint: Hint) -> None:
    """A submitter that died after its run was stored."""
