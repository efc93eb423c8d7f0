# SPDX-License-Identifier: Apache-2.0
"""A new version that gets its requests by and by: against a server that keeps shares, tags and revisions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from fleetflow_tasks.config.model import Readiness
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import DeployError, Stopped
from fleetflow_tasks.runtimes.cloudrun.canary import canary
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.cloudrun import Server
from fleetflow_tasks.testing.cloudrun.played import Played

from .stage import Stage, service, told

V1, V2, V3 = (f"scripted/ready:{number}ms" for number in (1, 2, 3))
NOTHING = "scripted/not-found"


def api(image: str, **fields: Any) -> ResolvedService:
    return service("api", image, **fields)


@pytest.fixture
def serving(stage: Stage) -> Stage:
    """A stage whose api is V1."""
    stage.up(api(V1))
    stage.requests.clear()
    return stage


@pytest.fixture
def rolling(serving: Stage) -> Stage:
    """The same, and V2 has a tenth of its requests."""
    serving.up(api(V2), canary="10")
    serving.requests.clear()
    return serving


def written(stage: Stage) -> Sequence[str]:
    """What was changed; what was only checked does not count."""
    return stage.asked("CreateService", "UpdateService", "DeleteService")


def tags(stage: Stage) -> list[str]:
    return [each["tag"] for each in stage.get("api").get("traffic", ()) if each.get("tag")]


# --- a roll-out


def test_a_new_version_gets_its_share_under_a_name_of_its_own(serving: Stage) -> None:
    outcome = serving.up(api(V2), canary="10")["api:deploy"]

    assert serving.serving("api") == {V1: 90, V2: 10}
    assert tags(serving) == ["next"]
    assert serving.revisions("api") == [V2, V1]
    assert outcome.changed


def test_it_is_seen_in_what_would_change_and_in_what_runs(rolling: Stage) -> None:
    found = rolling.get("api")
    trial = canary(found)
    (status,) = rolling.runtime.status(rolling.plan(api(V2)))

    assert trial is not None
    assert status.text == f"90 % {trial.before.revision}, 10 % {trial.new}"
    assert status.state == "running"
    assert rolling.changes(api(V2)) == {}
    assert rolling.changes(api(V2), canary="50", promote="yes") == {
        "api:deploy": f"update: the requests go to 50 % {trial.before.revision}, 50 % {trial.new}"
    }


def test_a_stage_s_own_share_is_one_for_every_new_version(serving: Stage) -> None:
    gradual = {"options": {"traffic": 10}}

    serving.up(api(V2, **gradual))

    assert serving.serving("api") == {V1: 90, V2: 10}


def test_the_first_version_gets_all_requests(stage: Stage) -> None:
    outcome = stage.up(api(V1), canary="10")["api:deploy"]

    assert stage.serving("api") == {V1: 100}
    assert "nothing served before" in outcome.text


def test_the_same_again_sends_nothing(rolling: Stage) -> None:
    assert rolling.up(api(V2))["api:deploy"].text == "unchanged"
    assert rolling.up(api(V2), canary="50")["api:deploy"].text == "unchanged"

    assert written(rolling) == []
    assert rolling.serving("api") == {V1: 90, V2: 10}


def test_a_share_is_moved_by_one_call_that_makes_no_revision(rolling: Stage) -> None:
    rolling.up(api(V2), canary="50", promote="yes")

    assert rolling.serving("api") == {V1: 50, V2: 50}
    assert written(rolling) == ["UpdateService"]
    assert rolling.revisions("api") == [V2, V1]


def test_all_requests_end_the_roll_out(rolling: Stage) -> None:
    rolling.up(api(V2), canary="100", promote="yes")

    assert rolling.serving("api") == {V2: 100}
    assert rolling.get("api")["traffic"] == [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
    assert rolling.revisions("api") == [V2, V1]
    assert rolling.changes(api(V2)) == {}


def test_the_next_version_after_it_is_served_like_any_other(rolling: Stage) -> None:
    rolling.up(api(V2), canary="100", promote="yes")
    rolling.up(api(V3))

    assert rolling.serving("api") == {V3: 100}


def test_a_third_version_takes_the_place_of_the_one_on_trial(rolling: Stage) -> None:
    rolling.up(api(V3), canary="20")

    assert rolling.serving("api") == {V1: 80, V3: 20}


def test_a_third_version_for_all_is_served_once_it_is_ready_and_not_before(rolling: Stage) -> None:
    rolling.fails(api(NOTHING))
    assert rolling.serving("api") == {V1: 90, V2: 10}

    rolling.up(api(V3))
    assert rolling.serving("api") == {V3: 100}


# --- back


def test_going_back_is_one_call_to_the_revision_that_is_there(rolling: Stage) -> None:
    rolling.up(api(V1))

    assert rolling.serving("api") == {V1: 100}
    assert tags(rolling) == []
    assert written(rolling) == ["UpdateService"]
    assert rolling.revisions("api") == [V2, V1]
    assert rolling.changes(api(V1)) == {}


@pytest.mark.parametrize("image", [V2, V3])
def test_what_is_deployed_after_that_is_not_held_back(rolling: Stage, image: str) -> None:
    rolling.up(api(V1))
    rolling.up(api(image))

    assert rolling.serving("api") == {image: 100}
    assert rolling.get("api")["traffic"] == [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
    assert rolling.changes(api(image)) == {}


def test_a_failed_version_after_that_leaves_it_where_it_was(rolling: Stage) -> None:
    rolling.up(api(V1))
    rolling.fails(api(NOTHING))

    assert rolling.serving("api") == {V1: 100}
    assert rolling.changes(api(V1)) == {}


# --- what goes wrong


def test_a_version_that_never_is_ready_gets_no_request_and_the_service_is_what_it_was(serving: Stage) -> None:
    serving.fails(api(NOTHING), canary="10")

    assert serving.serving("api") == {V1: 100}
    assert tags(serving) == []
    assert serving.changes(api(V1)) == {}


@pytest.fixture
def answering(server: Server) -> Iterator[Callable[[int], None]]:
    """All URLs lead to one place, which answers with a status."""
    usual, played = server.state.url, []

    def answer(status: int) -> None:
        played.append(Played("", status))
        host, port = played[-1].address
        server.state.url = lambda service, tag: f"http://{host}:{port}"

    yield answer
    server.state.url = usual
    for each in played:
        each.stop()


def test_a_version_that_answers_well_gets_its_requests(serving: Stage, answering: Callable[[int], None]) -> None:
    answering(200)

    outcome = serving.up(api(V2, readiness=Readiness(path="/health")), canary="10")["api:deploy"]

    assert serving.serving("api") == {V1: 90, V2: 10}
    assert outcome.text.endswith("; it answers")


def test_a_version_that_does_not_answer_well_gets_no_request(serving: Stage, answering: Callable[[int], None]) -> None:
    answering(500)
    failure = serving.fails(api(V2, readiness=Readiness(path="/health", timeout=0)), canary="10")

    assert serving.serving("api") == {V1: 100}
    assert tags(serving) == []
    assert "does not answer well, so no request goes to it" in told(failure)[0]
    assert any("answered 500" in line for line in told(failure))
    assert serving.changes(api(V1)) == {}


class Asking(Trial):
    """first: what happens as the new version is asked for the first time."""

    def __init__(self, generation: int, first: Callable[[], object]) -> None:
        super().__init__(generation)
        self._first = [first]

    def report(self, text: str, current: float | None = None, total: float | None = None) -> None:
        if text.startswith("asking the new revision") and self._first:
            self._first.pop()()


def test_that_a_version_was_given_up_is_told_though_the_answer_to_that_was_lost(
    serving: Stage, server: Server, answering: Callable[[int], None]
) -> None:
    answering(500)
    bad = api(V2, readiness=Readiness(path="/health", timeout=0.1, interval=0.05))
    losing = Asking(2, lambda: server.faults.lose("UpdateService .*-api"))

    with pytest.raises(DeployError) as failure:
        serving.carry("api:deploy", bad, attempt=losing, canary="10")

    assert failure.value.problem.code == "canary-failed"
    assert serving.serving("api") == {V1: 100}
    assert serving.revisions("api") == [V2, V1]


def test_a_share_moves_nothing_but_requests_though_another_version_came_meanwhile(rolling: Stage) -> None:
    rolling.up(api(V3))

    with pytest.raises(DeployError) as failure:
        rolling.carry("api:deploy", api(V2), attempt=Trial(9), canary="100", promote="yes")

    assert told(failure.value) == [
        "service `api` is not as the stage's last run has it, so its requests are left alone",
        f"image changed: {V3} -> {V2}",
        "fix: deploy it first",
    ]
    assert rolling.serving("api") == {V3: 100}


def test_a_worker_lost_anywhere_in_a_roll_out_is_followed_by_one_that_ends_it(serving: Stage) -> None:
    """Lost before each call of its own, one after the other, until none is left to be lost at."""
    for lost in range(40):
        serving.up(api(V1))
        image = f"scripted/ready:{10 + lost}ms"
        serving.generation += 1
        try:
            serving.carry("api:deploy", api(image), attempt=Trial(serving.generation, stop_at=lost), canary="10")
        except Stopped:
            serving.carry("api:deploy", api(image), attempt=Trial(serving.generation), canary="10")
            assert serving.serving("api") == {V1: 90, image: 10}
        else:
            return
    pytest.fail("it never came to its end")


# --- others


def test_requests_that_somebody_moved_by_hand_are_told_and_moved_back(serving: Stage) -> None:
    serving.up(api(V2))
    old = serving.client.revisions(serving.name("api"))[-1]["name"].rpartition("/")[2]
    pinned = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": old, "percent": 100}
    serving.changed("api", traffic=[pinned])

    assert serving.changes(api(V2)) == {"api:deploy": f"replace: somebody moved the requests: 100 % {old}"}
    serving.up(api(V2))
    assert serving.serving("api") == {V2: 100}
