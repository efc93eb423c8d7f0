# SPDX-License-Identifier: Apache-2.0
"""What is said where nothing was even tried, and beside a failure."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.cloudrun import words
from fleetflow_tasks.runtimes.labels import Mark

NAME = "projects/p/locations/europe-west1/services/shop-prd-api"


def service(**places: Place) -> ResolvedService:
    return ResolvedService(name=ServiceName("api"), runtime=RuntimeName("cloudrun"), image="api:1", places=places)


def lines(problem: Problem) -> list[str]:
    return [problem.message, *problem.cause, problem.fix]


@pytest.mark.parametrize(
    ("more", "whose"),
    [
        ({}, "it has no label of ours"),
        ({"client": "gcloud"}, "it was made with `gcloud`"),
        ({"creator": "ops@example.org"}, "it was made by ops@example.org"),
        ({"client": "terraform", "creator": "ci@p"}, "it was made with `terraform` by ci@p"),
        (
            {"labels": {"fleetflow-project": "other", "fleetflow-stage": "stg"}},
            "it belongs to stage `stg` of project `other`",
        ),
    ],
)
def test_somebody_elses_object_is_named_with_whose_it_is(more: dict[str, Any], whose: str) -> None:
    assert lines(words.foreign({"name": NAME, **more})) == [
        "a service called `shop-prd-api` is in project `p`, region `europe-west1` already, and it is not ours",
        whose,
        (
            "give the stage a region or project of its own, or remove it if nobody needs it: "
            "`gcloud run services delete shop-prd-api --region=europe-west1 --project=p`"
        ),
    ]


def test_a_job_is_called_one() -> None:
    problem = words.foreign({"name": NAME.replace("services", "jobs")})

    assert problem.code == "foreign-job"
    assert "gcloud run jobs delete" in problem.fix


def test_a_newer_run_is_told_by_its_generation() -> None:
    mark = Mark(project=ProjectName("shop"), stage=StageName("prd"), generation=8)

    assert words.stale({"name": NAME}, mark, 7).message == (
        "`shop-prd-api` was made by a newer run (generation 8); this one (7) must not touch it"
    )


def test_others_who_change_it_all_the_time_are_to_be_looked_for() -> None:
    assert words.busy(NAME).message == "`shop-prd-api` changes all the time while it is being deployed"


@pytest.mark.parametrize("why", ["image changed", ""])
def test_a_share_of_what_is_not_there_any_more_is_not_given(why: str) -> None:
    problem = words.not_as_deployed("api", why)

    assert (problem.cause, problem.fix) == ((why,) if why else (), "deploy it first")


def test_silence_is_no_failure_of_the_service() -> None:
    assert words.unheard(service(), "connection refused").message == (
        "how `api` is could not be learned in time: connection refused"
    )


def test_what_is_not_ready_in_time_points_at_its_time() -> None:
    at = {name: Place(file="a.kdl", line=line) for line, name in enumerate(("", "healthcheck", "timeout"), 1)}

    problem = words.unready(service(**at), "after 3 s still starting", "flow logs api")

    assert problem.message == "`api` did not become ready: after 3 s still starting"
    assert (problem.place, problem.more) == (at["timeout"], "flow logs api")
    assert words.unready(service(**{"": at[""]}), "x", "").place == at[""]


def test_what_was_printed_and_what_serves_now_stand_at_the_end() -> None:
    problem = Problem(code="x", message="m", cause=("why",))

    assert words.noted(words.with_lines(problem, ["one"]), "it serves").cause == (
        "why",
        "its last line:",
        "  one",
        "it serves",
    )
    assert words.with_lines(problem, ["one", "two"]).cause == ("why", "its last 2 lines:", "  one", "  two")
    assert words.noted(words.with_lines(problem, ()), "") is problem
    assert words.headed(()) == ()


def test_what_stays_is_named() -> None:
    assert words.unremoved("service shop-prd-api", "denied").message == (
        "service shop-prd-api could not be removed: denied"
    )


def test_a_revision_that_would_get_no_requests_is_not_made() -> None:
    assert lines(words.not_newest("api", "10 % api-00002, 90 % api-00001")) == [
        "service `api` cannot be restarted: its requests do not go to its newest revision",
        "they go to: 10 % api-00002, 90 % api-00001",
        "a restart makes a new revision, which is served as the newest",
        "let the newest have them first: `flow promote-traffic`, or deploy a new version",
    ]
