# SPDX-License-Identifier: Apache-2.0
"""Words of a command line -> what is meant, or why that cannot be."""

import click
import pytest

from fleetflow_tasks.cli.options import names, place, told_if_interrupted, word


@pytest.mark.parametrize(
    ("argument", "stage", "project", "meant"),
    [
        (None, None, None, (None, None)),
        ("stg", None, None, (None, "stg")),
        ("shop/stg", None, None, ("shop", "stg")),
        ("shop/", None, None, ("shop", None)),
        (None, "stg", "shop", ("shop", "stg")),
        ("stg", "stg", "shop", ("shop", "stg")),
    ],
)
def test_a_stage_is_named_in_one_word_or_in_two_options(
    argument: str | None, stage: str | None, project: str | None, meant: tuple[str | None, str | None]
) -> None:
    assert place(argument, stage, project) == meant


@pytest.mark.parametrize(
    ("argument", "stage", "project", "said"),
    [
        ("stg", "prd", None, "two stages are named: `stg` and `--stage=prd`"),
        ("shop/stg", None, "other", "two projects are named: `shop` and `--project=other`"),
    ],
)
def test_two_names_for_one_thing_are_refused(argument: str, stage: str | None, project: str | None, said: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        place(argument, stage, project)

    assert caught.value.message == said


def test_an_unknown_word_is_answered_with_the_one_that_was_probably_meant() -> None:
    assert word(" failed", ("failed", "running"), "status") == "failed"
    with pytest.raises(click.UsageError) as caught:
        word("runing", ("failed", "running"), "status")

    assert caught.value.message == "unknown status `runing`; did you mean `running`?"


def test_services_without_what_they_depend_on_have_to_be_named() -> None:
    assert names(("api, web", "db"), no_deps=True) == ("api", "web", "db")
    with pytest.raises(click.UsageError) as caught:
        names((), no_deps=True)

    assert caught.value.message == "--no-deps needs --only: which services are meant?"


@pytest.mark.parametrize("only", [("",), (" , ",), ("", "")])
def test_no_service_at_all_is_not_every_service(only: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError) as caught:
        names(only)

    assert caught.value.message == "--only names no service"


def test_who_interrupts_is_told_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), told_if_interrupted("nothing was submitted"):
        raise KeyboardInterrupt

    assert capsys.readouterr().err == "nothing was submitted\n"
