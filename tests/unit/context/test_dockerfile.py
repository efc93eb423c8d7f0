# SPDX-License-Identifier: Apache-2.0
"""What a Dockerfile tells somebody who only has it built."""

from textwrap import dedent

import pytest

from fleetflow_tasks.context.dockerfile import parsed


def images(text: str, target: str = "", **args: str) -> tuple[str, ...]:
    return parsed(dedent(text)).images(target, args)


def test_an_instruction_is_a_line_with_its_continuations() -> None:
    text = """\
    # a comment

    from  alpine:3
    RUN one \\
        # between
        two \\

        three
    COPY a b \\"""

    assert [(each.line, each.word, each.text) for each in parsed(dedent(text)).instructions] == [
        (3, "FROM", "alpine:3"),
        (4, "RUN", "one     two     three"),
        (9, "COPY", "a b "),
    ]


def test_what_a_heredoc_holds_is_no_instruction() -> None:
    text = """\
    FROM alpine
    RUN <<EOF
    FROM nothing
    EOF
    COPY <<-'ONE' <<"TWO" /
    FROM neither
    \tONE
    FROM nor
    TWO
    RUN echo $((1<<X))
    FROM busybox
    """

    assert [each.word for each in parsed(dedent(text)).instructions] == ["FROM", "RUN", "COPY", "RUN", "FROM"]


def test_another_escape_and_a_reader_of_its_own_are_said_before_all_else() -> None:
    found = parsed("# syntax=docker/dockerfile:1\n# escape=`\n# escape=x\nFROM alpine `\n  AS one\n# syntax=no\n")

    assert found.syntax == "docker/dockerfile:1"
    assert found.targets == ("one",)
    assert found.images("", {}) == ("alpine", "docker/dockerfile:1")


def test_a_dockerfile_without_a_stage_begins_with_nothing() -> None:
    assert images("RUN x") == ()
    assert parsed("").targets == ()


def test_the_images_are_those_of_the_target_and_of_what_it_needs() -> None:
    text = """\
    FROM golang:1 AS build
    FROM node:20 AS Assets
    RUN --mount=type=bind,from=helper:1,target=/x --mount=type=cache,target=/y make
    FROM unused:1 AS other
    FROM scratch
    COPY --chown=1:1 --from=build /a /a
    COPY --from=1 /b /b
    COPY --from=tools:2 /c /c
    ADD x y
    RUN --network=none
    """

    assert images(text) == ("golang:1", "helper:1", "node:20", "tools:2")
    assert images(text, "assets") == ("helper:1", "node:20")
    assert images(text, "2") == ("unused:1",)
    assert images(text, "nothing") == ()


def test_a_stage_may_bear_the_name_of_the_image_that_it_begins_with() -> None:
    assert images("FROM alpine AS alpine\nFROM alpine\n") == ("alpine",)


@pytest.mark.parametrize(
    ("base", "args", "found"),
    [
        ("$BASE", {}, "alpine:3"),
        ("${BASE}", {"BASE": "debian"}, "debian"),
        ("x:${TAG:-1}", {}, "x:1"),
        ("x:${TAG:-1}", {"TAG": "2"}, "x:2"),
        ("x${BASE:+-slim}", {}, "x-slim"),
        ("x${TAG:+-slim}", {}, "x"),
        ("--platform=$BUILDPLATFORM $BASE", {}, "alpine:3"),
    ],
)
def test_arguments_before_the_first_stage_are_filled_in(base: str, args: dict[str, str], found: str) -> None:
    text = f'ARG VERSION="3"\nARG BASE=alpine:$VERSION OTHER\nFROM {base} AS one\n'

    assert images(text, **args) == (found,)


def test_an_image_that_only_the_builder_can_name_is_left_out() -> None:
    assert images("FROM $NOTHING") == ()
