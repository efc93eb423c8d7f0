# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from fleetflow_tasks import api
from fleetflow_tasks.errors import PlanError

SERVICE = {"name": "projects/p/locations/europe-west1/services/api", "template": {"containers": [{"image": "api:1"}]}}


@pytest.mark.parametrize("platform", ["cloudrun", "cloud-run", "cloud_run"])
def test_what_a_platforms_tool_printed_becomes_kdl_whatever_people_call_the_platform(platform: str) -> None:
    text = api.imported(platform, json.dumps(SERVICE), source="api.json", stage="live")

    assert [line for line in text.splitlines() if line.startswith("stage")] == ['stage "live" {']


def test_a_platform_that_nothing_is_imported_from_is_named_with_the_nearest() -> None:
    with pytest.raises(PlanError) as error:
        api.imported("cloudrum", "{}", source="api.json")

    (problem,) = error.value.problems
    assert problem.message == "nothing is imported from `cloudrum`: did you mean `cloudrun`?"
    assert problem.fix == "name one of `cloudrun`"
