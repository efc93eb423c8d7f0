# SPDX-License-Identifier: Apache-2.0
"""What a document says is what is read, and each node and value stands where it is said to stand."""

from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.config import kdl
from fleetflow_tasks.config.kdl import Node, Value
from fleetflow_tasks.config.locate import Text
from tests.fuzz.documents import Document, Wanted, documents
from tests.fuzz.effort import examples


def read(nodes: tuple[Node, ...]) -> tuple[Wanted, ...]:
    return tuple(
        Wanted(
            node.name,
            tuple(_plain(value) for value in node.args),
            {key: _plain(value) for key, value in node.props.items()},
            read(node.children),
        )
        for node in nodes
    )


def _plain(value: Value) -> str | int | bool | None:
    assert not isinstance(value.value, float)
    return value.value


def check_places(nodes: tuple[Node, ...], text: Text) -> None:
    lines = text.source.split("\n")
    for node in nodes:
        check_place(node, lines)
        for value in (*node.args, *node.props.values()):
            assert kdl.literal(value.raw) == value.value
            assert value.place.line <= len(lines)
        check_places(node.children, text)


def check_place(node: Node, lines: list[str]) -> None:
    """The text at a node's place begins with its name."""
    place = node.place
    line = lines[place.line - 1]
    assert place.text == line
    assert 1 <= place.column <= len(line)
    assert place.column - 1 + place.length <= len(line)
    assert kdl.name_of(line[place.column - 1 : place.column - 1 + place.length]) == node.name


@examples(80)
@given(st.one_of(documents(1), documents(2)))
def test_a_document_is_read_as_it_was_meant_and_located_where_it_stands(document: Document) -> None:
    text = Text("f.kdl", document.text)

    nodes = kdl.parse(text)

    assert read(nodes) == document.nodes
    check_places(nodes, text)
