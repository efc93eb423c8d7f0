# SPDX-License-Identifier: Apache-2.0
"""What a region holds of a stage: one ListServices and one ListJobs, shared by all steps of a run.

A stage of a hundred services is looked at with as many requests as a stage of one; the quota of reads is a whole
project's. What this worker's steps then make goes into the same picture. For what others do it need not be exact: each
change is made upon a fresh look at the one object that it is about, and with its etag. But that nothing has to be
changed is believed without such a look, so a picture that is some seconds old is taken anew, once for all who ask
meanwhile; and so is one from before a step's first attempt, of which this worker may not know what became.

The API lists by place and not by label, so all of a region comes, and only what bears this stage's labels, or a name that
one of its services would have, is kept.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from fleetflow_tasks.config.model import Data, ProjectName, ServiceName, StageName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import mark
from fleetflow_tasks.runtimes.cloudrun.reading import last
from fleetflow_tasks.runtimes.cloudrun.settings import parent, settings
from fleetflow_tasks.runtimes.labels import service_name, stage_name
from fleetflow_tasks.runtimes.together import Pause, Recent

FRESH = 10.0  # seconds for which a picture is believed
KEPT, RUNS = 20_000, 256  # objects of all pictures that are kept, some 100 MB; and of how many runs


class Stage(Data, frozen=True, kw_only=True):
    """Whose objects are looked for, and where. parent: "projects/p/locations/r"."""

    parent: str
    project: ProjectName
    stage: StageName


def stage(plan: Plan) -> Stage:
    return Stage(parent=parent(settings(plan)), project=plan.project, stage=plan.stage)


def is_of(found: Json, where: Stage) -> bool:
    """Whether it belongs to the stage. A name alone may be anybody's, and who copies a service copies our labels."""
    theirs = mark(found)
    if theirs is None or theirs.service is None or (theirs.project, theirs.stage) != (where.project, where.stage):
        return False
    return last(found["name"]) == service_name(where.project, where.stage, theirs.service)


def owner(found: Json) -> ServiceName:
    """The service whose object this is, "" where it does not say."""
    theirs = mark(found)
    return (theirs.service if theirs else None) or ServiceName("")


class Picture:
    """Services and jobs by their full names, as they were last listed, and what this worker has made of them since."""

    def __init__(self, where: Stage, found: Iterable[Json]) -> None:
        self._where = where
        self._objects = {each["name"]: each for each in found if self._concerns(each)}
        self._known: list[tuple[float, str, Json | None]] = []  # when, which, and what it was then
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, name: str) -> Json | None:
        with self._lock:
            return self._objects.get(name)

    def ours(self) -> list[Json]:
        """By name."""
        with self._lock:
            return [each for _, each in sorted(self._objects.items()) if is_of(each, self._where)]

    def put(self, name: str, found: Json | None) -> None:
        """It is like that now. None: it is gone."""
        with self._lock:
            self._known.append((time.monotonic(), name, found))
            self._kept(name, found)

    def renew(self, listed: "Picture", since: float) -> None:
        """Become *listed*, whose listing began at *since*, with what was seen after that: it may have missed that."""
        with self._lock:
            self._objects = listed._objects  # noqa: SLF001  (another one of ours, which nobody else holds)
            self._known = [each for each in self._known if each[0] >= since]
            for _, name, found in self._known:
                self._kept(name, found)

    def _kept(self, name: str, found: Json | None) -> None:
        if found is None:
            self._objects.pop(name, None)
        else:
            self._objects[name] = found

    def _concerns(self, found: Json) -> bool:
        ours = stage_name(self._where.project, self._where.stage) + "-"
        return is_of(found, self._where) or last(found["name"]).startswith(ours)


def picture(client: Client, where: Stage) -> Picture:
    """As of now. Services and jobs are asked for at once."""
    with ThreadPoolExecutor(max_workers=2) as threads:
        lists = [threads.submit(ask, where.parent) for ask in (client.services, client.jobs)]
        return Picture(where, [each for listed in lists for each in listed.result()])


class Pictures:
    """Those of the runs that are under way. What was not asked for the longest time goes first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: OrderedDict[tuple[Stage, str], Recent[Picture]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, where: Stage, run: str, *, fresh: float = FRESH, pause: Pause | None = None) -> Picture:
        """fresh: how many seconds old it may be; 0: as of now. pause: asked while another one looks; it may raise."""
        recent = self._found((where, run))

        def look() -> Picture:
            """The same object for all steps of a run, however often it is taken anew."""
            began, found = time.monotonic(), picture(self._client, where)
            if (known := recent.taken) is None:
                return found
            known.renew(found, began)
            return known

        found = recent.since(time.monotonic() - fresh, look, pause)
        self._swept()
        return found

    def forget(self, where: Stage, run: str) -> None:
        with self._lock:
            self._kept.pop((where, run), None)

    def _found(self, name: tuple[Stage, str]) -> Recent[Picture]:
        with self._lock:
            recent = self._kept.setdefault(name, Recent())
            self._kept.move_to_end(name)
            return recent

    def _swept(self) -> None:
        with self._lock:
            held = sum(map(_size, self._kept.values()))
            while (held > KEPT or len(self._kept) > RUNS) and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                held -= _size(dropped)


def _size(recent: Recent[Picture]) -> int:
    return len(recent.taken or ())
