# SPDX-License-Identifier: Apache-2.0
"""A value that a template pastes is a text where it stands, whatever it holds."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.config import kdl, template
from fleetflow_tasks.config.locate import Text
from tests.fuzz.documents import Document, Plain, Version, Wanted, Written, documents, values
from tests.fuzz.effort import examples
from tests.fuzz.test_locate import read

# Marks that stand for the variables while a document is drawn; no document holds them otherwise.
HOLES = {"ONE": "\ue001", "TWO": "\ue002"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NASTY = st.sampled_from(
    ['"', "\\", '" } x {', "\n", "//", "/*", "#true", "{{ ONE }}", "{% if %}", "${ONE}", ")", "=", '"#', " "]
)


def with_holes(version: Version) -> st.SearchStrategy[Written]:
    return st.one_of(values(version), st.sampled_from([*_holes()]))


def _holes() -> list[Written]:
    return [
        *(Written(f"{{{{ {name} }}}}", mark) for name, mark in HOLES.items()),
        *(Written(f'"a{{{{ {name} }}}}b"', f"a{mark}b") for name, mark in HOLES.items()),
        *(Written(f"a{{{{ {name} }}}}", f"a{mark}") for name, mark in HOLES.items()),
        *(Written(f'"{{{{ {name} }}}}{{{{ {name} | default("x") }}}}"', mark * 2) for name, mark in HOLES.items()),
    ]


@examples(50)
@given(
    st.one_of(documents(1, value=with_holes), documents(2, value=with_holes)),
    st.tuples(st.one_of(TEXTS, NASTY), st.one_of(TEXTS, NASTY)),
)
def test_no_value_changes_the_structure_of_any_document(document: Document, given_values: tuple[str, str]) -> None:
    variables = dict(zip(HOLES, given_values, strict=True))

    nodes = kdl.parse(template.render(Text("f.kdl", document.text.replace("\r\n", "\n")), variables.get))

    assert read(nodes) == tuple(_filled(node, variables) for node in document.nodes)


def _filled(node: Wanted, variables: Mapping[str, str]) -> Wanted:
    return Wanted(
        node.name,
        tuple(_put(value, variables) for value in node.args),
        {key: _put(value, variables) for key, value in node.props.items()},
        tuple(_filled(child, variables) for child in node.children),
    )


def _put(value: Plain, variables: Mapping[str, str]) -> Plain:
    if not isinstance(value, str):
        return value
    for name, mark in HOLES.items():
        value = value.replace(mark, variables[name])
    return value
