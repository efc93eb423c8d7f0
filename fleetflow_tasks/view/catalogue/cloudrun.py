# SPDX-License-Identifier: Apache-2.0
"""What Cloud Run cannot honour, and what it answers."""

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

CHAPTER = Chapter(
    title="Cloud Run",
    about="What runtime `cloudrun` cannot honour, told at plan time as `cloudrun-…` by the field that it "
    "is about; how Google Cloud is reached; and why a revision does not come up. Google's own words"
    " stand in the lines below the first one.",
    entries=(
        Entry(
            code="actas-denied",
            meaning="Who deploys a service must be allowed to act as the account that it runs as.",
            example="cannot deploy `api`: `ci@shop-prd.iam.gserviceaccount.com` may not let it run as "
            "`api@shop-prd.iam.gserviceaccount.com`: permission `iam.serviceAccounts.actAs` is missing "
            "there",
        ),
        Entry(
            code="agent-denied",
            meaning="Cloud Run's own service agent lacks its role, as happens when roles were tidied up.",
            example="cannot deploy `api`: Cloud Run's service agent may not run containers as "
            "`api@shop-prd.iam.gserviceaccount.com`",
        ),
        Entry(
            code="api-disabled",
            meaning="An API of Google's is not enabled in the project.",
            example="cannot deploy `api`: the Cloud Run API is not enabled in project `shop-prd`",
        ),
        Entry(
            code="api-late",
            meaning="The time for a step was over before the request could be sent, so it was not sent.",
            example="Cloud Run was not asked to change service `api`: no time is left",
        ),
        Entry(
            code="canary-failed",
            meaning="The new revision does not answer its readiness path, so all requests stay with the one before.",
            example="service `api`: the new revision api-00004 does not answer well, so no request goes to it",
        ),
        Entry(
            code="check-path",
            meaning="Cloud Run asked the path of the health check and got an error.",
            example="cannot deploy `api`: the path of its health check is answered with an error (400 or more)",
        ),
        Entry(
            code="cloudrun-canary",
            meaning="A share for a new version is none that requests can be split by.",
            example="`0` is no share of the requests that a new revision could get",
        ),
        Entry(
            code="cloudrun-environment",
            meaning="A variable cannot be on Cloud Run: it is one of its own, too large, or one too many.",
            example="service `api`: runtime `cloudrun` takes 1000 variables; these are 1200",
        ),
        Entry(
            code="cloudrun-healthcheck",
            meaning="Cloud Run asks by HTTP, gRPC or TCP, never by a command.",
            example="service `api`: runtime `cloudrun` runs no command inside a container to ask how it is",
            fix="Say `startup` or `liveness` in the `cloudrun` block, or `readiness`.",
        ),
        Entry(
            code="cloudrun-image",
            meaning="The image is in a registry that Cloud Run does not read, or writes to a volume that it keeps "
            "nothing of.",
            example="service `api`: runtime `cloudrun` takes images from Artifact Registry and Docker Hub alone, "
            "not from `ghcr.io`",
        ),
        Entry(
            code="cloudrun-ingress",
            meaning="Host names are led to services by a load balancer in front.",
            example="service `api`: runtime `cloudrun` leads no host name to a service: not `shop.example.org`",
        ),
        Entry(
            code="cloudrun-labels",
            meaning="A label's key or value is none that Google Cloud takes.",
            example="service `api`: runtime `cloudrun` takes no label called `Team`",
        ),
        Entry(
            code="cloudrun-names",
            meaning="The names of project and stage cannot stand before a service's name.",
            example="the names of project and stage are too long together for runtime `cloudrun`: `shop-production`",
        ),
        Entry(
            code="cloudrun-options",
            meaning="The `cloudrun` block holds something that cannot be, or not together.",
            example="service `api`: runtime `cloudrun` lets a request take 3600 s at most, not 7200",
        ),
        Entry(
            code="cloudrun-ports",
            meaning="A service has one port, which is reached by HTTPS.",
            example="service `api`: runtime `cloudrun` has no UDP: port 53/udp cannot be reached",
        ),
        Entry(
            code="cloudrun-project",
            meaning="The stage names no Google Cloud project, or none that could be one.",
            example="stage `prd` does not say in which Google Cloud project its services run",
        ),
        Entry(
            code="cloudrun-pull",
            meaning="Cloud Run pulls an image once for each revision.",
            example='service `api`: runtime `cloudrun` asks the registry once for each revision: `pull "always"` '
            "has no effect",
        ),
        Entry(
            code="cloudrun-readiness",
            meaning="`readiness` has no effect there, or allows more time than Cloud Run does.",
            example="service `api`: runtime `cloudrun` gives an instance 240 s to start, not 600",
        ),
        Entry(
            code="cloudrun-region",
            meaning="The stage names no region, or none that could be one.",
            example="runtime `cloudrun` runs in regions, and `europe-west1-b` is a zone",
        ),
        Entry(
            code="cloudrun-replicas",
            meaning="The number of instances follows the requests.",
            example="service `api`: runtime `cloudrun` does not run exactly 3 copies: the number follows the requests",
        ),
        Entry(
            code="cloudrun-resources",
            meaning="Cloud Run offers certain amounts of cpu, and memory to go with them.",
            example="service `api`: runtime `cloudrun` gives an instance 0.08 cpu at least, not 0.01",
        ),
        Entry(
            code="cloudrun-restart",
            meaning="Cloud Run starts a service's instances again whenever they end, and a job as `retries` says.",
            example='service `api`: runtime `cloudrun` starts what ends again, always: `restart "no"` cannot be kept',
        ),
        Entry(
            code="cloudrun-scaling",
            meaning="A service cannot scale as the text says.",
            example="service `migrate`: runtime `cloudrun` runs a job once, not in several copies",
        ),
        Entry(
            code="cloudrun-secrets",
            meaning="A secret comes from Secret Manager alone, by `ref`.",
            example="service `api`: runtime `cloudrun` takes secret `TOKEN` from Secret Manager alone, not by its "
            "value",
        ),
        Entry(
            code="cloudrun-service",
            meaning="The service's name is too long for Cloud Run, or it is to call another one and names no "
            "account to do it as.",
            example="service `api`: runtime `cloudrun` takes names of 49 characters at most: `shop-prd-api` has 60",
        ),
        Entry(
            code="cloudrun-volumes",
            meaning="Cloud Run mounts buckets, NFS and memory; it has no disks and no host.",
            example="service `api`: runtime `cloudrun` has no disk for the volume `data`",
        ),
        Entry(
            code="foreign-job",
            meaning="A job of the name that is needed is not FleetFlow's. It is left alone.",
            example="a job called `shop-prd-migrate` is in project `shop-prd`, region `europe-west1` already, and "
            "it is not ours",
        ),
        Entry(
            code="foreign-service",
            meaning="A service of the name that is needed is not FleetFlow's. It is left alone.",
            example="a service called `shop-prd-api` is in project `shop-prd`, region `europe-west1` already, and "
            "it is not ours",
        ),
        Entry(
            code="image-unauthorized",
            meaning="Binary Authorization wants the image to be attested.",
            example="cannot deploy `api`: Binary Authorization does not let the image "
            "`europe-west1-docker.pkg.dev/shop/api:2` run",
        ),
        Entry(
            code="image-unchecked",
            meaning="Binary Authorization is switched on and could not be asked.",
            example="cannot deploy `api`: Binary Authorization could not be asked about the image "
            "`europe-west1-docker.pkg.dev/shop/api:2`",
        ),
        Entry(
            code="key-denied",
            meaning="Cloud Run may not use the key that the service's data is to be encrypted with.",
            example="cannot deploy `api`: Cloud Run may not use the encryption key of this service",
        ),
        Entry(
            code="logs-not-installed",
            meaning="What services print is read with a Python module that is missing.",
            example="what is printed on Cloud Run is read through google-cloud-logging, which is not installed here",
        ),
        Entry(
            code="logs-unreadable",
            meaning="What services print cannot be read: a right or an API is missing, or Cloud Logging does not "
            "answer.",
            example="our account lacks permission `logging.logEntries.list` in project `shop-prd`",
        ),
        Entry(
            code="network-not-found",
            meaning="The network, subnet or connector that the service wants is not in its region.",
            example="cannot deploy `api`: the VPC network, subnet or connector that it wants does not exist in this"
            " region",
        ),
        Entry(
            code="no-account",
            meaning="A service account that the text names does not exist.",
            example="cannot deploy `api`: an account that it names does not exist",
        ),
        Entry(
            code="no-credentials",
            meaning="This machine knows no credentials for Google Cloud.",
            example="no credentials for Google Cloud are known",
        ),
        Entry(
            code="no-such-place",
            meaning="The project does not exist, or has no such region.",
            example="cannot list services: project `shop-prd` does not exist, or Cloud Run has no region "
            "`europe-west99`",
        ),
        Entry(
            code="not-listening",
            meaning="The container does not listen on its port in time.",
            example="cannot deploy `api`: its container did not start and listen on port 8080 in time",
        ),
        Entry(
            code="not-newest",
            meaning="A restart makes a new revision, and requests do not go to the newest one.",
            example="service `api` cannot be restarted: its requests do not go to its newest revision",
        ),
        Entry(
            code="not-ready-in-time",
            meaning="The revision took longer than Cloud Run allows.",
            example="cannot deploy `api`: it was not ready in the time that Cloud Run allows: a large image, or a "
            "slow start",
        ),
        Entry(
            code="not-removed",
            meaning="Something could not be removed.",
            example="service `api` could not be removed: it has been changed in this moment",
        ),
        Entry(
            code="object-gone",
            meaning="Somebody removed what is being deployed.",
            example="cannot deploy `api`: `shop-prd-api` is not there any more: somebody removed it",
        ),
        Entry(
            code="organization-policy",
            meaning="The organization forbids that everybody, or somebody outside, may call the service.",
            example="cannot deploy `api`: a policy of the organization does not let it be called like this",
        ),
        Entry(
            code="outcome-unknown",
            meaning="Cloud Run was given the change, and could not be asked in time what came of it.",
            example="how `api` is could not be learned in time: connection refused",
            fix="Run it again: what is as it should be is left alone.",
        ),
        Entry(
            code="platform-failed",
            meaning="Cloud Run had an error of its own.",
            example="cannot deploy `api`: Cloud Run failed, and does not say why",
        ),
        Entry(
            code="region-quota",
            meaning="The service may grow to more instances than the project may run in that region.",
            example="cannot deploy `api`: it may grow beyond what project `shop-prd` may use in `europe-west1`: "
            "instances times cpu",
        ),
        Entry(
            code="reserved-variable",
            meaning="Cloud Run sets the variable itself.",
            example="cannot deploy `api`: Cloud Run sets `PORT` itself",
        ),
        Entry(
            code="secret-denied",
            meaning="The account that the service runs as may not read a secret.",
            example="cannot deploy `api`: `api@shop-prd.iam.gserviceaccount.com` may not read the secret `token`",
        ),
        Entry(
            code="secret-not-found",
            meaning="Secret Manager does not have the secret, or not that version of it.",
            example="cannot deploy `api`: there is no secret `token`, or not this version of it",
        ),
        Entry(
            code="too-many-revisions",
            meaning="Tags and shares keep so many revisions that there is no room for another one.",
            example="cannot deploy `api`: too many revisions are kept by traffic and tags, so that a new one cannot be",
        ),
        Entry(
            code="wrong-endpoint",
            meaning="A variable that leads to another endpoint than Google's holds none.",
            example="`http://run.example.org` is no endpoint of Cloud Run: without TLS, everybody on the way to "
            "`run.example.org` could read our token",
        ),
    ),
)
