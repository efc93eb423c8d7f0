# SPDX-License-Identifier: Apache-2.0
"""Objects as YAML, and back."""

import pytest
import yaml as pyyaml

from fleetflow_tasks.runtimes.as_yaml import yaml


def test_a_field_that_people_look_for_stands_first_and_nothing_is_an_alias() -> None:
    shared = {"b": 1, "a": 2}

    text = yaml([{"spec": [shared, shared], "kind": "X", "apiVersion": "v1"}])

    assert text == "---\napiVersion: v1\nkind: X\nspec:\n- a: 2\n  b: 1\n- a: 2\n  b: 1\n"


@pytest.mark.parametrize("text", ["é", "a\x85b", "\x85", "é\u2028", "\u2029"])
def test_whatever_breaks_a_line_is_read_as_it_was(text: str) -> None:
    assert pyyaml.safe_load(yaml([{"x": text}], started=False)) == {"x": text}


def test_what_people_write_stays_legible() -> None:
    assert yaml([{"x": "é…😀"}], started=False) == "x: é…😀\n"
