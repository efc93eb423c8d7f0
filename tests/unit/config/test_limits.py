# SPDX-License-Identifier: Apache-2.0
"""What is too large is an error that says so, wherever a project can ask for too much."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetflow_tasks.config.decode import decode
from fleetflow_tasks.config.kdl import parse
from fleetflow_tasks.config.limits import (
    MAX_ASKED,
    MAX_COMMAND,
    MAX_LINE,
    MAX_NAME,
    MAX_PATTERN,
    MAX_PROBLEMS,
    MAX_SIZE,
    MAX_WORD,
    MAX_WORDS,
)
from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.locate import Text, scan
from fleetflow_tasks.config.model import StageName
from fleetflow_tasks.config.nearest import nearest
from fleetflow_tasks.config.schema import document_row
from fleetflow_tasks.errors import ConfigError, Problem

from .conftest import Folder, ProblemsText

SHOP = 'service "a" { image "b" }\nstage "local" { service "a" }'
MILLION = 1_000_000


def refused(source: str) -> str:
    trouble = scan(source).refused
    return trouble.message if trouble else ""


# --- text


def test_a_number_is_not_longer_than_the_parser_can_bear(folder: Folder) -> None:
    folder.write({"fleet.kdl": f"{SHOP}\nvariables {{ A {'9' * (MAX_WORD + 1)} }}"})

    assert folder.problems("local") == [
        "fleet.kdl:3:15: a number of more than 1000 characters => write it in quotes if it is a text"
    ]
    assert refused("a " + "9" * MAX_WORD) == ""
    assert refused("a " + "x" * (MAX_WORD + 1)) == ""


@pytest.mark.parametrize("source", ["{}", '"{}"', "a {}=1", 'a "{}"=1', "a {{ /-{} }}"])
def test_a_name_is_not_longer_than_a_message_can_show(source: str) -> None:
    assert refused(source.replace("{}", "n" * (MAX_NAME + 1))) == f"a name of more than {MAX_NAME} characters"
    assert refused(source.replace("{}", "n" * (MAX_NAME - 2))) == ""


@pytest.mark.parametrize("source", ["a;", "]", "/-a;", '"" '])
def test_a_file_is_read_no_further_than_it_may_be_long(source: str) -> None:
    located = scan(source * (MAX_WORDS + 1))

    assert located.refused is not None
    assert located.refused.message == "the file holds more than 300,000 words"
    assert len(located.words) + len(located.troubles) <= MAX_WORDS + 1


def test_dashes_count_as_words() -> None:
    assert refused("/-" * (MAX_WORDS + 1)) == "the file holds more than 300,000 words"


def test_all_places_on_a_line_share_its_text_and_a_very_long_one_has_none(folder: Folder) -> None:
    first, second = parse(Text("f.kdl", "one two; three"))
    (long,) = parse(Text("f.kdl", f"one {'x' * MAX_LINE}"))

    assert first.place.text is second.place.text
    assert (long.place.text, str(long.args[0].place), long.args[0].place.length) == ("", "f.kdl:1:5", MAX_LINE)
    assert long.args[0].shown == f"`{'x' * 57}...`"


def test_errors_beyond_what_anybody_mends_are_counted(folder: Folder, wrong: ProblemsText) -> None:
    problems = wrong("replicas -1\n" * (MAX_PROBLEMS + 5))

    assert len(problems) == MAX_PROBLEMS
    assert problems[-1].startswith(f"{MAX_PROBLEMS + 2}:10: `replicas` takes")


def test_warnings_beyond_what_anybody_reads_are_counted_and_no_suggestion_is_looked_for(folder: Folder) -> None:
    folder.write({"fleet.kdl": "nonsense\n" * (MAX_PROBLEMS + 5) + SHOP})

    warnings = folder.warnings("local")

    assert len(warnings) == MAX_PROBLEMS + 1
    assert warnings[-1] == "5 more problems are not told of => mend these first"
    _, problems = decode(parse(Text("f.kdl", "nonsense\n" * (MAX_PROBLEMS + 1))), document_row({}))
    assert [problem.fix for problem in problems[MAX_PROBLEMS:]] == ["see those above"]


def test_errors_are_told_before_warnings(folder: Folder) -> None:
    folder.write({"fleet.kdl": "nonsense\n" * (MAX_PROBLEMS + 5) + SHOP + '\nservice "b" { replicas -1 }'})

    with pytest.raises(ConfigError) as caught:
        folder.load("local")

    assert [problem.message for problem in caught.value.problems] == [
        "`replicas` takes a whole number from 0 to 10000, not `-1`",
        "205 more problems are not told of",
    ]


def test_unknown_services_beyond_what_anybody_mends_are_not_looked_at(folder: Folder) -> None:
    names = "".join(f'service "x{number}";' for number in range(MAX_PROBLEMS + 50))
    folder.write({"fleet.kdl": f'service "a" {{ image "b" }}\nstage "local" {{ service "a"; {names} }}'})

    assert len(folder.problems("local")) == MAX_PROBLEMS


def test_of_very_many_names_only_those_that_look_alike_are_compared() -> None:
    known = [f"service-{number}" for number in range(1000)]

    assert nearest("servise-77", known) == "service-77"
    assert nearest("Service-77", known) == "service-77"
    assert nearest("gateway", known) is None


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    problem = Problem(code="x", message="unknown node `a\nb`", fix="write\r\n`c`")

    assert (problem.message, problem.fix) == ("unknown node `a\\nb`", "write\\r\\n`c`")


# --- all stages


def test_stages_of_a_large_project_are_read_one_by_one(folder: Folder) -> None:
    stages = "".join(f'stage "s{number}" {{ service "a" }}\n' for number in range(5))
    folder.write({"fleet.kdl": 'service "a" { image "b" }\n' + stages, "services/x.kdl": "/-x " + "1 " * 100_000})

    (problem,) = folder.problems()

    assert problem == (
        "`services/x.kdl` and the files before it hold more than 300,000 words, counted once per stage"
        " => read one stage with `--stage`, or split the project"
    )
    assert folder.load("s1").project.stages[0].name == "s1"


def test_templates_count_by_what_they_are_and_what_they_put_out(folder: Folder) -> None:
    loop = "// {% for i in range(9999) %}{{ i }} words {% endfor %}\n"
    folder.write({"fleet.kdl": SHOP, **{f"services/{number}.kdl": loop for number in range(20)}})

    (problem,) = folder.problems("local")

    assert problem.startswith("`services/")
    assert "hold more than 300,000 words" in problem


# --- files


@pytest.fixture
def special(folder: Folder) -> Callable[[str], Folder]:
    """A project that wants the file `x` by the given text."""

    def made(text: str) -> Folder:
        return folder.write({"fleet.kdl": f'{text}\nservice "a" {{ image "b" }}\nstage "local" {{ service "a" }}'})

    return made


WANTING = ('include "x.kdl"', 'service "a" { env_file "x.kdl" }', 'service "a" { secrets { S file="x.kdl" } }')


@pytest.mark.parametrize("text", WANTING)
def test_nobody_waits_for_a_pipe(special: Callable[[str], Folder], text: str) -> None:
    folder = special(text)
    os.mkfifo(folder.path / "x.kdl")

    (problem,) = folder.problems("local")

    assert "`x.kdl` cannot be read: it is not a regular file" in problem


@pytest.mark.parametrize("text", WANTING)
def test_nobody_reads_a_device(special: Callable[[str], Folder], text: str) -> None:
    folder = special(text)
    (folder.path / "x.kdl").symlink_to("/dev/zero")

    (problem,) = folder.problems("local")

    assert "`x.kdl` cannot be read: it is not a regular file" in problem


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("x.kdl", "split it: `include` reads several files as one"),
        ("x", "data of that size belongs into a volume"),
    ],
)
def test_a_file_that_is_too_large_says_what_to_do(folder: Folder, name: str, fix: str) -> None:
    folder.write({"fleet.kdl": f'service "a" {{ image "b"; env_file "{name}" }}\nstage "local" {{ service "a" }}'})
    with (folder.path / name).open("wb") as file:
        file.truncate(MAX_SIZE + 1)

    assert folder.problems("local") == [f"fleet.kdl:1:26: `{name}` cannot be read: it is larger than 4 MiB => {fix}"]


def test_files_are_not_larger_than_a_project_may_be(folder: Folder) -> None:
    comment = "// " + "x" * (MAX_SIZE - 10)
    folder.write({"fleet.kdl": SHOP, **{f"services/{number}.kdl": comment for number in range(5)}})

    assert folder.problems("local") == [
        "the files of this project are larger than 16 MiB together => leave out what declares nothing: data belongs into a volume"
    ]


def test_includes_in_a_row_have_an_end(folder: Folder) -> None:
    files = {f"i{number}.kdl": f'include "i{number + 1}.kdl"' for number in range(30)}
    folder.write({"fleet.kdl": f'include "i0.kdl"\n{SHOP}', **files})

    assert folder.problems("local") == [
        "i19.kdl:1:9: files include each other more than 20 deep => include them from one file"
    ]


def test_the_same_file_is_not_included_without_end(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'include "x*.kdl"\n' * (MAX_ASKED + 1) + SHOP, "x.kdl": ""})

    assert folder.problems("local") == [
        f"fleet.kdl:{MAX_ASKED}:9: files are included more than 5,000 times => include each once: twice changes nothing"
    ]


@pytest.mark.parametrize("pattern", ["*/" * 9 + "*.kdl", "x/**/" * 30 + "*.kdl"])
def test_a_pattern_that_goes_in_circles_looks_at_no_more_than_it_may(folder: Folder, pattern: str) -> None:
    deep = folder.path.joinpath(*["x"] * 40)
    folder.write({"fleet.kdl": f'include "{pattern}"\n{SHOP}'})
    deep.mkdir(parents=True)
    for number in range(10):
        (folder.path / f"l{number}").symlink_to(".")

    if pattern.startswith("*"):
        (problem,) = folder.problems("local")
        assert problem.startswith("fleet.kdl:1:9: the patterns of this project look at more than 500,000 files")
    else:
        assert folder.warnings("local") == [f"fleet.kdl:1:9: `{pattern}` matches no file"]


def test_folders_twice_in_a_row_are_folders(folder: Folder) -> None:
    folder.write({"fleet.kdl": f'include "parts/**/**/*.kdl"\n{SHOP}', "parts/a/b/c.kdl": "", "parts/d.kdl": ""})

    assert folder.load("local").files == ("fleet.kdl", "parts/a/b/c.kdl", "parts/d.kdl")


def test_a_pattern_is_no_longer_than_a_path(folder: Folder) -> None:
    folder.write({"fleet.kdl": f'include "{"?" * (MAX_PATTERN + 1)}"\n{SHOP}'})

    (problem,) = folder.problems("local")

    assert problem.endswith("?` is no pattern of files")


# --- variables


def chain(length: int, value: Callable[[int], str]) -> str:
    return "\n".join([f"A{number} {value(number)}" for number in range(length)])


def test_variables_in_a_row_have_an_end(folder: Folder) -> None:
    variables = chain(60, lambda number: f'"${{A{number + 1}}}"')
    folder.write({"fleet.kdl": f'variables {{\n{variables}\nA60 "x"\n}}\nservice "a" {{ image "${{A0}}" }}\n{SHOP}'})

    assert folder.problems("local")[0] == (
        "fleet.kdl:53:5: more than 50 variables need each other, one after the other => give `A51` a plain value"
    )


@pytest.mark.parametrize("reference", ["${A}", "{{ A }}"])
def test_variables_that_hold_each_other_twice_have_an_end(folder: Folder, reference: str) -> None:
    variables = chain(
        40, lambda number: f'"{reference.replace("A", f"A{number - 1}") * 2}"' if number else '"0123456789"'
    )
    folder.write({"fleet.kdl": f'variables {{\n{variables}\n}}\nservice "c" {{ image "${{A39}}" }}\n{SHOP}'})

    problem, *_ = folder.problems("local")

    assert "more than 4 MiB" in problem or "larger than 64 MiB together" in problem


def test_values_are_not_larger_than_a_stage_may_be(folder: Folder) -> None:
    lines = "".join(f'A{number} "${{BIG}}"\n' for number in range(70))
    folder.write(
        {
            "fleet.kdl": f'variables {{ BIG "{"x" * MILLION}" }}\nservice "a" {{\nenvironment {{\n{lines}}}\n}}\n{SHOP}',
        }
    )

    assert folder.problems("local")[0] == (
        "fleet.kdl:70:5: the values of this stage are larger than 64 MiB together"
        " => look for a variable that holds another one many times; data belongs into a volume"
    )


def test_variables_times_services_are_not_larger_than_a_stage_may_be(folder: Folder) -> None:
    services = [f"s{number}" for number in range(1200)]
    defined = "".join(f'service "{name}" {{ image "b" }}\n' for name in services)
    held = "".join(f'service "{name}";' for name in services)
    variables = "".join(f"V{number} 1;" for number in range(1200))
    folder.write({"fleet.kdl": f'{defined}\nstage "local" {{ variables {{ {variables} }}\n{held} }}'})

    (problem,) = folder.problems("local")

    assert "the values of this stage are larger than 64 MiB together" in problem


def test_a_file_of_variables_is_read_once_and_counts_for_each_service(folder: Folder) -> None:
    lines = "".join(f"A{number}=x\n" for number in range(2000))
    services = [f"s{number}" for number in range(600)]
    defined = "".join(f'service "{name}" {{ image "b"; env_file ".e" }}\n' for name in services)
    held = "".join(f'service "{name}";' for name in services)
    folder.write({".e": lines, "fleet.kdl": f'{defined}\nstage "local" {{ {held} }}'})

    problems = folder.problems("local")

    assert "the values of this stage are larger than 64 MiB together" in problems[0]


def test_defaults_in_defaults_have_an_end(wrong: ProblemsText) -> None:
    (problem,) = wrong(f'command "{"${A:-" * 50}{"}" * 50}"')

    assert problem.startswith("3:9: `${A:-${A:-${A:-${A:-${A:-${A:-${A:-${...` is no variable")


def test_a_command_is_no_longer_than_linux_can_start(wrong: ProblemsText) -> None:
    assert wrong(f'command "{"x" * (MAX_COMMAND + 1)}"') == [
        "3:1: `command` is longer than 131,072 characters => put it into a script of the image"
    ]


def test_a_file_of_variables_with_many_bad_lines_is_none(folder: Folder) -> None:
    folder.write({"fleet.kdl": SHOP, ".env": "=\n" * 1000})

    assert len(folder.problems("local")) == 21


# --- and what has no file


def test_whatever_the_name_of_a_stage_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text(SHOP)

    for name in ("x" * 5000, "\0", "../..", "\ud800", "*", "[", ""):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, stage=StageName(name))
        assert caught.value.problems[-1].code == "unknown-stage"
