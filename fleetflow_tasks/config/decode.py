# SPDX-License-Identifier: Apache-2.0
"""Tree + schema -> blocks of checked values.

Knows shapes and types, nothing of services: the rows of `schema` say what may stand where, and `assemble` gives the
blocks their meaning once they are merged. Nothing is dropped in silence and nothing stops at the first mistake: every
wrong thing becomes a Problem with its place, the rest is decoded as if it were not there.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Literal, TypeVar

import msgspec

from fleetflow_tasks.config.kdl import Node, Value
from fleetflow_tasks.config.limits import MAX_PROBLEMS
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.config.scalar import converted, hint, wanted, within
from fleetflow_tasks.config.schema import NOT_USED, Row, every_row
from fleetflow_tasks.errors import Place, Problem

Decoded = object
"""str, int, float, bool, a tuple of texts, a dict of names, a Block, or a list of Blocks: as the row says.

None: a later definition takes back what an earlier one said.
"""

T = TypeVar("T")

_HOMES = 3  # that a misplaced node is sent to; more helps nobody


_SHOWN = 80  # characters of a service's name; a thousand problems may repeat it


class Block(msgspec.Struct):
    """A node's fields. places: field name -> where it is said; of a map also `field.KEY`; `""` is the node itself.

    beaten: where a field is said too, without counting any more; the strongest first.
    """

    values: dict[str, Decoded] = {}
    places: dict[str, Place] = {}
    beaten: dict[str, tuple[Place, ...]] = {}

    @property
    def place(self) -> Place | None:
        return self.places.get("")

    def get(self, name: str, kind: type[T]) -> T | None:
        """The field, where it is said and of that kind; the schema sees to it that it is."""
        value = self.values.get(name)
        return value if isinstance(value, kind) else None

    def said_at(self, name: str, place: Place) -> None:
        """What is said of the field from now on is said there."""
        if name in self.places:
            self.beaten[name] = (self.places[name], *self.beaten.get(name, ()))
        self.places[name] = place

    def texts(self, name: str) -> dict[str, str]:
        """A map's entries."""
        return dict(self.get(name, dict) or {})

    def plain(self) -> dict[str, object]:
        """All fields without their places."""
        return {name: _plain(value) for name, value in self.values.items() if value is not None}

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
    decoder = _Decoder(row, strict=strict)
    block = Block()
    with suppress(_EnoughError):
        decoder.children(block, tuple(nodes), row, where="")
    return block, decoder.problems


class _EnoughError(Exception):
    """More errors than anybody mends at once: the rest is not looked at."""


class _Decoder:
    def __init__(self, root: Row, *, strict: bool) -> None:
        self.root = root
        self.strict = strict
        self.problems: list[Problem] = []
        self.left = MAX_PROBLEMS

    # --- nodes, by the kind of their row

    def children(self, block: Block, nodes: tuple[Node, ...], row: Row, *, where: str) -> None:
        for node in nodes:
            child = row.row(node.name)
            if child is None:
                self._unknown_node(node, row, where)
                continue
            again = child.field in block.places
            if again and child.kind in ("value", "values") and not child.many:
                self._again(node.place, f"`{child.name}` is said twice{where}")
            self._put(block, node, child, first=not again)

    def _put(self, block: Block, node: Node, row: Row, *, first: bool) -> None:
        """Decode *node* into its field of *block*; the first of a list replaces nothing, the next ones add."""
        self._repeated(node)
        if row.kind in ("value", "values") and not row.many:
            block.said_at(row.field, node.place)
        block.places.setdefault(row.field, node.place)
        if row.emptied and _bare(node, row):
            block.values[row.field] = [] if row.many else None
        elif row.kind == "value":
            self._set(block, row, self._value(node, row))
        elif row.kind == "values":
            block.values[row.field] = self._values(node, row)
        elif row.kind == "map":
            self._map(block, node, row)
        elif row.kind == "list":
            self._extend(block, row, self._list(node, row), first=first)
        elif row.many:
            self._extend(block, row, [self._block(node, row)], first=first)
        else:
            block.values[row.field] = self._block(node, row, block.get(row.field, Block))

    def _set(self, block: Block, row: Row, value: Decoded | None) -> None:
        if value is not None:
            block.values[row.field] = value

    def _extend(self, block: Block, row: Row, elements: list[Block], *, first: bool) -> None:
        if first:
            block.values[row.field] = elements
        else:
            block.blocks(row.field).extend(elements)

    def _value(self, node: Node, row: Row) -> Decoded | None:
        self._no_children(node)
        self._no_props(node)
        if not node.args:
            self._no_value(node, row)
            return None
        if len(node.args) > 1:
            self._error(node.args[1].place, "too-many-values", f"`{node.name}` takes one value, not {len(node.args)}")
            return None
        return self.scalar(node.args[0], row, node.name)

    def _values(self, node: Node, row: Row) -> tuple[str, ...]:
        self._no_children(node)
        self._no_props(node)
        if row.many and not node.args:  # there is no earlier one to take back
            self._no_value(node, row)
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
            earlier = block.places.get(f"{row.field}.{key}")
            if earlier is not None and earlier.file == place.file:
                self._again(place, f"`{key}` is said twice in `{row.name}`")
            entries[key] = value
            block.said_at(f"{row.field}.{key}", place)

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

    def _block(self, node: Node, row: Row, block: Block | None = None) -> Block:
        """block: what an earlier node of that name said, to be added to."""
        block = block or Block(places={"": node.place})
        before = frozenset(block.places)
        for name, arg in zip(row.positional, node.args, strict=False):
            self._set_field(block, row.row(name), arg, node.name, before)
        for arg in node.args[len(row.positional) :]:
            self._error(arg.place, "unexpected-value", f"`{node.name}` takes no value {arg.shown} here", _write(row))
        self._props(block, node, row, before)
        self.children(block, node.children, row, where=_where(node))
        for child in row.rows:
            if child.required and child.field not in block.places:
                self._error(node.place, "incomplete", f"`{node.name}` needs `{child.name}`", _write(row))
        return block

    def _props(self, block: Block, node: Node, row: Row, before: Collection[str] = ()) -> None:
        for key, value in node.props.items():
            child = row.row(key)
            if child is None or child.kind not in ("value", "values"):
                self._unknown_property(value, key, row, child, _where(node))
            else:
                self._set_field(block, child, value, before=before)

    def _set_field(
        self, block: Block, row: Row | None, value: Value, name: str = "", before: Collection[str] = ()
    ) -> None:
        """before: the fields that an earlier node of the same name said."""
        assert row is not None  # noqa: S101  (a schema names its own rows)
        if row.field in before:
            self._again(value.place, f"`{row.name}` is said twice")
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
        decoded = converted(value, row.type)
        if decoded is None:
            self._error(value.place, "wrong-type", f"`{name}` takes {wanted(row)}, not {value.shown}", hint(value, row))
            return None
        if row.choices and decoded not in row.choices:
            self._error(
                value.place,
                "wrong-choice",
                f"`{name}` cannot be {value.shown}",
                suggestion(str(decoded), row.choices),
            )
            return None
        if isinstance(decoded, (int, float)) and not within(decoded, row):
            self._error(value.place, "out-of-range", f"`{name}` takes {wanted(row)}, not {value.shown}")
            return None
        return decoded

    # --- what is wrong

    def _unknown_node(self, node: Node, row: Row, where: str) -> None:
        if node.name in NOT_USED:
            self._not_used(node.name, node.place)
            return
        names = (name for child in row.rows if child.name not in row.positional for name in child.names())
        fix = self._tired() or self._home(node.name) or suggestion(node.name, names)
        self._unknown(node.place, "node", node.name, where, fix)

    def _unknown_property(self, value: Value, key: str, row: Row, child: Row | None, where: str) -> None:
        """child: the row of that name, where it is one that no property can fill."""
        if child is None and key in NOT_USED:
            self._not_used(key, value.key_place)
            return
        names = [name for each in row.rows if each.kind == "value" for name in each.names()]
        fix = _write(child) if child is not None else self._tired() or self._home(key) or suggestion(key, names)
        self._unknown(value.key_place, "property", key, where, fix)

    def _not_used(self, name: str, place: Place) -> None:
        message = f"`{name}` is not used by this tool"
        fix = "it was for an earlier tool of the same name; remove it when nobody else reads it"
        self.problems.append(Problem(code="not-used", message=message, fix=fix, place=place, severity="note"))

    def _unknown(self, place: Place, kind: str, name: str, where: str, fix: str) -> None:
        severity: Literal["error", "warning"] = "error" if self.strict else "warning"
        message = f"unknown {kind} `{name}`{where}"
        self.problems.append(Problem(code=f"unknown-{kind}", message=message, fix=fix, place=place, severity=severity))

    def _tired(self) -> str:
        """A suggestion takes its time, and nobody reads hundreds: from there on it is this one."""
        return "see those above" if len(self.problems) >= MAX_PROBLEMS else ""

    @cached_property
    def _parents(self) -> Mapping[str, set[str]]:
        """Name of a node -> those that it may stand in; made for the first mistake."""
        parents: dict[str, set[str]] = {}
        for row in every_row(self.root):
            for child in row.rows if row.kind != "map" else ():
                for name in child.names():
                    parents.setdefault(name, set()).add(row.name)
        return parents

    def _home(self, name: str) -> str:
        """Where the language has a node of that name, as it is not where it stands; empty where it has none."""
        parents = self._parents.get(name, set())
        homes = sorted(parents & {"", "service", "stage"}) or sorted(parents)
        said = " or ".join(f"into `{home}`" if home else "at top level" for home in homes)
        return f"`{name}` belongs {said}" if 0 < len(homes) <= _HOMES else ""

    def _repeated(self, node: Node) -> None:
        for value in node.repeated:
            self._again(value.place, f"`{node.name}` gives a property twice")

    def _no_value(self, node: Node, row: Row) -> None:
        self._error(node.place, "no-value", f"`{node.name}` has no value", _write(row))

    def _no_children(self, node: Node) -> None:
        for child in node.children[:1]:
            self._error(child.place, "unexpected-node", f"`{node.name}` takes no block")

    def _no_props(self, node: Node) -> None:
        for key, value in list(node.props.items())[:1]:
            self._error(value.place, "unexpected-property", f"`{node.name}` takes no property `{key}`")

    def _again(self, place: Place, message: str) -> None:
        message = f"{message}; the last one counts"
        self.problems.append(Problem(code="said-twice", message=message, place=place, severity="warning"))

    def _error(self, place: Place, code: str, message: str, fix: str = "") -> None:
        self.problems.append(Problem(code=code, message=message, fix=fix, place=place))
        self.left -= 1
        if self.left < 0:
            raise _EnoughError


def _where(node: Node) -> str:
    if node.name in ("service", "stage") and node.args:
        return f" in {node.name} `{str(node.args[0].value)[:_SHOWN]}`"
    return f" in `{node.name}`"


def _write(row: Row) -> str:
    return f"write `{row.example}`" if row.example else ""


def _bare(node: Node, row: Row) -> bool:
    """Whether it says nothing. `environment { }` says that there is nothing to add, as an `if` may leave it."""
    return not (node.args or node.props or node.children) and (row.many or not node.block)
