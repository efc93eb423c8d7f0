# SPDX-License-Identifier: Apache-2.0
"""How a service gets there, stays there, and comes back: against the server."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.runtimes.base import DeployError, StaleError, Stopped
from fleetflow_tasks.runtimes.cloudrun.runtime import CloudRunRuntime
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.cloudrun import Server
from fleetflow_tasks.testing.contract import done

from .stage import PARENT, Stage, service, step, told

V1, V2, V3 = (f"scripted/ready:{number}ms" for number in (1, 2, 3))
NOTHING = "scripted/not-found"


def writes(stage: Stage) -> list[str]:
    """What was sent to be kept, in its order."""
    return [method for method in stage.asked() if method.startswith(("Create", "Update", "Delete", "Set"))]


def deployed(stage: Stage, *names: str, **fields: Any) -> None:
    stage.up(*(service(name, V1, **fields) for name in names or ("api",)))
    stage.requests.clear()


def test_whichever_way_leads_to_google_leads_to_the_same_platform(stage: Stage, server: Server) -> None:
    google = "https://private.example.org"

    def identity(endpoint: str) -> str:
        made = CloudRunRuntime({"FLEETFLOW_CLOUDRUN_ENDPOINT": endpoint})
        found = made.identity(stage.plan())
        made.close()
        return found

    assert identity("") == identity(google) == "shop-prd/europe-west1"
    assert identity(server.endpoint) == f"{server.endpoint}/shop-prd/europe-west1"


# --- what it costs


def test_a_new_service_says_where_it_is_reached(stage: Stage) -> None:
    outcome = stage.up(service("api"))["api:deploy"]

    assert outcome.text == f"started at {stage.get('api')['uri']}"
    assert outcome.facts["url"] == stage.get("api")["uri"]
    assert stage.get("api")["latestReadyRevision"].endswith(outcome.facts["revision"])
    assert stage.runtime.urls(stage.plan(service("api"), service("web")), [ServiceName("api"), ServiceName("web")]) == {
        "api": outcome.facts["url"]
    }


def test_a_stage_of_many_that_is_unchanged_costs_one_look_at_its_region(stage: Stage) -> None:
    names = [f"s{number}" for number in range(12)]
    deployed(stage, *names)

    outcomes = stage.up(*(service(name, V1) for name in names))

    assert {outcome.text for step, outcome in outcomes.items() if "deploy" in step} == {"unchanged"}
    assert sorted(stage.asked()) == ["ListJobs", "ListServices"]


def test_a_change_costs_few_requests(stage: Stage) -> None:
    deployed(stage)

    stage.up(service("api", V2))

    asked = [method for method in stage.asked() if method != "GetOperation"]
    assert sorted(asked) == sorted(
        [
            *("ListServices", "ListJobs"),  # once for all steps of the run
            "UpdateService",  # as if: before anything is deployed
            *("GetService", "UpdateService", "GetService"),
        ]
    )


# --- how it becomes ready


def test_an_operation_that_ends_well_is_not_believed_while_the_revision_is_not_ready(stage: Stage) -> None:
    deployed(stage)

    failure = stage.fails(service("api", "scripted/unsettled", timeout=2.0))

    assert "did not become ready: after 2 s still" in failure.problem.message
    assert stage.serving("api") == {V1: 100}


def test_it_is_waited_for_and_told_meanwhile(stage: Stage) -> None:
    plan, trial = stage.plan(service("api", "scripted/ready:1s")), Trial(1)

    done(stage.runtime, plan, plan.step(StepId("api:deploy")), trial)

    assert len(trial.reports) > 1
    assert stage.serving("api") == {"scripted/ready:1s": 100}


# --- a version that fails


def test_a_version_that_fails_gets_no_requests_and_the_service_says_that_it_is_the_one_before(stage: Stage) -> None:
    deployed(stage)

    failure = stage.fails(service("api", NOTHING))

    assert told(failure)[-2] == "the version before goes on serving"
    assert failure.problem.code == "image-not-found"
    assert not failure.transient
    assert stage.serving("api") == {V1: 100}
    assert stage.get("api")["template"]["containers"][0]["image"] == V1
    assert stage.revisions("api") == [NOTHING, V1]
    assert stage.changes(service("api", V1)) == {}


def test_a_failed_operation_is_not_tried_again(stage: Stage) -> None:
    deployed(stage)

    stage.fails(service("api", "scripted/crash:1"))

    assert writes(stage) == ["UpdateService"] * 3  # as if, the new version, and the one before


def test_a_first_version_that_fails_stays_to_be_looked_at_and_the_next_run_mends_it(stage: Stage) -> None:
    failure = stage.fails(service("api", NOTHING))

    assert "there is no version before: what was made stays for you to look at" in told(failure)[-2]
    assert stage.get("api")["template"]["containers"][0]["image"] == NOTHING
    assert stage.up(service("api", V1))["api:deploy"].changed
    assert stage.serving("api") == {V1: 100}


def test_what_was_mended_outside_is_tried_anew_with_the_same_file(stage: Stage, server: Server) -> None:
    image = "europe-docker.pkg.dev/p/r/api:1"
    server.world.missing_images.add(image)
    stage.fails(service("api", image))
    assert "start: " in stage.changes(service("api", image))["api:deploy"]
    server.world.missing_images.clear()

    outcome = stage.up(service("api", image))["api:deploy"]

    assert outcome.text == f"started again: it failed: the image `{image}` does not exist, or cannot be seen"
    assert stage.serving("api") == {image: 100}
    assert stage.revisions("api") == [image, image]
    assert stage.changes(service("api", image)) == {}


def test_what_stands_around_the_template_comes_back_with_the_version_before(stage: Stage) -> None:
    stage.up(service("api", V1, labels={"team": "core"}, options={"ingress": "internal"}))

    stage.fails(service("api", NOTHING, labels={"team": "other"}, options={"ingress": "all"}))

    there = stage.get("api")
    assert there["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    assert there["labels"]["team"] == "core"
    assert there["labels"]["fleetflow-generation"] == "2"  # the run that failed came later than the one that made it


# --- a worker that is lost


def test_what_a_lost_worker_has_sent_is_waited_for_and_not_sent_again(stage: Stage) -> None:
    deployed(stage)
    slow = service("api", "scripted/ready:500ms")
    with pytest.raises(Stopped):
        stage.carry("api:deploy", slow, attempt=Trial(2, stop_at=2))
    assert writes(stage) == ["UpdateService"]

    outcome = stage.carry("api:deploy", slow, attempt=Trial(2))

    assert outcome.changed
    assert writes(stage) == ["UpdateService"]
    assert stage.serving("api") == {"scripted/ready:500ms": 100}


def test_a_version_that_fails_after_its_worker_was_lost_is_taken_back_by_the_next(stage: Stage) -> None:
    deployed(stage)
    broken = service("api", "scripted/never-listens:400ms")
    with pytest.raises(Stopped):
        stage.carry("api:deploy", broken, attempt=Trial(2, stop_at=2))

    with pytest.raises(DeployError) as failure:
        stage.carry("api:deploy", broken, attempt=Trial(2))

    assert "the version before goes on serving" in told(failure.value)
    assert stage.get("api")["template"]["containers"][0]["image"] == V1
    assert stage.revisions("api") == ["scripted/never-listens:400ms", V1]
    stage.generation = 2
    assert stage.up(service("api", V1))["api:deploy"].text == "updated: configuration changed"
    assert stage.revisions("api") == ["scripted/never-listens:400ms", V1]


def test_a_version_that_fails_is_taken_back_wherever_its_worker_was_lost(stage: Stage) -> None:
    deployed(stage)
    for stop_at in range(20):
        stage.generation += 1
        broken = service("api", NOTHING, environment={"TRY": str(stop_at)})
        try:
            stage.carry("api:deploy", broken, attempt=Trial(stage.generation, stop_at=stop_at))
        except Stopped:
            with pytest.raises(DeployError) as failure:
                stage.carry("api:deploy", broken)
            last_one = False
        except DeployError as error:
            failure, last_one = pytest.ExceptionInfo.from_exception(error), True
        stage.generation += 1

        assert "the version before goes on serving" in told(failure.value), f"stopped at checkpoint {stop_at}"
        assert stage.serving("api") == {V1: 100}, f"stopped at checkpoint {stop_at}"
        assert not stage.up(service("api", V1))["api:deploy"].text.startswith("replaced"), f"at checkpoint {stop_at}"
        if last_one:
            return
    pytest.fail("one deployment asked for 20 checkpoints")


def test_an_older_run_does_not_touch_what_a_newer_one_made(stage: Stage) -> None:
    stage.generation = 7
    deployed(stage)

    with pytest.raises(StaleError) as failure:
        stage.carry("api:deploy", service("api", V2), attempt=Trial(7))

    assert "was made by a newer run (generation 8); this one (7) must not touch it" in failure.value.problem.message
    assert writes(stage) == []


# --- others


def test_a_service_of_somebody_else_is_named_and_let_be(stage: Stage) -> None:
    body = {"template": {"containers": [{"image": V1}]}, "client": "terraform"}
    stage.client.create_service(PARENT, f"{stage.project}-prd-api", body)

    failure = stage.fails(service("api", V2))

    message, cause, fix = told(failure)
    assert "is in project `shop-prd`, region `europe-west1` already, and it is not ours" in message
    assert cause == "it was made with `terraform` by deployer@fleetflow.iam.gserviceaccount.com"
    assert f"gcloud run services delete {stage.project}-prd-api --region=europe-west1 --project=shop-prd" in fix
    assert writes(stage) == []
    assert "it is not ours" in stage.changes(service("api", V2))["api:deploy"]


def test_what_somebody_changed_outside_is_told_and_set_right(stage: Stage) -> None:
    deployed(stage)
    stage.changed("api", template={"containers": [{"image": V3}]})
    assert "changed outside, by `gcloud`" in stage.changes(service("api", V1))["api:deploy"]

    outcome = stage.up(service("api", V1))["api:deploy"]

    assert outcome.text == f"replaced at {stage.get('api')['uri']}: changed outside, by `gcloud`"
    assert stage.serving("api") == {V1: 100}
    assert stage.changes(service("api", V1)) == {}


def test_what_somebody_changed_outside_does_not_stay_because_something_beside_it_is_changed(stage: Stage) -> None:
    deployed(stage)
    stage.changed("api", template={"containers": [{"image": V3}]})

    inside = service("api", V1, options={"ingress": "internal"})
    stage.up(inside)

    assert stage.serving("api") == {V1: 100}
    assert stage.changes(inside) == {}


def test_requests_that_somebody_pinned_go_to_the_next_version_again(stage: Stage) -> None:
    deployed(stage)
    stage.up(service("api", V2))
    old = stage.client.revisions(stage.name("api"))[-1]["name"].rpartition("/")[2]
    kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    stage.changed("api", traffic=[{"type": kind, "revision": old, "percent": 100}])
    assert stage.serving("api") == {V1: 100}

    stage.up(service("api", V3))

    assert stage.serving("api") == {V3: 100}


def test_who_changes_it_between_our_look_and_our_update_is_looked_at_first(stage: Stage, server: Server) -> None:
    """Its etag is another one then: ABORTED, and all of it again."""
    deployed(stage)
    server.faults.refuse("UpdateService .*-api", "ABORTED")

    stage.carry("api:deploy", service("api", V2), attempt=Trial(2))

    looks = [method for method in stage.asked() if method != "GetOperation"]
    assert looks[2:] == ["GetService", "UpdateService", "GetService", "UpdateService", "GetService"]
    assert stage.serving("api") == {V2: 100}


def test_who_changes_it_all_the_time_is_left_to_it(stage: Stage, server: Server) -> None:
    deployed(stage)
    server.faults.refuse("UpdateService .*-api", "ABORTED", times=100)

    with pytest.raises(DeployError) as failure:
        stage.carry("api:deploy", service("api", V2), attempt=Trial(2))

    assert failure.value.transient
    assert "changes all the time while it is being deployed" in failure.value.problem.message
    assert writes(stage) == ["UpdateService"] * 5


# --- what goes


def test_what_the_stage_no_longer_holds_goes_and_nothing_else(stage: Stage) -> None:
    deployed(stage, "api", "web")
    other = stage.plan(service("web", V1), stage="stg")
    for each in other.steps:
        done(stage.runtime, other, each, Trial(1))
    stage.client.create_service(PARENT, f"{stage.project}-prd-by-hand", {"template": {"containers": [{"image": V1}]}})
    assert stage.changes(service("api", V1)) == {"web:remove": "remove: the stage does not hold it any more"}

    outcome = stage.up(service("api", V1))["stage:prune"]

    assert outcome.text == "removed what the stage does not hold: web"
    assert stage.names() == ["services/prd-api", "services/prd-by-hand", "services/stg-web"]


def test_a_copy_that_somebody_made_of_a_service_of_ours_stays_with_its_labels(stage: Stage) -> None:
    deployed(stage)
    copy = {name: stage.get("api")[name] for name in ("labels", "annotations", "template")}
    stage.client.create_service(PARENT, f"{stage.project}-copy", copy)

    stage.up(service("api", V1))

    assert stage.names() == ["services/copy", "services/prd-api"]


def test_a_service_that_became_a_job_leaves_no_service_behind(stage: Stage) -> None:
    deployed(stage, "seed")

    stage.up(service("seed", "scripted/job:0", job=True))

    assert stage.names() == ["jobs/prd-seed"]


def test_what_is_gone_already_is_removed(stage: Stage) -> None:
    deployed(stage)
    plan = stage.plan(service("api", V1))
    remove = step("api:remove", "remove", ServiceName("api"))

    assert done(stage.runtime, plan, remove, Trial(2)).text == "removed"
    assert done(stage.runtime, plan, remove, Trial(3)).text == "nothing to remove"
    assert stage.names() == []


# --- before anything is made


def test_what_would_change_is_told_field_by_field(stage: Stage) -> None:
    deployed(stage, environment={"LOG": "info"})

    change = stage.runtime.diff(stage.plan(service("api", V1, environment={"LOG": "debug", "NEW": "1"})))

    assert change[StepId("api:deploy")].cause == "environment changed"
    assert [f"{each.field}: {each.old} -> {each.new}" for each in change[StepId("api:deploy")].fields] == [
        "environment.LOG: info -> debug",
        "environment.NEW: None -> 1",
    ]


def test_what_cloud_run_would_refuse_is_known_before_the_first_service_is_deployed(
    stage: Stage, server: Server
) -> None:
    server.world.cpu_quota = 50.0
    assert "it may grow beyond what project" in stage.changes(service("api", V1))["api:deploy"]

    with pytest.raises(DeployError) as failure:
        stage.carry("api:prepare", service("api", V1))

    assert "cannot prepare `api`: it may grow beyond what project" in failure.value.problem.message
    assert stage.names() == []


def test_a_project_whose_api_is_off_is_told_at_the_stages_first_step(stage: Stage, server: Server) -> None:
    server.world.disabled.add("shop-prd")

    with pytest.raises(DeployError) as failure:
        stage.carry("stage:prepare", service("api", V1))
    with pytest.raises(UnavailableError) as looking:
        stage.runtime.diff(stage.plan(service("api", V1)))

    assert "the Cloud Run API is not enabled in project `shop-prd`" in failure.value.problem.message
    assert "gcloud services enable run.googleapis.com --project=shop-prd" in looking.value.problems[0].fix
