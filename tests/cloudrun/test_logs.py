# SPDX-License-Identifier: Apache-2.0
"""`flow logs`: what containers printed, read through Google's own client of Cloud Logging."""

import time
from collections.abc import Iterator

import pytest

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import LogOptions
from fleetflow_tasks.runtimes.cloudrun import logs, printed
from fleetflow_tasks.runtimes.cloudrun.credentials import wallet
from fleetflow_tasks.runtimes.cloudrun.runtime import CloudRunRuntime
from fleetflow_tasks.testing.cloudrun import Server

from .stage import PROJECT, Stage, service

API, MIGRATE = service("api"), service("migrate", "scripted/job:0", job=True)


def read(stage: Stage, plan: Plan, *names: str, **options: object) -> list[str]:
    found = stage.runtime.logs(plan, [ServiceName(name) for name in names], LogOptions(**options))  # type: ignore[arg-type]
    return [f"{line.service}: {line.text}" for line in found]


@pytest.fixture
def book(server: Server, environ: dict[str, str]) -> Iterator[logs.Book]:
    held = wallet(environ)
    made = logs.book(environ, held)
    assert made is not None
    yield made
    made.close()
    held.close()


def test_what_services_and_jobs_printed_is_shown_in_order(stage: Stage) -> None:
    stage.up(API, MIGRATE)

    assert sorted(read(stage, stage.plan(API, MIGRATE))) == [
        "api: started: scripted/ready:0ms",
        "migrate: Container called exit(0).",
        "migrate: started: scripted/job:0, attempt 0",
    ]


def test_only_the_services_that_were_named_are_asked_for(stage: Stage) -> None:
    stage.up(API, MIGRATE)
    plan = stage.plan(API, MIGRATE)

    assert read(stage, plan, "api") == ["api: started: scripted/ready:0ms"]
    assert read(stage, plan, "nobody") == []


def test_the_last_lines_of_each_service_are_its_own_last_ones(stage: Stage) -> None:
    stage.up(API, MIGRATE)
    plan = stage.plan(API, MIGRATE)

    assert sorted(read(stage, plan, tail=1)) == [
        "api: started: scripted/ready:0ms",
        "migrate: Container called exit(0).",
    ]
    assert read(stage, plan, tail=0) == []


def test_what_is_older_than_asked_for_is_left_out(stage: Stage) -> None:
    stage.up(API)

    assert read(stage, stage.plan(API), since=time.time() + 60) == []
    assert read(stage, stage.plan(API), since=time.time() - 60) == ["api: started: scripted/ready:0ms"]


def test_lines_of_many_pages_are_read_to_the_end(
    stage: Stage, book: logs.Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.up(API, MIGRATE)
    plan = stage.plan(API, MIGRATE)
    query = printed.of_services(plan, plan.services)

    whole = book.read(PROJECT, query)

    assert len(whole) == 3
    assert book.read(PROJECT, query, page=1) == whole
    assert book.read(PROJECT, query, newest=2, page=1) == whole[1:]


def test_following_shows_what_comes_and_nothing_twice(stage: Stage, server: Server) -> None:
    stage.up(API)
    followed = stage.runtime.logs(stage.plan(API), [], LogOptions(follow=True))
    first = next(followed).text
    server.faults.refuse("LoggingServiceV2.ListLogEntries", "UNAVAILABLE")

    stage.up(service("api", "scripted/ready:1ms"))

    assert [first, next(followed).text] == ["started: scripted/ready:0ms", "started: scripted/ready:1ms"]


def test_an_account_that_may_not_read_logs_is_told_which_role_it_needs(stage: Stage, server: Server) -> None:
    server.accounts.add("nologs@fleetflow.iam.gserviceaccount.com", "roles/run.admin")
    other = CloudRunRuntime(server.environ("nologs@fleetflow.iam.gserviceaccount.com"))

    with pytest.raises(UnavailableError) as failure:
        list(other.logs(stage.plan(API), [], LogOptions()))
    other.close()

    (problem,) = failure.value.problems
    assert problem.message == f"our account lacks permission `logging.logEntries.list` in project `{PROJECT}`"
    assert "--role=roles/logging.viewer" in problem.fix
    assert problem.more.startswith("gcloud logging read '")


def test_who_follows_and_is_refused_for_good_is_told(stage: Stage, server: Server) -> None:
    stage.up(API)
    followed = stage.runtime.logs(stage.plan(API), [], LogOptions(follow=True))
    next(followed)
    server.faults.refuse("LoggingServiceV2.ListLogEntries", "INVALID_ARGUMENT", "bad filter")

    with pytest.raises(UnavailableError, match="Cloud Logging does not show what is printed: bad filter"):
        next(followed)


def test_an_api_that_is_not_enabled_gives_the_line_that_enables_it(stage: Stage, server: Server) -> None:
    message = "Cloud Logging API has not been used in project 42 before or it is disabled."
    server.faults.refuse("LoggingServiceV2.ListLogEntries", "PERMISSION_DENIED", message)

    with pytest.raises(UnavailableError) as failure:
        read(stage, stage.plan(API))

    assert failure.value.problems[0].fix == (
        f"enable it: `gcloud services enable logging.googleapis.com --project={PROJECT}`"
    )


def test_without_the_package_the_way_to_see_them_is_told(stage: Stage) -> None:
    plan = stage.plan(API)

    with pytest.raises(UnavailableError) as failure:
        list(logs.lines(None, plan, [], LogOptions()))

    (problem,) = failure.value.problems
    assert problem.message == (
        "what is printed on Cloud Run is read through google-cloud-logging, which is not installed here"
    )
    assert problem.cause[0].startswith("it can be seen at https://console.cloud.google.com/logs/query;query=")
    assert problem.more.startswith("gcloud logging read '((resource.type=")
    assert list(logs.lines(None, stage.plan(), [], LogOptions())) == []


def test_a_package_that_is_not_there_is_not_installed() -> None:
    assert [logs.installed(name) for name in ("google.cloud.logging_v2", "google.nowhere", "nobody.knows.it")] == [
        True,
        False,
        False,
    ]


def test_the_last_lines_of_what_failed_are_a_help_and_never_a_failure(
    stage: Stage, server: Server, book: logs.Book
) -> None:
    stage.up(MIGRATE)
    plan = stage.plan(MIGRATE)
    query = printed.of_services(plan, plan.services)

    assert logs.last_lines(book, plan, query) == ["started: scripted/job:0, attempt 0", "Container called exit(0)."]
    assert logs.last_lines(book, plan, query + ' AND labels.instanceId="nobody"') == []
    assert logs.last_lines(None, plan, query) == []
    server.faults.refuse("LoggingServiceV2.ListLogEntries", "PERMISSION_DENIED")
    assert logs.last_lines(book, plan, query) == []
