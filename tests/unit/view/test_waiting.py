# SPDX-License-Identifier: Apache-2.0
"""What waits for what, and the screen that says it: each reason there is, in the words that a person reads."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import EventId, Run, RunId, Snapshot, StepState, Undo, WorkerId, WorkerInfo
from fleetflow_tasks.engine.overview import Overview, StageOverview
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import QueueName, StepId
from fleetflow_tasks.view import queue, waiting
from fleetflow_tasks.view.waiting import loads, waits
from tests.golden import golden

DOCKER = QueueName("docker")
NOW = 1000.0


def run(name: str = "r-active", **fields: Any) -> Run:
    given = {"status": "running", "generation": 1, "submitted": 980.0, "started": 990.0, "actor": "ann@host", **fields}
    return Run(id=RunId(name), project=ProjectName("shop"), stage=StageName("stg"), **given)


def step(name: str, status: Any, **fields: Any) -> StepState:
    return StepState(step=StepId(name), status=status, **{"queue": DOCKER, "since": 995.0, **fields})


def worker(name: str = "host1:1:a", **fields: Any) -> WorkerInfo:
    given = {"queues": (DOCKER,), "slots": 2, "keys": ("k1",), "seen": NOW - 2, **fields}
    return WorkerInfo(id=WorkerId(name), host="host1", pid=1, **given)


def stage(*steps: StepState, line: tuple[Run, ...] = (), active: Run | None = None, **fields: Any) -> StageOverview:
    snapshot = Snapshot(run=active or run(), steps=steps, last=EventId("1-0")) if steps else None
    given = {"schema": 1, "key": "k1", **fields}
    return StageOverview(project=ProjectName("shop"), stage=StageName("stg"), active=snapshot, line=line, **given)


def seen(*stages: StageOverview, workers: tuple[WorkerInfo, ...] = (), **fields: Any) -> Overview:
    return Overview(now=NOW, stages=stages, workers=workers, **fields)


def reasons(overview: Overview) -> list[str]:
    """`busy: 2 of 2 slots …`."""
    return [f"{each.why}: {each.text}" for found in waits(overview) for each in found.waits]


def test_the_screen_says_what_runs_what_waits_and_who_serves_the_queues() -> None:
    queued = run("r-queued", status="queued", submitted=970.0, started=None, actor="bob@host")
    overview = seen(
        stage(
            step("db:deploy", "succeeded"),
            step("api:deploy", "running", worker=WorkerId("host1:1:a"), started=996.0, attempt=2),
            step("web:deploy", "ready"),
            step("cron:deploy", "ready", since=993.0),
            step("mail:deploy", "delayed", due=1012.0, problem=Problem(code="x", message="registry said 500")),
            step("page:deploy", "waiting"),
            line=(queued,),
        ),
        workers=(worker(busy=2),),
        lengths={DOCKER: 2},
    )

    assert queue.text(overview).splitlines() == [
        "shop/stg  run r-active of ann@host, running for 10.0s: 1 of 6 steps done, 1 waits for them",
        "  running  api:deploy               on host1, try 2 for 4.0s",
        "  ready    web:deploy, cron:deploy  for 7.0s: all 2 slots of queue `docker` are busy",
        "  delayed  mail:deploy              is tried again in 12.0s: registry said 500",
        "  next     run r-queued             waits for run r-active (submitted 30.0s ago)",
        "",
        "QUEUE   WORKERS  SLOTS  BUSY  READY  RUNNING  MESSAGES",
        "docker  1        2      2     2      1        2",
    ]


def test_reasons_are_wrapped_where_the_terminal_ends() -> None:
    overview = seen(stage(step("web:deploy", "ready")))

    assert queue.text(overview, columns=60).splitlines()[2:4] == [
        "  ready    web:deploy  for 5.0s: no worker serves queue",
        "                       `docker`, none was ever seen",
    ]
    assert queue.text(overview, columns=30).splitlines()[3:6] == [
        "  ready    web:deploy",
        "           for 5.0s: no worker",
        "           serves queue",
    ]


def everything() -> Overview:
    queued = run("r-queued", status="queued", submitted=970.0, started=None, actor="bob@host")
    return seen(
        stage(
            step("db:deploy", "succeeded"),
            step("api:deploy", "running", worker=WorkerId("host1:1:a"), started=996.0, attempt=2),
            step("a-service-with-a-long-name:deploy", "ready"),
            step("cron:deploy", "ready", since=993.0),
            step("edge:deploy", "ready", queue=QueueName("docker.web1")),
            step("mail:deploy", "delayed", due=1012.0, problem=Problem(code="x", message="the registry said 500")),
            step("page:deploy", "waiting"),
            line=(queued,),
        ),
        workers=(worker(slots=1, busy=1),),
    )


@pytest.mark.parametrize(("name", "columns"), [("queue-80", 80), ("queue-200", 200), ("queue-40", 40), ("queue", None)])
def test_what_waits_and_why_fits_the_window(name: str, columns: int | None) -> None:
    golden(name, queue.text(everything(), columns=columns))


def test_what_waits_and_why_in_colour() -> None:
    golden("queue-80-coloured", queue.text(everything(), columns=80, colour=True))


def test_colours_show_what_needs_somebody() -> None:
    lines = queue.text(seen(stage(step("web:deploy", "ready"))), colour=True).splitlines()

    assert lines[0].startswith("\x1b[1mshop/stg\x1b[0m  run r-active")
    assert lines[1].startswith("  \x1b[31mready  \x1b[0m  web:deploy  for 5.0s: no worker")
    assert lines[-1] == "docker  \x1b[31m0\x1b[0m        0      0     1      0        0"


def test_where_nothing_happens_it_is_said_how_something_would() -> None:
    assert queue.text(seen()) == (
        "nothing runs, and nothing waits\n\nno worker serves any queue; `flow worker docker` starts one"
    )


def test_a_stage_in_which_nothing_goes_on_is_left_out() -> None:
    assert waits(seen(stage())) == ()


@pytest.mark.parametrize(
    ("workers", "reason"),
    [
        ((), "no-worker: no worker serves queue `docker`, the last one was seen 3m ago"),
        ((worker(draining=True),), "leaving: the only worker of queue `docker` takes nothing new: it is being stopped"),
        ((worker(schema=0),), "too-old: the only worker of queue `docker` reads plans up to schema 0, not 1"),
        (
            (worker(keys=()), worker("host2:1:b", keys=("k2",))),
            "other-key: each of the 2 workers of queue `docker` holds another key than k1",
        ),
        ((worker(busy=2), worker("host2:1:b", busy=2)), "busy: all 4 slots of queue `docker` are busy"),
        ((worker(busy=1),), "taking: a worker takes it in a moment"),
        ((worker(seen=NOW - 9),), "silent: last sign of life of host1: 9 s ago"),
        ((worker(seen=NOW - 9), worker("host2:1:b")), "taking: a worker takes it in a moment"),
    ],
)
def test_why_nobody_has_a_ready_step(workers: tuple[WorkerInfo, ...], reason: str) -> None:
    overview = seen(stage(step("web:deploy", "ready")), workers=workers, seen={DOCKER: 800.0})

    assert reasons(overview) == [reason]


def test_a_worker_that_has_not_yet_said_that_it_is_busy_is_known_by_what_it_runs() -> None:
    runs = step("a:deploy", "running", worker=WorkerId("host1:1:a"))
    overview = seen(stage(runs, step("web:deploy", "ready")), workers=(worker(slots=1, busy=0),))

    assert reasons(overview)[1] == "busy: the only slot of queue `docker` is busy"
    assert loads(overview)[0].busy == 1


def test_a_plan_whose_key_is_not_known_can_be_opened_by_anybody_who_knows() -> None:
    overview = seen(stage(step("web:deploy", "ready"), key=""), workers=(worker(keys=()),))

    assert reasons(overview) == ["taking: a worker takes it in a moment"]


def test_a_flow_up_that_is_gone_is_not_taken_for_a_missing_worker() -> None:
    overview = seen(stage(step("web:deploy", "ready", queue=QueueName("local.r1"))))

    assert reasons(overview) == ["gone: the `flow up` that carries it out is not there any more"]
    assert loads(overview) == ()


def test_a_step_is_tried_again_now_or_later_and_says_what_went_wrong() -> None:
    overview = seen(stage(step("a:deploy", "delayed", due=999.0), step("b:deploy", "delayed")))

    assert reasons(overview) == ["backoff: is tried again now", "backoff: is tried again now"]


def test_a_running_step_without_a_name_is_with_somebody() -> None:
    assert reasons(seen(stage(step("a:deploy", "running")))) == ["running: on somebody"]


def test_a_run_waits_for_the_run_before_it_and_that_one_for_the_stage() -> None:
    first, second = run("r-first", status="queued", started=None), run("r-second", status="queued", started=None)

    assert reasons(seen(stage(line=(first, second)))) == [
        "beginning: begins in a moment",
        "line: waits for run r-first",
    ]
    assert reasons(seen(stage(line=(first,), quiet=1004.0))) == [
        "quiet: begins in 4.0s: what a worker was in the middle of may still land"
    ]
    assert reasons(seen(stage(line=(first,), quiet=990.0))) == ["beginning: begins in a moment"]


def test_a_stage_that_is_held_for_a_rollback_says_so_with_and_without_runs_in_line() -> None:
    undo = Undo(failed=RunId("r-failed"))
    queued = run("r-first", status="queued", started=None)

    assert reasons(seen(stage(line=(queued,), undo=undo), workers=(worker(),))) == [
        "held: waits until run r-failed, which failed, is rolled back"
    ]
    assert reasons(seen(stage(undo=undo), workers=(worker(),))) == ["held: failed, and is to be rolled back"]
    assert reasons(seen(stage(step("a:deploy", "running"), undo=undo))) == ["running: on somebody"]
    assert queue.text(seen(stage(undo=undo))).splitlines()[:2] == [
        "shop/stg",
        "  held     run r-failed  failed, and is to be rolled back; no worker is there to begin that",
    ]


def test_a_run_that_nobody_named_and_that_has_not_begun_is_shown_too() -> None:
    active = run(actor="", started=None, status="running")

    assert queue.text(seen(stage(step("a:deploy", "succeeded"), active=active))).splitlines()[0] == (
        "shop/stg  run r-active, running for 20.0s: 1 of 1 step done"
    )


def test_queues_are_listed_that_are_served_filled_or_needed() -> None:
    overview = seen(
        stage(step("a:deploy", "ready", queue=QueueName("docker.web1"))),
        workers=(worker(queues=(DOCKER, QueueName("local.r1")), busy=1), worker("host2:1:b", draining=True)),
        lengths={QueueName("docker.old"): 3, QueueName("docker.empty"): 0},
    )

    assert [
        (each.queue, each.workers, each.slots, each.busy, each.ready, each.messages) for each in loads(overview)
    ] == [
        ("docker", 1, 2, 1, 0, 0),
        ("docker.old", 0, 0, 0, 0, 3),
        ("docker.web1", 0, 0, 0, 1, 0),
    ]


def test_who_looks_at_one_run_is_told_what_that_one_waits_for() -> None:
    queued = run("r-queued", status="queued", started=None)
    overview = seen(
        stage(
            step("db:deploy", "running", worker=WorkerId("host1:1:a"), started=996.0),
            step("api:deploy", "ready"),
            step("web:deploy", "ready"),
            step("mail:deploy", "delayed", due=1012.0),
            line=(queued,),
        )
    )

    nobody = "no worker serves queue `docker`, none was ever seen"
    assert waiting.reasons(RunId("r-active"), overview) == waiting.Reasons(
        steps={StepId("api:deploy"): nobody, StepId("web:deploy"): nobody}
    )
    assert waiting.reasons(RunId("r-queued"), overview) == waiting.Reasons(run="waits for run r-active")
    assert waiting.reasons(RunId("r-none"), overview) == waiting.Reasons()


def test_all_of_it_is_json_too() -> None:
    told = json.loads(queue.as_json(seen(stage(step("web:deploy", "ready")), workers=(replace(worker(), busy=1),))))

    assert (told["v"], told["type"], told["now"]) == (1, "queue", NOW)
    assert told["stages"][0]["waits"] == [
        {
            "run": "r-active",
            "why": "taking",
            "text": "a worker takes it in a moment",
            "steps": ["web:deploy"],
            "queue": "docker",
            "since": 995.0,
        }
    ]
    assert told["queues"][0]["queue"] == "docker"
