# SPDX-License-Identifier: Apache-2.0
"""Which change makes a revision, what becomes of one that fails, and where requests go meanwhile."""

from typing import Any

import pytest
from google.api_core.exceptions import FailedPrecondition

from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError

from .conftest import Cloud, Stock, conditions, refusal

LATEST = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"}
REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
GONE = "scripted/not-found"


def to(revision: str, percent: int, tag: str = "") -> dict[str, Any]:
    return {"type": REVISION, "revision": revision, "percent": percent, "tag": tag}


def newest(cloud: Cloud) -> Any:
    return cloud.client.revisions(cloud.service)[0]


def test_a_changed_template_makes_a_revision_and_the_same_makes_none(cloud: Cloud) -> None:
    cloud.make()
    cloud.change(labels={"colour": "blue"})
    same = cloud.revisions()

    cloud.change(template={"timeout": "10s"})

    assert (len(same), len(cloud.revisions())) == (1, 2)
    assert cloud.revisions()[0].startswith(f"{cloud.id}-00002-")
    assert cloud.get()["latestReadyRevision"].endswith(cloud.revisions()[0])


def test_a_revision_shows_what_it_was_made_of(cloud: Cloud) -> None:
    cloud.make(template={"labels": {"colour": "blue"}})
    made = newest(cloud)

    assert (made["service"], made["labels"], made["timeout"]) == (cloud.service, {"colour": "blue"}, "300s")
    assert cloud.client.revision(made["name"]) == made
    assert conditions(made) == {
        "Ready": "succeeded",
        "ContainerHealthy": "succeeded",
        "ContainerReady": "succeeded",
        "ResourcesAvailable": "succeeded",
        "Active": "succeeded",
    }


def test_what_nothing_goes_to_any_more_is_retired_and_did_not_fail(cloud: Cloud) -> None:
    cloud.make()
    cloud.change("scripted/ready:1s")
    old = cloud.client.revisions(cloud.service)[1]

    assert (conditions(old)["Ready"], conditions(old)["Active"]) == ("succeeded", "failed RETIRED")
    assert [each.get("severity") for each in old["conditions"] if each["type"] == "Active"] == ["INFO"]


def test_a_named_revision_is_found_again_where_it_is_the_same(cloud: Cloud) -> None:
    one, two = f"{cloud.id}-one", f"{cloud.id}-two"
    cloud.make(template={"revision": one})
    cloud.change("scripted/ready:1s", template={"revision": two})

    ended = cloud.change(template={"revision": one})

    assert ended.error is None
    assert cloud.revisions() == [two, one]
    assert cloud.get()["latestCreatedRevision"].endswith(one)
    assert cloud.get()["latestReadyRevision"].endswith(one)


def test_a_named_revision_that_is_another_one_is_refused(cloud: Cloud) -> None:
    name = f"{cloud.id}-one"
    cloud.make(template={"revision": name})

    with pytest.raises(CloudRunError) as error:
        cloud.update("scripted/ready:1s", template={"revision": name})

    assert refusal(error) == f"ALREADY_EXISTS: Revision named '{name}' with different configuration already exists."


@pytest.mark.parametrize("name", ["other-one", "UPPER", "x" * 64])
def test_a_revision_s_name_begins_with_its_service_s(cloud: Cloud, name: str) -> None:
    with pytest.raises(CloudRunError, match="must be a DNS label that begins with"):
        cloud.create(template={"revision": name})


def test_a_failed_revision_leaves_the_last_ready_one_serving(cloud: Cloud) -> None:
    before = cloud.make()

    ended = cloud.change(GONE)

    found = cloud.get()
    assert ended.error is not None
    text = f"Revision '{cloud.revisions()[0]}' is not ready and cannot serve traffic. Image '{GONE}' not found."
    assert (ended.error.code, ended.error.message) == ("INTERNAL", text)
    assert conditions(found) == {
        "Ready": "failed CONTAINER_MISSING",
        "ConfigurationsReady": "failed CONTAINER_MISSING",
        "RoutesReady": "succeeded",
    }
    assert (found["generation"], found["observedGeneration"]) == ("2", "1")
    assert found["latestReadyRevision"] == before["latestReadyRevision"] != found["latestCreatedRevision"]
    assert found["trafficStatuses"] == before["trafficStatuses"]
    assert not found.get("reconciling")


def test_a_new_service_that_fails_serves_nothing(cloud: Cloud) -> None:
    found = cloud.make(GONE)

    assert not {"observedGeneration", "latestReadyRevision", "trafficStatuses", "uri", "ingress"} & found.keys()
    assert conditions(found)["Ready"] == "failed CONTAINER_MISSING"


def test_the_failed_template_again_fails_again_and_makes_no_revision(cloud: Cloud) -> None:
    cloud.make()
    cloud.change(GONE)

    ended = cloud.change(GONE)

    assert ended.error is not None
    assert len(cloud.revisions()) == 2


def test_an_image_that_is_there_by_now_helps_a_new_revision_alone(cloud: Cloud) -> None:
    cloud.server.world.missing_images.add("shop/api:2")
    cloud.make("shop/api:2")
    cloud.server.world.missing_images.clear()

    same = cloud.change("shop/api:2")
    other = cloud.change("shop/api:2", template={"annotations": {"example.org/try": "2"}})

    assert same.error is not None
    assert other.error is None


def test_a_container_that_does_not_listen_fails_when_its_probe_does(cloud: Cloud) -> None:
    probe = {"tcpSocket": {}, "periodSeconds": 5, "failureThreshold": 3}
    container = {"image": "scripted/never-listens", "startupProbe": probe, "ports": [{"containerPort": 9090}]}
    operation = cloud.create(template={"containers": [container]})
    cloud.clock.advance(14)
    before = cloud.now(operation)
    ended = cloud.over(operation, 1)

    assert (before.done, ended.done) == (False, True)
    assert ended.error is not None
    assert "failed to start and listen on the port defined provided by the PORT=9090" in ended.error.message
    assert "https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start" in ended.error.message
    assert conditions(cloud.get())["Ready"] == "failed REVISION_FAILED"
    assert conditions(newest(cloud))["Ready"] == "failed HEALTH_CHECK_CONTAINER_ERROR"


def test_an_operation_may_end_well_and_the_service_never_be_ready(cloud: Cloud) -> None:
    operation = cloud.create("scripted/unsettled")

    ended = cloud.over(operation)
    cloud.clock.advance(3600)

    assert (ended.done, ended.error) == (True, None)
    assert cloud.get()["reconciling"]
    assert conditions(cloud.get())["Ready"] == "reconciling"


SECRET = {"env": [{"name": "KEY", "valueSource": {"secretKeyRef": {"secret": "key", "version": "1"}}}]}
VOLUME = {"volumes": [{"name": "key", "secret": {"secret": "key"}}]}


@pytest.mark.parametrize("template", [{"containers": [{"image": "a/b", **SECRET}]}, VOLUME])
@pytest.mark.parametrize("fact", ["missing_secrets", "denied_secrets"])
def test_a_secret_that_cannot_be_read_fails_the_revision(cloud: Cloud, template: dict[str, Any], fact: str) -> None:
    getattr(cloud.server.world, fact).add("key")

    found = cloud.make(template=template)

    assert conditions(found)["Ready"] == "failed SECRETS_ACCESS_CHECK_FAILED"
    assert conditions(newest(cloud))["ResourcesAvailable"] == "failed SECRETS_ACCESS_CHECK_FAILED"


def test_a_network_or_an_image_that_cannot_be_reached_fails_the_revision(cloud: Cloud) -> None:
    cloud.server.world.missing_networks.add("inside")
    cloud.server.world.denied_images.add("shop/api")

    cloud.make(template={"vpcAccess": {"networkInterfaces": [{"network": "inside"}]}})
    network = conditions(cloud.get())["Ready"]
    cloud.change("shop/api")

    assert network == "failed VPC_NETWORK_NOT_FOUND"
    assert conditions(cloud.get())["Ready"] == "failed CONTAINER_PERMISSION_DENIED"


# --- traffic


def test_traffic_is_split_and_a_tag_has_its_own_url(cloud: Cloud) -> None:
    cloud.make()
    old = cloud.revisions()[0]
    name = f"{cloud.id}-next"

    cloud.change("scripted/ready:1s", template={"revision": name}, traffic=[to(old, 100), to(name, 0, "next")])

    assert cloud.serving() == [f"{old} 100", f"{name} 0"]
    assert cloud.get()["trafficStatuses"][1]["uri"].startswith(f"https://next---{cloud.id}-")
    assert cloud.get()["latestReadyRevision"].endswith(name)


def test_traffic_alone_makes_no_revision(cloud: Cloud) -> None:
    cloud.make()
    cloud.change("scripted/ready:1s")
    new, old = cloud.revisions()

    ended = cloud.change("scripted/ready:1s", traffic=[to(old, 90), to(new, 10)])

    assert ended.error is None
    assert (cloud.serving(), cloud.revisions()) == ([f"{old} 90", f"{new} 10"], [new, old])


def test_pinned_traffic_stays_where_it_is_when_a_new_revision_comes(cloud: Cloud) -> None:
    cloud.make()
    (old,) = cloud.revisions()

    cloud.change("scripted/ready:1s", traffic=[to(old, 100)])

    assert cloud.serving() == [f"{old} 100"]


def test_a_revision_that_is_not_there_gets_no_traffic(cloud: Cloud) -> None:
    cloud.make()
    before = cloud.serving()

    ended = cloud.change(traffic=[to(f"{cloud.id}-none", 100)])

    assert ended.error is not None
    assert ended.error.message.startswith(f"Revision '{cloud.id}-none' does not exist or is deleted.")
    assert conditions(cloud.get())["RoutesReady"].startswith("failed")
    assert cloud.serving() == before


def test_a_failed_revision_gets_no_traffic_by_name(cloud: Cloud) -> None:
    cloud.make()
    (old,) = cloud.revisions()
    cloud.change(GONE)
    failed = cloud.revisions()[0]

    ended = cloud.change("scripted/ready:1s", traffic=[to(old, 50), to(failed, 50)])

    assert ended.error is not None
    assert f"Revision '{failed}' is not ready" in ended.error.message


@pytest.mark.parametrize(
    ("traffic", "answer"),
    [
        ([{**LATEST, "percent": 99}], "Traffic targets should sum up to 100%, they are 99%."),
        ([{**LATEST, "percent": 100, "revision": "x"}], "must be empty for the latest revision."),
        ([{"type": REVISION, "percent": 100}], "must be the name of a revision."),
        ([{"percent": 100}], "must be specified."),
        ([to("a", 101), to("b", -1)], "must be between 0 and 100."),
        ([to("a", 100, "Next")], "'Next' must be a DNS label."),
        ([to("a", 50, "next"), to("b", 50, "next")], "the tag 'next' is used more than once."),
        ([to("a", 100, "n" * 46)], "characters together."),
    ],
)
def test_traffic_that_cannot_be_is_refused(cloud: Cloud, traffic: list[dict[str, Any]], answer: str) -> None:
    with pytest.raises(CloudRunError) as error:
        cloud.create(traffic=traffic)

    assert error.value.code == "INVALID_ARGUMENT"
    assert answer in error.value.answer


def test_only_a_revision_that_nothing_goes_to_may_be_deleted(cloud: Cloud, stock: Stock) -> None:
    cloud.make()
    cloud.change("scripted/ready:1s")
    new, old = cloud.revisions()
    delete = stock.revisions.delete_revision

    with pytest.raises(FailedPrecondition, match="is serving traffic, or is the latest one"):
        delete(name=f"{cloud.service}/revisions/{new}", metadata=stock.metadata, retry=None)
    delete(name=f"{cloud.service}/revisions/{old}", metadata=stock.metadata, retry=None)

    assert cloud.revisions() == [new]


def test_old_idle_revisions_make_room(cloud: Cloud) -> None:
    cloud.server.world.revisions_kept = 2
    cloud.make()
    for number in range(3):
        cloud.change(f"scripted/ready:{number}s")

    assert [each.split("-")[1] for each in cloud.revisions()] == ["00004", "00003"]
