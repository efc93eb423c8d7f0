# SPDX-License-Identifier: Apache-2.0
"""A terminal as far as a tree is drawn on it: a grid that wraps, scrolls, and breaks its lines anew when it is resized."""

import re

from fleetflow_tasks.view.ink import width

_TOKEN = re.compile(r"\x1b\[(\??)(\d*)([A-Za-z])|([\r\n])|([^\x1b\r\n])")


class Window:
    """rows: all that was ever written, the last *lines* of them in sight. `write` and `flush`: as of a file."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.wraps = True
        self.cursor = True
        self._rows = [""]
        self._row = self._column = 0

    def size(self) -> tuple[int, int]:
        return self.columns, self.lines

    def write(self, text: str) -> int:
        for private, number, order, moved, letter in _TOKEN.findall(text):
            if letter:
                self._put(letter)
            elif moved == "\r":
                self._column = 0
            elif moved == "\n":
                self._feed()
            elif private:
                self._switch(number, on=order == "h")
            else:
                self._order(order, int(number or 1))
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def resize(self, columns: int, lines: int) -> None:
        """Lines that are wider now are broken, the cursor stays behind the letter that it was behind."""
        above = [part for row in self._rows[: self._row] for part in _broken(row, columns)]
        here = _broken(self._rows[self._row], columns)
        self._rows = [*above, *here, *self._rows[self._row + 1 :]]
        self._row, self._column = len(above) + len(here) - 1, width(here[-1])
        self.columns, self.lines = columns, lines

    @property
    def shown(self) -> list[str]:
        return [row.rstrip() for row in self._rows]

    def _put(self, letter: str) -> None:
        room = width(letter)
        if self._column + room > self.columns:
            if not self.wraps:
                return
            self._feed()
            self._column = 0
        row = self._rows[self._row].ljust(self._column)
        self._rows[self._row] = row[: self._column] + letter + row[self._column + 1 :]
        self._column += room

    def _feed(self) -> None:
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._rows):
            self._rows.append("")

    def _switch(self, number: str, *, on: bool) -> None:
        if number == "7":
            self.wraps = on
        else:
            self.cursor = on

    def _order(self, order: str, number: int) -> None:
        match order:
            case "A":
                self._row = max(len(self._rows) - self.lines, 0, self._row - number)
            case "J":
                self._rows[self._row] = self._rows[self._row][: self._column]
                del self._rows[self._row + 1 :]
            case _:
                assert order == "m", order


def _broken(row: str, columns: int) -> list[str]:
    parts = [""]
    for letter in row:
        if width(parts[-1]) + width(letter) > columns:
            parts.append("")
        parts[-1] += letter
    return parts
