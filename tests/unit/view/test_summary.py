# SPDX-License-Identifier: Apache-2.0
import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.engine.model import AnyEvent, RunEnded
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.plan.restart import restarting
from fleetflow_tasks.view.fold import Picture, rows
from fleetflow_tasks.view.summary import failure, left, summary
from tests.golden import golden
from tests.unit.view.conftest import Story, folded


def test_a_good_run_is_one_line(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            *(event for name in ("db", "migrate", "api") for event in story.up(name)),
            *story.up("web", "unchanged", changed=False),
            RunEnded(status="succeeded", **story.stamp()),
        ],
    )

    assert summary(picture) == "succeeded in 5.0s: 3 services deployed, 1 unchanged"


def test_who_leaves_before_the_end_hears_what_is_in_the_middle(story: Story) -> None:
    begun = story.begin()
    running = folded(begun, [*story.up("db"), story.moved("migrate:deploy", "running")])

    assert left(None) == left(begun) == "left before the end; the same command goes on from there"
    assert left(running) == (
        "left in the middle of migrate:deploy: what it was at may be down; the same command brings it to its end"
    )


def test_what_was_restarted_was_not_deployed(plan: Plan) -> None:
    story = Story(restarting(plan, [ServiceName("db"), ServiceName("api")]))
    picture = folded(
        story.begin(),
        [
            *story.well("db:restart", "restarted", changed=True),
            story.moved("api:restart", "running"),
            story.progress("api:restart", "waiting"),
        ],
    )
    (_, api) = rows(picture)

    assert (api.state, api.text) == ("starting", "waiting")
    assert summary(picture).endswith(": 1 service restarted, 1 not done yet")


def test_a_bad_run_tells_each_failure_and_what_was_not_done_for_it(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            *story.up("db"),
            story.moved("migrate:prepare", "running"),
            story.badly("migrate:prepare", cause=("manifest unknown",), fix="push it"),
            *(story.moved(f"{name}:deploy", "skipped", 0.0) for name in ("migrate", "api", "web")),
            RunEnded(status="failed", **story.stamp()),
        ],
    )

    assert summary(picture) == (
        "migrate:prepare failed on docker, not tried again: the image does not exist\n"
        "  manifest unknown\n"
        "  fix: push it\n"
        "\n"
        "not done: api, web, because migrate:prepare failed\n"
        "failed in 4.0s: 1 service deployed, 1 failed, 2 skipped"
    )


def test_a_failure_that_stands_right_above_is_gone_on_with_and_the_others_follow_whole(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            story.badly("db:prepare"),
            story.badly("migrate:prepare", fix="push it"),
            RunEnded(status="failed", **story.stamp()),
        ],
    )

    assert summary(picture, above=StepId("migrate:prepare")).splitlines()[:4] == [
        "  fix: push it",
        "",
        "db:prepare failed on docker, not tried again: the image does not exist",
        "",
    ]


def test_what_was_cancelled_says_so(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            story.moved("db:deploy", "cancelled"),
            story.moved("migrate:deploy", "skipped"),
            story.moved("api:prepare", "skipped"),
            RunEnded(
                status="cancelled", problem=Problem(code="x", message="ann said so", fix="ask her"), **story.stamp()
            ),
        ],
    )

    assert summary(picture) == (
        "ann said so\n"
        "  fix: ask her\n"
        "\n"
        "not done: migrate, because db:deploy was cancelled\n"
        "not done: api\n"
        "cancelled in 4.0s: 2 services skipped, 1 cancelled, 1 not done yet"
    )


def test_what_a_failure_elsewhere_kept_from_being_begun_is_said_to_be_its_doing(story: Story) -> None:
    events: list[AnyEvent] = [
        story.badly("db:prepare"),
        *(story.moved(f"{name}:deploy", "skipped", 0.0) for name in ("db", "api", "web")),
        RunEnded(status="failed", **story.stamp()),
    ]
    late = RunEnded(status="failed", problem=Problem(code="x", message="not done"), **story.stamp())
    begun = story.begin()
    apart = replace(begun, needs=dict.fromkeys(begun.needs, ()))

    assert "not done: api, web, because db:prepare failed\n" in summary(folded(apart, events))
    assert "not done: api, web\n" in summary(folded(apart, [*events[:-1], late]))


def test_a_run_that_goes_on_is_told_as_far_as_it_is(story: Story) -> None:
    assert summary(story.begin(), now=103.0) == "running in 3.0s: 4 services not done yet"


def test_a_run_without_services_had_nothing_to_do(story: Story) -> None:
    empty = Picture(run=story.begin().run, steps={}, needs={})

    assert summary(empty, now=101.0) == "running in 1.0s: nothing to do"


def test_many_names_are_counted(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            story.badly("db:deploy"),
            *(story.moved(f"s{number:02}:deploy", "skipped") for number in range(12)),
        ],
    )

    names = ", ".join(f"s{number:02}" for number in range(10))
    assert f"not done: {names} and 2 more\n" in summary(picture)


def test_a_failure_says_which_attempt_it_was_and_where_the_text_is(story: Story) -> None:
    place = Place(file="services/api.kdl", line=3, column=5)
    picture = folded(
        story.begin(),
        [
            story.badly("api:deploy", attempt=3, place=place),
            story.badly("db:deploy", attempt=4, losses=2),
            story.badly("web:deploy", "nobody came", attempt=0),
            story.moved("migrate:deploy", "failed"),
        ],
    )

    assert failure(picture, StepId("api:deploy")) == [
        "api:deploy failed on docker, attempt 3 of 3: the image does not exist",
        "  at services/api.kdl:3:5",
    ]
    assert failure(picture, StepId("db:deploy")) == [
        "db:deploy failed on docker, attempt 2 of 3, not tried again: the image does not exist"
    ]
    assert failure(picture, StepId("web:deploy")) == ["web:deploy failed on docker: nobody came"]
    assert failure(picture, StepId("migrate:deploy")) == [
        "migrate:deploy failed on docker, not tried again: nobody said why"
    ]


def badly(story: Story) -> Picture:
    """As it looks to most people: one service fails for a reason that its log knows, others are left for that."""
    problem = Problem(
        code="job-failed",
        message="job `migrate` failed: it ended with exit code 3",
        cause=(
            "its last 2 lines:",
            "  migrating 14 tables of the shop",
            '  ERROR: relation "users" does not exist, so nothing can be added to it; the transaction is rolled back',
        ),
        fix="mend the migration, or go back with `flow rollback shop/stg`",
        more="flow logs --stage=stg migrate",
        place=Place(file="services/migrate.kdl", line=2, column=1, length=7, text='service "migrate" {'),
    )
    return folded(
        story.begin(),
        [
            *story.up("db"),
            story.moved("migrate:deploy", "running"),
            story.moved("migrate:deploy", "failed", problem=problem),
            *(story.moved(f"{name}:deploy", "skipped", 0.0) for name in ("api", "web")),
            RunEnded(status="failed", **story.stamp()),
        ],
    )


@pytest.mark.parametrize(
    ("name", "columns"), [("failure-80", 80), ("failure-200", 200), ("failure-40", 40), ("failure", None)]
)
def test_a_failure_fits_the_window(story: Story, name: str, columns: int | None) -> None:
    golden(name, summary(badly(story), columns=columns))


def test_a_failure_in_colour(story: Story) -> None:
    golden("failure-80-coloured", summary(badly(story), columns=80, colour=True))


def test_on_a_terminal_long_lines_of_a_failure_are_broken(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            *story.up("db"),
            story.badly("api:deploy", "the image `shop/api:9` does not exist, or may not be read", fix="push it"),
            story.moved("web:deploy", "skipped"),
            story.moved("migrate:deploy", "skipped"),
            RunEnded(status="failed", **story.stamp()),
        ],
    )

    assert summary(picture, columns=60).splitlines() == [
        "api:deploy failed on docker, not tried again: the image",
        "  `shop/api:9` does not exist, or may not be read",
        "  fix: push it",
        "",
        "not done: migrate, web, because api:deploy failed",
        "failed in 5.0s: 1 service deployed, 1 failed, 2 skipped",
    ]


def test_without_the_plan_a_failure_says_what_it_knows(story: Story) -> None:
    picture = folded(story.begin(facts=False), [story.badly("api:deploy")])

    assert failure(picture, StepId("api:deploy")) == ["api:deploy failed: the image does not exist"]


def test_colours_are_written_only_where_they_are_wanted(story: Story) -> None:
    picture = folded(story.begin(), [RunEnded(status="succeeded", **story.stamp())])

    assert summary(picture, colour=True).startswith("\x1b[1;32msucceeded\x1b[0m in 1.0s: ")


def test_a_run_that_changed_no_service_tells_what_else_it_changed(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            *story.well("stage:prepare", "unchanged", changed=False),
            *story.well("stage:prune", "removed network shop-stg"),
        ],
    )
    alone = {step: state for step, state in picture.steps.items() if state.service is None}
    bare = Picture(run=picture.run, steps=alone, needs={})

    assert summary(bare, now=101.0) == "running in 1.0s: removed network shop-stg"
