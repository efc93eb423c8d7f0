# SPDX-License-Identifier: Apache-2.0
import json

from fleetflow_tasks.api.interacting import Forwarded
from fleetflow_tasks.view import forwarded


def test_a_port_says_where_it_listens_and_where_it_leads() -> None:
    here = Forwarded(address="127.0.0.1", port=8080, remote=80, to="pod api-x")

    assert forwarded.text("api", here) == "127.0.0.1:8080 -> api:80 (pod api-x)"
    assert json.loads(forwarded.as_json("api", here)) == {
        "v": 1,
        "type": "forward",
        "service": "api",
        "address": "127.0.0.1",
        "port": 8080,
        "remote": 80,
        "to": "pod api-x",
    }


def test_an_address_with_colons_is_written_as_in_an_url() -> None:
    assert forwarded.text("api", Forwarded(address="::1", port=1, remote=2, to="x")) == "[::1]:1 -> api:2 (x)"
