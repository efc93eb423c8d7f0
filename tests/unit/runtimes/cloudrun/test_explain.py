# SPDX-License-Identifier: Apache-2.0
"""What Cloud Run refuses, as a person is told it: who lacks which right, which line is wrong, what is used up."""

from typing import Any

import msgspec
import pytest

from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError
from fleetflow_tasks.runtimes.cloudrun.explain import problem_of

from .made import plan, service

DEPLOYER = "ci@shop-prd.iam.gserviceaccount.com"
AGENT = "service-42@serverless-robot-prod.iam.gserviceaccount.com"
HERE = Place(file="fleet.kdl", line=3)
FIELDS = ("options", "environment", "secrets", "scaling", "resources", "volumes", "ports", "healthcheck", "labels",
          "image", "command", "entrypoint")  # fmt: skip
API = service(places={"": HERE, **{name: Place(file=name, line=1) for name in FIELDS}})


def error(code: str, answer: str = "", **fields: Any) -> CloudRunError:
    usual = {"method": "UpdateService", "name": "projects/shop-prd/locations/europe-west1/services/shop-prd-api"}
    problem = Problem(code="api-refused", message=f"Cloud Run did not update it: {answer}")
    return CloudRunError(problem, code=code, answer=answer, **{**usual, **fields})


def told(code: str, answer: str = "", *, account: str = DEPLOYER, **fields: Any) -> Problem:
    return problem_of(error(code, answer, **fields), plan(API), API, "deploy `api`", account=account)


def shown(found: Problem) -> str:
    """`code (place): message | fix`"""
    return f"{found.code} ({found.place.file if found.place else ''}): {found.message} | {found.fix}"


DISABLED = (
    "Cloud Run Admin API has not been used in project 42 before or it is disabled. Enable it by visiting "
    "https://console.developers.google.com/apis/api/run.googleapis.com/overview?project=42 then retry."
)


def test_a_line_that_does_not_answer_has_said_so_itself() -> None:
    lost = error("UNAVAILABLE", "refused", answered=False)

    assert problem_of(lost, plan(API), API, "deploy `api`") is lost.problem


@pytest.mark.parametrize("fields", [{"reason": "SERVICE_DISABLED"}, {}], ids=["reason", "words"])
def test_an_api_that_is_not_enabled_is_told_with_the_line_that_enables_it(fields: dict[str, Any]) -> None:
    found = told("PERMISSION_DENIED", DISABLED, **fields)

    assert shown(found) == (
        "api-disabled (fleet.kdl): cannot deploy `api`: the Cloud Run API is not enabled in project `shop-prd`"
        " | enable it: `gcloud services enable run.googleapis.com --project=shop-prd`; it takes a minute"
    )


def test_another_api_that_is_not_enabled_is_told_by_its_name() -> None:
    facts = {"service": "vpcaccess.googleapis.com", "consumer": "projects/42"}
    denied = error("FAILED_PRECONDITION", "off", reason="SERVICE_DISABLED", facts=facts)
    nowhere = msgspec.structs.replace(plan(API), options={})

    found = problem_of(denied, nowhere, None, "look at stage `prd`")

    assert found.message == (
        "cannot look at stage `prd`: the API `vpcaccess.googleapis.com` is not enabled in project `42`"
    )
    assert found.place is None


def test_credentials_that_are_not_accepted_are_told_with_the_way_to_new_ones() -> None:
    found = told("UNAUTHENTICATED", "Request had invalid authentication credentials.")

    assert found.message == (
        "cannot deploy `api`: Google does not accept our credentials: they are wrong, or they have expired"
    )
    assert found.fix == "log in anew: `gcloud auth application-default login`"
    assert found.cause == ("Cloud Run says: Request had invalid authentication credentials.",)


DENIED = "Permission 'run.services.{}' denied on resource 'projects/shop-prd/locations/europe-west1/services/a' {}"


@pytest.mark.parametrize(
    ("permission", "role"),
    [("update", "roles/run.developer"), ("setIamPolicy", "roles/run.admin"), ("novel", "roles/run.admin")],
)
def test_a_missing_permission_is_told_by_its_name_and_by_the_role_that_has_it(permission: str, role: str) -> None:
    found = told("PERMISSION_DENIED", DENIED.format(permission, "."))

    assert shown(found) == (
        f"forbidden (fleet.kdl): cannot deploy `api`: `{DEPLOYER}` lacks permission `run.services.{permission}` in"
        f" project `shop-prd` | grant `{role}` that has it: `gcloud projects add-iam-policy-binding shop-prd"
        f" --member=serviceAccount:{DEPLOYER} --role={role}`"
    )


def test_where_the_place_may_not_exist_that_is_told_too() -> None:
    found = told("PERMISSION_DENIED", DENIED.format("get", "(or resource may not exist)."), account="me@example.org")

    assert "--member=user:me@example.org " in found.fix
    assert found.fix.endswith("; or project `shop-prd` or region `europe-west1` does not exist")


def test_a_permission_that_only_the_facts_name_is_told_as_well() -> None:
    facts = {"permission": "compute.subnetworks.use"}

    found = told("PERMISSION_DENIED", "denied", facts=facts, account="")

    assert "our account lacks permission `compute.subnetworks.use`" in found.message
    assert "grant `roles/compute.networkUser` that has it" in found.fix
    assert "--member=MEMBER " in found.fix


def test_a_permission_that_no_role_of_ours_is_known_to_have() -> None:
    found = told("PERMISSION_DENIED", "Permission 'other.things.do' denied on resource 'x'")

    assert found.fix == "grant a role that has it: have `other.things.do` granted"


def test_a_refusal_without_any_permission_is_told_with_the_usual_role() -> None:
    found = told("PERMISSION_DENIED", "The caller does not have permission")

    assert found.message == f"cannot deploy `api`: `{DEPLOYER}` has no right to it in project `shop-prd`"
    assert "grant `roles/run.developer`" in found.fix
    assert ": our account has no right" in told("PERMISSION_DENIED", "no", account="").message


@pytest.mark.parametrize(
    "answer",
    [
        (
            "Permission 'iam.serviceaccounts.actAs' denied on service account web@p.iam.gserviceaccount.com (or it may not "
            "exist)."
        ),
        (
            "Permission 'iam.serviceAccounts.actAs' denied on resource 'projects/p/serviceAccounts/"
            "web@p.iam.gserviceaccount.com'"
        ),
    ],
    ids=["old", "new"],
)
def test_an_account_that_we_may_not_act_as_is_told_with_the_line_that_lets_us(answer: str) -> None:
    found = told("PERMISSION_DENIED", answer)

    assert shown(found) == (
        f"actas-denied (options): cannot deploy `api`: `{DEPLOYER}` may not let it run as"
        " `web@p.iam.gserviceaccount.com`: permission `iam.serviceAccounts.actAs` is missing there"
        " | grant `roles/iam.serviceAccountUser` on it: `gcloud iam service-accounts add-iam-policy-binding"
        f" web@p.iam.gserviceaccount.com --member=serviceAccount:{DEPLOYER} --role=roles/iam.serviceAccountUser`"
    )
    assert ": we may not let" in told("PERMISSION_DENIED", answer, account="").message


def test_an_agent_that_may_not_run_as_the_account_is_told() -> None:
    answer = (
        "Google Cloud Run Service Agent does not have permission to get access tokens for the service account "
        f"web@p.iam.gserviceaccount.com. Please give {AGENT} permission iam.serviceAccounts.getAccessToken."
    )

    found = told("PERMISSION_DENIED", answer)

    assert found.message == f"cannot deploy `api`: `{AGENT}` may not run containers as `web@p.iam.gserviceaccount.com`"
    assert found.fix == "give it `roles/run.serviceAgent` in project `shop-prd`"
    assert ": Cloud Run's service agent may" in told("PERMISSION_DENIED", answer.replace(AGENT, "it")).message


def test_an_image_that_may_not_be_read_is_told_at_its_line() -> None:
    found = told("PERMISSION_DENIED", "User does not have access to image")

    assert found.message == f"cannot deploy `api`: `{DEPLOYER}` may not read the image `{API.image}`"
    assert "add-iam-policy-binding shop --location=europe --project=p" in found.fix
    stages = problem_of(error("PERMISSION_DENIED", "User does not have access to image"), plan(API), None, "do it")
    assert stages.message == "cannot do it: our account may not read the image ``"


def test_a_project_or_region_that_does_not_exist_is_told_as_that() -> None:
    found = told("NOT_FOUND", "nothing", method="ListServices")

    assert shown(found) == (
        "no-such-place (fleet.kdl): cannot deploy `api`: project `shop-prd` does not exist, or Cloud Run has no region"
        " `europe-west1` | correct `project` or `region`; `gcloud run regions list` shows what there is"
    )
    assert told("NOT_FOUND", "Location europe-west99 is not found").code == "no-such-place"
    assert told("PERMISSION_DENIED", "Location x is not found or access is unauthorized.").code == "no-such-place"


def test_an_object_that_somebody_removed_is_told_by_its_name() -> None:
    found = told("NOT_FOUND", "Requested entity was not found.")

    assert found.message == "cannot deploy `api`: `shop-prd-api` is not there any more: somebody removed it"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("NOT_FOUND", "Service account web@p.iam.gserviceaccount.com does not exist."),
        ("INVALID_ARGUMENT", "User web@p.iam.gserviceaccount.com does not exist."),
    ],
)
def test_an_account_that_does_not_exist_is_told_at_the_block_that_names_it(code: str, answer: str) -> None:
    found = told(code, answer)

    assert (found.code, found.place and found.place.file) == ("no-account", "options")


def test_a_quota_that_is_used_up_is_told_with_where_more_can_be_had() -> None:
    found = told("RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Write requests'")

    assert found.message == "cannot deploy `api`: Google's quota for project `shop-prd` in `europe-west1` is used up"
    assert "https://console.cloud.google.com/iam-admin/quotas" in found.fix


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"])
def test_a_region_that_has_too_little_for_the_most_instances_is_told_at_scaling(code: str) -> None:
    found = told(code, "CpuAllocPerProjectRegion requested: 400000 allowed: 200000")

    assert (found.code, found.place and found.place.file) == ("region-quota", "scaling")


def test_somebody_who_changes_it_at_the_same_time_is_told() -> None:
    assert told("ABORTED", "Conflict").message == "cannot deploy `api`: somebody else changes it at the same time"


FIELDS_OF = {
    "template.containers[0].env: at most 1000": "environment",
    "Invalid environment variable name": "environment",
    "Secret p/s is not in this project": "secrets",
    "template.containers[0].resources.limits.cpu: Invalid value": "resources",
    "template.containers[0].liveness_probe.period_seconds": "healthcheck",
    "template.volumes[0].gcs.bucket": "volumes",
    "template.containers[0].ports[0].container_port": "ports",
    "template.max_instance_request_concurrency": "options",
    "template.scaling.max_instance_count": "scaling",
    "labels: Invalid value": "labels",
    "Expected an image path like [host/]repo-path": "image",
    "template.containers[0].args": "command",
    "template.containers[0].command": "entrypoint",
    "something else": "fleet.kdl",
}


@pytest.mark.parametrize("answer", FIELDS_OF)
def test_a_field_that_is_refused_is_led_back_to_its_line(answer: str) -> None:
    found = told("INVALID_ARGUMENT", answer, details=("spec: why",))

    assert found.code == "field-refused"
    assert found.message == f"cannot deploy `api`: {answer}"
    assert found.cause == ("spec: why",)
    assert found.place is not None
    assert found.place.file == FIELDS_OF[answer]


def test_variables_that_cloud_run_sets_itself_are_told_by_name() -> None:
    found = told("INVALID_ARGUMENT", "The following reserved env names were provided: PORT, K_SERVICE. These are set.")

    assert shown(found) == (
        "reserved-variable (environment): cannot deploy `api`: Cloud Run sets `PORT`, `K_SERVICE` itself"
        " | take it out of `environment`; `port` says where the container listens"
    )


def test_a_name_that_is_refused_is_told_as_that() -> None:
    found = told("INVALID_ARGUMENT", "service_id: must be shorter")

    assert "49 characters at most" in found.message


@pytest.mark.parametrize(
    "answer",
    [
        (
            "One or more users named in the policy do not belong to a permitted customer, perhaps due to an organization "
            "policy."
        ),
        "constraints/run.managed.requireInvokerIam violated",
    ],
    ids=["members", "unchecked"],
)
def test_a_policy_of_the_organization_is_told_as_that(answer: str) -> None:
    found = told("FAILED_PRECONDITION", answer)

    assert (found.code, found.place and found.place.file) == ("organization-policy", "options")


def test_what_nobody_knows_is_passed_on_with_its_code_and_not_at_length() -> None:
    long = told("OUT_OF_RANGE", "x" * 1000)

    assert len(long.message) < 500
    assert long.cause == ("code OUT_OF_RANGE",)
    assert told("UNIMPLEMENTED").message == "cannot deploy `api`: UNIMPLEMENTED"
    assert told("ABORTED").cause == ()
