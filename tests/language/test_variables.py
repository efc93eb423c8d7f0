# SPDX-License-Identifier: Apache-2.0
"""The language, 5: variables."""

import pytest

from .conftest import Written, lines

LOCAL = '\nstage "local" { service "web" }'


def web(body: str, before: str = "", stage: str = LOCAL) -> str:
    """One service whose body begins in line 2, column 5, where nothing stands before it."""
    return f'{before}service "web" {{\n    image "nginx:1"; {body}\n}}{stage}'


def value(shop: Written, text: str, variables: str = "") -> str:
    before = f"variables {{ {variables} }}\n" if variables else ""
    return shop(web(f'environment A="{text}"', before)).service("web").environment["A"]


# --- templates


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ NAME }}", "Ada"),
        ("{{ NOBODY | default('x') }}", "x"),
        ('{{ NOBODY | default("x") }}', "x"),
        ('{{ NOBODY | default(value="x") }}', "x"),
        ('{{ NAME | default(value="x") | upper }}', "ADA"),
        ("{{ NAME | lower }}", "ada"),
        ("{% if NAME %}yes{% else %}no{% endif %}", "yes"),
        ('{% if NAME == "Bob" %}yes{% elif NOBODY is defined %}what{% else %}no{% endif %}', "no"),
        ('{% for x in ["a", "b"] %}{{ x }}{{ NAME }}{% endfor %}', "aAdabAda"),
        ("{% raw %}{{ NAME }}{% endraw %}", "{{ NAME }}"),
    ],
)
def test_templates_with_jinjas_and_teras_spellings(shop: Written, template: str, expected: str) -> None:
    assert value(shop, template, "NAME Ada") == expected


def test_templates_are_rendered_before_parsing_so_that_a_number_may_be_one(shop: Written) -> None:
    shop(
        """
        variables { P 8080; TEAMS "core,shop" }
        {% for team in TEAMS.split(",") %}
        service "{{ team }}" { image "web:1"; port host={{ P }}{{ loop.index }} container=80; replicas {{ N | default(1) }} }
        {% endfor %}
        stage "local" { service "core"; service "shop" }
        """.replace("{{ P }}{{ loop.index }}", "{{ P | int + loop.index }}")
    )

    assert {service.name: service.ports[0].host for service in shop.plan().plan.services} == {
        "core": 8081,
        "shop": 8082,
    }


def test_templates_are_sandboxed(shop: Written) -> None:
    shop(web('environment A="{{ NAME.__class__.__mro__ }}"', 'variables { NAME "x" }\n'))

    assert shop.headlines()[0].startswith("fleet.kdl:3:37: the template cannot be rendered: access to attribute")


@pytest.mark.parametrize("statement", ["include", "import", "macro", "extends", "call"])
def test_statements_beyond_the_languages_are_refused(shop: Written, statement: str) -> None:
    shop(web(f'environment A="{{% {statement} "x" %}}"'))

    assert shop.headlines() == [
        f"fleet.kdl:2:37: `{{% {statement} %}}` is not supported => the language has `if`, `for`, `set` and `raw`"
    ]


# --- ${NAME}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NAME}", "Ada"),
        ("${NOBODY:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NOBODY-x}", "x"),
        ("${NOBODY:-${NAME}}", "Ada"),
        ("$${NAME}", "${NAME}"),
        ("a $$ and a $", "a $ and a $"),
        ("${NAME:?say it}", "Ada"),
    ],
)
def test_references_inside_a_string_are_the_same_variables(shop: Written, text: str, expected: str) -> None:
    assert value(shop, text, 'NAME "Ada"; EMPTY ""') == expected


@pytest.mark.parametrize("text", ["${NAME:+x}", "${1}", "${NAME", "${}"])
def test_what_is_no_reference_is_an_error(shop: Written, text: str) -> None:
    shop(web(f'environment A="{text}"'))

    assert shop.headlines() == [
        (
            f"fleet.kdl:2:36: `{text}` is no variable"
            " => write `${NAME}` or `${NAME:-default}`; a dollar that is meant to stay is `$$`"
        )
    ]


# --- strength


LEVELS = [".env", ".env.local", "project", "stage", "process", "--var"]


@pytest.mark.parametrize("strongest", range(len(LEVELS)))
def test_strength_weakest_first(shop: Written, strongest: int) -> None:
    """All levels up to the *strongest* define the same name."""
    said = LEVELS[: strongest + 1]
    shop.files({name: f'APP_NAME="{name}"\n' for name in (".env", ".env.local") if name in said})
    project = 'variables { APP_NAME "project" }\n' if "project" in said else ""
    stage = 'variables { APP_NAME "stage" };' if "stage" in said else ""
    shop.environ = {"APP_NAME": "process"} if "process" in said else {}
    shop.variables = {"APP_NAME": "--var"} if "--var" in said else {}
    shop(web('labels { a "{{ APP_NAME }}"; b "${APP_NAME}" }', project, f'\nstage "local" {{ {stage} service "web" }}'))

    assert shop.service("web").labels == dict.fromkeys("ab", LEVELS[strongest])


@pytest.mark.parametrize("name", ["FLEET_X", "FLEETFLOW_X", "CI_X", "APP_X"])
def test_variables_of_the_process_count_where_their_names_begin_so(shop: Written, name: str) -> None:
    shop.environ = {name: "from the process", "OTHER": "from the process"}

    assert value(shop, f"${{{name}}} ${{OTHER:-none}}") == "from the process none"


def test_the_env_file_of_another_stage_has_no_say(shop: Written) -> None:
    shop.files({".env.prd": "NAME=prd"})

    assert value(shop, "${NAME:-none}") == "none"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A=one two", "one two"),
        ("export A=one", "one"),
        ("A='${B}' # as it stands", "${B}"),
        ('A="${B}\\n$$" # a comment', "b\n$"),
        ('A="two\nlines"', "two\nlines"),
        ("A=one # a comment", "one"),
        ("A=one#two", "one#two"),
        ("# a comment\n\nA =  one", "one"),
        ("A=", ""),
    ],
)
def test_env_files_are_read_as_compose_reads_them(shop: Written, line: str, expected: str) -> None:
    shop.files({".env": f"{line}\nB=b\n"})

    assert value(shop, "${A}") == expected


def test_a_line_of_an_env_file_that_is_none_is_an_error_that_does_not_show_it(shop: Written) -> None:
    shop(web("")).files({".env": "A=1\nmy password: hunter2\n"})

    assert shop.told() == lines("""
        .env:2:1: this line is not `NAME=value`
          fix: write `NAME=value`; a comment begins with `#`, and a quote is closed
    """)


# --- undefined


def test_an_undefined_variable_is_an_error_with_its_name_file_and_line(shop: Written) -> None:
    shop(web('environment A="${NOBODY}" B="${NAMEE}"', 'variables { NAME "x" }\n'))

    assert shop.told() == lines("""
        fleet.kdl:3:36: variable `NOBODY` is not defined
            3 |     image "nginx:1"; environment A="${NOBODY}" B="${NAMEE}"
              |                                    ^^^^^^^^^^^
          fix: define it in `variables`, pass `--var NOBODY=…`, or write `${NOBODY:-default}`

        fleet.kdl:3:50: variable `NAMEE` is not defined
            3 |     image "nginx:1"; environment A="${NOBODY}" B="${NAMEE}"
              |                                                  ^^^^^^^^^^ did you mean `NAME`?

        2 errors
    """)


def test_in_a_template_too(shop: Written) -> None:
    shop(web('environment A="{{ NOBODY }}"'))

    assert shop.headlines()[0].startswith(
        "fleet.kdl:2:40: variable `NOBODY` is not defined => define it in `variables`"
    )


def test_a_reason_may_be_given(shop: Written) -> None:
    shop(web('environment A="${TOKEN:?get one from the vault}"'))

    assert shop.headlines()[0].startswith("fleet.kdl:2:36: variable `TOKEN` is not defined: get one from the vault")


def test_variables_that_need_each_other_are_an_error(shop: Written) -> None:
    shop(web('environment A="${A}"', 'variables { A "${B}"; B "${A}" }\n'))

    assert "variables need each other: A -> B -> A" in shop.headlines()[0]


# --- structure


EVIL = 'x" } service "evil" { image "evil:1" } /* {'


@pytest.mark.parametrize("written", ['"{{ EVIL }}"', "{{ EVIL }}", '"${EVIL}"'])
def test_a_value_cannot_change_the_structure_of_the_document(shop: Written, written: str) -> None:
    shop(web(f"environment A={written}"))
    shop.variables = {"EVIL": EVIL}

    made = shop.plan()

    assert [service.name for service in made.plan.services] == ["web"]
    assert made.plan.services[0].environment == {"A": EVIL}
    assert made.warnings == ()
