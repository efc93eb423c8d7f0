# SPDX-License-Identifier: Apache-2.0
"""Problem -> text: place, source line with caret, cause, fix, more. The one place where a problem gets its form.

    fleet.kdl:12:9: unknown node `enviroment` in service `api`
       12 |         enviroment { LOG "info" }
          |         ^^^^^^^^^^ did you mean `environment`?

The first line is complete by itself, since a CI log may show no more.
"""

from collections.abc import Iterable, Iterator

from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.view.ink import Colour, clean, counted, paint, width

_BEFORE = 60  # columns of a source line shown before the caret; a line can be a whole minified file
_AROUND = 100  # columns shown in all

_COLOURS: dict[str, Colour] = {"error": "bold red", "warning": "bold yellow", "note": "cyan"}


def render(problem: Problem, *, colour: bool = False) -> str:
    """The problem in full, without a line break at its end."""
    return "\n".join(_lines(problem, colour=colour))


def render_all(problems: Iterable[Problem], *, colour: bool = False) -> str:
    """All of them, a blank line between those that take more than one line, and a count at the end where there are several."""
    shown = list(problems)
    texts = [render(problem, colour=colour) for problem in shown]
    joint = "\n\n" if any("\n" in text for text in texts) else "\n"
    return joint.join([*texts, *([count] if (count := _count(shown)) else [])])


def headline(problem: Problem, *, colour: bool = False) -> str:
    """The first line alone: place, kind where it is no error, message."""
    place = f"{clean(str(problem.place))}: " if problem.place else ""
    kind = "" if problem.severity == "error" else paint(f"{problem.severity}: ", _COLOURS[problem.severity], on=colour)
    message = clean(problem.message)
    bold = problem.severity == "error"
    return f"{paint(place, 'bold', on=colour)}{kind}{paint(message, 'bold red', on=colour) if bold else message}"


def details(problem: Problem, *, colour: bool = False) -> list[str]:
    """What stands below the first line: source, cause, fix, more."""
    return list(_details(problem, colour=colour))


def _lines(problem: Problem, *, colour: bool) -> Iterator[str]:
    yield headline(problem, colour=colour)
    yield from _details(problem, colour=colour)


def _details(problem: Problem, *, colour: bool) -> Iterator[str]:
    guess = problem.fix.startswith("did you mean")
    sourced = problem.place is not None and bool(problem.place.text.strip())
    if problem.place is not None and sourced:
        yield from _source(problem.place, problem.fix if guess else "", _COLOURS[problem.severity], colour=colour)
    for text in problem.cause:
        yield from (f"  {clean(line)}".rstrip() for line in text.splitlines() or [""])
    if problem.fix and not (guess and sourced):
        yield f"  {paint('' if guess else 'fix: ', 'green', on=colour)}{clean(problem.fix)}"
    if problem.more:
        yield f"  {paint('more: ', 'cyan', on=colour)}{clean(problem.more)}"


def _source(place: Place, guess: str, mark: Colour, *, colour: bool) -> Iterator[str]:
    number = f"{place.line:5}"
    start = max(0, place.column - 1 - _BEFORE)
    text = clean(place.text[start : start + _AROUND])
    left = "…" if start else ""
    right = "…" if start + _AROUND < len(place.text) else ""
    before = clean(place.text[start : place.column - 1])
    under = clean(place.text[place.column - 1 : place.column - 1 + place.length][: _AROUND - _BEFORE])
    pad = left and " "
    pad += "".join("\t" if char == "\t" else " " * width(char) for char in before)
    carets = "^" * max(1, width(under))
    yield f"{paint(f'{number} |', 'dim', on=colour)} {left}{text}{right}".rstrip()
    line = f"{paint('      |', 'dim', on=colour)} {pad}{paint(carets, mark, on=colour)}"
    yield f"{line} {clean(guess)}" if guess else line


def _count(problems: list[Problem]) -> str:
    if len(problems) < 2:
        return ""
    kinds = (("error", "error"), ("warning", "warning"), ("note", "note"))
    numbers = ((sum(1 for each in problems if each.severity == severity), word) for severity, word in kinds)
    return ", ".join(counted(number, word) for number, word in numbers if number)
