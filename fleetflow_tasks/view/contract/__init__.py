# SPDX-License-Identifier: Apache-2.0
"""What `--json` prints, as data: a type for each object that may stand on a line, made here and nowhere else.

The types are apart from those that the engine and the runtimes work with. So a field that comes there is not published by
chance, one that goes there is missed at once, and no secret gets in: no type here could hold one. Whatever is printed is
read into its type first (`made`); the JSON Schema, `docs/json.md` and the tests are made from the same types.

    parts       what answers are made of: a run, a step, a change, a problem
    answers     one object that is a command's whole answer
    streams     lines of which many may come: events of a run, log lines, listening ports
    schema      the types -> JSON Schema
    reference   the types -> docs/json.md

A docstring of a type says in a line for each of its fields what it means; these lines go into schema and page.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fleetflow_tasks.view.contract import answers, streams

VERSION = 1  # grows when a field goes, is renamed, or means something else; fields and types may come at any time


def _tagged() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    for module in (answers, streams):
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, msgspec.Struct) and each.__struct_config__.tag is not None:
                yield str(each.__struct_config__.tag), each


TYPES: Mapping[str, type[msgspec.Struct]] = dict(_tagged())


def made(kind: str, fields: Mapping[str, object]) -> msgspec.Struct:
    """The object of that type. What *fields* hold is read by attribute, so it may be of other types with the same fields.

    Raises msgspec.ValidationError where a field is missing or of another kind: a mistake of ours.
    """
    return msgspec.convert(fields, TYPES[kind], from_attributes=True)


def line(answer: msgspec.Struct) -> str:
    """One line of JSON, which begins with the version."""
    fields: Mapping[str, Any] = msgspec.to_builtins(answer)
    return msgspec.json.encode({"v": VERSION, **fields}).decode()
