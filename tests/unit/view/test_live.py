# SPDX-License-Identifier: Apache-2.0
"""The tree on a terminal: drawn over itself, and nothing of it left behind however the window changes."""

import os
import pty
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import TextIO, cast

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.engine.model import RunEnded
from fleetflow_tasks.view.fold import Picture, fold
from fleetflow_tasks.view.live import LiveView
from fleetflow_tasks.view.tree import tree
from tests.unit.view.conftest import Story, folded, four
from tests.unit.view.window import Window


def view(window: Window, *, comes_again: bool = False) -> LiveView:
    return LiveView(lambda: 105.0, out=cast(TextIO, window), size=window.size, comes_again=comes_again)


def shown_anew(view: LiveView, picture: Picture) -> None:
    """Past the pace of the frames."""
    view.show(picture)
    view.say()


def busy(story: Story) -> Picture:
    return folded(
        story.begin(), [story.moved("db:deploy", "running"), story.progress("db:deploy", "waits until healthy")]
    )


def test_each_frame_is_drawn_over_the_one_before_and_the_last_is_kept(story: Story) -> None:
    window = Window(60, 12)
    picture = busy(story)
    ended = fold(picture, RunEnded(status="succeeded", **story.stamp()))

    with view(window) as live:
        for _ in range(5):
            shown_anew(live, picture)
        hidden = not window.cursor
        live.show(ended)

    assert window.shown == [*tree(ended, 105.0, columns=60, lines=12), ""]
    assert hidden
    assert window.cursor


def test_what_is_said_stays_above_the_tree(story: Story) -> None:
    window = Window(60, 20)
    picture = busy(story)

    with view(window) as live:
        live.say("before there is a tree")
        shown_anew(live, picture)
        live.say("one", "two")
        shown_anew(live, picture)

    assert window.shown == ["before there is a tree", "one", "two", *tree(picture, 105.0, columns=60, lines=20), ""]


def test_frames_come_no_faster_than_an_eye_sees_them(story: Story) -> None:
    window = Window(60, 12)
    picture = busy(story)
    frames: list[int] = []

    def size() -> tuple[int, int]:
        frames.append(1)
        return 60, 12

    with LiveView(lambda: 105.0, out=cast(TextIO, window), size=size) as live:
        for _ in range(1000):
            live.show(picture)

    assert len(frames) < 500


sizes = st.tuples(st.integers(8, 120), st.integers(14, 40))


@given(st.lists(st.one_of(sizes, st.text(min_size=1, max_size=5)), max_size=12))
def test_whatever_happens_to_the_window_one_tree_stands_there(happened: list[tuple[int, int] | str]) -> None:
    """As long as all of a frame is in sight: what has scrolled away cannot be called back."""
    window = Window(70, 14)
    picture = busy(Story(four()))

    with view(window) as live:
        live.show(picture)
        for each in happened:
            live.say()
            if isinstance(each, str):
                live.say("said")
            elif sum(-(-len(line) // each[0]) for line in window.shown if line != "said") <= each[1]:
                window.resize(*each)
    columns, lines = window.size()

    said = ["said"] * sum(isinstance(each, str) for each in happened)
    drawn = [line.rstrip() for line in tree(picture, 105.0, columns=columns, lines=lines)]
    assert window.shown == [*said, *drawn, ""]


def test_a_line_that_the_terminal_draws_wider_than_we_think_is_cut(story: Story) -> None:
    window = Window(60, 12)
    picture = busy(story)

    with LiveView(lambda: 105.0, out=cast(TextIO, window), size=lambda: (72, 12)) as live:
        shown_anew(live, picture)
        shown_anew(live, picture)

    assert window.shown == [*(line[:60].rstrip() for line in tree(picture, 105.0, columns=72, lines=12)), ""]
    assert window.wraps


@pytest.mark.parametrize(("comes_again", "left"), [(True, 0), (False, 6)])
def test_an_interrupt_leaves_the_tree_unless_another_follows(story: Story, comes_again: bool, left: int) -> None:
    window = Window(60, 12)

    with suppress(KeyboardInterrupt), view(window, comes_again=comes_again) as live:
        shown_anew(live, busy(story))
        raise KeyboardInterrupt

    assert len([line for line in window.shown if line]) == left


@contextmanager
def at_a_terminal() -> Iterator[int]:
    """A terminal on stdin and stderr; the other end of it. Not a fixture: pytest takes stderr anew for each phase."""
    ours, theirs = pty.openpty()
    before = sys.stdin
    with (
        os.fdopen(theirs, encoding="utf-8") as keys,
        os.fdopen(os.dup(theirs), "w", encoding="utf-8") as screen,
        redirect_stderr(screen),
    ):
        sys.stdin = keys
        try:
            yield ours
        finally:
            sys.stdin = before
    os.close(ours)


def test_what_others_write_to_stderr_comes_above_the_tree(story: Story) -> None:
    window = Window(60, 20)
    picture = busy(story)

    with at_a_terminal() as terminal:
        with view(window) as live:
            shown_anew(live, picture)
            click.echo("a word", err=True)
            sys.stderr.write("two\nlines and a piece")
        print("after", file=sys.stderr, flush=True)
        after = os.read(terminal, 100)

    assert window.shown == ["a word", "two", "lines and a piece", *tree(picture, 105.0, columns=60, lines=20), ""]
    assert after == b"after\r\n"


def test_what_is_typed_meanwhile_does_not_move_the_tree_away() -> None:
    with at_a_terminal():
        with view(Window(60, 20)):
            during = termios.tcgetattr(sys.stdin.fileno())[3] & termios.ECHO
        after = termios.tcgetattr(sys.stdin.fileno())[3] & termios.ECHO

    assert not during
    assert after


def test_the_terminal_is_asked_for_its_size_and_where_it_does_not_know_has_the_usual_one(story: Story) -> None:
    picture = busy(story)

    with at_a_terminal() as terminal:
        with LiveView(lambda: 105.0, out=sys.stderr) as live:
            live.show(picture)
        usual = os.read(terminal, 4000).decode()
        termios.tcsetwinsize(terminal, (20, 50))
        with LiveView(lambda: 105.0, out=sys.stderr) as live:
            live.show(picture)
        narrow = os.read(terminal, 4000).decode()

    assert tree(picture, 105.0, columns=80, lines=24)[1] in usual
    assert tree(picture, 105.0, columns=50, lines=20)[1] in narrow


def test_a_terminal_that_has_gone_has_the_usual_size(story: Story, tmp_path: Path) -> None:
    with (tmp_path / "none").open("w", encoding="utf-8") as file, LiveView(lambda: 105.0, out=file) as live:
        live.show(busy(story))

    assert tree(busy(story), 105.0, columns=80, lines=24)[0].split()[0] in (tmp_path / "none").read_text("utf-8")


def test_without_a_terminal_of_its_own_the_view_takes_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveView(lambda: 0.0):
        pass

    assert capsys.readouterr().out == "\x1b[?25l\r\x1b[J\x1b[?7l\x1b[?7h\x1b[?25h"
