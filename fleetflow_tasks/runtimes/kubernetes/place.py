# SPDX-License-Identifier: Apache-2.0
"""A stage on its cluster: what all rooms that ask it want to know."""

import threading
from collections.abc import Callable, Mapping

from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.kubernetes.access import access, connect, stamp
from fleetflow_tasks.runtimes.kubernetes.client import Client, Trace
from fleetflow_tasks.runtimes.kubernetes.identity import Identity
from fleetflow_tasks.runtimes.kubernetes.inway import Names, Taken
from fleetflow_tasks.runtimes.kubernetes.kinds import Kind
from fleetflow_tasks.runtimes.kubernetes.observe import FRESH, Snapshot, Snapshots, snapshot
from fleetflow_tasks.runtimes.kubernetes.settings import settings
from fleetflow_tasks.runtimes.kubernetes.watches import Watches
from fleetflow_tasks.runtimes.labels import Mark
from fleetflow_tasks.runtimes.together import Pause, Together

Stamp = tuple[tuple[int, int] | None, ...]


class Clusters:
    """The clusters that this process has gone to, by the context that leads there. Safe for many threads.

    A kubeconfig may be written anew while a worker runs, and lead elsewhere. So its files are looked at (`stamp`), and
    where one has changed, the address that they hold now: a login that was renewed keeps its connections and watches.
    Steps that are at work on the cluster of before end there.

    Each context is asked for by itself: a credential plugin may take a minute, and the other clusters do not wait for it.
    """

    def __init__(self, environ: Mapping[str, str], trace: Trace | None, timeout: float) -> None:
        self._environ = environ
        self._trace = trace
        self._timeout = timeout
        self._lock = threading.Lock()
        self._met: dict[str, tuple[Stamp, Cluster]] = {}
        self._asking: dict[str, Together[Cluster]] = {}
        self._left: list[Cluster] = []

    def at(self, context: str, pause: Pause | None = None) -> "Cluster":
        """pause: asked while somebody else connects; it may raise. Raises UnavailableError."""
        with self._lock:
            now = stamp(self._environ)
            before, cluster = self._met.get(context, (None, None))
            if cluster is not None and before == now:
                return cluster
            together = self._asking.setdefault(context, Together())
        return together(lambda: self._led(context), pause)

    def close(self) -> None:
        with self._lock:
            clusters = [*self._left, *(cluster for _, cluster in self._met.values())]
            self._met.clear()
            self._left.clear()
        for cluster in clusters:
            cluster.close()

    def _led(self, context: str) -> "Cluster":
        """Where the kubeconfig leads now."""
        now = stamp(self._environ)
        with self._lock:
            before, cluster = self._met.get(context, (None, None))
        old = cluster if before != now and cluster is not None and self._moved(context, cluster) else None
        if cluster is None or old is not None:
            cluster = Cluster(connect(self._environ, context, self._trace, timeout=self._timeout))
        with self._lock:
            self._left += [old] if old is not None else []
            self._met[context] = now, cluster
        return cluster

    def _moved(self, context: str, cluster: "Cluster") -> bool:
        target, _ = access(self._environ, context)
        return target != cluster.client.line.target


class Cluster:
    """One cluster, shared by all steps that go to it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.watches = Watches(client)
        self.identity = Identity(client)
        self.snapshots = Snapshots(client)
        self.taken = Taken(client)

    def close(self) -> None:
        self.watches.close()
        self.client.close()


class Place:
    """A stage of a plan on its cluster, with all that its steps want to know of it."""

    def __init__(self, cluster: Cluster, plan: Plan) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.plan = plan
        self.settings = settings(plan)
        self.namespace = self.settings.namespace

    @property
    def services(self) -> list[ResolvedService]:
        return [service for service in self.plan.services if service.runtime == "kubernetes"]

    def mark(self, attempt: Attempt) -> Mark:
        """Of what *attempt* makes."""
        return Mark(project=self.plan.project, stage=self.plan.stage, run=attempt.run, generation=attempt.generation)

    def known(self, attempt: Attempt) -> Snapshot:
        """As it was some seconds ago, and what this worker has written since; for a later attempt, as it is now."""
        return self.cluster.snapshots.of(
            self.namespace,
            self.plan.project,
            self.plan.stage,
            attempt.run,
            fresh=_fresh(attempt),
            pause=attempt.checkpoint,
        )

    def taken(self, attempt: Attempt) -> Callable[[Kind], Names]:
        """Which names of a kind are in use, as fresh as `known`."""
        fresh = _fresh(attempt)
        return lambda kind: self.cluster.taken.of(self.namespace, kind, fresh=fresh, pause=attempt.checkpoint)

    def taken_now(self, kind: Kind) -> Names:
        return self.cluster.taken.of(self.namespace, kind, fresh=0.0)

    def forget(self, attempt: Attempt) -> None:
        self.cluster.snapshots.forget(self.namespace, self.plan.project, self.plan.stage, attempt.run)

    def now(self) -> Snapshot:
        return snapshot(self.client, self.namespace, self.plan.project, self.plan.stage)

    def seen(self) -> Snapshot:
        """As `now`, for who only looks: what runs can be told without the right to read secrets."""
        return snapshot(self.client, self.namespace, self.plan.project, self.plan.stage, without_secrets=True)


def _fresh(attempt: Attempt) -> float:
    """How many seconds old what is known may be. Before a later attempt something went wrong: that one looks again."""
    return FRESH if attempt.number == 1 else 0.0
