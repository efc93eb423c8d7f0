# SPDX-License-Identifier: Apache-2.0
"""What `flow fmt` did or would do: the difference of a file as `diff -u` prints it, and a line that counts."""

from collections.abc import Iterator, Sequence
from difflib import unified_diff

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.view.ink import Colour, clean, counted, paint
from fleetflow_tasks.view.jsonl import document

_COLOURS: dict[str, Colour] = {"-": "red", "+": "green", "@": "cyan"}


def diff(name: str, old: str, new: str, *, colour: bool = False, terminal: bool = False) -> str:
    """What `patch` takes, without a line break at its end. terminal: nothing in the file may move a cursor there."""
    return "\n".join(_painted(line, colour=colour, terminal=terminal) for line in _lines(name, old, new))


def _lines(name: str, old: str, new: str) -> Iterator[str]:
    for line in unified_diff(_split(old), _split(new), name, name):
        yield line.removesuffix("\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def _split(text: str) -> Sequence[str]:
    """At `\\n` alone: other line breaks stay where they are in strings, and `patch` does not know them."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop().removesuffix("\n")
    return [*lines, last] if last else lines


def _painted(line: str, *, colour: bool, terminal: bool) -> str:
    shown = clean(line) if terminal else line
    kind = "bold" if line.startswith(("--- ", "+++ ")) else _COLOURS.get(line[:1])
    return paint(shown, kind, on=colour) if kind else shown


def as_json(changed: Sequence[str], same: Sequence[str], problems: Sequence[Problem], *, wrote: bool) -> str:
    """One object: `{"v":1,"type":"fmt","written":true,"changed":["api.kdl"],"same":[…],"problems":[…]}`."""
    return document("fmt", {"written": wrote, "changed": changed, "same": same, "problems": problems})


def summary(changed: int, same: int, left: int, *, wrote: bool) -> str:
    """One line: `2 files formatted, 7 unchanged`. left: how many were left alone for an error."""
    parts = [(changed, "formatted" if wrote else "would be formatted")]
    parts += [(same, "unchanged" if wrote else "formatted already"), (left, "left alone")]
    (number, what), *rest = [part for part in parts if part[0]] or parts[1:2]
    return ", ".join([f"{counted(number, 'file')} {what}", *(f"{number} {what}" for number, what in rest)])
