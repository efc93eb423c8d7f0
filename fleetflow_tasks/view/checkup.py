# SPDX-License-Identifier: Apache-2.0
"""`flow doctor` on the screen: a line for each thing looked at, below it what is wrong, and at the end the sum.

✓ redis        Redis 7.0.15 at redis://redis.internal:6379/0
! persistence  none
    warning: Redis at redis://redis.internal:6379/0 keeps runs in memory alone
      fix: set `appendonly yes` there, or give it a replica
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from fleetflow_tasks.engine.checkup import Check, Checkup
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.view.ink import Colour, clean, counted, padded, paint, width, wrapped
from fleetflow_tasks.view.jsonl import document
from fleetflow_tasks.view.problems import details, headline

_MARKS: Mapping[str, tuple[str, str, Colour]] = {  # on a terminal that can, on one that cannot
    "": ("✓", "+", "green"),
    "note": ("i", "i", "cyan"),
    "warning": ("!", "!", "yellow"),
    "error": ("✗", "x", "red"),
}
_WORSE = ("error", "warning", "note")


def text(found: Checkup, *, colour: bool = False, unicode: bool = True, columns: int | None = None) -> str:
    """columns: where lines are broken; None: never."""
    names = max((width(check.name) for check in found.checks), default=0)
    lines = [
        part
        for check in found.checks
        for line, hang in _lines(check, names, colour=colour, unicode=unicode)
        for part in wrapped(line, columns, hang=hang)
    ]
    return "\n".join([*lines, "", _sum(found.problems)])


def as_json(found: Checkup) -> str:
    """One object: `{"v":1,"type":"doctor","ok":true,"checks":[{"name":…,"text":…,"verdict":"ok","problems":[…]}]}`."""
    checks = [
        {"name": check.name, "text": check.text, "verdict": _worst(check.problems) or "ok", "problems": check.problems}
        for check in found.checks
    ]
    return document("doctor", {"ok": is_well(found), "checks": checks})


def is_well(found: Checkup) -> bool:
    """Nothing that keeps a deployment from going through; warnings and notes do not."""
    return _worst(found.problems) != "error"


def _lines(check: Check, names: int, *, colour: bool, unicode: bool) -> Iterator[tuple[str, int]]:
    """Each with how far its rest hangs where it is broken."""
    fine, plain, ink = _MARKS[_worst(check.problems)]
    mark = paint(fine if unicode else plain, ink, on=colour)
    yield f"{mark} {padded(clean(check.name), names)}  {clean(check.text)}", names + 4
    for problem in check.problems:
        yield f"    {headline(problem, colour=colour)}", 2
        yield from ((f"    {line}", 2) for line in details(problem, colour=colour))


def _worst(problems: Sequence[Problem]) -> str:
    there = {problem.severity for problem in problems}
    return next((severity for severity in _WORSE if severity in there), "")


def _sum(problems: Sequence[Problem]) -> str:
    number = Counter(problem.severity for problem in problems)
    if not problems:
        return "all is well"
    return ", ".join(
        counted(number[severity], severity) for severity in ("error", "warning", "note") if number[severity]
    )
