# SPDX-License-Identifier: Apache-2.0
"""A run as a tree of lines, a row per service: what it does or waits for, since when, and what the others wait for.

    shop/stg  running  12.3s  on docker  run 01k4…
    ├─ ✓ cache     ready, started                                             1.8s
    ┝━ ⠹ postgres  starting: waits until healthy                              3.2s
    ├─ ○ mailer    queued: all 2 slots of queue `docker` are busy             2.0s
    ┕━ · web       waits for postgres
    1 of 4 done; longest way: postgres > web

The heavy branches are the longest chain of what is left: no number of workers makes the run shorter than these. Of a run
that is larger than the window as many rows are shown as fit: what failed or moves first, then what is queued, then what
waits; the last line sums up the rest. Pure: the size of the window and the time are passed in.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from fleetflow_tasks.view.because import because, short
from fleetflow_tasks.view.chain import chain
from fleetflow_tasks.view.fold import DONE, MOVING, Picture, Row, RowState, rows
from fleetflow_tasks.view.ink import Colour, clean, counted, duration, padded, paint, queued, shortened, width
from fleetflow_tasks.view.waiting import Reasons

_TURN = 4  # steps of the spinner a second, about as many as there are frames
_NAME = 32  # columns for a service's name; longer ones are cut
_TIME = 8  # columns for a duration, right-aligned
_SAID = 10  # columns of words below which a time would take the room of something better
_FAR = 100  # columns from the left at which times stand, however wide the window: an eye should not have to travel
_FRINGE = 3  # lines beside the rows: head, foot, and the one where the cursor stands
_BAR = 10  # cells

_SPINNER = {True: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", False: "|/-\\"}
_FORK = {True: ("├─ ", "└─ ", "┝━ ", "┕━ "), False: ("|- ", "`- ", "|= ", "`= ")}
_MARK = {True: "…", False: "..."}
_FILLED = {True: ("█", "░"), False: ("#", "-")}

_SIGNS: Mapping[RowState, tuple[str, str, Colour]] = {  # on a terminal that can, on one that cannot
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
_RUN_COLOURS: Mapping[str, Colour] = {
    "succeeded": "bold green",
    "failed": "bold red",
    "cancelled": "bold yellow",
    "ending": "yellow",
}

_WELL: frozenset[RowState] = frozenset({"ready", "unchanged", "removed"})

Part = tuple[str, Colour | None]  # of a line


def tree(
    picture: Picture,
    now: float,
    *,
    columns: int,
    lines: int,
    unicode: bool = True,
    colour: bool = False,
    reasons: Reasons = Reasons(),  # noqa: B008  (frozen)
) -> list[str]:
    """At most *lines* lines (three at least), none wider than *columns*. now: Redis's seconds. reasons: of what waits."""
    every = [row for row in rows(picture) if _shown(row)]
    fitting = _fitting(every, lines - _FRINGE)
    longest = chain(picture)
    pen = _Pen(now, columns=columns, unicode=unicode, colour=colour, names=[_name(row) for row in fitting])
    drawn = [pen.head(picture, reasons.run)]
    for number, row in enumerate(fitting, start=1):
        drawn.append(pen.row(row, reasons, last=number == len(fitting), heavy=row.service in longest))
    rest = [row for row in every if row not in fitting]
    if not picture.ended or rest:  # what ended is summed up below the tree
        drawn.append(pen.foot(every, rest, longest))
    return drawn


class _Pen:
    """Writes the lines of one frame, none wider than the window."""

    def __init__(self, now: float, *, columns: int, unicode: bool, colour: bool, names: Sequence[str]) -> None:
        self._now = now
        self._columns = columns
        self._unicode = unicode
        self._colour = colour
        self._names = min(max(map(width, names), default=0), _NAME, max(8, columns * 2 // 5))

    def head(self, picture: Picture, reason: str) -> str:
        run = picture.run
        where = " and ".join(sorted({fact.runtime for fact in picture.facts.values()}))
        status = queued(run.ahead) if run.status == "queued" else run.status
        why = because(run)
        parts: list[Part] = [
            (f"{run.project}/{run.stage}", "bold"),
            (f"  {status}", _RUN_COLOURS.get(run.status, "cyan")),
            (f"  {duration(picture.elapsed(self._now))}", None),
            (f"  {reason}" if run.status == "queued" and reason else "", "yellow"),
            (f"{f'  on {where}' if where else ''}  run {short(run.id) if why else run.id}", "dim"),
            (f"  {why}" if why else "", "dim"),
        ]
        return self._line(parts)

    def row(self, row: Row, reasons: Reasons, *, last: bool, heavy: bool) -> str:
        name = shortened(self._legible(_name(row)), self._names, mark=_MARK[self._unicode])
        ink = _SIGNS[row.state][2]
        begin: list[Part] = [
            (_FORK[self._unicode][last + 2 * heavy], None if heavy else "dim"),
            (self._sign(row), ink),
            (f" {padded(name, self._names)}  ", "bold" if heavy else None),
        ]
        start = sum(width(text) for text, _ in begin)
        time = self._time(row) if self._columns - start - _TIME >= _SAID else ""
        room = max(0, self._columns - start - (_TIME if time else 0))
        said = self._said(row, reasons.steps.get(row.step, ""), room)
        if not time:
            return self._line([*begin, (said, ink)])
        gap = max(0, min(self._columns, _FAR) - _TIME - start)
        return self._line([*begin, (padded(said, gap), ink), (f"{time:>{_TIME}}", "dim")])

    def foot(self, every: Sequence[Row], rest: Sequence[Row], longest: Sequence[str]) -> str:
        services = [row for row in every if row.service is not None]
        number = Counter(row.state for row in services)
        done = sum(number[state] for state in _WELL)
        others = Counter(row.state for row in rest if row.service is not None)
        hidden = ", ".join(f"{others[state]} {state}" for state in _SIGNS if others[state])
        way = " > ".join(longest)
        parts: list[Part] = [
            (f"{done} of {counted(len(services), 'service')} done", "dim"),
            (f", {number['failed']} failed" if number["failed"] else "", "bold red"),
            (f", {number['skipped']} skipped" if number["skipped"] else "", "yellow"),
            (f", {number['cancelled']} cancelled" if number["cancelled"] else "", "yellow"),
            (f"; not shown: {hidden}" if hidden else "", "dim"),
            (f"; longest way: {way}" if way else "", "dim"),
        ]
        return self._line(parts)

    def _sign(self, row: Row) -> str:
        fine, plain, _ = _SIGNS[row.state]
        if fine:
            return fine if self._unicode else plain
        turns = _SPINNER[self._unicode]
        return turns[int(self._now * _TURN) % len(turns)]

    def _time(self, row: Row) -> str:
        if row.took is not None and row.state in _WELL | {"failed"}:
            return duration(row.took)
        timed = row.state in MOVING | {"queued"} and row.due is None and row.since is not None
        return duration(self._now - row.since) if timed and row.since is not None else ""

    def _said(self, row: Row, reason: str, room: int) -> str:
        """With a bar where it finds room, and where there is something to be measured."""
        words, beside = _words(row, reason, self._now), list(_beside(row))
        if row.total and row.current is not None:
            percent = f"{100 * row.current / row.total:.0f} %"
            beside.insert(0, percent)
            drawn = f"{words}  {self._bar(row.current / row.total)} {', '.join(beside)}"
            if width(drawn) <= room:
                return self._legible(drawn)
        return shortened(self._legible(", ".join([words, *beside])), room, mark=_MARK[self._unicode])

    def _bar(self, part: float) -> str:
        full, empty = _FILLED[self._unicode]
        cells = max(0, min(_BAR, int(part * _BAR)))
        return full * cells + empty * (_BAR - cells)

    def _legible(self, text: str) -> str:
        """*text* in what the terminal can show."""
        return text if self._unicode else text.replace("…", "...").encode("ascii", "replace").decode()

    def _line(self, parts: Sequence[Part]) -> str:
        return "".join(self._cut(parts))

    def _cut(self, parts: Sequence[Part]) -> Iterator[str]:
        """Cut before it is painted: an escape sequence takes no room, and must not be cut."""
        room = self._columns
        for text, ink in parts:
            shown = shortened(text, room, mark=_MARK[self._unicode])
            room -= width(shown)
            yield paint(shown, ink, on=self._colour) if ink else shown


def _shown(row: Row) -> bool:
    """The stage's own steps are worth a row only while they do something or wait for somebody, or have failed."""
    return row.service is not None or row.state in MOVING | {"queued", "failed"}


def _fitting(every: Sequence[Row], most: int) -> list[Row]:
    """At most *most* rows (one at least), the ones that matter most, in the order in which they were."""
    if len(every) <= most:
        return list(every)
    chosen = sorted(range(len(every)), key=lambda index: _weight(every[index]))[: max(1, most)]
    return [every[index] for index in sorted(chosen)]


def _weight(row: Row) -> int:
    ranks: tuple[Collection[RowState], ...] = ({"failed"}, MOVING, {"queued"})
    return next((rank for rank, states in enumerate(ranks) if row.state in states), 4 if row.state in DONE else 3)


def _name(row: Row) -> str:
    return row.service or "(stage)"


def _words(row: Row, reason: str, now: float) -> str:
    """`starting: waits until healthy`; what only waits needs no word for it."""
    text = clean(row.text)
    if row.state in {"waiting", "prepared"}:
        return text or row.state
    if row.state == "queued":
        return f"queued: {reason}" if reason else text
    if row.state == "retrying":
        when = f" in {duration(row.due - now)}" if row.due is not None and row.due > now else ""
        return f"retrying{when}: {text}" if text else f"retrying{when}"
    joint = ", " if row.state in {"ready", "removed"} else ": "
    return f"{row.state}{joint}{text}" if text and text != row.state else row.state


def _beside(row: Row) -> Iterator[str]:
    """Which attempt it is, unless it is the first that goes well; who is at it."""
    if row.state == "retrying" or (row.state in MOVING and row.tries > 1):
        yield f"attempt {row.tries}{f' of {row.allowed}' if row.allowed else ''}{' failed' if row.due else ''}"
    if row.worker:
        yield f"on {clean(row.worker)}"
