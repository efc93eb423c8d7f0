# SPDX-License-Identifier: Apache-2.0
"""The form in which Cloud Run's objects are thought about: the API's own JSON (v2, REST), plain and camelCase.

Durations are texts (`300s`), enums are names. Only `client` knows the messages that travel; so what is compared, hashed,
shown and rendered is one thing, and no pure room loads a Google package.
"""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def said(**fields: object) -> dict[str, Any]:
    """The fields that say something. `false` and 0 do."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", {}, [])}


def yes(value: bool) -> bool | None:
    """For a field that says nothing where it is false."""
    return value or None


def seconds(duration: float | None) -> str | None:
    """A duration as the API writes it: `300s`, `1.500s`."""
    if duration is None:
        return None
    return f"{duration:.0f}s" if duration == int(duration) else f"{duration:.3f}s"
