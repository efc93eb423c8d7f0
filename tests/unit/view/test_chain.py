# SPDX-License-Identifier: Apache-2.0
from fleetflow_tasks.view.chain import chain
from tests.unit.view.conftest import Story, folded


def test_the_longest_chain_is_what_the_others_wait_for(story: Story) -> None:
    assert chain(story.begin()) == ("db", "migrate", "api", "web")


def test_it_grows_shorter_with_each_step_that_is_done(story: Story) -> None:
    picture = folded(story.begin(), [*story.well("stage:prepare"), *story.up("db"), *story.up("migrate")])

    assert chain(picture) == ("api", "web")


def test_the_last_service_is_no_chain(story: Story) -> None:
    picture = folded(story.begin(), [event for name in ("db", "migrate", "api") for event in story.up(name)])

    assert chain(picture) == ()


def test_of_steps_that_no_plan_is_known_for_there_is_none(story: Story) -> None:
    assert chain(folded(story.begin(), [story.moved("x:deploy", "running")])) == ("db", "migrate", "api", "web")
