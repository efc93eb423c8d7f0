# SPDX-License-Identifier: Apache-2.0
"""A table: rows under a head, in columns as wide as their widest cell.

In a window that is too narrow some columns give way before others: what can be looked up elsewhere first, what tells one row
from another last. A cell that is cut says so with `…`; a column that would keep hardly anything goes altogether.
"""

from collections.abc import Iterator, Sequence

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.view.ink import Colour, padded, paint, shortened, width

_GAP = 2
_HARDLY = 4  # columns in which a cell says nothing any more


class Give(Data, frozen=True, kw_only=True):
    """The column of that name in the head may become as narrow as *least*. tail: its cells are known by their ends."""

    column: str
    least: int = 0
    tail: bool = False


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    inks: Sequence[Colour | None] = (),
    inked: str = "",
    colour: bool = False,
    columns: int | None = None,
    give: Sequence[Give] = (),
) -> list[str]:
    """inks: of each row's cell in the column *inked*. columns: None: as wide as it is. give: the first to give way first."""
    widths = [max(width(row[index]) for row in (head, *rows)) for index in range(len(head))]
    tails: set[int] = set()
    if columns is not None:
        _narrow(widths, tails, columns, head, give)
    first, *rest = [tuple(_cut(cell, room, tail=i in tails) for i, (cell, room) in enumerate(zip(row, widths, strict=True)))
                    for row in (head, *rows)]  # fmt: skip
    where = head.index(inked) if inked else None
    lines = [paint(_line(first, widths), "bold", on=colour)]
    for number, row in enumerate(rest):
        ink = inks[number] if inks else None
        lines.append(_line(row, widths, where if colour else None, ink))
    return lines


def _narrow(widths: list[int], tails: set[int], columns: int, head: Sequence[str], give: Sequence[Give]) -> None:
    """Take from *widths* until all fits; in the end from the last column to the first, which is a row's name."""
    last = [Give(column=name) for name in reversed(head)]
    for each in (*give, *last):
        over = sum(widths) + _GAP * (sum(1 for room in widths if room) - 1) - columns
        index = head.index(each.column)
        if over <= 0:
            return
        if widths[index] <= each.least:
            continue
        left = max(each.least, widths[index] - over)
        widths[index] = left if left >= _HARDLY or index == 0 else 0
        if each.tail:
            tails.add(index)


def _cut(cell: str, room: int, *, tail: bool) -> str:
    if not tail or width(cell) <= room:
        return shortened(cell, room)
    return shortened(cell[::-1], room)[::-1]


def _line(row: Sequence[str], widths: Sequence[int], where: int | None = None, ink: Colour | None = None) -> str:
    return (" " * _GAP).join(_cells(row, widths, where, ink)).rstrip()


def _cells(row: Sequence[str], widths: Sequence[int], where: int | None, ink: Colour | None) -> Iterator[str]:
    for index, (cell, room) in enumerate(zip(row, widths, strict=True)):
        if room:
            shown = paint(cell, ink, on=True) if index == where and ink else cell
            yield shown + padded(cell, room)[len(cell) :]
