# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.engine.model import Because, Run, RunId
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Change, ServiceStatus
from fleetflow_tasks.view import tables
from tests.golden import golden


def status(name: str, state: Any = "running", **fields: Any) -> ServiceStatus:
    return ServiceStatus(service=ServiceName(name), state=state, **{"runtime": RuntimeName("docker"), **fields})


def run(name: str, **fields: Any) -> Run:
    given = {"status": "succeeded", "submitted": 100.0, "generation": 1, **fields}
    return Run(id=RunId(name), project=ProjectName("shop"), stage=StageName("stg"), **given)


def narrowed(plan: Plan, *steps: str) -> Plan:
    kept = tuple(step for step in plan.steps if step.id in steps)
    return Plan(project=plan.project, stage=plan.stage, root=plan.root, services=plan.services, steps=kept)


def test_what_runs_stands_in_a_table_by_name(plan: Plan) -> None:
    found = [
        status("web", since=875.0, ports=("127.0.0.1:8080->80/tcp", "53/udp"), image="shop/web:2"),
        status("db", "unhealthy", since=990.0, image="postgres:16", text="healthy 2 of 3", restarts=2, drift=True),
        status("api", "missing"),
    ]

    assert tables.services(plan, found, now=1000.0).splitlines() == [
        "SERVICE  STATE      SINCE   PORTS                           IMAGE",
        "api      missing    -       -                               -",
        "db       unhealthy  10.0s   -                               postgres:16  healthy 2 of 3, 2 restarts, differs from the files",
        "web      running    2m 05s  127.0.0.1:8080->80/tcp, 53/udp  shop/web:2",
    ]


def test_the_runtime_stands_there_where_there_are_several(plan: Plan) -> None:
    found = [status("web"), status("edge", runtime=RuntimeName("cloudrun"))]

    assert tables.services(plan, found, now=0.0).splitlines() == [
        "SERVICE  STATE    RUNTIME   SINCE  PORTS  IMAGE",
        "edge     running  cloudrun  -      -      -",
        "web      running  docker    -      -      -",
    ]


def test_states_are_coloured_and_columns_stay(plan: Plan) -> None:
    lines = tables.services(plan, [status("web", "failed")], now=0.0, colour=True).splitlines()

    assert lines == [
        "\x1b[1mSERVICE  STATE   SINCE  PORTS  IMAGE\x1b[0m",
        "web      \x1b[31mfailed\x1b[0m  -      -      -",
    ]


def test_where_nothing_runs_it_is_said_how_something_would(plan: Plan) -> None:
    assert tables.services(plan, [], now=0.0) == "nothing runs in shop/stg; `flow up --stage=stg` brings it up"


def test_services_are_json_too(plan: Plan) -> None:
    told = json.loads(tables.services_json(plan, [status("web"), status("api")]))

    assert [told.pop(name) for name in ("v", "type", "project", "stage", "warnings")] == [1, "ps", "shop", "stg", []]
    assert [each["service"] for each in told.pop("services")] == ["api", "web"]
    assert told == {}


def test_runs_stand_in_a_table() -> None:
    found = [
        run("r3", status="queued"),
        run("r2", status="running", started=990.0, actor="ann", note="ci job 7"),
        run("r1", started=110.0, ended=112.5),
    ]

    assert tables.runs(found, now=1000.0).splitlines() == [
        "RUN  STATUS     STAGE     WHEN     TOOK   BY   NOTE",
        "r3   queued     shop/stg  15m ago  -      -",
        "r2   running    shop/stg  15m ago  10.0s  ann  ci job 7",
        "r1   succeeded  shop/stg  15m ago  2.5s   -",
    ]
    assert tables.runs([], now=0.0) == "no runs yet"
    assert [each["run"] for each in json.loads(tables.runs_json(found))["runs"]] == ["r3", "r2", "r1"]


def test_where_no_run_is_found_it_is_said_of_what() -> None:
    assert tables.no_runs() == "no runs yet"
    assert tables.no_runs(None, "stage9") == "no run of stage `stage9`; `flow runs` alone lists all"
    assert tables.no_runs("shop", "stage9") == "no run of stage `shop/stage9`; `flow runs` alone lists all"
    assert tables.no_runs("fri") == "no run of project `fri`; `flow runs` alone lists all"
    assert tables.no_runs("fri", narrowed=True) == "no run of project `fri` is like that; `flow runs` alone lists all"
    assert tables.no_runs(narrowed=True) == "no run is like that; `flow runs` alone lists all"


def test_runs_that_came_of_each_other_say_so() -> None:
    found = [
        run("r-second", because=Because(kind="rollback", run=RunId("r-first"), plan=RunId("r-good")), note="job 7"),
        run("r-first", status="failed", rollback=True),
    ]

    assert tables.runs(found, now=1000.0).splitlines()[1:] == [
        "r-second  succeeded  shop/stg  15m ago  -     -   rollback to r-good after r-first; job 7",
        "r-first   failed     shop/stg  15m ago  -     -   rolled back by r-second",
    ]


def test_a_run_that_did_not_go_through_says_why_where_that_is_known() -> None:
    late = Problem(code="run-timeout", message="not done after 5 s")
    newer = Problem(code="superseded", message="a newer run took its place: r3", severity="note")
    found = [run("r2", status="failed", problem=late, note="job 7"), run("r1", status="cancelled", problem=newer)]

    assert tables.runs(found, now=1000.0).splitlines()[1:] == [
        "r2   failed     shop/stg  15m ago  -     -   not done after 5 s; job 7",
        "r1   cancelled  shop/stg  15m ago  -     -   a newer run took its place: r3",
    ]


def test_a_narrow_terminal_gets_the_ends_of_ids_and_then_lines_that_are_cut() -> None:
    found = [run("01k4this0000000000abcdefgh", note="commit 1a2b3c on main")]

    assert tables.runs(found, now=1000.0, columns=75).splitlines() == [
        "RUN       STATUS     STAGE     WHEN     TOOK  BY  NOTE",
        "abcdefgh  succeeded  shop/stg  15m ago  -     -   commit 1a2b3c on main",
    ]


FLEET = [
    run(
        "01k4this0000000000abcdefgh",
        status="running",
        started=990.0,
        submitted=988.0,
        actor="ann@laptop",
        note="commit 1a2b3c",
    ),
    run(
        "01k4this0000000000bcdefghj",
        status="queued",
        submitted=995.0,
        actor="ci@build7",
        note="job 4711 of pipeline main",
    ),
    run(
        "01k4that0000000000cdefghjk",
        status="failed",
        started=110.0,
        ended=812.5,
        actor="somebody-with-a-long-name@build-machine-7.example.org",
        problem=Problem(code="run-timeout", message="not done after 700 s, the time that it was given"),
    ),
    run("01k4that0000000000defghjkm", started=20.0, submitted=10.0, ended=22.5, actor="ann@laptop"),
]
RUNNING = [
    status(
        "web", since=875.0, ports=("127.0.0.1:8080->80/tcp", "53/udp"), image="registry.example.org/shop/web:2.14.0"
    ),
    status("db", "unhealthy", since=990.0, image="postgres:16", text="healthy 2 of 3", restarts=2, drift=True),
    status("search-index", "missing"),
    status("edge", "completed", since=10.0, runtime=RuntimeName("cloudrun"), image="europe-docker.pkg.dev/p/r/edge:9"),
]


@pytest.mark.parametrize(("name", "columns"), [("runs-80", 80), ("runs-200", 200), ("runs-40", 40), ("runs", None)])
def test_the_table_of_runs_fits_the_window(name: str, columns: int | None) -> None:
    golden(name, tables.runs(FLEET, now=1000.0, columns=columns))


@pytest.mark.parametrize(("name", "columns"), [("ps-80", 80), ("ps-200", 200), ("ps-40", 40), ("ps", None)])
def test_the_table_of_services_fits_the_window(plan: Plan, name: str, columns: int | None) -> None:
    golden(name, tables.services(plan, RUNNING, now=1000.0, columns=columns))


def test_tables_are_coloured_where_it_helps(plan: Plan) -> None:
    golden("runs-80-coloured", tables.runs(FLEET, now=1000.0, columns=80, colour=True))
    golden("ps-80-coloured", tables.services(plan, RUNNING, now=1000.0, columns=80, colour=True))


def test_changes_are_json_too(plan: Plan) -> None:
    told = json.loads(tables.changes_json(narrowed(plan, "db:deploy"), {StepId("db:deploy"): Change(kind="create")}))

    assert told == {
        "v": 1,
        "type": "plan",
        "project": "shop",
        "stage": "stg",
        "changes": [
            {
                "step": "db:deploy",
                "service": "db",
                "kind": "create",
                "cause": "",
                "fields": [],
                "downtime": "none",
            }
        ],
        "total": {"create": 1},
        "warnings": [],
    }


def test_a_sound_stage_is_said_to_be_sound(plan: Plan) -> None:
    assert tables.validated(plan) == "stg: 4 services in 10 steps on docker, nothing is wrong"
