# SPDX-License-Identifier: Apache-2.0
"""This process's terminal, or what stands in its place, as a command in a running service sees it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Terminal:
    """tty: in raw mode, both ends of it."""

    def __init__(self, *, tty: bool, typed: bool) -> None:
        self.input: int | None = sys.stdin.fileno() if typed else None
        self.output: int = sys.stdout.fileno()
        self.errors: int = sys.stderr.fileno()
        self.tty = tty

    def size(self) -> tuple[int, int] | None:
        try:
            size = os.get_terminal_size(self.output)
        except OSError:
            return None
        return size.columns, size.lines


@contextmanager
def opened(*, tty: bool, typed: bool) -> Iterator[Terminal]:
    """tty: take a terminal where both ends are one; each key then goes to the command, Ctrl-C too, until the block ends.

    typed: whether the command gets an input.
    """
    sys.stdout.flush()
    if not (tty and typed and sys.stdin.isatty() and sys.stdout.isatty()):
        yield Terminal(tty=False, typed=typed)
        return
    with _raw(sys.stdin.fileno()):
        yield Terminal(tty=True, typed=True)


@contextmanager
def _raw(keys: int) -> Iterator[None]:
    import termios
    import tty

    before = termios.tcgetattr(keys)
    try:
        tty.setraw(keys)
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
