# SPDX-License-Identifier: Apache-2.0
"""`.dockerignore`: which paths of a context are left out. Pure.

Docker's rules, not git's: a pattern begins at the context's root, `*` and `?` do not cross a `/`, `**` crosses any
number, what matches a folder matches all below it, `!` takes back, and of several patterns that match the last counts.
One rule is in no manual, and yet what Docker does: `!web` takes back the folder `web` only if it was left out itself, and
not `web/node_modules`, which `**/node_modules` leaves out.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator

from fleetflow_tasks.config.model import Data

Matched = tuple[bool, ...]  # of each pattern, whether it has matched a path or a folder above it

_WILD = re.compile(r"[*?\[\\]")


class _Pattern(Data, frozen=True, kw_only=True):
    """text: cleaned. back: it takes paths back instead of leaving them out."""

    text: str
    back: bool
    regex: re.Pattern[str]

    @property
    def plain(self) -> str:
        """What every path that it matches begins with."""
        wild = _WILD.search(self.text)
        return self.text[: wild.start()] if wild else self.text


class Ignore:
    """The patterns of one file. kept: paths that are sent whatever they say."""

    def __init__(self, text: str = "", *, kept: Iterable[str] = ()) -> None:
        """Raises ValueError, with the line, for a pattern that is none."""
        self._patterns = (*_parsed(text), *(_pattern("!" + _WILD.sub(r"\\\g<0>", path)) for path in kept))

    def __call__(self, path: str, above: Matched = ()) -> tuple[bool, Matched]:
        """Whether *path*, relative to the context and with `/`, is left out, and what to ask with for what is below it.

        above: what the same answered for the folder that holds it.
        """
        out, matched = False, []
        for place, pattern in enumerate(self._patterns):
            found = bool(above) and above[place]
            found = found or (pattern.back == out and pattern.regex.fullmatch(path) is not None)
            matched.append(found)
            out = not pattern.back if found else out
        return out, tuple(matched)

    def may_hold(self, folder: str) -> bool:
        """Whether something below *folder*, which is left out, may be taken back."""
        inside = folder + "/"
        return any(
            pattern.plain.startswith(inside) or (pattern.plain != pattern.text and inside.startswith(pattern.plain))
            for pattern in self._patterns
            if pattern.back
        )


def _parsed(text: str) -> Iterator[_Pattern]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        try:
            yield _pattern(line.strip())
        except ValueError as error:
            raise ValueError(f"line {number}: `{line.strip()}` is no pattern") from error


def _pattern(line: str) -> _Pattern:
    """One that means the context itself, such as `.` and `/`, matches nothing, "for historical reasons"."""
    text = posixpath.normpath(line.removeprefix("!").strip()).lstrip("/")
    if line == "!":
        raise ValueError(line)
    try:
        regex = re.compile(_regex(text), re.DOTALL)
    except re.error as error:
        raise ValueError(line) from error
    return _Pattern(text=text, back=line.startswith("!"), regex=regex)


_TOKEN = re.compile(r"(?P<deep>\*\*+/?)|\\(?P<escaped>.)|(?P<set>\[[^]]*\])|.", re.DOTALL)


def _regex(text: str) -> str:
    return "".join(_translated(token, last=token.end() == len(text)) for token in _TOKEN.finditer(text))


def _translated(token: re.Match[str], *, last: bool) -> str:
    if token["deep"]:
        return ".*" if last else "(?:.*/)?"
    if token["set"]:
        return token[0]
    one = {"*": "[^/]*", "?": "[^/]"}
    return one.get(token[0]) or re.escape(token["escaped"] or token[0])
