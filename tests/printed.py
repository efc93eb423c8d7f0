# SPDX-License-Identifier: Apache-2.0
"""What `flow … --json` printed, held to the published schema, and more strictly: a field that stands in no type is wrong."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

Line = Mapping[str, Any]

_SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "schema" / "flow-1.json").read_text(encoding="utf-8"))
_CLOSED = {name: {**shape, "additionalProperties": False} for name, shape in _SCHEMA["$defs"].items()}
_BY_TYPE = {
    shape["properties"]["type"]["enum"][0]: Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _CLOSED})
    for name, shape in _CLOSED.items()
    if "v" in shape["properties"]
}


def checked(out: str) -> list[Line]:
    """Each line of *out*. Fails with what is wrong about the first that no type allows."""
    lines: list[Line] = [json.loads(line) for line in out.splitlines()]
    for line in lines:
        wrong = [f"{error.json_path}: {error.message}" for error in _BY_TYPE[line["type"]].iter_errors(line)]
        assert (line["type"], wrong) == (line["type"], [])
    return lines


def types(out: str) -> list[str]:
    return [line["type"] for line in checked(out)]
