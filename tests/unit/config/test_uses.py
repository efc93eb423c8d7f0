# SPDX-License-Identifier: Apache-2.0
"""Which variables a text uses, and in which node."""

from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.uses import Use, uses, uses_of_lines


def shown(use: Use) -> str:
    where = f" in {use.node}" if use.node else ""
    return f"{use.name} at {use.place}{where}: {' > '.join(use.inside)}"


def test_a_reference_is_found_in_its_token_and_its_node() -> None:
    text = Text(
        "a.kdl",
        'service "api" { environment { A "$$${X}${X:-${Y}}"; /-B "${NO}" }; image x="${Z}" } // ${NOR}\n"stage" "a" { "service" "b" }',
    )

    assert [shown(use) for use in uses(text, ())] == [
        "X at a.kdl:1:33 in a.kdl:1:31: service api > environment > A",
        "X at a.kdl:1:33 in a.kdl:1:31: service api > environment > A",
        "Y at a.kdl:1:33 in a.kdl:1:31: service api > environment > A",
        "Z at a.kdl:1:76 in a.kdl:1:68: service api > image",
    ]


def test_an_expression_uses_the_variables_whose_names_stand_in_it_outside_of_texts() -> None:
    text = Text(
        "a.kdl",
        'stage "s" {\n  service "{{ X | default("Y") }}" { port {{ P }} }\n  {% if Z and \'Y\' == "Y" %}a{% endif %}\n}\n{% if X %}{% endif %}',
    )

    assert [shown(use) for use in uses(text, {"X", "Y", "P", "Z"})] == [
        'X at a.kdl:2:11 in a.kdl:2:3: stage s > service "{{ X | default("Y") }}"',
        'P at a.kdl:2:43 in a.kdl:2:38: stage s > service "{{ X | default("Y") }}" > port',
        "Z at a.kdl:3:3: stage s",
        "X at a.kdl:5:1: ",
    ]


def test_lines_of_an_env_file_use_by_reference_alone() -> None:
    assert [shown(use) for use in uses_of_lines(Text(".env", "A=${X}\nB={{ Y }}\nC='${Z}'"))] == [
        "X at .env:1:1: ",
        "Z at .env:3:1: ",
    ]
