# SPDX-License-Identifier: Apache-2.0
"""How text is written for a terminal: colours, columns, durations, and nothing that could take the terminal over.

Text that comes from outside (a container's last words, a registry's answer) may hold escape sequences. `clean` takes
them out; every view calls it before it prints what it did not write itself.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

Colour = Literal["red", "green", "yellow", "blue", "cyan", "dim", "bold", "bold red", "bold yellow", "bold green"]

_CODES: dict[Colour, str] = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
    "bold red": "1;31",
    "bold yellow": "1;33",
    "bold green": "1;32",
}

# An escape sequence as a whole (CSI, OSC to its end, or two characters), then any other control character but the tab.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?", re.DOTALL)
_WORD = re.compile(r"( *)((?:`[^`]*`|[^ ])+)")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


_WIDTHLESS = {"Mn", "Me", "Cf"}  # marks on the letter before, joiners, variants


def clean(text: str) -> str:
    """*text* on one line, without anything that moves a cursor, colours, or turns the direction of writing."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\n", " ").replace("\r", "")))


def paint(text: str, colour: Colour, *, on: bool) -> str:
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if on and text else text


def width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(char) in _WIDTHLESS else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def padded(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))


def shortened(text: str, columns: int, *, mark: str = "…") -> str:
    """*text* in at most *columns*, its end cut off with *mark* (or with what of it finds room)."""
    columns = max(0, columns)
    if width(text) <= columns:
        return text
    mark = mark[:columns]
    end, room = 0, columns - width(mark)
    while (room := room - width(text[end])) >= 0:
        end += 1
    return text[:end] + mark


def wrapped(line: str, columns: int | None, *, hang: int = 0) -> list[str]:
    """*line*, which may be coloured, in lines of at most *columns*, broken between words.

    What stands in backquotes is kept together, and a longer word stays whole: people copy commands, paths and addresses.
    columns: None: never broken. hang: by how much the others are indented more than the first.
    """
    if columns is None or _shown(line) <= columns:
        return [line]
    indent = line[: len(line) - len(line.lstrip(" "))]
    lines: list[str] = []
    for gap, word in _WORD.findall(line):
        if lines and _shown(lines[-1] + gap + word) <= columns:
            lines[-1] += gap + word
        else:
            lines.append(indent + (" " * hang if lines else "") + word)
    return lines


def _shown(painted: str) -> int:
    return width(_ESCAPES.sub("", painted))


def aligned(rows: Iterable[Sequence[str]], *, gap: str = "  ") -> list[str]:
    """Rows in columns as wide as their widest cell; nothing is padded at the end of a line."""
    rows = [tuple(row) for row in rows]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [gap.join(padded(cell, columns) for cell, columns in zip(row, widths, strict=True)).rstrip() for row in rows]


def duration(seconds: float) -> str:
    """`0.4s`, `12.3s`, `2m 05s`, `1h 02m`, `3d 04h`: as exact as one can use."""
    if seconds < 59.95:
        return f"{max(0.0, seconds):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02}m"
    return f"{hours // 24}d {hours % 24:02}h"


def ago(seconds: float) -> str:
    """`just now`, `12s ago`, `3m ago`, `5h ago`, `2d ago`: in one unit, for who runs an eye over a list."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit} ago"
    return f"{int(seconds)}s ago" if seconds >= 1 else "just now"


def moment(at: float) -> str:
    """Unix seconds as `2026-11-24 08:35:52 UTC`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def listed(names: Iterable[str], most: int = 3) -> str:
    """`db, api, web and 4 more`."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(number: int, one: str, many: str = "") -> str:
    """`1 service`, `2 services`; *many* where an `s` does not do."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def queued(ahead: int) -> str:
    """`queued, 2 runs ahead`; of the run that is next, how many are ahead is not worth a word."""
    return f"queued, {counted(ahead, 'run')} ahead" if ahead else "queued"
