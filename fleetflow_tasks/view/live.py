# SPDX-License-Identifier: Apache-2.0
"""A run on a terminal, drawn anew several times a second: a tree with a row per service, what it does and since when.

    shop/stg  running  12.3s  on docker  run 01k4…
    ├─ ✓ postgres  ready, started                     1.8s
    ├─ ⠹ api       starting: waits until healthy      3.2s
    └─ · web       waits for api
    1 of 3 done

A tree taller than the window would scroll and leave its old frames behind. So at most as many rows are drawn as fit:
what failed or moves first, then what waits, then what is done; the rest is counted in the last line. The size is asked
for at every frame, so a window may change while we draw. The only module that imports rich.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.text import Text

from fleetflow_tasks.view.because import because, short
from fleetflow_tasks.view.fold import DONE, MOVING, Picture, Row, RowState, rows
from fleetflow_tasks.view.ink import clean, duration, padded, queued, shortened, width

_FRAMES = 8  # a second; more is not seen, and costs the very cores that deploy
_TURN = 10  # steps of the spinner a second
_NAME = 32  # columns for a service's name; longer ones are cut
_TIME = 8  # columns for a duration, right-aligned
_FRINGE = 3  # lines beside the rows: head, foot, and the one where the cursor stands

_SPINNER = {True: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", False: "|/-\\"}
_FORK = {True: ("├─ ", "└─ "), False: ("|- ", "`- ")}
_MARK = {True: "…", False: "..."}

_SIGNS: Mapping[RowState, tuple[str, str, str]] = {  # on a terminal that can, on one that cannot, style
    "waiting": ("·", ".", "dim"),
    "prepared": ("·", ".", "dim"),
    "queued": ("○", "o", "yellow"),
    "preparing": ("", "", "cyan"),  # the spinner
    "starting": ("", "", "cyan"),
    "removing": ("", "", "cyan"),
    "retrying": ("↻", "r", "yellow"),
    "ready": ("✓", "+", "green"),
    "unchanged": ("=", "=", "dim"),
    "removed": ("-", "-", "green"),
    "failed": ("✗", "x", "bold red"),
    "skipped": ("↷", "s", "yellow"),
    "cancelled": ("⊘", "c", "yellow"),
}
_RUN_STYLES = {"succeeded": "bold green", "failed": "bold red", "cancelled": "bold yellow", "ending": "yellow"}


class LiveView:
    """A context in which `show` draws. now: Redis's seconds, asked at every frame, so that times move between events.

    console: by default the terminal on stdout; its encoding and colours decide what is drawn.
    """

    def __init__(self, now: Callable[[], float], *, console: Console | None = None) -> None:
        self._now = now
        self._picture: Picture | None = None
        self.console = console or Console(highlight=False)
        self._live = Live(
            get_renderable=self._frame,
            console=self.console,
            refresh_per_second=_FRAMES,
            vertical_overflow="crop",
            transient=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, picture: Picture) -> None:
        """What the next frames draw."""
        self._picture = picture

    def say(self, *lines: str) -> None:
        """Lines above the tree that stay; they may hold colours of our own."""
        for line in lines:
            self.console.print(Text.from_ansi(line), soft_wrap=True)

    def _frame(self) -> "Screen | Text":
        return Screen(self._picture, self._now()) if self._picture is not None else Text("")


class Screen:
    """One frame; rich asks it to draw itself into the window as it is at that moment."""

    def __init__(self, picture: Picture, now: float) -> None:
        self._picture = picture
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unicode = not options.ascii_only and not options.legacy_windows
        every = [row for row in rows(self._picture) if _shown(row)]
        fitting = _fitting(every, console.size.height - _FRINGE)
        draw = _Pen(self._now, columns=options.max_width, unicode=unicode, names=[_name(row) for row in fitting])
        lines = [draw.head(self._picture)]
        lines += [draw.row(row, last=number == len(fitting)) for number, row in enumerate(fitting, start=1)]
        lines.append(draw.foot(every, left_out=len(every) - len(fitting)))
        yield Group(*lines)


class _Pen:
    """Draws the lines of one frame, none wider than the window."""

    def __init__(self, now: float, *, columns: int, unicode: bool, names: list[str]) -> None:
        self._now = now
        self._columns = columns
        self._unicode = unicode
        self._names = min(max(map(width, names), default=0), _NAME)

    def head(self, picture: Picture) -> Text:
        run = picture.run
        where = " and ".join(sorted({fact.runtime for fact in picture.facts.values()}))
        status = queued(run.ahead) if run.status == "queued" else run.status
        line = Text(f"{run.project}/{run.stage}", style="bold")
        line.append(f"  {status}", style=f"not bold {_RUN_STYLES.get(run.status, 'cyan')}")
        line.append(f"  {duration(picture.elapsed(self._now))}", style="not bold")
        why = f"  {because(run)}" if run.because else ""
        line.append(
            f"{f'  on {where}' if where else ''}  run {short(run.id) if why else run.id}{why}", style="not bold dim"
        )
        return self._cut(line)

    def row(self, row: Row, *, last: bool) -> Text:
        name = shortened(self._legible(_name(row)), self._names, mark=_MARK[self._unicode])
        line = Text(_FORK[self._unicode][last], style="dim")
        line.append(self._sign(row), style=f"not dim {_SIGNS[row.state][2]}")
        line.append(f" {padded(name, self._names)}  ", style="not dim")
        time = self._time(row)
        room = max(0, self._columns - width(line.plain) - (_TIME if time else 0))
        said = shortened(self._legible(_words(row)), room, mark=_MARK[self._unicode])
        line.append(padded(said, room) if time else said, style=f"not dim {_SIGNS[row.state][2]}")
        line.append(f"{time:>{_TIME}}" if time else "", style="dim")
        return self._cut(line)

    def foot(self, every: list[Row], *, left_out: int) -> Text:
        services = [row for row in every if row.service is not None]
        number = Counter(row.state for row in services)
        done = sum(number[state] for state in DONE)
        line = Text(f"{done} of {len(services)} done", style="dim")
        if number["failed"]:
            line.append(f", {number['failed']} failed", style="not dim bold red")
        if left_out:
            line.append(f"  ({left_out} more than fit here)")
        return self._cut(line)

    def _sign(self, row: Row) -> str:
        fine, plain, _ = _SIGNS[row.state]
        if fine:
            return fine if self._unicode else plain
        turns = _SPINNER[self._unicode]
        return turns[int(self._now * _TURN) % len(turns)]

    def _time(self, row: Row) -> str:
        if row.took is not None:
            return duration(row.took)
        return duration(self._now - row.since) if row.state in MOVING and row.since is not None else ""

    def _legible(self, text: str) -> str:
        """*text* in what the terminal can show."""
        return text if self._unicode else text.replace("…", "...").encode("ascii", "replace").decode()

    def _cut(self, line: Text) -> Text:
        line.truncate(self._columns)
        line.no_wrap = True
        return line


def _shown(row: Row) -> bool:
    """The stage's own steps are worth a row only while they do something, or have failed."""
    return row.service is not None or row.state in MOVING or row.state == "failed"


def _fitting(every: list[Row], most: int) -> list[Row]:
    """At most *most* rows (one at least), the ones that matter most, in the order in which they were."""
    if len(every) <= most:
        return every
    chosen = sorted(range(len(every)), key=lambda index: _weight(every[index]))[: max(1, most)]
    return [every[index] for index in sorted(chosen)]


def _weight(row: Row) -> int:
    ranks: tuple[frozenset[RowState], ...] = (frozenset({"failed"}), MOVING, frozenset({"queued"}))
    return next((rank for rank, states in enumerate(ranks) if row.state in states), 4 if row.state in DONE else 3)


def _name(row: Row) -> str:
    return row.service or "(stage)"


def _words(row: Row) -> str:
    """`starting: waits until healthy, 43 %, attempt 2`; what only waits needs no word for it."""
    text = clean(row.text)
    percent = f"{100 * row.current / row.total:.0f} %" if row.current is not None and row.total else ""
    attempt = f"attempt {row.tries}" if row.state in MOVING and row.tries > 1 else ""
    more = ", ".join(part for part in (text, percent, attempt) if part)
    if row.state in {"waiting", "prepared", "queued"}:
        return more or row.state
    joint = ", " if row.state in {"ready", "removed"} else ": "
    return f"{row.state}{joint}{more}" if more and more != row.state else row.state
