# SPDX-License-Identifier: Apache-2.0
"""What an operator's commands make of a stage that runs somewhere. The runtimes come from a package of their own."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetflow_tasks import api
from fleetflow_tasks.errors import FleetFlowError, PlanError, UnavailableError
from fleetflow_tasks.runtimes.base import LogOptions
from fleetflow_tasks.view.problems import render_all

TEXT = """
project "shop"
service "db" { image "x:1" }
service "api" { image "x:1"; depends_on "db"; secrets { KEY env="SHOP_KEY" } }
service "web" { image "x:1"; depends_on "api" }
service "log" { image "x:1" }
service "seed" { image "x:1"; job #true }
stage "stg" { runtime "told"; service "db"; service "api"; service "web"; service "seed" }
stage "other" { runtime "deaf"; service "db" }
stage "both" { runtime "told"; service "db"; service "log" runtime="deaf" }
"""

PACKAGE = """
from pathlib import Path
from fleetflow_tasks.runtimes.base import PROTOCOL, HeldVolume
from fleetflow_tasks.testing.recording import RecordingRuntime

class Told(RecordingRuntime):
    name, protocol = "told", PROTOCOL
    def __init__(self, environ):
        super().__init__(Path(environ["WORLD"]) / self.name)
    def place(self, plan):
        return f"told, stage {plan.stage}"
    def volumes(self, plan):
        return [HeldVolume(name="data")]

class Deaf(Told):
    name = "deaf"
    restart = place = volumes = None
"""


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> api.Request:
    (tmp_path / "fleet.kdl").write_text(TEXT, encoding="utf-8")
    package = tmp_path / "site"
    (package / "worlds-1.dist-info").mkdir(parents=True)
    (package / "worlds.py").write_text(PACKAGE, encoding="utf-8")
    (package / "worlds-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: worlds\nVersion: 1\n")
    (package / "worlds-1.dist-info" / "entry_points.txt").write_text(
        "[fleetflow.runtimes]\ntold = worlds:Told\ndeaf = worlds:Deaf\n"
    )
    monkeypatch.syspath_prepend(str(package))
    return api.Request(directory=str(tmp_path), stage="stg", environ={"WORLD": str(tmp_path)})


def runs(request: api.Request, *services: str, runtime: str = "told") -> None:
    world = Path(request.environ["WORLD"]) / runtime / "world"
    world.mkdir(parents=True, exist_ok=True)
    for service in services:
        (world / service).write_text("1")


def said(error: FleetFlowError) -> str:
    return render_all(error.problems)


# --- restart


def test_what_runs_is_restarted_and_what_is_left_alone_is_told(request_: api.Request) -> None:
    runs(request_, "db", "api", "seed")

    planned = api.restart_plan(request_)

    assert [step.id for step in planned.plan.steps] == ["db:restart", "api:restart"]
    assert [(problem.severity, problem.message) for problem in planned.warnings] == [
        ("note", "a restart leaves jobs alone: `seed`"),
        ("note", "not running: `web`"),
    ]


def test_a_named_service_is_restarted_without_what_it_depends_on(request_: api.Request) -> None:
    runs(request_, "db", "api", "web")

    planned = api.restart_plan(request_, only=["web", "db"])

    assert [step.id for step in planned.plan.steps] == ["db:restart", "web:restart"]
    assert planned.warnings == ()


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("seed", "`seed` is a job, which a restart leaves alone: it runs to its end, once for its content"),
        ("web", "`web` does not run, so there is nothing to restart"),
        ("wep", "stage `stg` holds no service `wep`"),
    ],
)
def test_what_is_named_and_cannot_be_restarted_is_an_error(request_: api.Request, only: str, message: str) -> None:
    runs(request_, "db", "api", "seed")

    with pytest.raises(PlanError) as caught:
        api.restart_plan(request_, only=[only, "db"])

    assert [problem.message for problem in caught.value.problems] == [message]


def test_a_stage_of_which_nothing_runs_is_told_and_not_taken_for_done(request_: api.Request) -> None:
    with pytest.raises(UnavailableError) as caught:
        api.restart_plan(request_)

    assert said(caught.value) == (
        "nothing of shop/stg runs that could be restarted\n  fix: start it: flow up stg\n  more: flow ps stg"
    )


def test_a_runtime_that_cannot_restart_is_told_before_anything_is_done(request_: api.Request) -> None:
    with pytest.raises(UnavailableError) as caught:
        api.restart_plan(replace(request_, stage="other"))

    assert caught.value.problems[0].message == "the runtime `deaf` offers no way to restart what runs"


# --- secrets


def test_who_only_looks_needs_no_secret_and_is_told_of_whom_nothing_is_known(request_: api.Request) -> None:
    runs(request_, "api", "db")

    looked = api.plan(request_, values=False)

    assert looked.blind == {"api"}
    assert {each.service: each.drift for each in api.status(request_, looked.plan, blind=looked.blind)} == {
        "api": False,
        "db": False,
    }
    assert [step.id for step in api.teardown_plan(request_).plan.steps] == ["api:remove", "db:remove", "stage:prune"]
    with pytest.raises(FleetFlowError, match="`SHOP_KEY` is not set"):
        api.plan(request_)


# --- where it goes, and what goes with it


def test_where_a_stage_goes_is_said_before_anybody_is_asked(request_: api.Request) -> None:
    def told(stage: str) -> str:
        request = replace(request_, stage=stage)
        return api.destination(request, api.plan(request, values=False).plan)

    assert told("stg") == "shop/stg on told, stage stg"
    assert told("other") == "shop/other on deaf"
    assert told("both") == "shop/both on deaf and on told, stage both"


def test_the_volumes_that_would_go_are_those_that_a_runtime_can_name(request_: api.Request) -> None:
    request = replace(request_, stage="both")

    found = api.volumes(request, api.teardown_plan(request, volumes=True).plan)

    assert {runtime: [each.name for each in held] for runtime, held in found.items()} == {"told": ["data"]}


def test_a_service_that_the_text_has_no_more_is_removed_where_it_was_found(request_: api.Request) -> None:
    request = replace(request_, stage="both")
    runs(request, "db")
    runs(request, "old", runtime="deaf")

    (step,) = api.teardown_plan(request, only=["old"]).plan.steps

    assert (step.id, step.runtime) == ("old:remove", "deaf")


def test_a_service_of_which_nothing_is_there_is_told_with_what_is(request_: api.Request) -> None:
    runs(request_, "db", "api")

    with pytest.raises(PlanError) as caught:
        api.teardown_plan(request_, only=["wep", "db"])

    assert said(caught.value) == (
        "nothing of a service `wep` is there in stage `stg`\n"
        "  looked for on told; there is: api, db\n"
        "  fix: known are `api`, `db`"
    )


def test_where_nothing_is_there_at_all_nothing_is_suggested(request_: api.Request) -> None:
    with pytest.raises(PlanError) as caught:
        api.teardown_plan(request_, only=["db"])

    assert said(caught.value).endswith("looked for on told; there is: nothing")


# --- words in the wrong place


def test_a_stage_in_the_place_of_a_service_is_known_for_one(request_: api.Request) -> None:
    made = api.plan(request_, values=False).plan
    fix = "`other` is a stage: `--stage=other`; services are `api`, `db`, `seed`, `web`"

    with pytest.raises(PlanError) as logs:
        api.logs(request_, made, ["other"], LogOptions())  # type: ignore[list-item]  # as it comes from a command line
    with pytest.raises(PlanError) as ports:
        api.declared_ports(request_, made, "other")
    with pytest.raises(PlanError) as status:
        api.status(request_, made, only=["other"])

    assert {error.value.problems[0].fix for error in (logs, ports, status)} == {fix}


def test_a_service_in_the_place_of_a_stage_is_known_for_one(request_: api.Request) -> None:
    with pytest.raises(FleetFlowError) as caught:
        api.plan(replace(request_, stage="api"))

    assert said(caught.value) == (
        "unknown stage `api`\n  fix: `api` is a service: `--only api`; stages are `stg`, `other`, `both`"
    )


def test_the_services_that_one_asks_for_are_shown_alone(request_: api.Request) -> None:
    runs(request_, "api", "db", "old")
    made = api.plan(request_, values=False).plan

    assert [each.service for each in api.status(request_, made, only=["old", "db"])] == ["db", "old"]
