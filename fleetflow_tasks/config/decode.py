# SPDX-License-Identifier: Apache-2.0
"""Tree + schema -> blocks of checked values.

Knows shapes and types, nothing of services: the rows of `schema` say what may stand where, and `assemble` gives the
blocks their meaning once they are merged. Nothing is dropped in silence and nothing stops at the first mistake: every
wrong thing becomes a Problem with its place, the rest is decoded as if it were not there.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import TypeVar

import msgspec

from fleetflow_tasks.config import quantity
from fleetflow_tasks.config.kdl import Node, Value
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.config.schema import NOT_USED, Row, Type
from fleetflow_tasks.errors import Place, Problem

Decoded = object
"""str, int, float, bool, a tuple of texts, a dict of names, a Block, or a list of Blocks: as the row says."""

_PLAIN_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?", re.ASCII)
T = TypeVar("T")

_LARGEST = 2**63 - 1  # what the platforms' own integers hold
_TRUTH = {"true": True, "false": False}


class Block(msgspec.Struct):
    """A node's fields. places: field name -> where it is said; of a map also `field.KEY`; `""` is the node itself."""

    values: dict[str, Decoded] = {}
    places: dict[str, Place] = {}

    @property
    def place(self) -> Place | None:
        return self.places.get("")

    def get(self, name: str, kind: type[T]) -> T | None:
        """The field, where it is said and of that kind; the schema sees to it that it is."""
        value = self.values.get(name)
        return value if isinstance(value, kind) else None

    def texts(self, name: str) -> dict[str, str]:
        """A map's entries."""
        return dict(self.get(name, dict) or {})

    def plain(self) -> dict[str, object]:
        """All fields without their places."""
        return {name: _plain(value) for name, value in self.values.items()}

    def blocks(self, name: str) -> list["Block"]:
        value = self.values.get(name)
        return value if isinstance(value, list) else []


def _plain(value: Decoded) -> object:
    if isinstance(value, Block):
        return value.plain()
    if isinstance(value, list):
        return tuple(_plain(each) for each in value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def decode(nodes: Iterable[Node], row: Row, *, strict: bool = False) -> tuple[Block, list[Problem]]:
    """The nodes of a document as one block. Unknown names are warnings; errors where *strict*."""
    decoder = _Decoder(strict=strict)
    block = Block()
    decoder.children(block, tuple(nodes), row, where="")
    return block, decoder.problems


class _Decoder:
    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.problems: list[Problem] = []

    # --- nodes, by the kind of their row

    def children(self, block: Block, nodes: tuple[Node, ...], row: Row, *, where: str) -> None:
        said: set[str] = set()
        for node in nodes:
            child = row.row(node.name)
            if child is None:
                self._unknown_node(node, row, where)
                continue
            if child.kind in ("value", "values") and child.field in said:
                self._note(node.place, "said-twice", f"`{child.name}` is said twice{where}; the last one counts")
            self._put(block, node, child, first=child.field not in said)
            said.add(child.field)

    def _put(self, block: Block, node: Node, row: Row, *, first: bool) -> None:
        """Decode *node* into its field of *block*; the first of a list replaces nothing, the next ones add."""
        self._repeated(node)
        if row.later:
            self._error(node.place, "not-supported", f"`{row.name}` is not supported yet", row.later)
            return
        block.places.setdefault(row.field, node.place)
        if row.kind == "value":
            self._set(block, row, self._value(node, row))
        elif row.kind == "values":
            block.values[row.field] = self._values(node, row)
        elif row.kind == "map":
            self._map(block, node, row)
        elif row.kind == "list":
            self._extend(block, row, self._list(node, row), first=first)
        elif row.emptied and not (node.args or node.props or node.children):
            block.values[row.field] = []
        elif row.many:
            self._extend(block, row, [self._block(node, row)], first=first)
        else:
            self._merge_block(block, row, self._block(node, row))

    def _set(self, block: Block, row: Row, value: Decoded | None) -> None:
        if value is not None:
            block.values[row.field] = value

    def _extend(self, block: Block, row: Row, elements: list[Block], *, first: bool) -> None:
        block.values[row.field] = elements if first else [*block.blocks(row.field), *elements]

    def _merge_block(self, block: Block, row: Row, new: Block) -> None:
        old = block.values.get(row.field)
        if isinstance(old, Block):
            new = Block({**old.values, **new.values}, {**old.places, **new.places})
        block.values[row.field] = new

    def _value(self, node: Node, row: Row) -> Decoded | None:
        self._no_children(node)
        self._no_props(node)
        if not node.args:
            self._error(node.place, "no-value", f"`{node.name}` has no value", _write(row))
            return None
        if len(node.args) > 1:
            self._error(node.args[1].place, "too-many-values", f"`{node.name}` takes one value, not {len(node.args)}")
            return None
        return self.scalar(node.args[0], row, node.name)

    def _values(self, node: Node, row: Row) -> tuple[str, ...]:
        self._no_children(node)
        self._no_props(node)
        texts = [self.scalar(arg, row, node.name) for arg in node.args]
        return tuple(text for text in texts if isinstance(text, str))

    def _map(self, block: Block, node: Node, row: Row) -> None:
        for arg in node.args:
            self._error(
                arg.place, "unexpected-value", f"`{node.name}` takes names with values, not {arg.shown}", _write(row)
            )
        entry = row.rows[0]
        old = block.values.get(row.field)
        entries: dict[str, Decoded] = dict(old) if isinstance(old, dict) else {}
        for key, value in node.props.items():
            self._entry(block, row, entries, key, value.place, self._from_prop(node, entry, key, value))
        for child in node.children:
            self._repeated(child)
            decoded = self._block(child, entry) if entry.kind == "block" else self._value(child, entry)
            self._entry(block, row, entries, child.name, child.place, decoded)
        block.values[row.field] = entries

    def _entry(
        self, block: Block, row: Row, entries: dict[str, Decoded], key: str, place: Place, value: Decoded | None
    ) -> None:
        if not key or "=" in key or "\0" in key:
            self._error(place, "bad-name", f'`"{key}"` cannot be a name in `{row.name}`', "use letters, digits and `_`")
        elif value is not None:
            entries[key] = value
            block.places[f"{row.field}.{key}"] = place

    def _from_prop(self, node: Node, entry: Row, key: str, value: Value) -> Decoded | None:
        if entry.kind == "block":
            fix = f"write `{node.name} {{ NAME {entry.rows[0].name}=… }}`"
            self._error(value.place, "unexpected-value", f"`{node.name}` takes no values of its own", fix)
            return None
        return self.scalar(value, entry, key)

    def _list(self, node: Node, row: Row) -> list[Block]:
        element = row.rows[0]
        elements = []
        for arg in node.args:
            block = Block(places={"": arg.place})
            self._set_field(block, element.row(element.positional[0]), arg, node.name)
            self._props(block, node, element)
            elements.append(block)
        if node.props and not node.args:
            self._no_props(node)
        for child in node.children:
            if child.name in element.names():
                self._repeated(child)
                elements.append(self._block(child, element))
            else:
                self._unknown_node(child, Row(name=row.name, doc="", rows=(element,)), f" in `{row.name}`")
        return elements

    def _block(self, node: Node, row: Row) -> Block:
        block = Block(places={"": node.place})
        for name, arg in zip(row.positional, node.args, strict=False):
            self._set_field(block, row.row(name), arg, node.name)
        for arg in node.args[len(row.positional) :]:
            self._error(arg.place, "unexpected-value", f"`{node.name}` takes no value {arg.shown} here", _write(row))
        self._props(block, node, row)
        self.children(block, node.children, row, where=_where(node))
        for child in row.rows:
            if child.required and child.field not in block.places:
                self._error(node.place, "missing", f"`{node.name}` needs `{child.name}`", _write(row))
        return block

    def _props(self, block: Block, node: Node, row: Row) -> None:
        for key, value in node.props.items():
            child = row.row(key)
            if child is None or child.kind not in ("value", "values"):
                names = [name for each in row.rows if each.kind == "value" for name in each.names()]
                self._unknown(value.key_place, "property", key, names, _where(node))
            else:
                self._set_field(block, child, value)

    def _set_field(self, block: Block, row: Row | None, value: Value, name: str = "") -> None:
        assert row is not None  # noqa: S101  (a schema names its own rows)
        block.places[row.field] = value.place
        decoded = self.scalar(value, row, name)
        if decoded is not None:
            block.values[row.field] = (decoded,) if row.kind == "values" else decoded

    # --- scalars

    def scalar(self, value: Value, row: Row, name: str = "") -> Decoded | None:
        """The value as the row's type has it; None, and a problem, where it is something else.

        name: what the user calls it, where that is not the row's name.
        """
        name = name or row.name
        if value.value is None:
            self._error(value.place, "no-value", f"`{name}` has no value", 'write `""` where an empty text is meant')
            return None
        decoded = _CONVERSIONS[row.type](value)
        if decoded is None:
            self._error(
                value.place, "wrong-type", f"`{name}` takes {_wanted(row)}, not {value.shown}", _hint(value, row)
            )
            return None
        if row.choices and decoded not in row.choices:
            self._error(
                value.place,
                "wrong-choice",
                f"`{name}` cannot be {value.shown}",
                suggestion(str(decoded), row.choices),
            )
            return None
        if isinstance(decoded, (int, float)) and not _within(decoded, row):
            self._error(value.place, "out-of-range", f"`{name}` takes {_wanted(row)}, not {value.shown}")
            return None
        return decoded

    # --- what is wrong

    def _unknown_node(self, node: Node, row: Row, where: str) -> None:
        if node.name in NOT_USED:
            message = f"`{node.name}` is not used by this tool"
            if not any(problem.message == message for problem in self.problems):
                fix = "it was for an earlier tool of the same name; remove it when nobody else reads it"
                self.problems.append(
                    Problem(code="not-used", message=message, fix=fix, place=node.place, severity="note")
                )
            return
        names = [name for child in row.rows if child.name not in row.positional for name in child.names()]
        self._unknown(node.place, "node", node.name, names, where)

    def _unknown(self, place: Place, kind: str, name: str, known: Iterable[str], where: str) -> None:
        self.problems.append(
            Problem(
                code=f"unknown-{kind}",
                message=f"unknown {kind} `{name}`{where}",
                fix=suggestion(name, known),
                place=place,
                severity="error" if self.strict else "warning",
            )
        )

    def _repeated(self, node: Node) -> None:
        for value in node.repeated:
            self._note(value.place, "said-twice", f"`{node.name}` gives a property twice; the last one counts")

    def _no_children(self, node: Node) -> None:
        for child in node.children[:1]:
            self._error(child.place, "unexpected-node", f"`{node.name}` takes no block")

    def _no_props(self, node: Node) -> None:
        for key, value in list(node.props.items())[:1]:
            self._error(value.place, "unexpected-property", f"`{node.name}` takes no property `{key}`")

    def _note(self, place: Place, code: str, message: str) -> None:
        self.problems.append(Problem(code=code, message=message, place=place, severity="warning"))

    def _error(self, place: Place, code: str, message: str, fix: str = "") -> None:
        self.problems.append(Problem(code=code, message=message, fix=fix, place=place))


def _where(node: Node) -> str:
    if node.name in ("service", "stage") and node.args:
        return f" in {node.name} `{node.args[0].value}`"
    return f" in `{node.name}`"


def _write(row: Row) -> str:
    return f"write `{row.example}`" if row.example else ""


def _wanted(row: Row) -> str:
    limits = ""
    if row.low is not None and row.high is not None:
        limits = f" from {row.low:g} to {row.high:g}"
    elif row.low is not None:
        limits = f" of at least {row.low:g}"
    return _WANTED[row.type] + limits


def _hint(value: Value, row: Row) -> str:
    """What Compose users write in one string, FleetFlow has in two."""
    text = str(value.value)
    if row.name in ("host", "container") and re.fullmatch(r"\d+:\d+", text, re.ASCII):
        return f"write `port {text.replace(':', ' ')}`"
    return ""


def _within(number: float, row: Row) -> bool:
    low = -_LARGEST if row.low is None else row.low
    high = _LARGEST if row.high is None else row.high
    return low <= number <= high


def _text(value: Value) -> str | None:
    plain = value.value
    if isinstance(plain, str):
        return None if "\0" in plain else plain
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return value.raw if _PLAIN_NUMBER.fullmatch(value.raw) else str(plain)


def _int(value: Value) -> int | None:
    plain = value.value
    if isinstance(plain, str) and re.fullmatch(r"[-+]?\d{1,30}", plain.strip(), re.ASCII):
        return int(plain)
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    return plain if isinstance(plain, int) and not isinstance(plain, bool) else None


def _number(value: Value) -> int | float | None:
    plain = value.value
    if plain is None or isinstance(plain, (bool, str)) or not isfinite(plain):
        return None
    return plain


def _bool(value: Value) -> bool | None:
    plain = value.value
    if isinstance(plain, str):
        return _TRUTH.get(plain.strip().lower())
    return plain if isinstance(plain, bool) else None


def _seconds(value: Value) -> float | None:
    return _float(quantity.seconds(value.value) if isinstance(value.value, str) else _number(value))


def _cores(value: Value) -> float | None:
    return _float(quantity.cores(value.value) if isinstance(value.value, str) else _number(value))


def _float(number: float | None) -> float | None:
    """A float, also of what is a whole number; what no float can hold is out of every range."""
    return None if number is None or abs(number) > _LARGEST else float(number)


def _bytes(value: Value) -> int | None:
    number = quantity.size(value.value) if isinstance(value.value, str) else _number(value)
    return None if number is None else round(number)


_CONVERSIONS: Mapping[Type, Callable[[Value], Decoded | None]] = {
    "text": _text,
    "int": _int,
    "bool": _bool,
    "seconds": _seconds,
    "bytes": _bytes,
    "cores": _cores,
}

_WANTED: Mapping[Type, str] = {
    "text": "text",
    "int": "a whole number",
    "bool": "true or false",
    "seconds": "seconds (`30`, `5m`)",
    "bytes": "bytes (`256Mi`, `1g`)",
    "cores": "cores (`0.5`, `500m`)",
}
