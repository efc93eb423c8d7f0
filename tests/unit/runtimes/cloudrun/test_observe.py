# SPDX-License-Identifier: Apache-2.0
"""One look at a region for all steps of a run."""

import threading
import time
from typing import Any, cast

from fleetflow_tasks.config.model import ProjectName, ServiceName, StageName
from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.runtimes.cloudrun.observe import RUNS, Picture, Pictures, Stage, is_of, owner, picture
from fleetflow_tasks.testing import eventually

PLACE = "projects/p/locations/r"
PRD = Stage(parent=PLACE, project=ProjectName("shop"), stage=StageName("prd"))


def thing(name: str, *, kind: str = "services", stage: str = "prd", project: str = "shop", **more: Any) -> Any:
    labels = {"fleetflow-project": project, "fleetflow-stage": stage, "fleetflow-service": name}
    return {"name": f"{PLACE}/{kind}/{project}-{stage}-{name}", "labels": labels, **more}


class Region:
    """A region, and how often it was looked at."""

    def __init__(self, *found: Any) -> None:
        self.found = list(found)
        self.looks = 0
        self.opened = threading.Event()
        self.opened.set()

    @property
    def client(self) -> Client:
        return cast(Client, self)

    def services(self, parent: str) -> list[Any]:
        self.looks += 1
        self.opened.wait(10)
        return [each for each in self.found if each["name"].startswith(f"{parent}/services/")]

    def jobs(self, parent: str) -> list[Any]:
        return [each for each in self.found if each["name"].startswith(f"{parent}/jobs/")]


def names(found: Picture) -> list[str]:
    return [each["name"].removeprefix(f"{PLACE}/") for each in found.ours()]


def test_a_stage_is_what_bears_its_labels() -> None:
    foreign: Any = {"name": f"{PLACE}/services/shop-prd-web", "labels": {}}
    region = Region(
        thing("api"), thing("seed", kind="jobs"), thing("api", stage="stg"), thing("api", project="x"), foreign
    )

    found = picture(region.client, PRD)

    assert names(found) == ["jobs/shop-prd-seed", "services/shop-prd-api"]
    assert found.get(foreign["name"]) == foreign
    assert found.get(f"{PLACE}/services/shop-stg-api") is None
    assert not is_of(foreign, PRD)
    assert (owner(thing("api")), owner(foreign)) == (ServiceName("api"), "")


def test_labels_under_another_name_are_a_copy_that_somebody_made() -> None:
    ours, copy, whole = thing("api"), {**thing("api"), "name": f"{PLACE}/services/shop-copy"}, thing("api")
    del whole["labels"]["fleetflow-service"]

    assert [is_of(each, PRD) for each in (ours, copy, whole)] == [True, False, False]


def test_all_steps_of_a_run_share_one_look() -> None:
    region = Region(thing("api"))
    region.opened.clear()
    pictures, seen = Pictures(region.client), []
    steps = [threading.Thread(target=lambda: seen.append(pictures.of(PRD, "run"))) for _ in range(8)]

    for step in steps:
        step.start()
    eventually(lambda: region.looks)
    region.opened.set()
    for step in steps:
        step.join()

    assert region.looks == 1
    assert len({id(each) for each in seen}) == 1


def test_another_run_looks_for_itself_and_so_does_who_wants_it_fresh() -> None:
    region = Region(thing("api"))
    pictures = Pictures(region.client)

    pictures.of(PRD, "one")
    pictures.of(PRD, "two")
    pictures.of(PRD, "two", fresh=0)
    assert region.looks == 3

    pictures.forget(PRD, "two")
    pictures.of(PRD, "two")
    assert region.looks == 4


def test_what_was_made_since_is_in_it_and_stays_when_it_is_taken_anew() -> None:
    region = Region(thing("api"), thing("web"))
    found = picture(region.client, PRD)

    class Slow(Region):
        """Somebody deploys while it is listed."""

        def jobs(self, parent: str) -> list[Any]:
            found.put(f"{PLACE}/services/shop-prd-api", thing("api", etag="new"))
            found.put(f"{PLACE}/services/shop-prd-web", None)
            return super().jobs(parent)

    began, listed = time.monotonic(), picture(Slow(*region.found).client, PRD)
    found.renew(listed, began)

    assert names(found) == ["services/shop-prd-api"]
    assert found.get(f"{PLACE}/services/shop-prd-api") == thing("api", etag="new")


def test_what_was_made_before_the_look_is_as_the_look_says() -> None:
    region = Region(thing("api"))
    pictures = Pictures(region.client)
    found = pictures.of(PRD, "run")
    found.put(f"{PLACE}/services/shop-prd-api", None)

    assert pictures.of(PRD, "run", fresh=0) is found
    assert names(found) == ["services/shop-prd-api"]


def test_pictures_that_nobody_asks_for_go() -> None:
    region = Region(thing("api"))
    pictures = Pictures(region.client)
    for run in range(RUNS):
        pictures.of(PRD, str(run))
    pictures.of(PRD, "0")
    pictures.of(PRD, "one more")
    looks = region.looks

    pictures.of(PRD, "0")
    assert region.looks == looks

    pictures.of(PRD, "1")
    assert region.looks == looks + 1
