# SPDX-License-Identifier: Apache-2.0
"""`UpdateServiceRequest.update_mask`: "Optional. The list of fields to be updated"; without it, all of them (AIP-134)."""

from collections.abc import Collection
from copy import deepcopy
from typing import Any

from .refused import Refused

Json = dict[str, Any]


def applied(before: Json, said: Json, mask: str, fields: Collection[str]) -> Json:
    """What is asked for. mask: a FieldMask as JSON writes it: camelCase, commas between. fields: that may stand in it."""
    if not mask or mask == "*":
        return said
    asked = {key: deepcopy(before[key]) for key in fields if key in before}
    for path in mask.split(","):
        steps = path.split(".")
        if steps[0] not in fields:
            raise Refused("INVALID_ARGUMENT", f"The field '{path}' cannot be updated.")
        _taken(asked, said, steps)
    return asked


def _taken(asked: Json, said: Json, steps: list[str]) -> None:
    for step in steps[:-1]:
        asked, said = asked.setdefault(step, {}), said.get(step, {})
    if steps[-1] in said:
        asked[steps[-1]] = deepcopy(said[steps[-1]])
    else:
        asked.pop(steps[-1], None)
