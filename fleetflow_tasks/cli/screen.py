# SPDX-License-Identifier: Apache-2.0
"""A run on the screen, until it ends: a live tree on a terminal, a line per event without one, JSON lines when asked."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import click

from fleetflow_tasks.api import Following
from fleetflow_tasks.cli.options import colour, columns, say, unicode
from fleetflow_tasks.errors import EXIT_FAILED, EXIT_OK, CancelledError, FleetFlowError
from fleetflow_tasks.view.fold import Picture, fold, start, waits_for_somebody
from fleetflow_tasks.view.summary import left, summary

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import AnyEvent, RunStatus, Snapshot
    from fleetflow_tasks.view.plain import Plain
    from fleetflow_tasks.view.waiting import Reasons


class Screen:
    """Shows a run. `follow` may be called again after it was interrupted: it goes on where it was.

    interrupted: what to say then. here: this process carries the run out itself.
    """

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, interrupted: str = "", here: bool = False
    ) -> None:
        self.picture: Picture | None = None
        self._as_json = as_json
        self._quiet = quiet
        self._interrupted = interrupted
        self._was_interrupted = False
        self._here = here
        self._plain: Plain | None = None
        self._drawn = False  # as a tree

    def follow(self, following: Following) -> None:
        """Returns when the run has ended. A KeyboardInterrupt comes out of it, with the screen in order."""
        try:
            self._follow(following)
        except KeyboardInterrupt as stopped:
            # The first time it is said what goes on; who leaves for good hears what he leaves behind.
            text = left(self.picture) if self._was_interrupted else self._interrupted.format(run=following.run)
            say(text)
            stopped.add_note(text)
            self._was_interrupted = True
            raise

    def _follow(self, following: Following) -> None:
        from fleetflow_tasks.engine.model import Snapshot

        with ExitStack() as stack:
            draw = self._drawing(following, stack)
            for update in following.updates(self.picture.last if self.picture else None):
                if isinstance(update, Snapshot):
                    self.picture = start(update, following.needs, steps=following.steps)
                elif update is not None and self.picture is not None:
                    self.picture = fold(self.picture, update)
                if self.picture is not None:
                    draw(self.picture, update)

    def end(self) -> None:
        """What came of it, in words."""
        if self.picture is None:
            return
        if self._as_json:
            from fleetflow_tasks.view import jsonl

            click.echo(jsonl.end(self.picture))
        else:
            above = self._plain.failed if self._plain else None
            text = summary(self.picture, colour=colour(), columns=columns(), above=above)
            click.echo(f"\n{text}" if self._drawn and "\n" in text else text)  # apart from the tree, if it is long

    @property
    def exit_code(self) -> int:
        return exit_code(self.picture.run.status if self.picture else "failed")

    def _drawing(self, following: Following, stack: ExitStack) -> "Draw":
        if self._as_json:
            return _json(following)
        if self._quiet:
            return lambda picture, update: None
        if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":  # such a one can only write on
            self._drawn = True
            return _live(following, stack, comes_again=self._here and not self._was_interrupted)
        return self._lines(begun=self.picture is not None)

    def _lines(self, *, begun: bool) -> "Draw":
        from fleetflow_tasks.engine.model import Snapshot
        from fleetflow_tasks.view.plain import Plain

        plain = self._plain = self._plain or Plain(colour=colour(), here=self._here)

        def draw(picture: Picture, update: "Snapshot | AnyEvent | None") -> None:
            nonlocal begun
            if isinstance(update, Snapshot):
                for line in () if begun else plain.begin(picture):
                    click.echo(line)
                begun = True
            elif update is not None:
                for line in plain.lines(picture, update):
                    click.echo(line)

        return draw


Draw = Callable[[Picture, "Snapshot | AnyEvent | None"], None]


def exit_code(status: "RunStatus") -> int:
    """Of a run that has ended."""
    if status == "succeeded":
        return EXIT_OK
    return CancelledError.exit_code if status == "cancelled" else EXIT_FAILED


def _json(following: Following) -> "Draw":
    from fleetflow_tasks.engine.model import Snapshot
    from fleetflow_tasks.view import jsonl

    def draw(picture: Picture, update: "Snapshot | AnyEvent | None") -> None:
        if isinstance(update, Snapshot):
            click.echo(jsonl.snapshot(update))
        elif update is not None:
            click.echo(jsonl.event(following.run, update))

    return draw


def _live(following: Following, stack: ExitStack, *, comes_again: bool) -> "Draw":
    from fleetflow_tasks.engine.model import Noted
    from fleetflow_tasks.view.live import LiveView
    from fleetflow_tasks.view.problems import lines

    view = stack.enter_context(LiveView(following.clock(), colour=colour(), unicode=unicode(), comes_again=comes_again))
    why = _Why(following)

    def draw(picture: Picture, update: "Snapshot | AnyEvent | None") -> None:
        if isinstance(update, Noted):
            view.say(*lines(update.problem, colour=colour(), columns=columns()))
        view.show(picture, why.of(picture))

    return draw


class _Why:
    """Why a run, or ready steps of it, wait: asked of Redis while something does, once in a while."""

    _EVERY = 2.0  # seconds; what a worker says of itself is older than that

    def __init__(self, following: Following) -> None:
        from fleetflow_tasks.view.waiting import Reasons

        self._following = following
        self._asked = time.monotonic()
        self._found = Reasons()

    def of(self, picture: Picture) -> "Reasons":
        if time.monotonic() - self._asked >= self._EVERY and waits_for_somebody(picture):
            from fleetflow_tasks.view.waiting import reasons

            with suppress(FleetFlowError):  # whoever follows the run finds out too
                self._found = reasons(picture.run.id, self._following.overview())
            self._asked = time.monotonic()
        return self._found
