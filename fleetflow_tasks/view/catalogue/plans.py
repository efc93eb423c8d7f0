# SPDX-License-Identifier: Apache-2.0
"""Each node is right, and together they make no plan."""

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

CHAPTER = Chapter(
    title="What the plan cannot be",
    about="Each file is right, and together they make no plan; or they make one that is hardly meant. "
    "Told by `flow validate` and by everything that deploys, without a network.",
    entries=(
        Entry(
            code="build-nowhere",
            meaning="An image is built here under a name without a registry, and its runtime can get it from a "
            "registry alone.",
            example="service `api`: image `shop/api` names no registry that kubernetes could get it from",
        ),
        Entry(
            code="dependency-cycle",
            meaning="Services wait for each other, so none of them could begin.",
            example="stage `local`: services wait for each other: api -> web -> api",
            fix="`required=false` breaks a circle where the order does not matter.",
        ),
        Entry(
            code="dependency-never-completed",
            meaning="A service waits for another one to end that is not there to end.",
            example="service `web` waits until `db` has completed, which is no job",
        ),
        Entry(
            code="dependency-never-healthy",
            meaning="A service waits for another one to be healthy, and nothing asks whether it is.",
            example="service `web` waits for healthy `plain`, which declares no check",
        ),
        Entry(
            code="dependency-not-in-stage",
            meaning="A service needs one that this stage does not hold.",
            example="service `web` depends on `absent`, which stage `local` does not hold",
        ),
        Entry(
            code="dependency-unreached",
            meaning="A service needs one of another runtime, whose address FleetFlow cannot hand over.",
            example="service `web` on cloudrun depends on `db` on docker, and is not told where that is",
        ),
        Entry(
            code="floating-image",
            meaning="An image of a stage that others rely on is named by a tag that moves, such as `latest`.",
            example="service `api`: image `ghcr.io/shop/api:latest` may be another one tomorrow",
        ),
        Entry(
            code="image-differs",
            meaning="Stages name different versions of one image, where the last stage should run what the one "
            "before has tried.",
            example="service `api` is not the same image in all stages",
        ),
        Entry(
            code="image-reference",
            meaning="The image's name and version make no reference that a registry could know.",
            example="service `api`: image `Shop/api:1` holds capital letters",
        ),
        Entry(
            code="job-restarts",
            meaning="A job is to be started again each time it ends, so it would never be done.",
            example='job `migrate` has `restart "always"`, so it would never be done',
        ),
        Entry(
            code="port-conflict",
            meaning="One port of the host is published twice.",
            example="services `adminer` and `api` both publish host port 8080/tcp",
        ),
        Entry(
            code="readiness-port",
            meaning="A service has several ports and does not say which one `readiness` asks.",
            example="readiness of service `api` names no port, and the service has 2 ports",
        ),
        Entry(
            code="reserved-name",
            meaning="A service has the name that a stage's own steps have.",
            example="no service can be called `stage`: `stage:prepare` and `stage:prune` are the stage's own steps",
        ),
        Entry(
            code="secret-without-value",
            meaning="The file or variable that a secret names is not there, so it has no value.",
            example="secret `TOKEN` of service `api` has no value: the file `token.txt` is not there",
        ),
        Entry(
            code="stages-in-one-namespace",
            meaning="Two stages would make objects of the same names in one namespace, and take them from each other.",
            example="stages `stg` and `prd` share the namespace `shop`, and both hold `api`",
        ),
        Entry(
            code="unfit-name",
            meaning="A name is right in the text and cannot be one on the platform that it is for.",
            example="service name `my_api` does not fit on kubernetes",
        ),
        Entry(
            code="unknown-runtime",
            meaning="A stage or service names a runtime that is neither built in nor installed.",
            example="unknown runtime `dockr`",
            fix="`flow doctor` lists the runtimes that are installed.",
        ),
        Entry(
            code="unknown-service",
            meaning="A service is named that is not there.",
            example="stage `local` has no service `apii`",
        ),
        Entry(
            code="unknown-stage",
            meaning="A stage is named that the files do not declare.",
            example="project `shop` has no stage `prod`",
        ),
        Entry(
            code="volume-conflict",
            meaning="Two volumes are mounted at one path.",
            example="service `api` mounts two volumes at `/data`",
        ),
        Entry(
            code="volume-home",
            meaning="A path begins with `~`, and the plan is made where nobody knows whose home is meant.",
            example="service `api`: whose home `~/data` means is not known here",
        ),
    ),
)
