# SPDX-License-Identifier: Apache-2.0
"""Brings the faults about, each at its time, and ends those that last."""

import heapq
import itertools
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

import redis

from fleetflow_tasks.engine import keys
from fleetflow_tasks.plan.model import QueueName
from tests.engine.faults.proxy import Proxy
from tests.engine.soak.machines import Server, Worker
from tests.engine.soak.schedule import Fault

REQUESTS = (
    b"nonce",
    b"fence",
    b"outcome",
    b"claims",
    b"republish",
)  # in a claim, an end, a good end, a renewal, a pass
LOST = 3  # replies at a time
SLOW = 0.05  # seconds by which each chunk comes late

DROP = "return redis.call('DEL', KEYS[1])"
DOUBLE = "local m = redis.call('LINDEX', KEYS[1], 0); return m and redis.call('LPUSH', KEYS[1], m, m)"
REORDER = """
local all = redis.call('LRANGE', KEYS[1], 0, -1)
for _, message in ipairs(all) do redis.call('LREM', KEYS[1], 1, message); redis.call('LPUSH', KEYS[1], message) end
"""
HINTS = {"hints dropped": DROP, "hints doubled": DOUBLE, "hints reordered": REORDER}


class Faults:
    """did: how many of each kind. `tick` is called again and again, with the seconds since the beginning."""

    def __init__(
        self,
        faults: Sequence[Fault],
        *,
        server: Server,
        workers: Sequence[Worker],
        proxy: Proxy,
        queues: Sequence[QueueName],
        seed: str,
    ) -> None:
        self.did: Counter[str] = Counter()
        self._server = server
        self._workers = workers
        self._proxy = proxy
        self._queues = queues
        self._rng = random.Random(f"{seed} requests")
        self._numbers = itertools.count()
        self._plan: list[tuple[float, int, Callable[[float], None]]] = []
        self._spoiling: dict[str, float] = {}
        for fault in faults:
            self._at(fault.at, partial(self._begin, fault))

    def tick(self, now: float) -> None:
        while self._plan and self._plan[0][0] <= now:
            heapq.heappop(self._plan)[2](now)
        for script, until in list(self._spoiling.items()):
            self._spoil(script)
            if now >= until:
                del self._spoiling[script]

    def heal(self) -> None:
        """Whatever lasts ends now; what was to come does not come."""
        self._plan.clear()
        self._spoiling.clear()
        for worker in self._workers:
            worker.send(signal.SIGCONT)
        if not self._server.is_up:
            self._server.kill()
            self._server.start()
        self._proxy.delay = 0
        self._proxy.go_on()

    def _at(self, when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._plan, (when, next(self._numbers), what))

    def _begin(self, fault: Fault, now: float) -> None:
        if not self._server.is_up and (fault.kind.startswith(("redis", "hints", "reconciler"))):
            return self._at(now + 0.5, partial(self._begin, fault))  # one thing at a time for Redis
        self.did[fault.kind] += 1
        worker, end = self._workers[fault.victim], now + fault.seconds
        match fault.kind:
            case "worker killed":
                worker.send(signal.SIGKILL)
            case "worker stopped" | "worker stopped for long":
                self._stop(worker, end)
            case "worker terminated":
                worker.send(signal.SIGTERM)
            case "reconciler stopped":
                self._stop(self._reconciler() or worker, end)
            case "redis killed":
                self._server.kill()
                self._server.start()
            case "redis away":
                self._server.kill()
                self._at(end, lambda _: self._server.start())
            case "redis stopped":
                self._server.stop()
                self._at(end, lambda _: self._server.go_on())
            case "connections cut":
                self._proxy.cut()
            case "connections slow":
                self._proxy.delay = SLOW
                self._at(end, lambda _: setattr(self._proxy, "delay", 0))
            case "connections dead":
                self._proxy.stop()
                self._at(end, lambda _: self._proxy.go_on())
            case "replies lost":
                self._proxy.lose_reply(self._rng.choice(REQUESTS), LOST)
            case "hints dropped" | "hints doubled" | "hints reordered":
                self._spoiling[HINTS[fault.kind]] = end
        return None

    def _stop(self, worker: Worker, end: float) -> None:
        stopped = worker.pid
        worker.send(signal.SIGSTOP)
        self._at(end, lambda _: worker.send(signal.SIGCONT) if worker.pid == stopped else None)

    def _reconciler(self) -> Worker | None:
        """The worker that reconciles: its id is host:pid:random."""
        with closing(redis.Redis.from_url(self._server.url, decode_responses=True)) as client:
            pid = str(client.get(keys.RECONCILER)).split(":")[1:2]
        return next((worker for worker in self._workers if [str(worker.pid)] == pid), None)

    def _spoil(self, script: str) -> None:
        if not self._server.is_up:
            return
        with closing(redis.Redis.from_url(self._server.url)) as client:
            for queue in self._queues:
                client.eval(script, 1, queue)
