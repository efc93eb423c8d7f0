# SPDX-License-Identifier: Apache-2.0
"""The contract of `--json`: schema, page and examples agree, and nothing that is in no type can be printed."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from fleetflow_tasks.errors import EXITS, Place, Problem
from fleetflow_tasks.view import contract
from fleetflow_tasks.view.contract import queries, reference, schema
from fleetflow_tasks.view.contract.examples import EXAMPLES
from fleetflow_tasks.view.contract.printed import PRINTED
from fleetflow_tasks.view.contract.queries import Query
from tests.printed import checked

DOCS = Path(__file__).parents[4] / "docs"


@pytest.mark.parametrize(
    ("module", "file"), [("schema", f"schema/flow-{contract.VERSION}.json"), ("reference", "json.md")]
)
def test_what_is_published_is_what_the_types_make(module: str, file: str) -> None:
    command = [sys.executable, "-m", f"fleetflow_tasks.view.contract.{module}"]
    made = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=True).stdout

    assert (DOCS / file).read_text(encoding="utf-8") == made, f"{' '.join(command[1:])} > docs/{file}"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema.schema())


@pytest.mark.parametrize("kind", contract.TYPES)
def test_each_type_has_an_example_that_its_schema_allows(kind: str) -> None:
    assert [line["type"] for line in checked(contract.line(EXAMPLES[kind]))] == [kind]
    Draft202012Validator(schema.schema()).validate(json.loads(contract.line(EXAMPLES[kind])))


def test_every_field_is_explained_and_always_there() -> None:
    shapes = schema.schema()["$defs"]

    silent = [
        f"{name}.{field}"
        for name, shape in shapes.items()
        for field, each in shape["properties"].items()
        if "description" not in each and field != "type"
    ]
    optional = [name for name, shape in shapes.items() if shape["required"] != list(shape["properties"])]

    assert (silent, optional) == ([], [])


def test_every_type_is_printed_by_some_command() -> None:
    assert {"problems", *(kind for kinds in PRINTED.values() for kind in kinds)} == set(contract.TYPES)


@pytest.mark.parametrize("query", queries.QUERIES, ids=lambda query: query.words)
def test_what_the_page_asks_with_jq_has_that_answer(query: Query) -> None:
    told = subprocess.run(
        ["bash", "-c", f"jq {query.jq}"],
        input=contract.line(EXAMPLES[query.said]),
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout == f"{query.answer}\n"
    assert query.said in PRINTED[query.command]


def test_a_problem_is_printed_with_all_of_its_fields() -> None:
    place = Place(file="fleet.kdl", line=2, text='service "a"')
    problem = Problem(code="x", message="wrong", place=place)

    (told,) = checked(contract.line(contract.made("problems", {"exit_code": None, "problems": [problem]})))

    assert told["problems"] == [
        {
            "code": "x",
            "message": "wrong",
            "cause": [],
            "fix": "",
            "more": "",
            "place": {"file": "fleet.kdl", "line": 2, "column": 1, "length": 1, "text": 'service "a"'},
            "severity": "error",
        }
    ]


def test_what_stands_in_no_type_is_not_printed() -> None:
    fields = {"platform": "cloudrun", "kdl": "", "password": "geheim"}

    assert checked(contract.line(contract.made("import", fields))) == [
        {"v": 1, "type": "import", "platform": "cloudrun", "kdl": ""}
    ]


def test_a_field_that_is_missing_is_our_mistake() -> None:
    with pytest.raises(msgspec.ValidationError, match="missing required field `kdl`"):
        contract.made("import", {"platform": "cloudrun"})


def test_every_exit_code_stands_on_the_page() -> None:
    page = reference.reference()

    assert [code for code, meaning in EXITS.items() if f"| {code} | {meaning} |" not in page] == []
