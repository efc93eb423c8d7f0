# SPDX-License-Identifier: Apache-2.0
"""`NAME=value` lines, as `.env` and `env_file` hold them, read as Docker Compose reads them.

Quotes may span lines; `#` after a space begins a comment; single quotes keep `${NAME}` as it stands.
"""

import re
from collections.abc import Mapping

from fleetflow_tasks.config.limits import MAX_WRONG_LINES
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.variables import Variable, plain
from fleetflow_tasks.errors import Place, Problem

# Each line is read once from left to right: nothing here may give back what it took, or a line of spaces takes minutes.
_ENTRY = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[^\s=#'"]+)[ \t]*
    (?:=(?:
        [ \t]*'(?P<single>[^']*)'[ \t]*(?:\#[^\n]*)?
      | [ \t]*"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"[ \t]*(?:\#[^\n]*)?
      | (?P<bare>[^\n]*)
    ))?(?=\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"(?:\A|(?<=[ \t]))#")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_BACKSLASHED = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


def dotenv(text: Text, environ: Mapping[str, str]) -> tuple[dict[str, Variable], list[Problem]]:
    """The lines of a `.env` file. A name without `=` is taken from *environ*; single quotes keep `${}` as it stands."""
    found: dict[str, Variable] = {}
    problems: list[Problem] = []
    source = text.source
    position = counted = 0
    line = 1
    while position < len(source):
        if blank := _BLANK.match(source, position):
            position = blank.end() if blank.end() > position else len(source)
            continue
        line += source.count("\n", counted, position)
        counted = position
        place = Place(file=text.name, line=line)  # without the line: it may hold a password
        entry = _matched(source, position)
        end = source.find("\n", position) if entry is None else entry.end()
        if entry is None:
            problems.append(_bad_line(place))
        else:
            variable = _entry(entry, place, environ)
            found.update({entry["name"]: variable} if variable else {})
        position = len(source) if end < 0 or len(problems) > MAX_WRONG_LINES else end + 1
    return found, problems


def _matched(source: str, position: int) -> re.Match[str] | None:
    """The entry that begins there; None where a quote is not closed, too."""
    entry = _ENTRY.match(source, position)
    return None if entry is None or (entry["bare"] or "").lstrip(" \t").startswith(("'", '"')) else entry


def _bad_line(place: Place) -> Problem:
    fix = "write `NAME=value`; a comment begins with `#`, and a quote is closed"
    return Problem(code="bad-line", message="this line is not `NAME=value`", fix=fix, place=place)


def _entry(entry: re.Match[str], place: Place, environ: Mapping[str, str]) -> Variable | None:
    if entry["single"] is not None:
        single = entry["single"]
        return Variable(place.file, lambda _: single, place)
    if entry["double"] is not None:
        text = _BACKSLASHED.sub(lambda match: _CONTROL.get(match[1], match[1]), entry["double"])
    elif entry["bare"] is not None:
        text = _COMMENT.split(entry["bare"].strip(" \t"), maxsplit=1)[0].rstrip(" \t")
    else:
        known = environ.get(entry["name"])
        return None if known is None else plain("environment", known)
    return Variable(place.file, lambda scope: scope.fill(text, place), place)
