# SPDX-License-Identifier: Apache-2.0
"""Each example deploys as it lies in the repository, answers as its README says, and goes without a trace."""

import json
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk, eventually

pytestmark = pytest.mark.docker

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def laid(desk: Desk) -> Callable[[str], None]:
    """Lay an example on the desk: under the desk's own project name and on a free port, so that nobody is disturbed."""

    def lay(example: str) -> None:
        shutil.copytree(EXAMPLES / example, desk.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("images"))
        file = desk.folder / "fleet.kdl"
        lines = file.read_text(encoding="utf-8").replace("port 8088 8088", "port container=8088").splitlines()
        named = [f'project "{desk.project}"' if line.startswith("project ") else line for line in lines]
        file.write_text("\n".join(named) + "\n", encoding="utf-8")

    return lay


def port_of(desk: Desk, service: str) -> int:
    """The host port that `flow ps --json` names for *service*: "127.0.0.1:11000->8080/tcp"."""
    answer = json.loads(desk.flow("ps", "--json").out)
    [ports] = [each["ports"] for each in answer["services"] if each["service"] == service]
    return int(ports[0].partition("->")[0].rpartition(":")[2])


def fetched(port: int, path: str = "/", *, data: str | None = None) -> str:
    body = None if data is None else data.encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=body, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_two_services_greet_through_the_one_that_is_published(desk: Desk, laid: Callable[[str], None]) -> None:
    laid("two-services")

    done = desk.flow("up", "--stage=local")

    assert done.code == 0, done
    assert fetched(port_of(desk, "front")) == "hello from FleetFlow\n"
    assert desk.flow("down", "--stage=local").code == 0
    assert desk.container_ids() == []


def test_the_shop_sells_what_the_migration_put_there_and_mails_what_was_bought(
    desk: Desk, laid: Callable[[str], None]
) -> None:
    laid("shop")

    done = desk.flow("up", "--stage=local")

    assert done.code == 0, done
    port = port_of(desk, "web")
    page = fetched(port)
    assert "<li>coffee</li>" in page
    assert "ok, api 1" in page
    assert fetched(port, "/buy", data="tea") == "ordered tea\n"
    eventually(
        lambda: "sent: Your tea is on its way" in desk.flow("logs", "mailer").out,
        timeout=20,
        told=lambda: repr(desk.flow("logs", "--tail", "20")),
    )


def test_the_shop_is_unchanged_when_it_is_deployed_again(desk: Desk, laid: Callable[[str], None]) -> None:
    laid("shop")
    assert desk.flow("up", "--stage=local").code == 0
    before = desk.container_ids()

    again = desk.flow("up", "--stage=local")

    assert again.code == 0
    assert "unchanged" in again.out
    assert desk.container_ids() == before
