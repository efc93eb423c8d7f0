# SPDX-License-Identifier: Apache-2.0
"""Values + schema -> nodes: `decode`, the other way round.

What is written reads back as the same values. A node of single values stands on one line, anything else in a block; the
names are the language's own, never an alias. What a value holds beyond the row is not written: a row is what the
language can say.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import cast

from fleetflow_tasks.config.as_kdl import Node, Scalar
from fleetflow_tasks.config.provenance import Path
from fleetflow_tasks.config.schema import Row

_UNITS = {"Ti": 1 << 40, "Gi": 1 << 30, "Mi": 1 << 20, "Ki": 1 << 10}

Values = Mapping[str, object]
"""Field -> its value, as a block of `decode` holds it: scalars, tuples, maps, maps of fields, lists of these."""

Said = Callable[[Path], str]
"""What to say behind the line of that path; empty for nothing."""


def nodes(values: Values, row: Row, said: Said, path: Path = ()) -> tuple[Node, ...]:
    """The children of a node that *row* describes, in the order of its rows."""
    return tuple(
        node for child in _rows(row) for node in _written(values.get(child.field), child, said, (*path, child.field))
    )


def _rows(row: Row) -> Iterator[Row]:
    """One for each field; where there is a node for each element and a list of them, the first."""
    fields: dict[str, Row] = {}
    for child in row.rows:
        if child.field not in fields or child.many:
            fields[child.field] = child
    yield from fields.values()


def _written(value: object, row: Row, said: Said, path: Path) -> Iterator[Node]:
    if value is None:
        return
    if row.kind == "value":
        yield Node(name=row.name, args=(_scalar(value, row),), behind=said(path))
    elif row.kind == "values":
        yield Node(name=row.name, args=tuple(cast("Sequence[Scalar]", value)), behind=said(path))
    elif row.kind == "map":
        yield _map(cast("Values", value), row, said, path)
    elif row.many:
        for index, element in enumerate(cast("Sequence[Values]", value)):
            yield _element(row.name, element, row, said, (*path, index))
    elif row.kind == "list":
        elements = enumerate(cast("Sequence[Values]", value))
        inner = tuple(_element(row.rows[0].name, each, row.rows[0], said, (*path, index)) for index, each in elements)
        yield Node(name=row.name, children=inner, behind=said(path))
    else:
        yield _block(row.name, cast("Values", value), row, said, path)


def _map(entries: Values, row: Row, said: Said, path: Path) -> Node:
    entry = row.rows[0]
    inner = (
        _element(key, cast("Values", value), entry, said, (*path, key))
        if entry.kind == "block"
        else Node(name=key, args=(cast("Scalar", value),), behind=said((*path, key)))
        for key, value in entries.items()
    )
    return Node(name=row.name, children=tuple(inner), behind=said(path))


def _element(name: str, values: Values, row: Row, said: Said, path: Path) -> Node:
    """On one line where it can hold nothing but single values."""
    if any(child.kind != "value" for child in row.rows):
        return _block(name, values, row, said, path)
    there = {child.name: _scalar(values[child.field], child) for child in row.rows if child.field in values}
    leading = list(takewhile(there.__contains__, row.positional))
    props = {key: value for key, value in there.items() if key not in leading}
    return Node(name=name, args=tuple(there[key] for key in leading), props=props, behind=said(path))


def _block(name: str, values: Values, row: Row, said: Said, path: Path) -> Node:
    """Over several lines, each with its own origin. What the node cannot do without stands behind its name."""
    heads = [child for child in row.rows if child.required and child.name in row.positional]
    args = tuple(cast("Scalar", values[child.field]) for child in heads)
    rest = {field: value for field, value in values.items() if field not in {child.field for child in heads}}
    # A bare node would take back what an earlier one said, where that means something.
    children = nodes(rest, row, said, path) or (() if row.emptied else None)
    return Node(name=name, args=args, children=children, behind=said(path))


def _scalar(value: object, row: Row) -> Scalar:
    """Bytes in the largest unit that they are a whole number of."""
    if row.type != "bytes":
        return cast("Scalar", value)
    size = cast("int", value)
    unit = next((each for each in _UNITS if size and size % _UNITS[each] == 0), "")
    return f"{size // _UNITS[unit]}{unit}" if unit else size
