# SPDX-License-Identifier: Apache-2.0
"""A run on a terminal: its tree, drawn over itself several times a second, with whatever else is said above it.

Drawn without the alternate screen, so that what stood above stays in sight and the last frame is kept. Each frame goes back
to the first line of the one before and clears from there. How many rows that one takes is counted anew with the width that
the window has now: a window made narrower breaks the lines that stand in it.

There is no thread. `show` is called for every event and, while nothing happens, four times a second; a tree that stands still
says that nothing has been heard.
"""

import os
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from io import TextIOBase
from types import TracebackType
from typing import Self, TextIO

from fleetflow_tasks.view.fold import Picture
from fleetflow_tasks.view.ink import clean, width
from fleetflow_tasks.view.tree import tree
from fleetflow_tasks.view.waiting import Reasons

_EVERY = 0.125  # seconds between two frames at least; more is not seen, and costs the very cores that deploy
_USUAL = (80, 24)  # columns and lines where the terminal does not know, as some in containers and in CI

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor
_CLEAR = "\x1b[J"  # from the cursor to the end of the screen
# What is wider than the window is cut there: a window just made narrower, of which we do not know yet, or a letter that the
# terminal draws wider than we think, would otherwise add a row, and each frame leave one behind.
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"


class LiveView:
    """A context in which `show` draws. now: Redis's seconds, asked for each frame, so that times move between events.

    out: the terminal. size: its columns and lines, asked for each frame, as a window may change while we draw.
    comes_again: after an interrupt the run is shown anew, so this tree is taken away: two would contradict each other.
    What others write to stderr meanwhile, where that is a terminal too, comes above the tree.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        out: TextIO | None = None,
        size: Callable[[], tuple[int, int]] | None = None,
        colour: bool = False,
        unicode: bool = True,
        comes_again: bool = False,
    ) -> None:
        self._now = now
        self._out = out or sys.stdout
        self._size = size or self._asked
        self._colour = colour
        self._unicode = unicode
        self._comes_again = comes_again
        self._picture: Picture | None = None
        self._reasons = Reasons()
        self._widths: list[int] = []  # of the lines that stand there
        self._drawn = 0.0
        self._lock = threading.RLock()  # whoever writes to stderr may be another thread
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._out.write(_HIDE)
        self._stack.enter_context(_unechoed())
        if sys.stderr.isatty():
            above = _Above(self.say)
            self._stack.callback(above.end)
            self._stack.enter_context(redirect_stderr(above))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        lines = [] if self._comes_again and kind is not None else self._frame()
        self._draw(lines)
        self._out.write(("\n" if lines else "") + _SHOW)
        self._out.flush()

    def show(self, picture: Picture, reasons: Reasons = Reasons()) -> None:  # noqa: B008  (frozen)
        """What the frames draw from now on. reasons: why that waits which waits for no other step."""
        self._picture, self._reasons = picture, reasons
        if time.monotonic() - self._drawn >= _EVERY:
            self._draw(self._frame())

    def say(self, *lines: str) -> None:
        """Lines above the tree that stay; they may hold colours of our own."""
        self._draw(self._frame(), above=lines)

    def _frame(self) -> list[str]:
        if self._picture is None:
            return []
        columns, lines = self._size()
        return tree(
            self._picture,
            self._now(),
            columns=columns,
            lines=lines,
            unicode=self._unicode,
            colour=self._colour,
            reasons=self._reasons,
        )

    def _draw(self, lines: Sequence[str], above: Sequence[str] = ()) -> None:
        with self._lock:
            drawn = "\n".join(lines)
            said = "".join(f"{line}\n" for line in above)
            self._out.write(f"{self._back()}{_CLEAR}{said}{_CUT}{drawn}{_WRAP}")
            self._out.flush()
            self._widths = [width(clean(line)) for line in lines]
            self._drawn = time.monotonic()

    def _back(self) -> str:
        """To the first column of the first line that stands there."""
        columns, _ = self._size()
        rows = sum(max(1, -(-each // columns)) for each in self._widths)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "")

    def _asked(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._out.fileno())
        except OSError:  # it has gone
            return _USUAL
        return (size.columns, size.lines) if size.columns and size.lines else _USUAL


@contextmanager
def _unechoed() -> Iterator[None]:
    """What is typed meanwhile waits for the shell; an Enter on the screen would move the tree away from under us."""
    if not sys.stdin.isatty():
        yield
        return
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(keys, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


class _Above(TextIOBase):
    """Whole lines of what is written here go above the tree."""

    encoding = "utf-8"  # or click would take it for one that knows ASCII alone

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def end(self) -> None:
        """What was begun is a line too."""
        if self._begun:
            self.write("\n")

    def isatty(self) -> bool:
        return True
