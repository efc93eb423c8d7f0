# SPDX-License-Identifier: Apache-2.0
"""Who gets the requests: the whole way of a service through roll-outs, roll-backs, deaths half way and other people."""

from collections.abc import Mapping
from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.canary import BEFORE, HELD, Before, Canary, canary, serving
from fleetflow_tasks.runtimes.cloudrun.names import HASH, TEMPLATE
from fleetflow_tasks.runtimes.cloudrun.shares import ALL, NEWEST, is_newest, shares
from fleetflow_tasks.runtimes.cloudrun.traffic import Wanted, Way, first, new_revision, refused, second, way

Json = dict[str, Any]

PLACE = "projects/p/locations/r/services/shop-prd-api"
TRIAL = "shop-prd-api-"


class Service:
    """A service there, as the API keeps it: who sends what, gets what. Only what matters to its traffic."""

    def __init__(self) -> None:
        self.body: Json | None = None
        self.made: list[str] = []
        self.sent = 0

    def deploy(self, version: str, share: int | None = None, *, outside: str = "", **more: Any) -> Way:
        """A whole step, as the runtime carries it out."""
        found = self.begin(version, share, outside=outside, **more)
        if found.then is not None:
            self.end(found)
        return found

    def begin(self, version: str, share: int | None = None, *, outside: str = "", **more: Any) -> Way:
        """As far as the first update, as if the worker was killed then."""
        found = way(wanted(version, share, attempt=str(len(self.made)), **more), self.body)
        if found.begins:
            annotations = {HASH: version + outside, TEMPLATE: version}
            self._send(first({"template": {"image": version}, "annotations": annotations}, found, self.body))
        return found

    def end(self, found: Way) -> None:
        assert self.body is not None
        self._send(second(self.body, found))

    def refuse(self) -> None:
        assert self.body is not None
        self._send(refused(self.body))

    def moved_by_hand(self, **shares: int) -> None:
        assert self.body is not None
        self.body = {**self.body, "traffic": by_name(**shares)}

    def fails(self) -> None:
        """The newest revision is not ready after all."""
        assert self.body is not None
        self.body = {**self.body, "latestReadyRevision": ""}

    @property
    def served(self) -> str:
        """Which contents get how many requests: `v1` or `v1 90, v2 10`."""
        assert self.body is not None
        newest = self.body["latestReadyRevision"].rpartition("/")[2]
        found = {}
        for each in self.body["traffic"]:
            if each.get("percent"):
                found[self._content(each.get("revision") or newest)] = each["percent"]
        return ", ".join(f"{content} {percent}" if percent < ALL else content for content, percent in found.items())

    @property
    def marks(self) -> Mapping[str, str]:
        assert self.body is not None
        return self.body["annotations"]  # type: ignore[no-any-return]  # it is our own JSON

    @property
    def trial(self) -> Canary | None:
        assert self.body is not None
        return canary(self.body)

    def _content(self, revision: str) -> str:
        return next(content for name, content in (each.split(" ") for each in self.made) if name == revision)

    def _send(self, body: Mapping[str, Any]) -> None:
        self.sent += 1
        before = self.body["template"] if self.body else None
        self.body = {"latestReadyRevision": "", **(self.body or {}), **body}
        if body["template"] != before:
            name = body["template"].get("revision") or f"{TRIAL}{len(self.made) + 1:05}"
            self.made.append(f"{name} {body['template']['image']}")
            self.body["latestCreatedRevision"] = self.body["latestReadyRevision"] = f"{PLACE}/revisions/{name}"
        tags = [each for each in body["traffic"] if each.get("tag")]
        self.body["trafficStatuses"] = [{**each, "uri": f"https://{each['tag']}---api.run.app"} for each in tags]


def wanted(version: str, share: int | None = None, **more: Any) -> Wanted:
    return Wanted(name="shop-prd-api", template=version, hash=version, share=share, **more)


def by_name(**percents: int) -> list[Json]:
    return [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": name.replace("_", "-"), "percent": percent}
        for name, percent in percents.items()
    ]


@pytest.fixture
def service() -> Service:
    """One that serves v1."""
    made = Service()
    made.deploy("v1")
    made.sent = 0
    return made


@pytest.fixture
def rolling(service: Service) -> Service:
    """v1 with 90 % and v2 with 10 %."""
    service.deploy("v2", 10)
    service.sent = 0
    return service


# --- all requests at once


def test_all_requests_go_to_the_newest_that_is_ready(service: Service) -> None:
    found = service.deploy("v2")

    assert (found.kind, found.traffic, found.then) == ("straight", NEWEST, None)
    assert service.served == "v2"
    assert service.sent == 1


def test_what_serves_already_costs_nothing(service: Service) -> None:
    found = service.deploy("v1")

    assert (found.kind, found.goal) == ("none", NEWEST)
    assert service.sent == 0


def test_the_first_version_gets_all_requests_and_it_is_said() -> None:
    service = Service()

    found = service.deploy("v1", 10)

    assert found.note == "all requests at once: nothing served before"
    assert service.served == "v1"


def test_where_nothing_ever_was_ready_a_share_means_nothing(service: Service) -> None:
    service.fails()

    found = service.deploy("v2", 10)

    assert (found.kind, found.note) == ("straight", "all requests at once: nothing served before")


def test_what_stands_around_the_template_moves_no_request(service: Service) -> None:
    found = way(Wanted(name="api", template="v1", hash="v1, but public"), service.body)

    assert (found.kind, found.keep, found.traffic) == ("none", True, NEWEST)


def test_another_revision_of_the_same_content_is_made_where_it_is_asked_for(service: Service) -> None:
    assert service.deploy("v1", 10, anew=True).kind == "straight"


# --- a roll-out


def test_a_new_version_gets_no_request_before_it_was_asked(service: Service) -> None:
    found = service.begin("v2", 10)

    assert found.check
    assert service.served == "v1"
    assert service.trial == Canary(
        before=Before(revision="shop-prd-api-00001", template="v1", hash="v1", goal=10),
        new=new_revision("shop-prd-api", "v2", "1"),
        share=0,
        uri="https://next---api.run.app",
    )


def test_then_it_gets_its_share(rolling: Service) -> None:
    assert rolling.served == "v1 90, v2 10"
    assert rolling.body is not None
    assert shares(rolling.body["traffic"]) == f"90 % shop-prd-api-00001, 10 % {new_revision('shop-prd-api', 'v2', '1')}"


def test_deploying_the_same_again_moves_nothing(rolling: Service) -> None:
    assert [rolling.deploy("v2", share).kind for share in (10, 50, None)] == ["none", "none", "none"]
    assert rolling.served == "v1 90, v2 10"
    assert rolling.sent == 0


@pytest.mark.parametrize("share", [5, 50])
def test_a_share_that_somebody_says_is_gone_to(rolling: Service, share: int) -> None:
    found = rolling.deploy("v2", share, said=True)

    assert (found.kind, found.keep, found.check) == ("move", True, False)
    assert rolling.served == f"v1 {100 - share}, v2 {share}"
    assert rolling.sent == 1
    assert len(rolling.made) == 2


def test_a_share_that_it_has_already_costs_nothing(rolling: Service) -> None:
    assert rolling.deploy("v2", 10, said=True).kind == "none"
    assert rolling.sent == 0


@pytest.mark.parametrize("share", [100, None])
def test_all_of_them_end_the_roll_out(rolling: Service, share: int | None) -> None:
    rolling.deploy("v2", share, said=True)

    assert rolling.body is not None
    assert is_newest(rolling.body["traffic"])
    assert rolling.served == "v2"
    assert canary(rolling.body) is None
    assert len(rolling.made) == 2
    assert rolling.deploy("v2").kind == "none"


def test_a_version_without_any_share_waits_for_somebody_to_look_at_it(service: Service) -> None:
    service.deploy("v2", 0)

    assert service.served == "v1"
    assert service.deploy("v2", 0).kind == "none"
    assert service.deploy("v2", 100, said=True).kind == "move"
    assert service.served == "v2"


def test_a_worker_killed_before_the_share_leaves_a_trial_that_the_next_one_asks_first(service: Service) -> None:
    service.begin("v2", 10)
    service.sent = 0

    found = service.deploy("v2")

    assert (found.kind, found.check, found.begins) == ("move", True, False)
    assert service.served == "v1 90, v2 10"
    assert service.sent == 1


def test_a_trial_without_an_address_cannot_be_asked(service: Service) -> None:
    service.begin("v2", 10)
    service.moved_by_hand(shop_prd_api_00001=100)
    assert service.body is not None
    service.body["trafficStatuses"] = []

    found = service.deploy("v2", 10)

    assert (found.kind, found.check) == ("move", False)
    assert service.served == "v1 90, v2 10"


def test_a_third_version_takes_the_place_of_the_one_on_trial(rolling: Service) -> None:
    rolling.deploy("v3", 20)

    assert rolling.served == "v1 80, v3 20"


def test_a_version_for_all_leaves_the_shares_until_it_is_ready(rolling: Service) -> None:
    found = rolling.begin("v3")

    assert rolling.served == "v1 90, v2 10"
    assert all("tag" not in each for each in found.traffic)
    rolling.end(found)
    assert rolling.served == "v3"
    assert BEFORE not in rolling.marks


def test_what_stands_around_the_template_leaves_a_roll_out_as_it_is(rolling: Service) -> None:
    found = way(Wanted(name="api", template="v2", hash="v2, but public", share=10), rolling.body)

    assert (found.kind, found.keep) == ("none", True)
    assert found.marks == {BEFORE: "shop-prd-api-00001 v1 v1 10"}


def test_another_revision_of_what_is_on_trial_gets_its_share(rolling: Service) -> None:
    found = rolling.begin("v2", anew=True)

    assert (found.kind, found.check, rolling.served) == ("gradual", True, "v1")
    rolling.end(found)
    assert rolling.served == "v1 90, v2 10"
    assert len(rolling.made) == 3
    rolling.deploy("v2", 40, anew=True, said=True)
    assert rolling.served == "v1 60, v2 40"


def test_two_attempts_never_ask_for_one_name(service: Service) -> None:
    names = {new_revision("shop-prd-api", "v2", attempt) for attempt in ("run-1", "run-2")}

    assert len(names) == 2
    assert all(len(name) == len("shop-prd-api") + 9 for name in names)


# --- back


def test_the_version_of_before_is_there_still_and_needs_no_new_revision(rolling: Service) -> None:
    found = rolling.deploy("v1", 10)

    assert (found.kind, found.keep) == ("back", True)
    assert rolling.served == "v1"
    assert rolling.sent == 1
    assert len(rolling.made) == 2
    assert (rolling.marks[HASH], rolling.marks[HELD]) == ("v1", "shop-prd-api-00001")


def test_after_that_nothing_is_left_to_do_though_a_newer_revision_is_ready(rolling: Service) -> None:
    rolling.deploy("v1")
    rolling.sent = 0

    assert rolling.deploy("v1").kind == "none"
    assert rolling.sent == 0


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_later_versions_are_not_held_back(rolling: Service, version: str) -> None:
    rolling.deploy("v1")

    found = rolling.begin(version)

    assert rolling.served == "v1"
    rolling.end(found)
    assert rolling.served == version
    assert rolling.body is not None
    assert is_newest(rolling.body["traffic"])
    assert HELD not in rolling.marks


def test_a_worker_killed_between_the_two_updates_of_that_leaves_nothing_pinned(rolling: Service) -> None:
    rolling.deploy("v1")
    rolling.begin("v3")

    assert rolling.deploy("v3").kind == "move"
    assert rolling.served == "v3"


def test_a_new_roll_out_begins_from_what_was_given_the_requests_back(rolling: Service) -> None:
    rolling.deploy("v1")
    rolling.deploy("v3", 10)

    assert rolling.served == "v1 90, v3 10"
    assert rolling.deploy("v1").kind == "back"


def test_a_revision_that_is_gone_is_made_again(rolling: Service) -> None:
    assert rolling.deploy("v1", gone=True).kind == "straight"
    assert rolling.served == "v1"
    assert len(rolling.made) == 3


def test_a_trial_that_was_found_bad_leaves_everything_to_the_version_of_before(service: Service) -> None:
    service.begin("v2", 10)

    service.refuse()

    assert service.served == "v1"
    assert all("tag" not in each for each in service.body["traffic"])  # type: ignore[index]  # it is there
    assert service.deploy("v1").kind == "none"
    assert service.deploy("v2", 10).kind == "gradual"


def test_without_a_roll_out_there_is_no_trial_to_refuse(service: Service) -> None:
    with pytest.raises(ValueError, match="no roll-out"):
        service.refuse()


def test_a_version_that_serves_while_the_newest_is_broken_has_no_known_content(service: Service) -> None:
    assert service.body is not None
    service.body["latestCreatedRevision"] = f"{PLACE}/revisions/shop-prd-api-00002"

    found = service.begin("v3", 10)

    assert found.marks == {BEFORE: "shop-prd-api-00001 - - 10"}
    assert canary({"annotations": found.marks}) is not None
    assert serving({"annotations": found.marks}) == "shop-prd-api-00001"


# --- others


def test_requests_that_somebody_moved_by_hand_are_moved_back(service: Service) -> None:
    service.deploy("v2")
    service.moved_by_hand(shop_prd_api_00001=100)

    assert service.deploy("v2").kind == "restate"
    assert service.served == "v2"


def test_requests_that_were_given_back_stay_there_against_others_too(rolling: Service) -> None:
    rolling.deploy("v1")
    assert rolling.body is not None
    rolling.body["traffic"] = list(NEWEST)

    assert rolling.deploy("v1").kind == "restate"
    assert rolling.served == "v1"


def test_a_tag_of_somebodys_own_does_no_harm(service: Service) -> None:
    assert service.body is not None
    service.body["traffic"] = [*NEWEST, {"type": "x", "revision": "shop-prd-api-00001", "tag": "mine"}]

    assert service.deploy("v1").kind == "none"


@pytest.mark.parametrize("text", ["", "a", "a b", " b c 1", "a b c", "a b c d", "a b c 1 2", "9 - - 1"])
def test_an_annotation_of_somebody_else_is_no_roll_out(text: str) -> None:
    assert canary({"annotations": {BEFORE: text}}) is None


def test_hashes_may_have_hyphens() -> None:
    before = Before(revision="api-00001", template="v1-12", hash="v1-34")

    found = canary({"annotations": before.mark, "latestCreatedRevision": f"{PLACE}/revisions/api-00002"})

    assert found is not None
    assert (found.before, found.new, found.share, found.uri) == (before, "api-00002", 0, "")


# --- words


@pytest.mark.parametrize(
    ("traffic", "text"),
    [
        ([], ""),
        (NEWEST, ""),
        (by_name(api_00003=90, api_00004=10), "90 % api-00003, 10 % api-00004"),
        ([*by_name(api_00003=90), {**NEWEST[0], "percent": 10}], "90 % api-00003, 10 % the newest"),
        ([*by_name(api_00003=100), {"revision": "api-00004", "tag": "next"}], "100 % api-00003, 0 % api-00004"),
    ],
)
def test_shares_in_words(traffic: list[Json], text: str) -> None:
    assert shares(traffic) == text
