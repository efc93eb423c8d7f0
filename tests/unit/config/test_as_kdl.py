# SPDX-License-Identifier: Apache-2.0
"""Whatever a value holds, what is written reads back as that value, and as nothing else."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleetflow_tasks.config.as_kdl import Mixed, Node, Reference, Remark, block, kdl, node, switch
from fleetflow_tasks.config.load import load

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def test_a_document_is_nodes_with_their_blocks_and_remarks() -> None:
    inner = (Remark(text="why:\n{{ X }}"), node("port", 80, container=8080), switch("job"), node("true", 1.5, False))

    assert kdl([block("service", *inner, args=("api",)), Node(name="empty", children=())]).splitlines() == [
        'service "api" {',
        "    // why: { { X }}",
        "    port 80 container=8080",
        "    job #true",
        '    "true" 1.5 #false',
        "}",
        "empty {",
        "}",
    ]


@given(TEXTS, TEXTS)
@example("{{ X }}", "{% if %}")
@example("${HOME} $$ $", '\\"\n\t\r\u2028\u202e\ufeff')
@settings(deadline=None, max_examples=50)
def test_any_text_reads_back_as_it_was_and_so_does_the_one_behind_a_remark(value: str, remark: str) -> None:
    text = kdl([Remark(text=remark), block("service", block("environment", node("A", value)), args=("a",))])

    with TemporaryDirectory() as folder:
        Path(folder, "fleet.kdl").write_text(text + 'stage "s" { service "a" { image "a" } }\n', encoding="utf-8")
        (stage,) = load(Path(folder)).project.stages

    assert stage.services[0].environment == {"A": value}


def test_a_remark_stands_behind_the_first_line_of_its_node() -> None:
    inner = Node(name="A", args=(Mixed(pieces=("$ ", Reference(name="X"), '"')),), behind="here: {{ X }}")

    assert kdl([Node(name="environment", children=(inner,), behind="there"), node("b", 2.0, 0.1)]).splitlines() == [
        "environment {  // there",
        '    A "$$ ${X}\\""  // here: { { X }}',
        "}",
        "b 2 0.1",
    ]
