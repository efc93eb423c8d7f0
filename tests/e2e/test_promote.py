# SPDX-License-Identifier: Apache-2.0
"""A team takes what its staging runs to production: the images themselves, not what their tags mean by now."""

import json
import secrets
from collections.abc import Iterator

import pytest

from fleetflow_tasks.api import Promotion, Request, promotion
from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.testing.cloudrun import PROJECT, REGION, Server
from tests.docker.registry import registry
from tests.e2e.conftest import BASE, Desk


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


class Shop:
    """A project with two stages, `stg` and `prd`, whose service `api` has an image in a registry."""

    def __init__(self, desk: Desk, repository: str) -> None:
        self.desk = desk
        self.repository = repository
        self.image = f"{repository}:1"

    def push(self, content: str) -> str:
        """Move the tag to an image with *content*, and take both from the Engine; the digest."""
        made = self.desk.docker("create", BASE, "true")
        self.desk.docker("commit", "-c", f"ENV CONTENT={content}", made, self.image)
        self.desk.docker("rm", made)
        self.desk.docker("push", "-q", self.image)
        found = self.desk.docker("inspect", "-f", "{{index .RepoDigests 0}}", self.image)
        self.desk.docker("rmi", self.image)
        return found.partition("@")[2]

    def write(self, *more: str, api: str = "", stages: str = 'stage "stg" { service "api" }') -> None:
        check = 'healthcheck { test "CMD" "true"; interval 0.2 }'
        self.desk.write(
            "\n".join(
                [
                    f'service "api" {{ image "{self.image}"; command "sleep" "1000"; docker {{ init #true }}; {check}; {api} }}',
                    *more,
                    stages,
                    'stage "prd" { service "api"; variables { STAGE "prd" } }',
                ]
            )
        )

    def runs(self, stage: str, service: str = "api") -> dict[str, str]:
        """What the container of a service was told."""
        told = self.desk.docker(
            "inspect", "-f", "{{json .Config.Env}}", f"{self.desk.project}-{stage}-{service}", check=False
        )
        return dict(word.split("=", 1) for word in json.loads(told or "[]"))

    def close(self) -> None:
        self.desk.close()
        ids = set(self.desk.docker("images", "-aq", self.repository).split())
        if ids:
            self.desk.docker("rmi", "-f", *ids, check=False)


@pytest.fixture
def shop(desk: Desk, address: str) -> Iterator[Shop]:
    made = Shop(desk, f"{address}/t{secrets.token_hex(4)}")
    yield made
    made.close()


def test_what_staging_runs_is_deployed_though_its_tag_has_moved(shop: Shop) -> None:
    desk, digest = shop.desk, shop.push("one")
    shop.write()
    assert desk.flow("up", "stg").code == 0
    shop.push("two")
    desk.start("worker", "docker").until("worker.ready")

    tried = desk.flow("promote", "--from=stg", "--to=prd", "--dry-run")
    nothing = shop.runs("prd")
    promoted = desk.flow("promote", "--from=stg", "--to=prd", "--wait")
    again = desk.flow("promote", "--from=stg", "--to=prd", "--wait")

    assert tried.code == 0, tried
    assert f"{shop.image}@{digest[:19]}\n" in tried.out
    assert "plan: 1 to create" in tried.out
    assert nothing == {}
    assert promoted.code == 0, promoted
    assert (shop.runs("prd")["CONTENT"], shop.runs("prd")["STAGE"]) == ("one", "prd")
    assert again.code == 0, again
    assert "plan: 1 unchanged" in again.out
    assert f"{shop.image}@{digest[:19]}" in desk.flow("ps", "prd").out
    run = json.loads(desk.flow("runs", "--json").out)["runs"][0]
    source = desk.docker("inspect", "-f", '{{index .Config.Labels "fleetflow.run"}}', f"{desk.project}-stg-api")
    assert (run["stage"], run["because"]) == ("prd", {"kind": "promote", "run": source, "plan": None})


def test_what_is_not_well_is_refused_and_nothing_is_deployed(shop: Shop) -> None:
    desk = shop.desk
    shop.push("one")
    shop.write()
    assert desk.flow("up", "stg").code == 0
    desk.docker("stop", "-t", "0", f"{desk.project}-stg-api")

    refused = desk.flow("promote", "--from=stg", "--to=prd")
    forced = desk.flow("promote", "--from=stg", "--to=prd", "--force", "--dry-run")

    assert refused.code == 5, refused
    assert "service `api` of stage `stg` is stopped: exit code 143" in refused.err
    assert shop.runs("prd") == {}
    assert forced.code == 0, forced


def test_a_service_that_the_source_lacks_keeps_its_own_image_and_an_image_without_registry_its_id(shop: Shop) -> None:
    desk = shop.desk
    shop.push("one")
    here = f'service "web" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}'
    extra = f'service "cron" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}'
    shop.write(here, extra, stages='stage "stg" { service "api"; service "web" }')
    path = desk.folder / "fleet.kdl"
    path.write_text(
        path.read_text().replace('"prd" { service "api"', '"prd" { service "api"; service "web"; service "cron"')
    )
    assert desk.flow("up", "stg").code == 0

    told = desk.flow("promote", "--from=stg", "--to=prd", "--dry-run", "--json")
    one = desk.flow("promote", "--from=stg", "--to=prd", "--dry-run", "--only=web")

    assert told.code == 0, told
    assert f"service `cron` does not run in stage `stg`: it keeps its own image, `{BASE}`" in told.err
    assert f"image `{BASE}` of service `web` is known to no registry: it is promoted by its id, `sha256:" in told.err
    images = json.loads(told.out)["images"]
    assert sorted(images) == ["api", "web"]
    assert images["web"] == desk.docker("inspect", "-f", "{{.Id}}", BASE)
    assert "plan: 1 to create" in one.out, one


def test_a_source_whose_secrets_are_not_here_can_be_promoted_and_that_is_told(shop: Shop) -> None:
    desk = shop.desk
    shop.push("one")
    shop.write(stages='stage "stg" { service "api" { secrets { TOKEN env="STG_TOKEN" } } }')
    assert desk.flow("up", "stg", STG_TOKEN="secret-of-stg").code == 0

    told = desk.flow("promote", "--from=stg", "--to=prd", "--dry-run")

    assert told.code == 0, told
    assert "stage `stg` cannot be planned here" in told.err
    assert "plan: 1 to create" in told.out


def test_a_stage_that_runs_nothing_and_a_stage_onto_itself_are_refused_in_words(shop: Shop) -> None:
    shop.write()

    nothing = shop.desk.flow("promote", "--from=stg", "--to=prd")
    itself = shop.desk.flow("promote", "--from=stg", "--to=stg")
    unknown = shop.desk.flow("promote", "--from=stage", "--to=prd")

    assert nothing.code == 5, nothing
    assert "stage `stg` runs nothing that stage `prd` holds" in nothing.err
    assert itself.code == 5, itself
    assert "stage `stg` cannot be promoted to itself" in itself.err
    assert unknown.code == 3, unknown
    assert "has no stage `stage`" in unknown.err


def test_down_says_what_it_removed_where_only_the_network_is_left(desk: Desk) -> None:
    desk.write(f'service "api" {{ image "{BASE}"; command "sleep" "9" }}\nstage "local" {{ service "api" }}')
    desk.docker(
        "network",
        "create",
        "--label",
        f"fleetflow.project={desk.project}",
        "--label",
        "fleetflow.stage=local",
        f"{desk.project}-local",
    )

    down = desk.flow("down")

    assert down.code == 0, down
    assert f"removed network {desk.project}-local" in down.out.splitlines()[-1]


# --- to and from Cloud Run


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


class Abroad:
    """A project whose `stg` is on Docker, and whose `prd` and `dr` are on Cloud Run."""

    def __init__(self, shop: Shop, server: Server) -> None:
        self.shop = shop
        shop.desk.environ |= server.environ()

    def write(self, image: str, *, more: str = "") -> None:
        cloudrun = f'runtime "cloudrun" {{ project "{PROJECT}"; region "{REGION}" }}'
        sleep = 'command "sleep" "1000"; port container=8080; docker { init #true }'
        self.shop.desk.write(
            f"""
            service "api" {{ image "{image}"; {sleep} }}
            stage "stg" {{ service "api" }}
            stage "prd" {{ {cloudrun}; service "api"; {more} }}
            stage "dr" {{ {cloudrun}; service "api" }}
            """
        )

    def promotion(self, source: str, target: str) -> Promotion:
        """What would be deployed. No registry of a test's own is one that Cloud Run would fetch from."""
        desk = self.shop.desk
        return promotion(Request(directory=str(desk.folder), environ=desk.environ), source, target)


@pytest.fixture
def abroad(shop: Shop, server: Server) -> Abroad:
    return Abroad(shop, server)


def test_what_an_engine_runs_is_what_cloud_run_gets_whatever_its_tag_means_by_now(abroad: Abroad) -> None:
    image, digest = abroad.shop.image, abroad.shop.push("one")
    abroad.write(image, more='service "more" { image "scripted/ready:0ms"; port container=8080 }')
    assert abroad.shop.desk.flow("up", "stg").code == 0
    abroad.shop.push("two")

    found = abroad.promotion("stg", "prd")

    assert found.plan.service(ServiceName("api")).image == f"{image}@{digest}"
    assert "service `more` does not run in stage `stg`: it keeps its own image, `scripted/ready:0ms`" in [
        warning.message for warning in found.warnings
    ]


def test_an_image_that_no_registry_knows_does_not_go_to_cloud_run(abroad: Abroad) -> None:
    abroad.write(BASE)
    assert abroad.shop.desk.flow("up", "stg").code == 0

    refused = abroad.shop.desk.flow("promote", "--from=stg", "--to=prd")

    assert refused.code != 0
    assert (
        f"image `{BASE}` of service `api` is known to no registry, and stage `prd` is on another engine\n"
        "  fix: push it, and deploy stage `stg` from the registry"
    ) in refused.err


def test_what_cloud_run_runs_by_its_digest_is_promoted_and_a_tag_is_not(abroad: Abroad) -> None:
    desk, image = abroad.shop.desk, f"scripted/ready:0ms@sha256:{'1' * 64}"
    abroad.write(image)
    assert desk.flow("up", "prd").code == 0
    desk.start("worker", "cloudrun").until("worker.ready")
    abroad.write("scripted/ready:1ms")

    done = desk.flow("promote", "--from=prd", "--to=dr", "--wait")
    shown = json.loads(desk.flow("ps", "dr", "--json").out)["services"]
    assert desk.flow("up", "prd").code == 0
    tag = desk.flow("promote", "--from=prd", "--to=dr")

    assert done.code == 0, done
    assert [each["digest"] for each in shown] == [image]
    assert tag.code != 0
    assert (
        "which image service `api` of stage `prd` runs is not known: it was deployed as `scripted/ready:1ms`,"
        " and Cloud Run does not tell what that tag meant then\n"
        '  fix: deploy it there by its digest, `version "sha256:…"`, or leave it out with --only'
    ) in tag.err
