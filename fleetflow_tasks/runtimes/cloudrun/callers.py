# SPDX-License-Identifier: Apache-2.0
"""Who may call a service, in the course of one deployment of it.

Whom we let in and is not wanted any more is shut out before the update that forgets them; whom the update notes is let in
once the new version serves. So whoever was let in by us is noted at every moment, and a worker that dies anywhere leaves
nobody let in whom the next one would not know.
"""

from collections.abc import Sequence

from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.cloudrun import iam
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError
from fleetflow_tasks.runtimes.cloudrun.desired import Desired
from fleetflow_tasks.runtimes.cloudrun.form import Json


class Callers:
    """Of one attempt. by_policy: a public service has to be opened by its policy."""

    def __init__(self, client: Client, wanted: Desired, attempt: Attempt) -> None:
        self._client = client
        self._wanted = wanted
        self._attempt = attempt
        self.by_policy = False

    def refused(self, error: CloudRunError) -> bool:
        """Whether it was the other way of opening it that was refused, so that it is worth another update."""
        again = self._wanted.public and not self.by_policy and iam.refuses_unchecked(error)
        self.by_policy = self.by_policy or again
        return again

    def shut_out(self, found: Json | None) -> tuple[tuple[str, ...], Sequence[str]]:
        """Whom to note in the update of *found*, and whom it no longer lets in: they are shut out, by now or already."""
        members, before = self._members(found), iam.remembered(found)
        if found is None:
            return members, ()
        gone = sorted(set(before) - set(members))
        policy = iam.policy(self._client, self._wanted.name, members, before)
        iam.let_in(self._client, self._wanted.name, (), gone, self._attempt)
        return iam.ours(policy, members, before) if policy is not None else members, gone

    def let_in(self, found: Json) -> bool:
        """Those that are wanted; False where all of them could call it already. found: the service as it serves now."""
        members = self._members(found)
        return bool(members) and iam.let_in(self._client, self._wanted.name, members, (), self._attempt)

    def _members(self, found: Json | None) -> tuple[str, ...]:
        """Those that are wanted. What is open by its policy stays so: to try the other way, it would have to be shut first."""
        self.by_policy = self.by_policy or iam.EVERYBODY in iam.remembered(found)
        return iam.wanted(self._wanted, by_policy=self.by_policy)
