# SPDX-License-Identifier: Apache-2.0
"""What services wrote: lines of several containers in the order of their times, and on, across restarts.

Followed, each service has a thread that reads its container, and looks for it again when the stream ends: restarted,
replaced by a newer one, or gone. What was shown is not shown twice: the Engine's own time of each line says where to go on.
"""

import heapq
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from fleetflow_tasks.config.model import ProjectName, ServiceName, StageName
from fleetflow_tasks.runtimes.base import LogLine, LogOptions
from fleetflow_tasks.runtimes.docker import observe
from fleetflow_tasks.runtimes.docker.client import Client, EngineError, Output
from fleetflow_tasks.runtimes.docker.observe import Container
from fleetflow_tasks.runtimes.docker.status import seconds

_AGAIN = 0.5  # seconds between two looks for a container whose stream ended


def lines(
    client: Client, project: ProjectName, stage: StageName, services: Sequence[ServiceName], options: LogOptions
) -> Iterator[LogLine]:
    containers = observe.stage(client, project, stage)
    found = {c.mark.service for c in containers if c.mark.service is not None}
    names = [name for name in dict.fromkeys(services or sorted(found)) if options.follow or name in found]
    if options.follow:
        yield from _followed(client, project, stage, names, options)
        return
    yield from heapq.merge(
        *(_read(client, _of(containers, name), name, options) for name in names), key=lambda line: line.at or 0.0
    )


def _of(containers: Sequence[Container], service: ServiceName) -> list[Container]:
    return [container for container in containers if container.mark.service == service]


def _read(
    client: Client, containers: Sequence[Container], service: ServiceName, options: LogOptions
) -> Iterator[LogLine]:
    """What is there now; of several containers (a failed new one beside the old) the older first."""
    for container in containers:
        with client.log(container.id, tail=options.tail, since=options.since, follow=False) as texts:
            for stream, text in texts:
                yield _line(service, stream, text)


def _line(service: ServiceName, stream: str, text: str) -> LogLine:
    """The Engine puts its time in front of each line."""
    stamp, _, rest = text.partition(" ")
    return LogLine(service=service, text=rest, at=seconds(stamp), stream="stderr" if stream == "stderr" else "stdout")


def _followed(
    client: Client, project: ProjectName, stage: StageName, services: Sequence[ServiceName], options: LogOptions
) -> Iterator[LogLine]:
    shown: queue.Queue[LogLine | EngineError] = queue.Queue(maxsize=10_000)
    followers = [_Follower(client, project, stage, name, options, shown) for name in services]
    for follower in followers:
        follower.start()
    try:
        while True:
            with suppress(queue.Empty):
                line = shown.get(timeout=1.0)
                if isinstance(line, EngineError):
                    raise line
                yield line
    finally:
        for follower in followers:
            follower.stop()


class _Follower(threading.Thread):
    """Of one service. since: the time of the last line shown, exact to the Engine's nanosecond, as text."""

    def __init__(
        self,
        client: Client,
        project: ProjectName,
        stage: StageName,
        service: ServiceName,
        options: LogOptions,
        shown: "queue.Queue[LogLine | EngineError]",
    ) -> None:
        super().__init__(name=f"logs-{service}", daemon=True)
        self._client = client
        self._where = (project, stage, service)
        self._service = service
        self._tail = options.tail
        self._since = options.since
        self._last = ""
        self._shown = shown
        self._stop_asked = threading.Event()
        self._output: Output | None = None

    def run(self) -> None:
        try:
            while not self._stop_asked.is_set():
                found = observe.service(self._client, *self._where)
                for container in [each for each in found if each.state != "created"][-1:]:
                    self._read(container)
                self._stop_asked.wait(_AGAIN)
        except EngineError as error:
            self._shown.put(error)

    def stop(self) -> None:
        self._stop_asked.set()
        if self._output is not None:
            self._output.cancel()
        self.join(_AGAIN * 4)

    def _read(self, container: Container) -> None:
        with self._client.log(container.id, tail=self._tail, since=self._since, follow=True) as self._output:
            for stream, text in self._output:
                if self._stop_asked.is_set():
                    return
                stamp = text.partition(" ")[0]
                if stamp <= self._last:  # the Engine's `since` includes the line that we know
                    continue
                line = _line(self._service, stream, text)
                self._shown.put(line)
                self._last, self._since, self._tail = stamp, line.at or self._since, None
