# SPDX-License-Identifier: Apache-2.0
from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.describe import describe
from fleetflow_tasks.plan.restart import restarting

from .test_build import STG, on, project, service


def told(*names: str) -> list[str]:
    made = build(project(service("db"), service("api", on("db")), service("web", on("api")), service("log")), STG)
    return [" ".join(line.split()) for line in describe(restarting(made, [ServiceName(name) for name in names]))]


def test_who_depends_on_a_service_restarts_once_that_is_ready_again() -> None:
    assert told("web", "api", "db", "log") == [
        "db:restart <- - (declared)",
        "log:restart <- - (declared)",
        "api:restart <- db:restart (db is ready again)",
        "web:restart <- api:restart (api is ready again)",
    ]


def test_what_is_left_alone_in_between_does_not_break_the_order() -> None:
    assert told("web", "db") == ["db:restart <- - (declared)", "web:restart <- db:restart (db is ready again)"]


def test_a_restart_goes_where_its_service_is_with_the_patience_that_it_asks_for() -> None:
    made = build(
        project(
            service("api", timeout=12.0, retries=5),
            service("edge", runtime="cloudrun"),
            options={"host": "web1", "project": "p", "region": "r"},
        ),
        STG,
    )

    first, second = restarting(made, [ServiceName("api"), ServiceName("edge")]).steps

    assert (first.id, first.action, first.queue, first.timeout, first.retries) == (
        "api:restart", "restart", "docker.web1", 12.0, 5,
    )  # fmt: skip
    assert (second.runtime, second.queue) == (RuntimeName("cloudrun"), "cloudrun")
