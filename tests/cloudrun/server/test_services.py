# SPDX-License-Identifier: Apache-2.0
"""A service from its creation to its end, as the documentation of `Service` tells it."""

from typing import Any

import pytest
from google.longrunning.operations_pb2 import Operation

from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError

from .conftest import PARENT, Cloud, Stock, conditions, refusal

WAITS = {"Ready": "reconciling", "RoutesReady": "reconciling", "ConfigurationsReady": "reconciling"}
STANDS = {"Ready": "succeeded", "RoutesReady": "succeeded", "ConfigurationsReady": "succeeded"}


def test_a_new_service_comes_up_in_its_time(cloud: Cloud) -> None:
    operation = cloud.create()
    cloud.clock.advance(1)
    before, during = cloud.get(), cloud.now(operation)

    cloud.clock.advance(1)
    after, ended = cloud.get(), cloud.now(operation)

    assert (during.done, ended.done, ended.error) == (False, True, None)
    assert (conditions(before), conditions(after)) == (WAITS, STANDS)
    assert ended.response == after
    assert [(each.get("reconciling", False), "uri" in each, "ingress" in each) for each in (before, after)] == [
        (True, False, False),
        (False, True, True),
    ]
    assert (after["generation"], after["observedGeneration"]) == ("1", "1")
    assert after["latestReadyRevision"] == after["latestCreatedRevision"]
    assert after["trafficStatuses"] == [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]


def test_what_nobody_said_has_its_default(cloud: Cloud) -> None:
    template = cloud.make()["template"]
    (container,) = template["containers"]

    assert (template["timeout"], template["maxInstanceRequestConcurrency"]) == ("300s", 80)
    assert template["scaling"] == {"maxInstanceCount": 100}
    assert template["serviceAccount"].endswith("-compute@developer.gserviceaccount.com")
    assert container["resources"] == {"limits": {"cpu": "1000m", "memory": "512Mi"}, "cpuIdle": True}
    assert container["ports"] == [{"name": "http1", "containerPort": 8080}]
    assert container["startupProbe"] == {
        "timeoutSeconds": 240,
        "periodSeconds": 240,
        "failureThreshold": 1,
        "tcpSocket": {"port": 8080},
    }


def test_resources_that_say_nothing_of_cpu_idle_are_always_billed(cloud: Cloud) -> None:
    limits = {"limits": {"cpu": "2", "memory": "1Gi"}}
    made = cloud.make(template={"containers": [{"image": "scripted/ready", "resources": limits}]})

    assert made["template"]["containers"][0]["resources"] == limits


def test_a_name_that_is_taken_is_refused(cloud: Cloud) -> None:
    cloud.make()

    with pytest.raises(CloudRunError) as error:
        cloud.create()

    assert refusal(error) == f"ALREADY_EXISTS: Resource '{cloud.id}' already exists."


@pytest.mark.parametrize("id_", ["Shop", "1shop", "shop-", "sh_op", "s" * 50, ""])
def test_a_name_that_cannot_be_is_refused(cloud: Cloud, id_: str) -> None:
    with pytest.raises(CloudRunError, match="must be less than 50 characters") as error:
        cloud.client.create_service(PARENT, id_, cloud.body())

    assert error.value.code == "INVALID_ARGUMENT"


def test_an_update_of_nothing_is_not_found_or_makes_it(cloud: Cloud) -> None:
    with pytest.raises(CloudRunError) as error:
        cloud.update()
    operation = cloud.client.update_service(cloud.body(), allow_missing=True)

    assert error.value.code == "NOT_FOUND"
    assert cloud.over(operation).response == cloud.get()


def test_an_update_without_a_mask_replaces_the_whole(cloud: Cloud) -> None:
    cloud.make(labels={"colour": "blue"}, description="shop")

    cloud.change(annotations={"example.org/owner": "me"})

    assert (cloud.get().get("labels"), cloud.get().get("description")) == (None, None)
    assert cloud.get()["annotations"] == {"example.org/owner": "me"}
    assert cloud.get()["generation"] == "2"


def test_the_same_again_is_no_new_generation(cloud: Cloud) -> None:
    cloud.make()

    ended = cloud.change()

    assert ended.done
    assert cloud.get()["generation"] == "1"
    assert len(cloud.revisions()) == 1


def test_an_etag_that_is_not_the_newest_is_aborted(cloud: Cloud) -> None:
    old = cloud.make()["etag"]
    cloud.change(labels={"colour": "blue"})

    with pytest.raises(CloudRunError) as error:
        cloud.update(etag=old)

    assert refusal(error) == (
        f"ABORTED: Conflict for resource '{cloud.id}': version '{old}' was specified but current version is "
        f"'{cloud.get()['etag']}'."
    )
    assert cloud.over(cloud.update(etag=cloud.get()["etag"])).error is None


def test_a_try_says_what_would_be_and_does_nothing(cloud: Cloud) -> None:
    tried = cloud.client.create_service(PARENT, cloud.id, cloud.body(), validate_only=True)
    there = cloud.get()
    cloud.make()
    retried = cloud.client.update_service(cloud.body("scripted/crash:1"), validate_only=True)

    assert (tried.done, there) == (True, None)
    assert tried.response is not None
    assert tried.response["template"]["timeout"] == "300s"
    assert retried.done
    assert cloud.revisions() == [cloud.get()["latestReadyRevision"].rpartition("/")[2]]
    with pytest.raises(CloudRunError, match="1 to 10 containers"):
        cloud.client.create_service(PARENT, "other", {"template": {}}, validate_only=True)


def test_a_deleted_service_is_gone_with_its_revisions(cloud: Cloud) -> None:
    made = cloud.make()

    with pytest.raises(CloudRunError, match="Conflict"):
        cloud.client.delete_service(cloud.service, etag='"old"')
    ended = cloud.over(cloud.client.delete_service(cloud.service, etag=made["etag"]))

    assert ended.done
    assert ended.response is not None
    assert "deleteTime" in ended.response
    assert cloud.get() is None
    assert cloud.client.revision(made["latestReadyRevision"]) is None
    assert cloud.client.delete_service(cloud.service) is None


def test_services_are_listed_by_pages_the_newest_first(cloud: Cloud) -> None:
    parent = "projects/crowded/locations/europe-west1"
    for number in range(5):
        cloud.client.create_service(parent, f"s{number}", {"template": cloud.body()["template"]})
        cloud.clock.advance(1)
    asked = {"parent": parent, "pageSize": 2, "pageToken": ""}

    pages: list[list[str]] = []
    while not pages or asked["pageToken"]:
        page = cloud.client.line.ask("ListServices", parent, asked)
        pages.append([each["name"].rpartition("/")[2] for each in page["services"]])
        asked["pageToken"] = page.get("nextPageToken", "")

    assert pages == [["s4", "s3"], ["s2", "s1"], ["s0"]]
    with pytest.raises(CloudRunError, match="page token"):
        cloud.client.line.ask("ListServices", parent, {"parent": parent, "pageToken": "no"})


@pytest.mark.parametrize("parent", ["projects/shop", "projects/shop/locations/-", "projects/shop/locations/Mars"])
def test_a_parent_that_is_none_is_refused(cloud: Cloud, parent: str) -> None:
    with pytest.raises(CloudRunError) as error:
        cloud.client.services(parent)

    assert error.value.code == "INVALID_ARGUMENT"


def test_a_region_that_does_not_exist_is_refused(cloud: Cloud) -> None:
    cloud.server.world.regions.add("europe-west1")

    with pytest.raises(CloudRunError) as error:
        cloud.client.services("projects/shop/locations/mars-west1")

    assert refusal(error) == "PERMISSION_DENIED: Location mars-west1 is not found or access is unauthorized."


def test_a_mask_changes_what_it_names_alone(cloud: Cloud) -> None:
    cloud.make(labels={"colour": "blue"}, description="shop")
    ask = cloud.client.line.ask

    said = {"name": cloud.service, "scaling": {"minInstanceCount": 1}, "template": {"timeout": "10s"}}
    ask("UpdateService", cloud.service, {"service": said, "updateMask": "scaling,template.timeout,description"})
    cloud.clock.advance(10)

    found = cloud.get()
    assert (found["labels"], found["scaling"], found["template"]["timeout"]) == (
        {"colour": "blue"},
        {"minInstanceCount": 1},
        "10s",
    )
    assert "description" not in found
    with pytest.raises(CloudRunError, match="The field 'uid' cannot be updated"):
        ask("UpdateService", cloud.service, {"service": said, "updateMask": "uid"})


def test_two_changes_at_once_end_together_with_the_later_one(cloud: Cloud) -> None:
    first, second = cloud.create(), cloud.update("scripted/ready:3s")
    cloud.clock.advance(2)
    between = (cloud.now(first).done, cloud.now(second).done)
    cloud.clock.advance(1)

    assert between == (False, False)
    assert (cloud.now(first).done, cloud.now(second).done) == (True, True)
    assert cloud.get()["observedGeneration"] == "2"


def test_more_services_than_a_region_takes_are_refused(cloud: Cloud) -> None:
    parent = "projects/full/locations/europe-west1"
    cloud.server.world.services_at_most = 1
    cloud.client.create_service(parent, "one", {"template": cloud.body()["template"]})

    with pytest.raises(CloudRunError) as error:
        cloud.client.create_service(parent, "two", {"template": cloud.body()["template"]})

    assert error.value.code == "RESOURCE_EXHAUSTED"


def waited(stock: Stock, name: str, **timeout: int) -> Any:
    """google-cloud-run hands the answer on as it came: as bytes."""
    request = {"name": name, "timeout": timeout}
    return Operation.FromString(stock.services.wait_operation(request, metadata=stock.metadata, retry=None))


def test_operations_are_listed_waited_for_and_forgotten(cloud: Cloud, stock: Stock) -> None:
    name, services = cloud.create("scripted/ready").name, stock.services

    listed = services.list_operations({"name": PARENT, "page_size": 1000}, metadata=stock.metadata, retry=None)
    ended = waited(stock, name, seconds=5)
    services.delete_operation({"name": name}, metadata=stock.metadata, retry=None)

    assert name in [each.name for each in listed.operations]
    assert (ended.name, ended.done) == (name, True)
    assert cloud.client.operation(name) is None


def test_who_waits_no_longer_is_told_how_it_is(cloud: Cloud, stock: Stock) -> None:
    assert not waited(stock, cloud.create().name, nanos=1).done


def test_a_service_that_goes_before_it_came_starts_nothing(cloud: Cloud) -> None:
    cloud.server.world.pace.begin = 5
    created = cloud.create()
    deleted = cloud.over(cloud.client.delete_service(cloud.service))

    assert (deleted.done, cloud.now(created).done) == (True, True)
    assert [
        line for line in cloud.server.state.lines if line["resource"]["labels"].get("service_name") == cloud.id
    ] == []
