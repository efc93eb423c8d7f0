# SPDX-License-Identifier: Apache-2.0
"""A stage in its region: what all rooms that ask there want to know, and the connections that they share."""

import threading
import time
from collections.abc import Mapping

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.cloudrun.access import connect, endpoint
from fleetflow_tasks.runtimes.cloudrun.client import Client, Trace
from fleetflow_tasks.runtimes.cloudrun.logs import Book, book, last_lines
from fleetflow_tasks.runtimes.cloudrun.observe import FRESH, Picture, Pictures, Stage, picture, stage
from fleetflow_tasks.runtimes.cloudrun.quota import Quota
from fleetflow_tasks.runtimes.cloudrun.settings import Settings, settings
from fleetflow_tasks.runtimes.cloudrun.source import CLOUDRUN
from fleetflow_tasks.runtimes.labels import Mark
from fleetflow_tasks.runtimes.together import Pause, Together

TWICE = 2.0  # seconds between two looks that belong together

_HERE = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Regions:
    """The regions that this process has gone to. Safe for many threads.

    Each is connected to by itself: asking for a token may take a while, and the others do not wait for it.
    """

    def __init__(self, environ: Mapping[str, str], trace: Trace | None, timeout: float) -> None:
        self._environ = environ
        self._trace = trace
        self._timeout = timeout
        self._quota = Quota()
        self._lock = threading.Lock()
        self._met: dict[str, Region] = {}
        self._asking: dict[str, Together[Region]] = {}

    def at(self, region: str, pause: Pause | None = None) -> "Region":
        """pause: asked while somebody else connects; it may raise. Raises UnavailableError."""
        with self._lock:
            if (met := self._met.get(region)) is not None:
                return met
            together = self._asking.setdefault(region, Together())
        return together(lambda: self._connected(region), pause)

    def identity(self, where: Settings) -> str:
        """Names there are the world's, so nobody has to be asked, and whichever way leads to Google leads to the same. But
        what answers on this machine is a world of its own. Raises UnavailableError for an endpoint that cannot be."""
        found = endpoint(self._environ, where.region)
        own = found.url if found.target.rpartition(":")[0] in _HERE else ""
        return "/".join(filter(None, (own, where.project, where.region)))

    def close(self) -> None:
        with self._lock:
            regions = [*self._met.values()]
            self._met.clear()
        for region in regions:
            region.close()

    def _connected(self, region: str) -> "Region":
        with self._lock:
            met = self._met.get(region)
        if met is None:
            client = connect(self._environ, region, self._trace, quota=self._quota, timeout=self._timeout)
            met = Region(client, self._environ)
        with self._lock:
            return self._met.setdefault(region, met)


class Region:
    """One region, shared by all steps that go to it."""

    def __init__(self, client: Client, environ: Mapping[str, str]) -> None:
        self.client = client
        self.pictures = Pictures(client)
        self._environ = environ
        self._lock = threading.Lock()
        self._book: Book | None = None
        self._seen: dict[Stage, tuple[float, Picture]] = {}

    def look(self, where: Stage, *, first: bool) -> Picture:
        """As it is now. first: of two looks that one question takes; the second gets the same picture, if it comes at once."""
        with self._lock:
            now = time.monotonic()
            self._seen = {each: found for each, found in self._seen.items() if now - found[0] < TWICE}
            _, seen = self._seen.pop(where, (now, None))
        if seen is None:
            seen = picture(self.client, where)
        if first:
            with self._lock:
                self._seen[where] = time.monotonic(), seen
        return seen

    def book(self) -> Book | None:
        """Its logs; None where what reads them is not installed. Who reads none does not pay for it."""
        with self._lock:
            self._book = self._book or book(self._environ, self.client.line.wallet)
            return self._book

    def close(self) -> None:
        if self._book is not None:
            self._book.close()
        self.client.close()


class Place:
    """A stage of a plan in its region."""

    def __init__(self, region: Region, plan: Plan) -> None:
        self.client = region.client
        self.plan = plan
        self.settings = settings(plan)
        self.stage = stage(plan)
        self._region = region

    @property
    def services(self) -> list[ResolvedService]:
        return [service for service in self.plan.services if service.runtime == CLOUDRUN]

    def mark(self, attempt: Attempt | None = None) -> Mark:
        """Of what *attempt* makes; None: of what is only asked about."""
        if attempt is None:
            return Mark(project=self.plan.project, stage=self.plan.stage)
        return Mark(project=self.plan.project, stage=self.plan.stage, run=attempt.run, generation=attempt.generation)

    def known(self, attempt: Attempt) -> Picture:
        """As it was some seconds ago, and what this worker has made of it since; for a later attempt, as it is now."""
        fresh = FRESH if attempt.number == 1 else 0.0
        return self._region.pictures.of(self.stage, attempt.run, fresh=fresh, pause=attempt.checkpoint)

    def forget(self, attempt: Attempt) -> None:
        self._region.pictures.forget(self.stage, attempt.run)

    def logs(self) -> Book | None:
        return self._region.book()

    def last_lines(self, query: str) -> list[str]:
        """Of what *query* finds in the logs; none where they cannot be had."""
        try:
            return last_lines(self.logs(), self.plan, query)
        except UnavailableError:
            return []

    def now(self, *, first: bool = False) -> Picture:
        return self._region.look(self.stage, first=first)
