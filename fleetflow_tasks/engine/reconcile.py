# SPDX-License-Identifier: Apache-2.0
"""What nobody else would do: give back the steps of dead workers, give up the runs of a `flow up` that was killed, wake
what is delayed, bring back what was good before a run that was to be rolled back, send lost hints again.

Every worker carries a reconciler; a lease of five seconds lets one of them act. Two at once, after a pause of the
holder, do no harm: each action is a script that looks at the state before it changes it.

How does one know that a hint was lost? Not by its age: a thousand ready steps before eight slots are old and well. But
with prefetch off a hint is either in its queue or being followed. So a queue that was empty in two passes, a second
apart, while steps of it are ready, has lost them; any other has not. Where one pass cannot look at all stages, that is
found out when a round over them begins, and holds for the whole round.

After an outage nothing is expired for one whole lease. When Redis comes back, every lease looks as if it had ended,
though its holders are alive and about to renew; handing their steps out at once would do all of them twice.

One tick is a function of the store and of what the last tick remembered; it knows nothing of threads and of Celery.
"""

import logging
import threading
import time
from collections.abc import Sequence
from itertools import islice

import msgspec

from fleetflow_tasks.config.model import Data, ProjectName, StageName
from fleetflow_tasks.engine.abandoned import give_up_abandoned
from fleetflow_tasks.engine.model import LEASE, LOCAL, Publish, WorkerId
from fleetflow_tasks.engine.rollback import pass_on, roll_back
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.engine.trouble import DamagedError
from fleetflow_tasks.errors import FleetFlowError, UnavailableError
from fleetflow_tasks.plan.codec import Keys
from fleetflow_tasks.plan.model import QueueName

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds between two passes: a lost hint is seen by a person who waits
HOLD = 5.0  # seconds that the right to act lasts without a renewal
STAGES = 200  # stages a pass at most, so that it cannot starve its own worker; the next one goes on from there


StageKey = tuple[ProjectName, StageName]


class Memory(Data, frozen=True, kw_only=True):
    """What one tick leaves to the next.

    epoch: of the server that was seen last. quiet_until: on `time.monotonic`'s clock; nothing is expired before.
    empty: queues that were empty when the last round over all stages began. again: those of which this round sends the hints
    again. last: the stage at which the last pass ended, None: at the end of a round.
    """

    epoch: str = ""
    quiet_until: float = 0.0
    empty: frozenset[QueueName] = frozenset()
    again: frozenset[QueueName] = frozenset()
    last: StageKey | None = None

    def after_outage(self, *, lease: float) -> "Memory":
        """Redis did not answer: whoever holds a lease could not renew it either."""
        return Memory(epoch=self.epoch, quiet_until=time.monotonic() + lease)

    def in_reserve(self) -> "Memory":
        """Another reconciler acts: what was seen of the queues is soon too old to be compared with."""
        return Memory(epoch=self.epoch, quiet_until=self.quiet_until)


def tick(memory: Memory, *, store: Store, publish: Publish, keys: Keys, lease: float = LEASE) -> Memory:
    """One pass over the active stages, or as many as a pass takes. Raises UnavailableError when Redis does not answer."""
    memory = memory if memory.last else _begun(memory, store)
    active = sorted(store.active_stages())
    stages = _page(active, after=memory.last)
    memory = look_around(memory, store=store, lease=lease)
    for stage in stages:
        try:
            care(stage, memory, store=store, publish=publish, keys=keys, republish=sorted(memory.again))
        except DamagedError as error:  # somebody wrote to its keys: the others have done nothing
            log.warning("stage.damaged", extra={"stage": "/".join(stage), "problem": str(error)})
    return msgspec.structs.replace(memory, last=stages[-1] if stages and stages[-1] != active[-1] else None)


def _begun(memory: Memory, store: Store) -> Memory:
    """A round over all stages. What is to be sent again is found out once for all of them, however many passes it takes."""
    queues = {queue for worker in store.workers() for queue in worker.queues if not queue.startswith(LOCAL)}
    empty = frozenset(queue for queue in queues if _is_empty(queue, store))
    # What is sent again gets two passes to be followed.
    return msgspec.structs.replace(memory, empty=empty - memory.empty, again=empty & memory.empty)


def _is_empty(queue: QueueName, store: Store) -> bool:
    """A queue that is none, since somebody else wrote under its name, says nothing of what was lost."""
    try:
        return store.queue_length(queue) == 0
    except DamagedError:
        return False


def look_around(memory: Memory, *, store: Store, lease: float) -> Memory:
    """Notice a server that is another one, or younger than a lease, and be quiet until all holders could renew."""
    epoch, uptime = store.server_epoch()
    if epoch == memory.epoch:
        return memory
    quiet = lease if memory.epoch else max(0.0, lease - uptime)
    return msgspec.structs.replace(memory, epoch=epoch, quiet_until=max(memory.quiet_until, time.monotonic() + quiet))


def care(
    stage: StageKey,
    memory: Memory,
    *,
    store: Store,
    publish: Publish,
    keys: Keys,
    republish: Sequence[QueueName] = (),
) -> None:
    """Expire what may be expired in *stage*, give up what was abandoned, wake what is due, bring back what was good, send
    again what was lost."""
    quiet = time.monotonic() < memory.quiet_until
    hints = [] if quiet else list(store.expire(*stage))
    due = store.due(*stage, republish=republish)
    hints += due.hints
    if due.alone:
        hints += give_up_abandoned(store, *stage, quiet=quiet)
    for hint in dict.fromkeys(hints):  # what was just given back may stand among what is sent again
        publish(hint)
    if hints:
        log.info("hints.sent_again", extra={"stage": "/".join(stage), "count": len(hints)})
    if due.held:
        _undo(stage, store, publish, keys)


def _undo(stage: StageKey, store: Store, publish: Publish, keys: Keys) -> None:
    undo = store.undo(*stage)
    if undo is None:
        return
    try:
        submitted = roll_back(undo, *stage, store=store, keys=keys, publish=publish)
    except UnavailableError as error:  # a full Redis stores no run; the other stages are cared for all the same
        log.warning("rollback.delayed", extra={"run": undo.failed, "problem": str(error)})
        return
    if submitted is None:
        pass_on(*stage, store=store, keys=keys, publish=publish)
    else:
        log.info("run.rolled_back", extra={"run": undo.failed, "by": submitted.run.id})


def _page(stages: Sequence[StageKey], *, after: StageKey | None) -> list[StageKey]:
    return list(islice((stage for stage in stages if after is None or stage > after), STAGES))


class Reconciler:
    """The thread that ticks while it holds the lease."""

    def __init__(
        self,
        store: Store,
        publish: Publish,
        *,
        keys: Keys,
        worker: WorkerId,
        lease: float = LEASE,
        every: float = EVERY,
    ) -> None:
        self._store = store
        self._publish = publish
        self._keys = keys
        self._worker = worker
        self._lease = lease
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ff-reconciler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        memory = Memory()
        while not self._ended.wait(self._every):
            memory = self._pass(memory)

    def _pass(self, memory: Memory) -> Memory:
        try:
            if not self._store.reconciler(self._worker, lease=HOLD):
                return memory.in_reserve()
            return tick(memory, store=self._store, publish=self._publish, keys=self._keys, lease=self._lease)
        except UnavailableError as error:
            log.warning("reconciler.blind", extra={"problem": str(error)})
            return memory.after_outage(lease=self._lease)
        except FleetFlowError as error:  # Redis answers, so whoever holds a lease can renew it
            log.warning("reconciler.blind", extra={"problem": str(error)})
            return memory
