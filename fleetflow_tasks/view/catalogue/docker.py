# SPDX-License-Identifier: Apache-2.0
"""What Docker cannot honour, and what it answers."""

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

CHAPTER = Chapter(
    title="Docker",
    about="What runtime `docker` cannot honour, told at plan time as `docker-…` by the field that it is "
    "about; what the Engine answers while a service is deployed; and how images are built and "
    "pushed.",
    entries=(
        Entry(
            code="bind-missing",
            meaning="The folder or file of a volume is not on the Engine's machine.",
            example="`api` cannot be started: `/srv/shop` is not there to be mounted",
        ),
        Entry(
            code="build-base-login",
            meaning="The image that a Dockerfile begins with needs a login that the builder does not have.",
            example="the image of `api` cannot be built: an image that it needs wants a login",
        ),
        Entry(
            code="build-changed",
            meaning="Files of the context changed between plan and build, so the image would not be the one that "
            "was planned.",
            example="its files changed since the plan was made",
            fix="Begin again; keep editors and generators still while it runs.",
        ),
        Entry(
            code="build-context",
            meaning="The folder that a `build` names cannot be one.",
            example="the context `api` is no folder",
        ),
        Entry(
            code="build-dockerfile",
            meaning="There is no Dockerfile, or it has a mistake; the place is its line.",
            example="there is no `Dockerfile` in `api`",
        ),
        Entry(
            code="build-elsewhere",
            meaning="The image is built from files of another machine, and no registry has it.",
            example="image `shop/api:2` of `api` is not on this Engine, and it cannot be built here: its files are "
            "on another machine",
        ),
        Entry(
            code="build-failed",
            meaning="A step of the Dockerfile failed; its last output follows.",
            example="the image of `api` cannot be built: step 4/7: it ended with exit code 1",
            fix="The command below the output runs the same build by hand.",
        ),
        Entry(
            code="build-far",
            meaning="The workers are on machines that do not have the files to build from.",
            example="service `api` is built from files of this machine, and its workers are on others",
        ),
        Entry(
            code="build-ignore",
            meaning="A line of `.dockerignore` is no pattern.",
            example="`.dockerignore`, line 3: `[` is no pattern",
        ),
        Entry(
            code="build-large",
            meaning="So much is sent to the builder that each plan and build takes long; the largest entries follow.",
            example="`.` is read for each plan and sent for each build, and has 812 MiB",
        ),
        Entry(
            code="build-missing-file",
            meaning="The Dockerfile copies something that the context does not hold.",
            example="the image of `api` cannot be built: step 3/7: `go.sum` is not in the context `.`",
        ),
        Entry(
            code="build-nothing",
            meaning="Nothing of what `flow build` was asked for is built from files.",
            example="none of the services of stage `local` is built",
        ),
        Entry(
            code="build-special",
            meaning="Sockets, pipes and devices in the context are left out.",
            example="what is no file, folder or link in `.` is not sent to the builder",
        ),
        Entry(
            code="build-target",
            meaning="`target` names a stage that the Dockerfile does not have.",
            example="`Dockerfile` has no stage `release`",
        ),
        Entry(
            code="build-too-large",
            meaning="The Dockerfile or its ignore file is larger than any such file is.",
            example="`Dockerfile` has more than 1024 KiB",
        ),
        Entry(
            code="build-unpushed",
            meaning="A runtime elsewhere is to pull an image that has been built here and not pushed.",
            example="image `ghcr.io/shop/api:2` of service `api` is not in its registry yet",
        ),
        Entry(
            code="build-unreadable",
            meaning="A file of the context cannot be read.",
            example="`secret.pem` cannot be read: Permission denied",
        ),
        Entry(
            code="changed-meanwhile",
            meaning="Somebody else changes a service again and again while it is being deployed; FleetFlow gives up"
            " rather than to fight. On Kubernetes and Cloud Run, too.",
            example="`api` changes while it is being deployed",
            fix="Find out who else deploys it, and let one of the two stop.",
        ),
        Entry(
            code="command-not-executable",
            meaning="The command is in the image, and its file is not executable.",
            example="`api` cannot be started: its command is not executable",
        ),
        Entry(
            code="command-not-found",
            meaning="The command is not in the image.",
            example="`api` cannot be started: its command does not exist in the image",
        ),
        Entry(
            code="disk-full",
            meaning="The machine has no room for the image or container.",
            example="`api` cannot be started: the Engine's disk is full",
        ),
        Entry(
            code="docker-context",
            meaning="The docker context that is chosen does not exist on this machine.",
            example="the docker context `prod` is not known on this machine",
        ),
        Entry(
            code="docker-ingress",
            meaning="`ingress` means nothing on Docker.",
            example="service `api`: runtime `docker` has no ingress",
        ),
        Entry(
            code="docker-options",
            meaning="The `docker` block holds something of the wrong kind.",
            example="service `api`: runtime `docker` does not understand its `docker` block: Expected `bool`, got "
            "`str` - at `$.read_only`",
        ),
        Entry(
            code="docker-replicas",
            meaning="One container is one service: there are no replicas on Docker.",
            example="service `api`: runtime `docker` cannot run 3 replicas: one container is one service",
        ),
        Entry(
            code="docker-restart",
            meaning="`restart` has no effect on a job.",
            example='service `migrate`: runtime `docker` does not restart a job: `restart "on-failure"` has no effect',
        ),
        Entry(
            code="docker-scaling",
            meaning="Docker runs as many containers as it is told.",
            example="service `api`: runtime `docker` cannot scale by itself",
        ),
        Entry(
            code="docker-secrets",
            meaning="A secret is read from a platform's store that Docker does not have.",
            example="service `api`: runtime `docker` cannot read secret `TOKEN` from `token:3`",
        ),
        Entry(
            code="docker-volumes",
            meaning="A volume is a bucket, or has a size: Docker has neither.",
            example="service `api`: runtime `docker` cannot mount the bucket `shop-files`",
        ),
        Entry(
            code="engine-certificates",
            meaning="The address of the Engine wants TLS, and a certificate is not where it should be.",
            example="no TLS with the Docker Engine at tcp://build:2376: there is no file /home/ann/.docker/cert.pem",
        ),
        Entry(
            code="engine-lost",
            meaning="The Engine ended the line, or does not answer. What it was doing goes on there, and the step "
            "is tried again.",
            example="the Docker Engine did not answer while asked to create container api: timed out",
        ),
        Entry(
            code="engine-refused",
            meaning="The Engine answered with an error; its own words are in the line.",
            example="the Docker Engine did not create network shop-local: could not find an available address pool",
        ),
        Entry(
            code="engine-too-old",
            meaning="The Engine is older than what FleetFlow speaks.",
            example="the Docker Engine at unix:///var/run/docker.sock is too old: it speaks API 1.38",
        ),
        Entry(
            code="exec-over-ssh",
            meaning="A command inside a container needs both directions of a line at once, which an Engine behind "
            "ssh does not give.",
            example="no command can be run inside `api` through ssh: its line carries one direction at a time",
        ),
        Entry(
            code="foreign-container",
            meaning="A container of the name that is needed is not FleetFlow's. It is left alone.",
            example="a container called `shop-local-api` is there already, and it is not ours",
        ),
        Entry(
            code="foreign-network",
            meaning="A network of the stage's name is not FleetFlow's. It is left alone.",
            example="a network called `shop-local` is there already, and it is not ours",
        ),
        Entry(
            code="foreign-volume",
            meaning="A volume of the name that is needed is not FleetFlow's. It is left alone.",
            example="a volume called `shop-local-data` is there already, and it is not ours",
        ),
        Entry(
            code="image-denied",
            meaning="The registry does not hand out the image without a login, or to this one.",
            example="image `ghcr.io/shop/api:2` cannot be pulled: ghcr.io wants a login",
        ),
        Entry(
            code="image-not-found",
            meaning="The registry, or a machine that may not ask one, does not have the image.",
            example="image `ghcr.io/shop/api:2` does not exist on ghcr.io",
            fix="Push it, or correct `image` and `version`.",
        ),
        Entry(
            code="image-platform",
            meaning="The image is made for another machine, such as arm64 where amd64 runs.",
            example="image `ghcr.io/shop/api:2` is not made for this machine",
        ),
        Entry(
            code="image-rate-limit",
            meaning="The registry limits how often somebody without a login may pull.",
            example="image `redis:7` cannot be pulled now: Docker Hub limits how often",
        ),
        Entry(
            code="log-driver",
            meaning="The Engine does not know the log driver that the `docker` block names.",
            example="`api` cannot be started: the log driver is not known to this Engine",
        ),
        Entry(
            code="mount-kind",
            meaning="A file is mounted where a folder is, or the other way round.",
            example="`api` cannot be started: a file is mounted on a folder, or a folder on a file",
        ),
        Entry(
            code="network-missing",
            meaning="Somebody removed the stage's network while it was deployed.",
            example="`api` cannot be started: its network is gone",
        ),
        Entry(
            code="no-engine",
            meaning="No Docker Engine answers where one is looked for.",
            example="no Docker Engine answers at unix:///var/run/docker.sock",
        ),
        Entry(
            code="no-pod",
            meaning="An instance is named that the service does not have.",
            example="service `api` has no instance `2`: on Docker it has one container",
        ),
        Entry(
            code="no-previous",
            meaning="`--previous` asks for what a container printed before its last start; on Docker that stands in"
            " one log.",
            example="on Docker `--previous` means nothing: a container keeps what all its starts printed, one after"
            " the other",
        ),
        Entry(
            code="not-ready",
            meaning="A service was started and did not become ready; what it printed follows.",
            example="`api` did not become ready: it ended with exit code 1",
        ),
        Entry(
            code="not-started",
            meaning="The platform could not start the command, for a reason that FleetFlow has no word of its own for.",
            example="`psql` could not be started in container `shop-local-api`",
        ),
        Entry(
            code="nothing-runs",
            meaning="Nothing of what was named runs.",
            example="no container of service `api` runs in stage `local`",
        ),
        Entry(
            code="port-silent",
            meaning="The port is there, and nothing behind it answers.",
            example="port 8080 of container `shop-local-api` does not answer",
        ),
        Entry(
            code="port-taken",
            meaning="Somebody else listens on the host's port.",
            example="`api` cannot be started: host port 8080 is taken by container `old`",
        ),
        Entry(
            code="port-unpublished",
            meaning="A port of a container on another machine can be reached only where it is published.",
            example="port 8080 of container `shop-local-api` cannot be reached from here: it is not published",
        ),
        Entry(
            code="push-denied",
            meaning="The registry knows the login and does not let it write there.",
            example="image `ghcr.io/shop/api:2` of service `api` cannot be pushed: ghcr.io does not let this login "
            "write there",
        ),
        Entry(
            code="push-failed",
            meaning="The registry did not take the image; its own words are in the line.",
            example="image `ghcr.io/shop/api:2` of service `api` cannot be pushed: received unexpected HTTP status:"
            " 500",
        ),
        Entry(
            code="push-insecure",
            meaning="The registry speaks plain HTTP, which the Engine does not do unless it is told to.",
            example="image `registry:5000/api:2` of service `api` cannot be pushed: registry:5000 speaks no TLS, "
            "and the Engine does not trust it without",
        ),
        Entry(
            code="push-login",
            meaning="The registry wants a login.",
            example="image `ghcr.io/shop/api:2` of service `api` cannot be pushed: ghcr.io wants a login",
        ),
        Entry(
            code="push-no-repository",
            meaning="The registry wants each repository to be made before something is pushed to it.",
            example="image `registry.example.org/api:2` of service `api` cannot be pushed: registry.example.org has"
            " no repository of that name",
        ),
        Entry(
            code="push-unreachable",
            meaning="The registry does not answer, or has no address.",
            example="image `registry.example.org/api:2` of service `api` cannot be pushed: there is no host "
            "`registry.example.org`",
        ),
        Entry(
            code="push-where",
            meaning="An image without a registry in its name cannot be pushed.",
            example="image `api:2` of service `api` names no registry to push it to",
        ),
        Entry(
            code="registry-unreachable",
            meaning="The registry does not answer, and the image is not there already.",
            example="image `ghcr.io/shop/api:2` is not on this Engine, and ghcr.io does not answer",
        ),
        Entry(
            code="ssh-not-installed",
            meaning="The Engine is behind ssh, and the Python module for it is missing.",
            example="the Docker Engine at ssh://ann@build cannot be reached: Python module `paramiko` is missing",
        ),
        Entry(
            code="stale",
            meaning="What is there was made by a newer run; this one must not undo it.",
            example="`api` was made by a newer run (generation 12); this one (11) must not touch it",
            fix="Nothing: the newer run counts. `flow runs` shows it.",
        ),
    ),
)
