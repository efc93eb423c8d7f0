# SPDX-License-Identifier: Apache-2.0
"""The example shop's `prd`, as it stands in the repository: what Cloud Run is asked for, and that it is content with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.testing.cloudrun import Server
from tests.desk import Desk, state_folder

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
PARENT = "projects/example-shop/locations/europe-west1"


@pytest.fixture
def shop(server: Server) -> Iterator[Desk]:
    with state_folder() as state:
        desk = Desk(SHOP, state)
        desk.environ |= server.environ()
        yield desk
        desk.flow("down", "prd")
        desk.close()


def environment(found: Any) -> dict[str, str]:
    """Of its container; a secret by its name."""
    told = {}
    for each in found["template"]["containers"][0]["env"]:
        source = each.get("valueSource", {}).get("secretKeyRef", {})
        told[each["name"]] = f"secret {source['secret']}" if source else each.get("value", "")
    return told


def test_the_part_that_holds_no_data_is_deployed(shop: Desk, client: Client) -> None:
    checked = shop.flow("validate", "prd")
    done = shop.flow("up", "prd", "--canary", "10")
    again = shop.flow("up", "prd")

    assert (checked.code, checked.err, done.code) == (0, "", 0), (checked, done)
    assert again.out == "shop/prd is up to date: 3 services unchanged\n"
    api, web = (client.service(f"{PARENT}/services/shop-prd-{name}") for name in ("api", "web"))
    assert api is not None
    assert environment(api)["DB_PASSWORD"] == "secret shop-db-password"
    assert environment(web)["API_URL"] == api["uri"]
    assert [each["name"].rpartition("/")[2] for each in client.jobs(PARENT)] == ["shop-prd-migrate"]


def test_it_comes_down_again(shop: Desk, client: Client) -> None:
    assert shop.flow("up", "prd").code == 0

    assert shop.flow("down", "prd").code == 0

    assert list(client.services(PARENT)) == []
    assert list(client.jobs(PARENT)) == []
