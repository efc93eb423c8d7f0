# SPDX-License-Identifier: Apache-2.0
"""An operator at a terminal gives a new version more of the requests, or takes them back from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.canary import canary
from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.testing.cloudrun import Server
from tests.desk import Desk, state_folder

from .stage import PARENT, PROJECT, REGION

FLEET = """
variables {{ API 1; WEB 1 }}
service "api" {{ image "scripted/ready:{{{{ API }}}}ms"; port container=8080 }}
service "web" {{ image "scripted/ready:{{{{ WEB }}}}ms"; port container=8080; depends_on "api" }}
service "migrate" {{ image "scripted/job:0"; job true }}
stage "prd" {{
    runtime "cloudrun" {{ project "{project}"; region "{region}" }}
    service "api"; service "web"; service "migrate"
}}
"""


class Shop:
    def __init__(self, desk: Desk, client: Client) -> None:
        self.desk = desk
        self.client = client
        self.flow = desk.flow

    def name(self, service: str) -> str:
        return f"{PARENT}/services/{self.desk.project}-prd-{service}"

    def service(self, name: str) -> Any:
        return self.client.service(self.name(name))

    def shares(self, name: str) -> dict[str, int]:
        """Number of the version -> percent."""
        found = self.service(name)
        newest = found["latestReadyRevision"].rpartition("/")[2]
        revisions = {each["name"].rpartition("/")[2]: each for each in self.client.revisions(self.name(name))}
        images = {each: of["containers"][0]["image"] for each, of in revisions.items()}
        return {
            images[each.get("revision") or newest].removeprefix("scripted/ready:").removesuffix("ms"): each["percent"]
            for each in found["traffic"]
            if each.get("percent")
        }

    def up(self, *arguments: str) -> None:
        done = self.flow("up", "prd", *arguments)
        assert done.code == 0, done


@pytest.fixture
def shop(tmp_path: Path, server: Server, client: Client) -> Iterator[Shop]:
    with state_folder() as state:
        desk = Desk(tmp_path, state)
        desk.environ |= server.environ()
        desk.write(FLEET.format(project=PROJECT, region=REGION))
        yield Shop(desk, client)
        desk.close()


def test_from_a_tenth_to_all_without_a_worker_and_without_a_file(shop: Shop, tmp_path: Path) -> None:
    shop.up()
    shop.up("--var", "API=2", "--var", "WEB=2", "--canary", "10")
    assert (shop.shares("api"), shop.shares("web")) == ({"1": 90, "2": 10}, {"1": 90, "2": 10})
    (tmp_path / "fleet.kdl").unlink()

    tried = shop.flow("promote-traffic", "--stage=prd", "--to", "50", "--dry-run")
    half = shop.flow("promote-traffic", "--stage=prd", "--to", "50", "api")
    assert (shop.shares("api"), shop.shares("web")) == ({"1": 50, "2": 50}, {"1": 90, "2": 10})
    whole = shop.flow("promote-traffic")
    assert (shop.shares("api"), shop.shares("web")) == ({"2": 100}, {"2": 100})
    again = shop.flow("promote-traffic")

    assert (tried.code, half.code, whole.code, again.code) == (0, 0, 0, 5)
    trial = f"{shop.desk.project}-prd-api"
    assert f"traffic: 90 % {trial}-" in tried.out
    assert "has nothing on trial that could get 100 % of the requests" in again.err
    assert "fix: deploy a new version with a share: flow up --canary 10" in again.err


def test_a_trial_says_what_it_is_before_and_after(shop: Shop) -> None:
    shop.up()

    planned = shop.flow("plan", "prd", "--var", "API=2", "--canary", "10")
    shop.up("--var", "API=2", "--canary", "10")
    seen = shop.flow("ps", "prd", "--var", "API=2")
    nothing = shop.flow("plan", "prd", "--var", "API=2")
    trial = canary(shop.service("api"))

    assert "it gets 10 % of the requests" in planned.out
    assert trial is not None
    assert f"90 % {trial.before.revision}, 10 % {trial.new}" in seen.out
    assert "3 unchanged" in nothing.out


def test_all_requests_go_back_without_a_worker_and_ps_says_what_serves(shop: Shop, tmp_path: Path) -> None:
    shop.up()
    shop.up("--var", "API=2", "--canary", "10")

    seen = shop.flow("rollback", "--dry-run")
    back = shop.flow("rollback")
    shown = shop.flow("ps", "prd")
    runs = shop.flow("runs")

    assert (seen.code, back.code) == (0, 0), back
    assert shop.shares("api") == {"1": 100}
    assert len(list(shop.client.revisions(shop.name("api")))) == 2
    assert "the requests go back to revision" in back.out
    (line,) = [each for each in shown.out.splitlines() if each.startswith("api ")]
    assert "scripted/ready:1ms" in line
    assert "differs" not in line
    assert "rollback to" in runs.out.splitlines()[1]


def test_what_was_named_and_is_not_on_trial_is_told(shop: Shop) -> None:
    shop.up()
    shop.up("--var", "API=2", "--canary", "10")

    told = [shop.flow("promote-traffic", name) for name in ("web", "migrate", "ap")]

    assert [each.code for each in told] == [5, 5, 5]
    assert "has nothing on trial" in told[0].err
    assert "service `migrate` is a job: nothing shares its requests out" in told[1].err
    assert "has no service `ap`" in told[2].err
    assert "did you mean `api`?" in told[2].err
    assert shop.shares("api") == {"1": 90, "2": 10}


def test_a_service_that_somebody_changed_since_is_left_alone(shop: Shop) -> None:
    shop.up()
    shop.up("--var", "API=2", "--var", "WEB=2", "--canary", "10")
    web = shop.service("web")
    shop.client.update_service({**web, "client": "gcloud", "description": "mine"})

    done = shop.flow("promote-traffic")

    assert done.code == 0
    assert "service `web` is not as the stage's last run has it, so its requests are left alone" in done.err
    assert "changed outside, by `gcloud`" in done.err
    assert (shop.shares("api"), shop.shares("web")) == ({"2": 100}, {"1": 90, "2": 10})


def test_workers_move_what_workers_deployed_and_take_it_back_at_once(shop: Shop) -> None:
    shop.desk.start("worker", "cloudrun").until("worker.ready")
    assert shop.flow("submit", "prd", "--wait").code == 0
    assert shop.flow("submit", "prd", "--wait", "--var", "API=2", "--canary", "10").code == 0

    half = shop.flow("promote-traffic", "--to", "50", "--wait")
    shared = shop.shares("api")
    back = shop.flow("rollback", "--wait")

    assert (half.code, back.code) == (0, 0)
    assert shared == {"1": 50, "2": 50}
    assert shop.shares("api") == {"1": 100}
    assert len(list(shop.client.revisions(shop.name("api")))) == 2
    assert shop.flow("submit", "prd", "--wait", "--var", "API=3").code == 0
    assert shop.shares("api") == {"3": 100}
