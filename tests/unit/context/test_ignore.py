# SPDX-License-Identifier: Apache-2.0
"""Which paths `.dockerignore` leaves out. `tests/docker/test_build.py` holds the same against Docker's own reader."""

import pytest

from fleetflow_tasks.context.ignore import Ignore, Matched


def left_out(text: str, path: str, *, kept: tuple[str, ...] = ()) -> bool:
    """Asked from the root downwards, as a walk does."""
    ignore = Ignore(text, kept=kept)
    out, above = False, Matched()
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        out, above = ignore("/".join(parts[:depth]), above)
    return out


@pytest.mark.parametrize(
    ("text", "path", "out"),
    [
        ("", "a", False),
        ("a", "a", True),
        ("a", "b/a", False),
        ("/a", "a", True),
        ("a/", "a", True),
        ("a", "a/b/c", True),
        ("a/../b", "b", True),
        ("*.py", "x.py", True),
        ("*.py", "a/x.py", False),
        ("*/x", "a/x", True),
        ("*/x", "a/b/x", False),
        ("**/x", "x", True),
        ("**/x", "a/b/x", True),
        ("a/**", "a/b/c", True),
        ("a/**/x", "a/x", True),
        ("a/**/x", "a/b/c/x", True),
        ("?", "a", True),
        ("?", "ab", False),
        ("[ab]c", "bc", True),
        ("[^a]c", "ac", False),
        ("[^a]c", "bc", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("a+(b).c", "a+(b).c", True),
        ("# a\n\n  \na  ", "a", True),
        ("\ufeffa", "a", True),
        (".", "a", False),
        ("/", "a", False),
        ("*\n!a", "a", False),
        ("*\n!a", "a/b", False),
        ("*\n!a\na/b", "a/b", True),
        ("! a", "a", False),
        ("a\n!a/b", "a/b", False),
        ("a\n!a/b", "a/c", True),
        ("**/node_modules\n!web", "web/node_modules/x", True),  # `web` was never left out
        ("**/node_modules\n!web/node_modules", "web/node_modules/x", False),
    ],
)
def test_a_path_is_left_out_as_docker_leaves_it_out(text: str, path: str, out: bool) -> None:
    assert left_out(text, path) is out


def test_what_is_kept_is_sent_whatever_the_patterns_say() -> None:
    assert not left_out("*\n**", "api/[x]*.Dockerfile", kept=("api/[x]*.Dockerfile",))
    assert left_out("*", "api/x.Dockerfile", kept=("api/[x]*.Dockerfile",))


@pytest.mark.parametrize(
    ("text", "folder", "may"),
    [
        ("a\n!a/b/c", "a", True),
        ("a\n!a/b/c", "a/b", True),
        ("a\n!a/b/c", "a/x", False),
        ("a\n!b", "a", False),
        ("a\n!**/x", "a", True),
        ("a\n!a/*/x", "a/b", True),
        ("a\nb/c", "b", False),
    ],
)
def test_a_folder_that_is_left_out_is_looked_into_only_where_something_may_be_taken_back(
    text: str, folder: str, may: bool
) -> None:
    assert Ignore(text).may_hold(folder) is may


@pytest.mark.parametrize(
    ("text", "line"), [("a\n!", "line 2: `!` is no pattern"), ("[b-a]", "line 1: `[b-a]` is no pattern")]
)
def test_a_pattern_that_is_none_is_told_with_its_line(text: str, line: str) -> None:
    with pytest.raises(ValueError, match="is no pattern") as caught:
        Ignore(text)

    assert str(caught.value) == line
