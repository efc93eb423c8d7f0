# SPDX-License-Identifier: Apache-2.0
"""`flow logs`: what services print, out of Cloud Logging, by its `entries.list`. Needs the package google-cloud-logging.

Following is asking again. Entries come in late, some seconds after their time and not in order, so each question goes back
a little behind the newest that was seen, and what was shown before is left out by its id. Cloud Logging takes sixty such
questions a minute from a whole project, so there are two seconds between ours, and more where it says that it is too much.

Without the package nothing is shown but where to look: the page of the console, and the line of gcloud.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import LogLine, LogOptions
from fleetflow_tasks.runtimes.cloudrun import grants, printed
from fleetflow_tasks.runtimes.cloudrun.access import logs_endpoint
from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError
from fleetflow_tasks.runtimes.cloudrun.credentials import Wallet
from fleetflow_tasks.runtimes.cloudrun.denials import is_disabled
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.settings import settings
from fleetflow_tasks.runtimes.cloudrun.trouble import refused
from fleetflow_tasks.runtimes.cloudrun.wire import Endpoint, channel

PAGE = 1000  # entries of one answer at most
TIMEOUT = 15.0  # seconds for one question
DAY = 86_400.0  # seconds that are looked back where nobody says how far; it is what gcloud does
AGAIN, MOST = 2.0, 30.0  # seconds between two questions of who follows; and at most, where there are too many
LATE = 10.0  # seconds by which an entry may come after a newer one
LAST = 20  # lines of what failed
SOON, LOOKS = 1.0, 3  # what failed a moment ago has printed something that is still on its way

_PACKAGE = "google.cloud.logging_v2"


class Book:
    """Cloud Logging at one endpoint. Safe for many threads. Methods raise CloudRunError and UnavailableError."""

    def __init__(self, endpoint: Endpoint, wallet: Wallet) -> None:
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
        from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

        self._endpoint = endpoint
        self._wallet = wallet
        self._channel = channel(endpoint)
        transport = LoggingServiceV2GrpcTransport(channel=self._channel, host=endpoint.target)
        self._client = LoggingServiceV2Client(transport=transport)

    def read(self, project: str, query: str, *, newest: int | None = None, page: int = PAGE) -> list[Json]:
        """The entries that *query* finds, in the order of time. newest: only so many, the last ones; None: all.

        page: entries of one answer at most.
        """
        request: dict[str, Any] = {
            "resource_names": [f"projects/{project}"],
            "filter": query,
            "order_by": "timestamp asc" if newest is None else "timestamp desc",
            "page_size": page if newest is None else min(page, newest),
        }
        found: list[Json] = []
        while newest is None or len(found) < newest:
            answer = self._page(project, request)
            found += answer.get("entries", ())
            if not answer.get("nextPageToken"):
                break
            request = {**request, "page_token": answer["nextPageToken"]}
        return sorted(found[:newest], key=printed.order)

    def close(self) -> None:
        """The wallet is somebody else's."""
        self._channel.close()

    def _page(self, project: str, request: dict[str, Any]) -> Json:
        from google.api_core.exceptions import GoogleAPICallError

        from fleetflow_tasks.runtimes.cloudrun.messages import plain

        held = self._wallet.metadata(self._endpoint.url)
        try:
            pager = self._client.list_log_entries(request=request, retry=None, timeout=TIMEOUT, metadata=held)
            return plain(next(iter(pager.pages)))
        except GoogleAPICallError as error:
            raise refused("ListLogEntries", f"projects/{project}", error, self._endpoint.url) from error


def book(environ: Mapping[str, str], wallet: Wallet) -> Book | None:
    """None where google-cloud-logging is not installed. Raises UnavailableError for an endpoint that cannot be."""
    return Book(logs_endpoint(environ), wallet) if installed() else None


def installed(package: str = _PACKAGE) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def lines(found: Book | None, plan: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
    """Of *services*, all where none is named. Raises UnavailableError."""
    wanted = [each for each in _ours(plan) if not services or each.name in services]
    if not wanted:
        return
    if found is None:
        raise UnavailableError(_not_installed(plan, wanted))
    try:
        yield from _lines(found, plan, wanted, options)
    except CloudRunError as error:
        raise UnavailableError(_refused(error, plan, wanted)) from error


def last_lines(found: Book | None, plan: Plan, query: str) -> list[str]:
    """The last that *query* finds, for who is told of a failure: none where they cannot be had, which is not worth a word."""
    if found is None:
        return []
    for look in range(LOOKS):
        try:
            entries = found.read(settings(plan).project, printed.since(query, time.time() - DAY), newest=LAST)
        except (CloudRunError, UnavailableError):
            return []
        if entries:
            return [line for each in entries for line in printed.content(each)][-LAST:]
        if look < LOOKS - 1:
            time.sleep(SOON)
    return []


def _ours(plan: Plan) -> list[ResolvedService]:
    return [each for each in plan.services if each.runtime == "cloudrun"]


def _lines(found: Book, plan: Plan, wanted: Sequence[ResolvedService], options: LogOptions) -> Iterator[LogLine]:
    met: dict[ServiceName, set[str]] = defaultdict(set)
    began = time.time()
    entries = _so_far(found, plan, wanted, options)
    yield from printed.lines(plan, entries, met)
    if options.follow:
        for more in _following(found, plan, wanted, entries, began):
            yield from printed.lines(plan, more, met)


def _so_far(found: Book, plan: Plan, wanted: Sequence[ResolvedService], options: LogOptions) -> list[Json]:
    """What is there by now; of each service no more than its last lines."""
    project = settings(plan).project
    since = options.since if options.since is not None else time.time() - DAY
    groups = [[each] for each in wanted] if options.tail is not None else [list(wanted)]
    entries: list[Json] = []
    for group in groups:
        if options.tail != 0:
            query = printed.since(printed.of_services(plan, group), since)
            entries += found.read(project, query, newest=options.tail)
    return sorted(entries, key=printed.order)


def _following(
    found: Book, plan: Plan, wanted: Sequence[ResolvedService], shown: Iterable[Json], began: float
) -> Iterator[list[Json]]:
    """What comes from now on, until nobody asks any more."""
    known = {printed.key(each): printed.when(each) for each in shown}
    newest, pause = max([began, *known.values()]), AGAIN
    first = newest - LATE
    while True:
        time.sleep(pause)
        query = printed.since(printed.of_services(plan, wanted), max(first, newest - LATE))
        try:
            entries = found.read(settings(plan).project, query)
        except CloudRunError as error:
            if not error.transient:
                raise
            pause = min(MOST, max(pause * 2, error.retry_after or 0.0))
            continue
        pause = AGAIN
        fresh = [each for each in entries if printed.key(each) not in known]
        known |= {printed.key(each): printed.when(each) for each in fresh}
        newest = max([newest, *(printed.when(each) for each in fresh)])
        known = {key: at for key, at in known.items() if at >= newest - 2 * LATE}
        yield fresh


def _not_installed(plan: Plan, wanted: Sequence[ResolvedService]) -> Problem:
    query = printed.of_services(plan, wanted)
    return Problem(
        code="logs-not-installed",
        message="what is printed on Cloud Run is read through google-cloud-logging, which is not installed here",
        cause=(f"it can be seen at {printed.link(plan, query)}",),
        fix="run `pip install 'fleetflow[cloudrun-logs]'`",
        more=printed.command(plan, query),
    )


def _refused(error: CloudRunError, plan: Plan, wanted: Sequence[ResolvedService]) -> Problem:
    where, fix = settings(plan), ""
    message = f"Cloud Logging does not show what is printed: {error.answer}"
    if is_disabled(error):
        message = f"the Cloud Logging API is not enabled in project `{where.project}`"
        fix = f"enable it: `gcloud services enable logging.googleapis.com --project={where.project}`"
    elif error.code == "PERMISSION_DENIED":
        message = f"our account lacks permission `logging.logEntries.list` in project `{where.project}`"
        fix = "grant `roles/logging.viewer`: " + grants.project_role(where.project, "roles/logging.viewer", "")
    return Problem(
        code="logs-unreadable",
        message=message,
        fix=fix,
        more=printed.command(plan, printed.of_services(plan, wanted)),
    )
