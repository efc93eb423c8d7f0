# SPDX-License-Identifier: Apache-2.0
"""The Engine's answer to a build, object by object -> where it stands, what its steps print, and how it ended. Pure.

An Engine that builds with BuildKit tells it in BuildKit's own words (`build_trace`); one that has none, and what only
looks like an Engine, writes the lines of the classic builder, `Step 2/7 : RUN npm ci` and then the output.
"""

import base64
import binascii
import re
from collections import deque

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.docker.build_trace import Amount, Log, Vertex, read

LINES = 20  # of a step's output that are kept
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CLASSIC = re.compile(r"step (\d+)/(\d+) ?: (.*)", re.IGNORECASE | re.DOTALL)
_NUMBERED = re.compile(r"\[(?:(\S+) +)?(\d+)/(\d+)\] (.*)", re.DOTALL)
_INNER = re.compile(r"\[internal\]|copy /context|docker-image://")  # what the builder does for itself
_ASIDE = re.compile(r"\s*(?:--->|Removing intermediate container|Successfully (?:built|tagged))")


class Step(Data, frozen=True, kw_only=True):
    """stage: of the Dockerfile, "" where it has one alone. number, of: within that stage. text: the instruction."""

    text: str
    stage: str = ""
    number: int = 0
    of: int = 0

    def __str__(self) -> str:
        where = f" of {self.stage}" if self.stage else ""
        return f"step {self.number}/{self.of}{where}: {self.text}" if self.number else self.text


class _Object(msgspec.Struct):
    id: str = ""
    aux: object = None
    stream: str = ""


class Progress:
    """Of one build. error: the builder's words, "" until it failed. failed: the step that did, where it was one.

    image: its id, once it is there.
    """

    def __init__(self) -> None:
        self.error = ""
        self.image = ""
        self.failed: Step | None = None
        self._step: Step | None = None
        self._begun: set[str] = set()
        self._output: dict[str, deque[str]] = {}
        self._now = ""

    def __call__(self, told: object) -> tuple[str, ...]:
        """What to say of it, line by line."""
        line = msgspec.convert(told, _Object, strict=False)
        if line.id == "moby.buildkit.trace":
            return self._traced(line.aux)
        if isinstance(line.aux, dict):
            self.image = str(line.aux.get("ID", self.image))
        return self._classic(line.stream)

    def end(self, error: str) -> None:
        """It failed. error: the builder's words."""
        self.error = error
        self.failed = self.failed or self._step

    @property
    def exit_code(self) -> int | None:
        """Of the command that failed; None where it was no command."""
        found = re.search(r"(?:exit code:|non-zero code:) (\d+)", self.error)
        return int(found[1]) if found else None

    @property
    def output(self) -> tuple[str, ...]:
        """The last lines of the step that failed, or is under way."""
        return tuple(self._output.get(self._now, ()))

    def _traced(self, aux: object) -> tuple[str, ...]:
        try:
            message = base64.b64decode(str(aux))
        except binascii.Error:
            return ()
        return tuple(text for each in read(message) if (text := self._told(each)))

    def _told(self, each: Vertex | Log | Amount) -> str:
        match each:
            case Log():
                self._print(each.vertex, each.text)
                return ""
            case Amount():
                return _fetched(each) if each.vertex == self._now and each.total else ""
            case Vertex(state="failed"):
                self.failed, self._now = step(each.name), each.id
                return ""
            case Vertex(state="running") if each.id not in self._begun:
                self._begun.add(each.id)
                self._now = each.id
                return "" if _INNER.match(each.name) else str(step(each.name))
            case Vertex():  # pragma: no branch  (the last there is)
                return ""

    def _classic(self, stream: str) -> tuple[str, ...]:
        found = _CLASSIC.match(stream)
        if found:
            text = found[3].strip()
            self._now, self._step = found[1], Step(text=_one_line(text), number=int(found[1]), of=int(found[2]))
            return (str(self._step),)
        if not _ASIDE.match(stream):
            self._print(self._now, stream)
        return ()

    def _print(self, source: str, text: str) -> None:
        lines = (line for line in _COLOURS.sub("", text).splitlines() if line.strip())
        self._output.setdefault(source, deque(maxlen=LINES)).extend(lines)


def step(name: str) -> Step:
    """From BuildKit's name for it: `[prod 2/3] RUN npm ci`."""
    found = _NUMBERED.fullmatch(name)
    if not found:
        return Step(text=_one_line(name))
    return Step(text=_one_line(found[4]), stage=found[1] or "", number=int(found[2]), of=int(found[3]))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fetched(amount: Amount) -> str:
    return f"fetching {amount.current / 1e6:.0f} of {amount.total / 1e6:.0f} MB"
