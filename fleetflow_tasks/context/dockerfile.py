# SPDX-License-Identifier: Apache-2.0
"""A Dockerfile, read as far as somebody must know it who only has it built: its stages, and the images it begins with. Pure.

No more than a scan: an instruction is a line with its continuations; whether it makes sense is the builder's to say.
"""

import re
from collections.abc import Iterator, Mapping

from fleetflow_tasks.config.model import Data

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z]+)\s*=\s*(\S+)\s*")
_HEREDOC = re.compile(r"<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\2")
_FLAG = re.compile(r"--([a-z]+)=(\S+)")
_FROM = re.compile(r"(?:--\S+\s+)*(\S+)(?:\s+[aA][sS]\s+(\S+))?\s*")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")
_SCRATCH = "scratch"  # the empty image, which is none


class Instruction(Data, frozen=True, kw_only=True):
    """line: where it begins, from 1. word: in capitals. text: what follows, on one line."""

    line: int
    word: str
    text: str


class Stage(Data, frozen=True, kw_only=True):
    """base: an image, or an earlier stage. also: what else it copies from, as it is written."""

    name: str
    base: str
    also: tuple[str, ...] = ()


class Dockerfile(Data, frozen=True, kw_only=True):
    """syntax: the image that reads it, "" for the builder's own reader."""

    syntax: str = ""
    instructions: tuple[Instruction, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of its stages, in lower case: a builder does not tell cases apart."""
        return tuple(name for stage in self._stages({}) if (name := stage.name))

    def images(self, target: str, args: Mapping[str, str]) -> tuple[str, ...]:
        """The images that must be there to build *target* ("": the last stage); those that only the builder can name are
        left out."""
        stages = list(self._stages(args))
        found = dict.fromkeys([self.syntax] if self.syntax else [])
        waiting: list[int | None] = [_index(stages, target.lower(), len(stages)) if target else len(stages) - 1]
        seen: set[int] = set()
        while waiting:
            place = waiting.pop()
            if place is None or place < 0 or place in seen:
                continue
            seen.add(place)
            for source in (stages[place].base, *stages[place].also):
                earlier = _index(stages, source.lower(), place)
                waiting.append(earlier)
                if earlier is None and source != _SCRATCH and "$" not in source:
                    found[source] = None
        return tuple(sorted(found))

    def _stages(self, args: Mapping[str, str]) -> Iterator[Stage]:
        """args: stronger than what the Dockerfile says itself before its first FROM."""
        known: dict[str, str] = {}
        stage: Stage | None = None
        for each in self.instructions:
            if each.word == "ARG" and stage is None:
                known.update(_argument(each.text, {**known, **args}))
            elif each.word == "FROM" and (found := _FROM.fullmatch(each.text)):
                if stage is not None:
                    yield stage
                stage = Stage(name=(found[2] or "").lower(), base=_filled(found[1], {**known, **args}))
            elif stage is not None and each.word in {"COPY", "ADD", "RUN"}:
                stage = Stage(name=stage.name, base=stage.base, also=(*stage.also, *_sources(each)))
        if stage is not None:
            yield stage


def parsed(text: str) -> Dockerfile:
    lines = text.removeprefix("\ufeff").splitlines()
    directives = _directives(lines)
    escape = directives.get("escape", "\\")
    return Dockerfile(syntax=directives.get("syntax", ""), instructions=tuple(_instructions(lines, escape)))


def _directives(lines: list[str]) -> dict[str, str]:
    """Comments before all else: `# syntax=docker/dockerfile:1`."""
    found: dict[str, str] = {}
    for line in lines:
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None or directive[1].lower() in found:
            break
        found[directive[1].lower()] = directive[2]
    return found


def _instructions(lines: list[str], escape: str) -> Iterator[Instruction]:
    place = 0
    while place < len(lines):
        begins, line = place, lines[place].strip()
        place += 1
        if not line or line.startswith("#"):
            continue
        while line.endswith(escape) and place < len(lines):
            if (more := lines[place].strip()) and not more.startswith("#"):
                line = line.removesuffix(escape) + lines[place].rstrip()
            place += 1
        word, *text = line.removesuffix(escape).split(maxsplit=1)
        instruction = Instruction(line=begins + 1, word=word.upper(), text="".join(text))
        if instruction.word in {"RUN", "COPY", "ADD"}:
            place = _behind_heredocs(lines, place, instruction.text)
        yield instruction


def _behind_heredocs(lines: list[str], place: int, text: str) -> int:
    """Where the next instruction may begin. What nothing ends was no heredoc, but `<<` of some shell's arithmetic."""
    for dash, _, end in _HEREDOC.findall(text):
        ends = (n for n in range(place, len(lines)) if (lines[n].lstrip("\t") if dash else lines[n]) == end)
        place = next(ends, place - 1) + 1
    return place


def _argument(text: str, known: Mapping[str, str]) -> dict[str, str]:
    pairs = (each.partition("=") for each in text.split())
    return {name: _filled(value.strip("'\""), known) for name, equals, value in pairs if equals}


def _filled(text: str, known: Mapping[str, str]) -> str:
    """`$NAME`, `${NAME:-otherwise}` and `${NAME:+if there}`; what is not known stays as it is written."""

    def value(found: re.Match[str]) -> str:
        said = known.get(found[1] or found[2])
        if found[3] == "-":
            return said or found[4]
        if found[3] == "+":
            return found[4] if said else ""
        return found[0] if said is None else said

    return _VARIABLE.sub(value, text)


def _sources(instruction: Instruction) -> Iterator[str]:
    """What `COPY --from=…` and `RUN --mount=type=bind,from=…` name."""
    for flag in instruction.text.split():
        said = _FLAG.fullmatch(flag)
        if said is None:
            break
        if said[1] == "from":
            yield said[2]
        elif said[1] == "mount":
            yield from (each.removeprefix("from=") for each in said[2].split(",") if each.startswith("from="))


def _index(stages: list[Stage], name: str, before: int) -> int | None:
    """Which stage is meant: by its name, or by its number from 0; None where it is none, and so an image."""
    if name.isascii() and name.isdigit():
        return int(name) if int(name) < before else None
    return next((place for place in reversed(range(before)) if stages[place].name == name), None)
