# SPDX-License-Identifier: Apache-2.0
"""Why a service did not become ready: each reason and each sentence of Cloud Run's, as a person is told it."""

import pytest

from fleetflow_tasks.errors import Place
from fleetflow_tasks.runtimes.cloudrun.causes import Cause, cause, plain, problem, told

from .live import JOB, condition, execution, failed, revision
from .made import service

AGENT = "service-42@serverless-robot-prod.iam.gserviceaccount.com"
IMAGE = "europe-west1-docker.pkg.dev/shop-prd/images/api:2"
LISTEN = (
    "Revision 'shop-prd-api-00002-new' is not ready and cannot serve traffic. The user-provided container failed to "
    "start and listen on the port defined provided by the PORT=8081 environment variable within the allocated timeout. "
    "Logs for this revision might contain more information.\n\nLogs URL: https://console.cloud.google.com/logs/x \n"
    "For more troubleshooting guidance, see https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start"
)
SECRET = (
    "Permission denied on secret: projects/42/secrets/{}/versions/latest for Revision service account "
    "42-compute@developer.gserviceaccount.com. The service account used must be granted the 'Secret Manager Secret "
    "Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level."
)


def shown(why: Cause) -> str:
    """`code (field): message | fix`"""
    about = f" ({why.field})" if why.field else ""
    return f"{why.code}{about}: {why.message} | {why.fix}"


def of(reason: str, message: str = "", image: str = IMAGE) -> Cause:
    """As the newest revision says it, under a service that only says that its revision failed."""
    kind = "revisionReason" if reason in REVISION_REASONS else "reason"
    newest = revision(
        condition("Ready", "FAILED", "REVISION_FAILED", "see another condition"),
        condition("ContainerReady", "FAILED", message=message, **{kind: reason}),
        containers=[{"image": image, "ports": [{"containerPort": 8081}]}],
        serviceAccount="api@shop-prd.iam.gserviceaccount.com",
    )
    return cause(failed("REVISION_FAILED", "it failed"), newest)


REVISION_REASONS = frozenset(
    {"HEALTH_CHECK_CONTAINER_ERROR", "CUSTOMIZED_PATH_RESPONSE_PENDING", "ACTIVE_REVISION_LIMIT_REACHED"}
)
BY_REASON = {
    "CONTAINER_MISSING": f"image-not-found (image): the image `{IMAGE}` does not exist, or cannot be seen"
    " | push it, or change `image` or `version`",
    "CONTAINER_PERMISSION_DENIED": f"image-denied (image): Cloud Run may not read the image `{IMAGE}`"
    " | `gcloud artifacts repositories add-iam-policy-binding images --location=europe-west1 --project=shop-prd"
    " --member=serviceAccount:service-PROJECT_NUMBER@serverless-robot-prod.iam.gserviceaccount.com"
    " --role=roles/artifactregistry.reader`",
    "CONTAINER_IMAGE_UNAUTHORIZED": "image-unauthorized (image): Binary Authorization does not let the image"
    f" `{IMAGE}` run | have the image attested, or the project's policy changed: `gcloud container binauthz policy export`",
    "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED": "image-unchecked (image): Binary Authorization could not be asked"
    f" about the image `{IMAGE}` | see that the Binary Authorization API is enabled and its policy can be read",
    "PROGRESS_DEADLINE_EXCEEDED": "not-ready-in-time (healthcheck): it was not ready in the time that Cloud Run allows: a large"
    " image, or a slow start | make the image smaller or its start faster, or give `healthcheck` a longer `start_period`",
    "SECRETS_ACCESS_CHECK_FAILED": "secret-denied (secrets): `api@shop-prd.iam.gserviceaccount.com` may not read its"
    " secrets | give it `roles/secretmanager.secretAccessor` on each of its secrets",
    "ENCRYPTION_KEY_PERMISSION_DENIED": "key-denied: Cloud Run may not use the encryption key of this service"
    " | `gcloud kms keys add-iam-policy-binding KEY --keyring=RING --location=REGION"
    " --member=serviceAccount:service-PROJECT_NUMBER@serverless-robot-prod.iam.gserviceaccount.com"
    " --role=roles/cloudkms.cryptoKeyEncrypterDecrypter`",
    "VPC_NETWORK_NOT_FOUND": "network-not-found (options): the VPC network, subnet or connector that it wants does not"
    " exist in this region | correct `vpc`: `gcloud compute networks list` and `gcloud compute networks subnets list`"
    " show what is there",
    "CUSTOMIZED_PATH_RESPONSE_PENDING": "check-path (healthcheck): the path of its health check is answered with an"
    " error (400 or more) | let the path answer with 200, or name another in `healthcheck`",
    "ACTIVE_REVISION_LIMIT_REACHED": "too-many-revisions: too many revisions are kept by traffic and tags, so that a"
    " new one cannot be | take tags away: `gcloud run services update-traffic --clear-tags`",
}
BY_WORDS = {
    LISTEN: "not-listening (ports): its container did not start and listen on port 8081 in time | see its log: it"
    " crashed, is slow to start, or does not listen on 0.0.0.0:8081 (127.0.0.1 is not enough)",
    "The container failed to start and then listen on the port in time.": "not-listening (ports): its container did"
    " not start and listen on port 8081 in time | see its log: it crashed, is slow to start, or does not listen on"
    " 0.0.0.0:8081 (127.0.0.1 is not enough)",
    "The container exited with code 137.": "crashed (image): its container did not stay up: it ended with exit code"
    " 137: it was killed (SIGKILL): its stop grace ran out, somebody killed it, or the machine itself had no memory"
    " left | see its log for why it ended",
    "Container called exit(3).": "crashed (image): its container did not stay up: it ended with exit code 3"
    " | see its log for why it ended",
    "The user-provided container failed the configured startup probe checks.": "not-healthy (healthcheck): its"
    " container does not pass its startup check | see its log; if it is only slow, give `healthcheck` a longer"
    " `start_period` or more `retries`",
    "Memory limit of 512 MiB exceeded with 530 MiB used.": "out-of-memory (resources): its container needs more memory"
    " than its limit | raise `memory` in `resources`",
    "Application failed to start: failed to create init process": "command-not-found (command): its container cannot"
    " be started: the command is not there, or cannot be executed | see that `command` and `entrypoint` name a program"
    " of the image",
    f"Cloud Run does not support image '{IMAGE}': Container manifest type must support amd64/linux.": "image-platform"
    f" (image): the image `{IMAGE}` is not made for linux/amd64 | build it for that platform:"
    " `docker build --platform=linux/amd64`",
    "Secret projects/42/secrets/db/versions/7 was not found": "secret-not-found (secrets): there is no secret `db`, or"
    " not this version of it | make it: `gcloud secrets versions add db --data-file=-`, or change its `ref`",
    "Max instances must be set to 10 or fewer in order to set the requested total CPU.": "quota (scaling): the"
    " project's quota in this region does not allow for it | lower `max` in `scaling` or `resources`, or ask for more:"
    " https://console.cloud.google.com/iam-admin/quotas",
}


@pytest.mark.parametrize("reason", BY_REASON)
def test_a_documented_reason_is_told_whatever_its_words_are(reason: str) -> None:
    assert shown(of(reason)) == BY_REASON[reason]


@pytest.mark.parametrize("message", BY_WORDS, ids=lambda text: text[:40])
def test_behind_a_vague_reason_the_words_decide(message: str) -> None:
    assert shown(of("HEALTH_CHECK_CONTAINER_ERROR", message)) == BY_WORDS[message]


def test_an_image_that_the_agent_may_not_read_names_the_agent_and_the_line_that_lets_it() -> None:
    message = f"Google Cloud Run Service Agent {AGENT} must have permission to read the image, {IMAGE}. Ensure that …"

    why = of("CONTAINER_PERMISSION_DENIED", message)

    assert why.message == f"`{AGENT}` may not read the image `{IMAGE}`"
    assert why.lines == (f"Cloud Run says: {message}",)
    assert f"--member=serviceAccount:{AGENT}" in why.fix


def test_an_image_of_another_registry_is_not_told_a_line_that_cannot_help() -> None:
    denied = of("CONTAINER_PERMISSION_DENIED", image="ghcr.io/shop/api:2")
    missing = of("CONTAINER_MISSING", "Image 'ghcr.io/shop/api:2' not found.", image="ghcr.io/shop/api:2")

    assert denied.fix.endswith("read it (`roles/artifactregistry.reader`)")
    assert missing.fix.endswith("Artifact Registry is called REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE there")


def test_each_secret_that_may_not_be_read_gets_its_own_line() -> None:
    message = " ".join(SECRET.format(name) for name in ("db", "token", "db"))

    why = of("SECRETS_ACCESS_CHECK_FAILED", message)

    account = "42-compute@developer.gserviceaccount.com"
    grant = "`gcloud secrets add-iam-policy-binding {} --project=shop-prd --member=serviceAccount:" + account
    assert why.message == f"`{account}` may not read the secrets `db`, `token`"
    assert why.fix == grant.format("db") + " --role=roles/secretmanager.secretAccessor`"
    assert why.lines[1:] == (grant.format("token") + " --role=roles/secretmanager.secretAccessor`",)


def test_one_secret_is_one_secret() -> None:
    why = of("SECRETS_ACCESS_CHECK_FAILED", SECRET.format("db"))

    assert why.message == "`42-compute@developer.gserviceaccount.com` may not read the secret `db`"


def test_a_secret_that_the_project_s_own_account_may_not_read_names_no_account() -> None:
    broken = failed("SECRETS_ACCESS_CHECK_FAILED", "Permission denied on secret: db")

    why = cause(broken)

    assert why.message == "its service account may not read the secret `db`"
    assert "--member=serviceAccount:SERVICE_ACCOUNT " in why.fix


def test_a_secret_that_is_not_there_is_not_one_that_may_not_be_read() -> None:
    why = of("SECRETS_ACCESS_CHECK_FAILED", "Secret projects/42/secrets/db/versions/7 was not found")

    assert why.code == "secret-not-found"


def test_the_error_in_which_an_operation_ended_is_read_where_nothing_else_says_why() -> None:
    why = cause({"name": JOB}, operation=LISTEN)

    assert why.code == "not-listening"
    assert why.lines[0] == (
        "Cloud Run says: The user-provided container failed to start and listen on the port defined provided by the "
        "PORT=8081 environment variable within the allocated timeout."
    )


def test_without_a_port_in_the_message_or_the_service_it_is_the_usual_one() -> None:
    why = cause({}, operation="The container failed to start and listen on the port.")

    assert "port 8080" in why.message


def test_words_that_nobody_knows_are_passed_on() -> None:
    broken = failed("REVISION_FAILED", "Something new", condition("RoutesReady", "FAILED", "UNKNOWN", "and more"))

    why = cause(broken, operation="Something new")

    assert shown(why) == "not-ready: and more | "
    assert why.lines == ("Something new",)
    assert not why.again


@pytest.mark.parametrize("reason", ["INTERNAL", "UNKNOWN", ""])
def test_a_failure_of_cloud_runs_own_without_a_word_may_pass(reason: str) -> None:
    why = cause(failed(reason))

    assert shown(why) == (
        "platform-failed: Cloud Run failed, and does not say why"
        " | look whether Google knows of it: https://status.cloud.google.com"
    )
    assert why.again


def test_a_reason_alone_that_nobody_knows_is_passed_on() -> None:
    assert shown(cause(failed("NOVEL"))) == "not-ready: Cloud Run says no more than NOVEL | "


def test_an_internal_failure_with_a_message_about_the_revision_is_the_users() -> None:
    assert cause(failed("INTERNAL", LISTEN)).code == "not-listening"


def test_an_execution_that_could_not_run_has_a_cause() -> None:
    found = execution("FAILED", conditions=[condition("X", "FAILED", "CONTAINER_MISSING", "Image 'a/b:1' not found.")])

    why = told(found)

    assert why is not None
    assert why.message == "the image `a/b:1` does not exist, or cannot be seen"


def test_an_execution_whose_program_failed_has_no_cause_but_its_own_exit() -> None:
    ended = condition("Completed", "FAILED", message="Task x failed: exit code 3", executionReason="NON_ZERO_EXIT_CODE")

    assert told(execution("FAILED", conditions=[ended])) is None


def test_a_cause_becomes_a_problem_at_the_line_that_it_comes_from() -> None:
    here, image = Place(file="fleet.kdl", line=3), Place(file="fleet.kdl", line=4)
    api = service(places={"": here, "image": image})

    found = problem(of("CONTAINER_MISSING"), api, more="flow logs api")

    assert found.message == f"cannot deploy `api`: the image `{IMAGE}` does not exist, or cannot be seen"
    assert (found.place, found.more) == (image, "flow logs api")
    assert problem(of("ACTIVE_REVISION_LIMIT_REACHED"), api, "update").place == here


def test_what_cloud_run_says_each_time_is_left_out() -> None:
    assert plain("Revision 'x' is not ready and cannot serve traffic. Image 'a' not found.") == "Image 'a' not found."
