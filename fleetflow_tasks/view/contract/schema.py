# SPDX-License-Identifier: Apache-2.0
"""The contract as a JSON Schema (2020-12): `python -m fleetflow_tasks.view.contract.schema > docs/schema/flow-1.json`.

msgspec knows the shapes; what stands here besides is what it does not: the version, that every field is always there, and
what each means, which is read from the docstrings. An object may have more fields than are named: that is how it grows.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fleetflow_tasks.view.contract import TYPES, VERSION

Schema = Mapping[str, Any]

_FIELD = re.compile(r"^([a-z_]+): (.+)$")


def schema() -> Schema:
    """Of any line that `flow … --json` may print."""
    _, shapes = msgspec.json.schema_components(list(TYPES.values()), ref_template="#/$defs/{name}")
    classes = {each.__name__: each for each in _classes()}
    defs = {name: _explained(shape, classes[name]) for name, shape in sorted(shapes.items())}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"What flow prints under --json, version {VERSION}",
        "type": "object",
        "oneOf": [{"$ref": f"#/$defs/{each.__name__}"} for each in TYPES.values()],
        "$defs": defs,
    }


def _classes() -> Iterator[type[msgspec.Struct]]:
    from fleetflow_tasks.view.contract import parts

    yield from TYPES.values()
    for each in vars(parts).values():
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            yield each


def _explained(shape: Schema, of: type[msgspec.Struct]) -> Schema:
    told = meanings(of)
    fields = {name: {**each, **_described(told.get(name))} for name, each in shape["properties"].items()}
    tagged = of.__struct_config__.tag is not None
    head = {"v": {"const": VERSION, "description": "The version of the contract."}} if tagged else {}
    return {
        "title": shape["title"],
        "description": summary(of),
        "type": "object",
        "properties": {**head, **fields},
        "required": [*head, *fields],
    }


def _described(meaning: str | None) -> Schema:
    return {"description": meaning} if meaning else {}


def summary(of: type[msgspec.Struct]) -> str:
    """The first lines of its docstring."""
    return " ".join((inspect.getdoc(of) or "").partition("\n\n")[0].split())


def meanings(of: type[msgspec.Struct]) -> Mapping[str, str]:
    """Of each field, by the name that it is printed under; those of the types that it is made from come first."""
    lines = [line for each in reversed(of.__mro__) for line in (each.__doc__ or "").splitlines()]
    return {found[1]: found[2] for line in lines if (found := _FIELD.match(line.strip()))}


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
