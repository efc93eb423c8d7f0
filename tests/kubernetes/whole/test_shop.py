# SPDX-License-Identifier: Apache-2.0
"""The shop of the examples on its stage `stg`: real pods, asked through their Services while they change."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP
from fleetflow_tasks.testing import eventually
from tests.docker.registry import registry
from tests.kubernetes.conftest import in_turn
from tests.kubernetes.whole.fleet import FAILED, SOON, Fleet, visitors

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "shop"
IMAGE = 'image "fleetflow/shop-api"'


@pytest.fixture(scope="module")
def shop(shared: Fleet) -> Fleet:
    """As it lies in the repository, under a name of its own; version 1 is deployed."""
    shutil.copytree(EXAMPLE, shared.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("images"))
    text = (shared.folder / "fleet.kdl").read_text(encoding="utf-8")
    text = text.replace('project "shop"', "").replace('"shop-stg"', f'"{shared.namespace}"')
    shared.write(text)
    with in_turn():
        shared.up("", "--stage=stg")
    return shared


@pytest.fixture
def first(shop: Fleet) -> Fleet:
    """Version 1 runs, whatever the test before has made of it."""
    shop.up("", "--stage=stg")
    return shop


@pytest.fixture
def empty_registry(tmp_path: Path) -> Iterator[str]:
    with registry(tmp_path) as address:
        yield address


def test_the_shop_runs_in_real_pods_and_sells_through_its_services(first: Fleet) -> None:
    page = first.page("web")
    ordered = first.page("web", "/buy", data="tea")

    assert "<li>coffee</li>" in page
    assert "ok, api 1" in page
    assert ordered == "ordered tea\n"
    eventually(lambda: "sent: Your tea is on its way" in first.flow("logs", "--stage=stg", "mailer").out, SOON)
    printed = first.said(first.flow("ps", "--stage=stg"))
    assert [re.split(r" {2,}", line) for line in printed] == [
        ["SERVICE", "STATE", "SINCE", "PORTS", "IMAGE"],
        ["api", "running", "Ns", "api:8080/tcp", "fleetflow/shop-api:1", "2 of 2 pods ready"],
        ["cache", "running", "Ns", "cache:6379/tcp", "fleetflow/shop-store:1"],
        ["db", "running", "Ns", "db:5432/tcp", "fleetflow/shop-store:1"],
        ["mailer", "running", "Ns", "-", "fleetflow/shop-mailer:1"],
        ["migrate", "completed", "Ns", "-", "fleetflow/shop-migrate:1"],
        ["web", "running", "Ns", "web:8080/tcp", "fleetflow/shop-web:1", "2 of 2 pods ready"],
        ["worker", "running", "Ns", "-", "fleetflow/shop-worker:1"],
    ]


def test_a_second_time_there_is_nothing_to_do(first: Fleet) -> None:
    before = first.names("api")

    again = first.flow("up", "--stage=stg")

    assert first.said(again) == ["PROJECT/stg is up to date: 7 services unchanged"]
    assert first.names("api") == before


def test_an_image_that_does_not_exist_is_told_in_the_registrys_words_and_the_old_version_serves(
    first: Fleet, empty_registry: str
) -> None:
    file = first.folder / "services" / "api.kdl"
    text = file.read_text(encoding="utf-8")
    before = first.names("api")
    file.write_text(text.replace(IMAGE, f'image "{empty_registry}/shop-api"'), encoding="utf-8")

    with visitors(f"http://{first.address('web')}/") as came:
        failed = first.flow("up", "--stage=stg", timeout=240)

    file.write_text(text, encoding="utf-8")
    assert failed.code == 1, failed
    assert [line.replace(empty_registry, "REGISTRY") for line in first.told(failed, "api:deploy")] == [
        f"api:deploy {FAILED}: `api` did not become ready: image `REGISTRY/shop-api:1` does not exist on REGISTRY",
        (
            '  the answer: rpc error: code = NotFound desc = failed to pull and unpack image "REGISTRY/shop-api:1": failed to '
            'resolve reference "REGISTRY/shop-api:1": REGISTRY/shop-api:1: not found'
        ),
        "  the version before goes on serving",
        "  fix: push it, or correct `image` and `version`",
        "  more: flow logs --stage=stg api",
    ]
    assert came.turned_away == []
    assert "ok, api 1" in came.answers[-1]
    eventually(lambda: first.names("api") == before, SOON)


def test_a_new_version_rolls_out_without_a_failed_request(first: Fleet) -> None:
    before, kept = first.names("api"), {each["metadata"]["name"]: each["data"] for each in first.all(CONFIG_MAP)}

    with visitors(f"http://{first.address('web')}/") as came:
        came.seen("ok, api 1")
        first.up("", "--stage=stg", "--var", "API_VERSION=2", "--var", "SHOP_NAME=The new shop")
        came.seen("ok, api 2")

    assert came.turned_away == []
    assert {"The corner shop" in answer for answer in came.answers} == {True, False}
    assert not set(before) & set(first.names("api"))
    now = {each["metadata"]["name"]: each["data"] for each in first.all(CONFIG_MAP)}
    assert {name: now[name] for name in kept} == kept
