# SPDX-License-Identifier: Apache-2.0
"""What a service's pods print: as it is now, or on and on, through new pods and restarted containers.

The API serves the output of one container, and of each no more than two lives: the present one and the one before. A
followed stream ends with the life that it shows. So each container has a reader here, which notes the kubelet's time of
the last line that it handed on. When its stream ends, whether the container did or a connection broke, the reader first
asks for what the life before still had to say after that time, once the container was restarted, and then goes on with
the present one. The API counts in whole seconds there, so it says some lines again; those are left out by the kubelet's
own time, which is exact to the nanosecond. Of several restarts between two looks only the last can be read.

Kubernetes does not tell the two streams of a container apart: all is `stdout`.
"""

import heapq
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import NamedTuple

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.plan.resolve import KUBERNETES
from fleetflow_tasks.runtimes.base import LogLine, LogOptions
from fleetflow_tasks.runtimes.kubernetes import instances
from fleetflow_tasks.runtimes.kubernetes.client import Client, Lines
from fleetflow_tasks.runtimes.kubernetes.kinds import POD
from fleetflow_tasks.runtimes.kubernetes.objects import Json, at, items, number, text
from fleetflow_tasks.runtimes.kubernetes.settings import settings
from fleetflow_tasks.runtimes.kubernetes.trouble import KubernetesError
from fleetflow_tasks.runtimes.kubernetes.watches import Seen, Watches

_AGAIN = 1.0  # seconds after a stream that broke without the container's end, before it is asked for again
_GLANCE = 5.0  # seconds that a change is waited for at most; whoever stops a reader wakes it before
_NO_LIFE = frozenset({400, 404})  # no life to show yet, or none before this one, or the pod is gone

Stamp = tuple[int, int]  # Unix seconds, nanoseconds: exact, and in order


def lines(
    client: Client, watches: Watches, plan: Plan, services: Sequence[ServiceName], options: LogOptions
) -> Iterator[LogLine]:
    """Of *services*, all where none is named. Raises KubernetesError."""
    if options.follow:
        yield from _followed(client, watches, plan, services, options)
        return
    found = [pod for pod in instances.listed(client, plan) if not services or instances.service(pod) in services]
    several = _several(found)
    sources = (
        _there(client, settings(plan).namespace, pod, container, options, several)
        for pod in found
        for container in instances.containers(pod)
    )
    yield from heapq.merge(*sources, key=lambda line: line.at or 0.0)


class Said(NamedTuple):
    """One line. stamp: None where the kubelet put none before it, which it does to words of its own."""

    stamp: Stamp | None
    text: str


def parsed(line: bytes) -> Said:
    """The kubelet puts its time in front of each line, in its node's own zone: `2026-11-24T12:00:00.000000001+01:00 text`."""
    shown = line.decode(errors="replace").rstrip("\r\n")
    head, _, rest = shown.partition(" ")
    stamp = _stamp(head)
    return Said(stamp, rest if stamp else shown)


def _stamp(word: str) -> Stamp | None:
    """Python's own times end at the microsecond."""
    whole, dot, rest = word.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        moment = datetime.fromisoformat(whole + rest[len(digits) :])
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return int(moment.timestamp()), int(digits[:9].ljust(9, "0")) if dot else 0


def _moment(at: float | None) -> str:
    """As the API reads it: full seconds."""
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _several(found: Sequence[Json]) -> set[ServiceName]:
    """The services that have more than one pod: only their lines say which."""
    names = [instances.service(pod) for pod in found]
    return {name for name in names if names.count(name) > 1}


def _line(pod: Json, said: Said, several: set[ServiceName]) -> LogLine:
    service = instances.service(pod)
    return LogLine(
        service=service,
        text=said.text,
        at=said.stamp[0] + said.stamp[1] / 1e9 if said.stamp else None,
        source=instances.short(pod) if service in several else "",
    )


def _there(
    client: Client, namespace: str, pod: Json, container: str, options: LogOptions, several: set[ServiceName]
) -> Iterator[LogLine]:
    """What one container has said so far; nothing where it has not begun, or has no life before this one."""
    try:
        opened = client.pod_log(
            namespace,
            instances.name(pod),
            container,
            previous=options.previous,
            follow=False,
            tail=options.tail,
            since=_moment(options.since),
            timestamps=True,
        )
        with opened:
            for line in opened:
                yield _line(pod, parsed(line), several)
    except KubernetesError as error:
        if error.status not in _NO_LIFE:
            raise


def _followed(
    client: Client, watches: Watches, plan: Plan, services: Sequence[ServiceName], options: LogOptions
) -> Iterator[LogLine]:
    shown: queue.Queue[LogLine | KubernetesError] = queue.Queue(maxsize=10_000)
    watched = watches.watched(settings(plan).namespace)
    ours = [service.name for service in plan.services if service.runtime == KUBERNETES]
    names = [name for name in ours if not services or name in services]
    with ExitStack() as stack:
        seen = {name: stack.enter_context(watched.use([POD], instances.labels(plan, name))) for name in names}
        following = [_Following(client, settings(plan).namespace, each, options, shown) for each in seen.values()]
        for each in following:
            stack.callback(each.stop)
            each.start()
        while True:
            with suppress(queue.Empty):
                line = shown.get(timeout=1.0)
                if isinstance(line, KubernetesError):
                    raise line
                yield line


class _Following(threading.Thread):
    """Of one service: sees its pods come, and gives each container of them a reader."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        seen: Seen,
        options: LogOptions,
        shown: "queue.Queue[LogLine | KubernetesError]",
    ) -> None:
        super().__init__(name="logs", daemon=True)
        self.client = client
        self.namespace = namespace
        self.several: set[ServiceName] = set()
        self._seen = seen
        self._options = options
        self._shown = shown
        self._readers: dict[tuple[str, str], _Reader] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        options, changes = self._options, 0
        try:
            while not self._stopping.is_set():
                self._look(options)
                # What begins while one follows is shown from its first line on.
                options, changes = LogOptions(follow=True), self._seen.wait(changes, _GLANCE)
        except KubernetesError as error:
            self.hand_on(error)
        finally:
            self._end_readers()

    def stop(self) -> None:
        self._stopping.set()
        self._end_readers()

    def _end_readers(self) -> None:
        for reader in list(self._readers.values()):
            reader.stop()

    def hand_on(self, line: LogLine | KubernetesError) -> None:
        """Wait for room, but not for who has stopped reading."""
        while not self._stopping.is_set():
            with suppress(queue.Full):
                self._shown.put(line, timeout=0.5)
                return

    def _look(self, options: LogOptions) -> None:
        """options: for pods that are new."""
        found = {text(pod, "metadata", "uid"): pod for pod in instances.ordered(self._seen.objects(POD))}
        self.several |= _several(list(found.values()))
        for uid, pod in found.items():
            for container in instances.containers(pod):
                if (uid, container) not in self._readers:
                    self._readers[uid, container] = reader = _Reader(self, pod, container, options)
                    reader.start()
        for (uid, container), reader in self._readers.items():
            reader.saw(_life(found[uid], container) if uid in found else None)
        self._readers = {key: each for key, each in self._readers.items() if key[0] in found or each.is_alive()}


class Life(NamedTuple):
    """Of a container, one run of its program. begun: it has printed, or can. ended: it will print nothing more."""

    number: int
    begun: bool
    ended: bool


def _life(pod: Json, container: str) -> Life:
    """The API counts restarts; of a container that waits to be restarted it shows the life that ended."""
    statuses = items(pod, "status", "containerStatuses")
    status = next((each for each in statuses if text(each, "name") == container), None)
    restarts = number(status, "restartCount")
    runs, over = (at(status, "state", name) is not None for name in ("running", "terminated"))
    return Life(restarts, begun=runs or over or restarts > 0, ended=over or (restarts > 0 and not runs))


class _Reader(threading.Thread):
    """Of one container, as long as its pod is there."""

    def __init__(self, following: _Following, pod: Json, container: str, options: LogOptions) -> None:
        super().__init__(name=f"logs-{instances.name(pod)}", daemon=True)
        self._following = following
        self._pod = pod
        self._container = container
        self._tail = options.tail
        self._since = options.since
        self._last: Stamp | None = None
        self._alike = 0  # lines handed on that bear the last stamp: another one with it may still come
        self._life: Life | None = _life(pod, container)
        self._changed = threading.Condition()
        self._stopping = False
        self._opened: Lines | None = None

    def saw(self, life: Life | None) -> None:
        """None: the pod is gone."""
        with self._changed:
            if life != self._life:
                self._life = life
                self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
            if self._opened is not None:
                self._opened.close()

    def run(self) -> None:
        try:
            shown: Life | None = None
            while (life := self._next(shown)) is not None:
                if shown is not None and life.number > shown.number and not shown.ended:
                    self._read(previous=True)
                self._read(previous=False)
                shown = life
        except KubernetesError as error:
            self._following.hand_on(error)

    def _next(self, shown: Life | None) -> Life | None:
        """The life to read now; None where there is none any more.

        shown: as it was when the last reading began. Only one that had ended by then is known to be read to its end.
        """
        with self._changed:
            if shown is None:
                self._changed.wait_for(lambda: self._stopping or self._life is None or self._life.begun)
            else:
                self._changed.wait_for(lambda: self._stopping or self._life != shown, None if shown.ended else _AGAIN)
            return None if self._stopping else self._life

    def _read(self, *, previous: bool) -> None:
        try:
            with self._log(previous=previous) as opened:
                if self._is_kept(opened):
                    for said in self._new(opened):
                        if said.stamp is not None or not previous:
                            self._hand_on(said)
        except KubernetesError as error:
            if error.status not in _NO_LIFE and not error.transient:
                raise

    def _log(self, *, previous: bool) -> Lines:
        return self._following.client.pod_log(
            self._following.namespace,
            instances.name(self._pod),
            self._container,
            previous=previous,
            follow=not previous,
            tail=self._tail,
            since=_moment(self._last[0] if self._last else self._since),
            timestamps=True,
        )

    def _is_kept(self, opened: Lines) -> bool:
        """Whether to read it: from now on, `stop` closes it."""
        with self._changed:
            self._opened = opened
            return not self._stopping

    def _new(self, opened: Lines) -> Iterator[Said]:
        """Without what was handed on before: the API's answer begins at the full second."""
        known, alike = self._last, self._alike
        for said in map(parsed, opened):
            if known is not None and said.stamp is not None:
                if said.stamp < known:
                    continue
                if said.stamp == known and alike:
                    alike -= 1
                    continue
                known = None
            yield said

    def _hand_on(self, said: Said) -> None:
        self._following.hand_on(_line(self._pod, said, self._following.several))
        if said.stamp is not None:
            self._alike = self._alike + 1 if said.stamp == self._last else 1
            self._last, self._tail = said.stamp, None
