# SPDX-License-Identifier: Apache-2.0
"""How much is tried: little in `make test`, which takes half a minute, and as much as there is time for in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("FLEETFLOW_TEST_FUZZ") == "long"
_TIMES = 10


def examples(number: int) -> settings:
    """That many examples of a property, and ten times as many in `make fuzz`; no clock decides whether it holds."""
    return settings(
        max_examples=number * (_TIMES if LONG else 1),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=True,
    )
