# SPDX-License-Identifier: Apache-2.0
"""The role that we ship is enough, every permission of it is needed, and one that is missing is told by name."""

import secrets
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
import yaml

from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import DeployError, LogOptions
from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.runtimes.cloudrun.rights import ACTOR
from fleetflow_tasks.runtimes.cloudrun.runtime import CloudRunRuntime
from fleetflow_tasks.testing.cloudrun import Server

from .stage import PROJECT, Stage, service, told

ROLE = Path(__file__).resolve().parents[2] / "ops" / "cloudrun" / "role.yaml"
SHIPPED = frozenset(yaml.safe_load(ROLE.read_text(encoding="utf-8"))["includedPermissions"])
# Not asked for by this server, where a job is written with its execution's token; Google's own documentation does not say.
NOT_HERE = {"run.jobs.run"}

ME = "user:me@example.org"
Begun = Callable[..., "Life"]


class Life:
    """A stage from its first deployment to its end, as an account with these permissions."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def lived(self) -> None:
        self.stage.up(*_fleet(1))
        self.stage.up(*_fleet(2))
        self.failed()
        plan = self.stage.plan(*_fleet(2))
        self.stage.runtime.status(plan)
        list(self.stage.runtime.logs(plan, [], LogOptions(tail=1)))
        self.stage.up()

    def failed(self) -> None:
        """A version that does not come up, and a job that ends badly: told by what is wrong with them."""
        for bad, code in (
            (service("api", "scripted/not-found"), "image-not-found"),
            (_job("scripted/job:3"), "job-failed"),
        ):
            others = [each for each in _fleet(2) if each.name != bad.name]
            with pytest.raises(DeployError) as failure:
                self.stage.up(*others, bad)
            missing = [line for line in told(failure.value) if "denied" in line]
            if failure.value.problem.code != code or missing:
                raise failure.value


def _fleet(turn: int) -> list[ResolvedService]:
    """Another *turn* changes all of it, but for what may call `api`: it is the same member of another service."""
    changed = {"TURN": str(turn)}
    return [
        service("api", environment=changed, options={"invokers": [ME]}),
        _job("scripted/job:0-after-600ms", turn),
    ]


def _job(image: str, turn: int = 0) -> ResolvedService:
    return service("migrate", image, job=True, environment={"TURN": str(turn)})


@pytest.fixture
def begun(server: Server, stage: Stage, client: Client) -> Iterator[Begun]:
    """A life with the permissions of the shipped role, or without one of them."""
    runtimes = []

    def begin(without: str = "", *, held: Collection[str] = SHIPPED) -> Life:
        account = f"w{secrets.token_hex(4)}@fleetflow.iam.gserviceaccount.com"
        server.accounts.add(account, *(held - {without} if isinstance(held, frozenset) else held), ACTOR)
        runtimes.append(CloudRunRuntime(server.environ(account)))
        return Life(Stage(runtimes[-1], client, stage.project, []))

    yield begin
    for each in runtimes:
        each.close()


def _refused(life: Callable[[], object]) -> Problem:
    """By a step, or by a question beside a run."""
    try:
        life()
    except DeployError as error:
        return error.problem
    except UnavailableError as error:
        return error.problems[0]
    pytest.fail("nothing was refused")


def test_the_role_that_we_ship_is_enough_for_the_whole_life_of_a_stage(begun: Begun) -> None:
    life = begun()

    life.lived()

    assert life.stage.names() == []


@pytest.mark.parametrize("missing", sorted(SHIPPED - NOT_HERE))
def test_one_permission_less_is_told_by_name(begun: Begun, missing: str) -> None:
    said = _refused(begun(without=missing).lived)

    assert missing in " ".join((said.message, *said.cause))
    if said.code in {"forbidden", "logs-unreadable"}:
        assert f"lacks permission `{missing}` in project `{PROJECT}`" in said.message
        assert "gcloud projects add-iam-policy-binding" in said.fix


def test_googles_own_roles_are_enough_too(begun: Begun) -> None:
    begun(held=("roles/run.admin", "roles/logging.viewer")).lived()


def test_a_stage_that_lets_nobody_in_needs_no_right_to_do_so(begun: Begun) -> None:
    life = begun(held=("roles/run.developer", "roles/logging.viewer"))

    life.stage.up(service("api"))
    life.stage.up(service("api", environment={"TURN": "2"}))

    assert life.stage.names() == ["services/prd-api"]
