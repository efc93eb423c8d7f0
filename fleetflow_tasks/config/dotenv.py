# SPDX-License-Identifier: Apache-2.0
"""`NAME=value` lines, as `.env` and `env_file` hold them, read as Docker Compose reads them.

Quotes may span lines; `#` after a space begins a comment; single quotes keep `${NAME}` as it stands.
"""

import re
from collections.abc import Mapping

from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.variables import Variable, plain
from fleetflow_tasks.errors import Place, Problem

_ENTRY = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[^\s=#'"]+)[ \t]*
    (?:=[ \t]*(?:
        '(?P<single>[^']*)'[ \t]*(?:\#[^\n]*)?
      | "(?P<double>(?:[^"\\]|\\.)*)"[ \t]*(?:\#[^\n]*)?
      | (?P<bare>(?!['"])[^\n]*?)[ \t]*(?:(?<![^ \t=])\#[^\n]*)?
    ))?[ \t]*(?=\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_BACKSLASHED = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


def dotenv(text: Text, environ: Mapping[str, str]) -> tuple[dict[str, Variable], list[Problem]]:
    """The lines of a `.env` file. A name without `=` is taken from *environ*; single quotes keep `${}` as it stands."""
    found: dict[str, Variable] = {}
    problems: list[Problem] = []
    source = text.source
    position = 0
    while position < len(source):
        if blank := _BLANK.match(source, position):
            position = blank.end() if blank.end() > position else len(source)
            continue
        entry = _ENTRY.match(source, position)
        end = source.find("\n", position) if entry is None else entry.end()
        end = len(source) if end < 0 else end
        place = Place(
            file=text.name, line=source.count("\n", 0, position) + 1
        )  # without the line: it may hold a password
        if entry is None:
            problems.append(Problem(code="bad-line", message="this line is not `NAME=value`", place=place))
        else:
            variable = _entry(entry, place, environ)
            found.update({entry["name"]: variable} if variable else {})
        position = end + 1
    return found, problems


def _entry(entry: re.Match[str], place: Place, environ: Mapping[str, str]) -> Variable | None:
    if entry["single"] is not None:
        return plain(place.file, entry["single"])
    if entry["double"] is not None:
        text = _BACKSLASHED.sub(lambda match: _CONTROL.get(match[1], match[1]), entry["double"])
    elif entry["bare"] is not None:
        text = entry["bare"]
    else:
        known = environ.get(entry["name"])
        return None if known is None else plain("environment", known)
    return Variable(place.file, lambda scope: scope.fill(text, place), place)
