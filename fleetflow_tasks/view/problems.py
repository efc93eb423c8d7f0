# SPDX-License-Identifier: Apache-2.0
"""Problem -> text: place, source line with caret, cause, fix, more. The one place where a problem gets its form.

    fleet.kdl:12:9: unknown node `enviroment` in service `api`
       12 |         enviroment { LOG "info" }
          |         ^^^^^^^^^^ did you mean `environment`?

The first line is complete by itself, since a CI log may show no more. On a terminal (where *columns* is said) long lines
are broken between words; in a file, and where a command is to be copied, never.
"""

from collections.abc import Iterable, Iterator

from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.view.ink import Colour, clean, counted, paint, width, wrapped

_AROUND = 100  # columns of a source line that are shown; it can be a whole minified file
_BEFORE = 0.6  # of these before the caret
_FEWEST = 20  # of these, however narrow the window
_MARGIN = 10  # columns beside these: the line's number, and that it goes on

_COLOURS: dict[str, Colour] = {"error": "bold red", "warning": "bold yellow", "note": "cyan"}


def render(problem: Problem, *, colour: bool = False, columns: int | None = None) -> str:
    """The problem in full, without a line break at its end."""
    return "\n".join(lines(problem, colour=colour, columns=columns))


def render_all(problems: Iterable[Problem], *, colour: bool = False, columns: int | None = None) -> str:
    """All of them, a blank line between those that take more than one line, and a count at the end where there are several."""
    shown = list(problems)
    texts = [render(problem, colour=colour, columns=columns) for problem in shown]
    joint = "\n\n" if any("\n" in text for text in texts) else "\n"
    return joint.join([*texts, *([count] if (count := _count(shown)) else [])])


def headline(problem: Problem, *, colour: bool = False) -> str:
    """The first line alone: place, kind where it is no error, message."""
    place = f"{clean(str(problem.place))}: " if problem.place else ""
    kind = "" if problem.severity == "error" else paint(f"{problem.severity}: ", _COLOURS[problem.severity], on=colour)
    message = clean(problem.message)
    bold = problem.severity == "error"
    return f"{paint(place, 'bold', on=colour)}{kind}{paint(message, 'bold red', on=colour) if bold else message}"


def lines(problem: Problem, *, colour: bool = False, columns: int | None = None) -> list[str]:
    """The first line, broken where it has to be, and what stands below it."""
    first = wrapped(headline(problem, colour=colour), columns, hang=2)
    return [*first, *_details(problem, colour=colour, columns=columns)]


def details(problem: Problem, *, colour: bool = False, columns: int | None = None) -> list[str]:
    """What stands below the first line: source, cause, fix, more."""
    return list(_details(problem, colour=colour, columns=columns))


def _details(problem: Problem, *, colour: bool, columns: int | None) -> Iterator[str]:
    guess = problem.fix.startswith("did you mean")
    sourced = problem.place is not None and bool(problem.place.text.strip())
    if problem.place is not None and sourced:
        beside = problem.fix if guess else ""
        yield from _source(problem.place, beside, _COLOURS[problem.severity], colour=colour, columns=columns)
    for text in problem.cause:
        for line in text.splitlines() or [""]:
            yield from wrapped(f"  {clean(line)}".rstrip(), columns, hang=2)
    if problem.fix and not (guess and sourced):
        fix = f"  {paint('' if guess else 'fix: ', 'green', on=colour)}{clean(problem.fix)}"
        yield from wrapped(fix, columns, hang=5)
    if problem.more:
        yield f"  {paint('more: ', 'cyan', on=colour)}{clean(problem.more)}"


def _source(place: Place, guess: str, mark: Colour, *, colour: bool, columns: int | None) -> Iterator[str]:
    number = f"{place.line:5}"
    around = _AROUND if columns is None else max(_FEWEST, min(_AROUND, columns - _MARGIN))
    start = _start(place, around)
    text = clean(place.text[start : start + around])
    left = "…" if start else ""
    right = "…" if start + around < len(place.text) else ""
    before = clean(place.text[start : place.column - 1])
    under = clean(place.text[place.column - 1 : place.column - 1 + place.length][: start + around - place.column + 1])
    pad = left and " "
    pad += "".join("\t" if char == "\t" else " " * width(char) for char in before)
    carets = "^" * max(1, width(under))
    yield f"{paint(f'{number} |', 'dim', on=colour)} {left}{text}{right}".rstrip()
    line = f"{paint('      |', 'dim', on=colour)} {pad}{paint(carets, mark, on=colour)}"
    yield f"{line} {clean(guess)}" if guess else line


def _start(place: Place, around: int) -> int:
    """From which character on the line is shown: from its first one, where the caret is not far."""
    if len(place.text) <= around:
        return 0
    return max(0, place.column - 1 - int(_BEFORE * around))


def _count(problems: list[Problem]) -> str:
    if len(problems) < 2:
        return ""
    kinds = (("error", "error"), ("warning", "warning"), ("note", "note"))
    numbers = ((sum(1 for each in problems if each.severity == severity), word) for severity, word in kinds)
    return ", ".join(counted(number, word) for number, word in numbers if number)
