# SPDX-License-Identifier: Apache-2.0
"""A stage on its cluster: what all rooms that ask it want to know."""

from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.identity import Identity
from fleetflow_tasks.runtimes.kubernetes.observe import Snapshot, Snapshots, snapshot
from fleetflow_tasks.runtimes.kubernetes.settings import settings
from fleetflow_tasks.runtimes.kubernetes.watches import Watches
from fleetflow_tasks.runtimes.labels import Mark


class Cluster:
    """One cluster, shared by all steps that go to it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.watches = Watches(client)
        self.identity = Identity(client)
        self.snapshots = Snapshots(client)

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
        """As it was when the run began, and what this worker has written since."""
        return self.cluster.snapshots.of(self.namespace, self.plan.project, self.plan.stage, attempt.run)

    def forget(self, attempt: Attempt) -> None:
        self.cluster.snapshots.forget(self.namespace, self.plan.project, self.plan.stage, attempt.run)

    def now(self) -> Snapshot:
        return snapshot(self.client, self.namespace, self.plan.project, self.plan.stage)
