# SPDX-License-Identifier: Apache-2.0
"""A settled stage as KDL that reads back as the same plan, each line with its origin behind it; and as JSON.

service "api" {                     // services/api.kdl:1
    image "ghcr.io/shop/api:1.4"    // services/api.kdl:2; TAG from --var
    environment {
        LOG "info"                  // stages/stg.kdl:6, over services/api.kdl:9
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import cast

from fleetflow_tasks.config.as_kdl import Line, Mixed, Node, lines
from fleetflow_tasks.config.encode import nodes
from fleetflow_tasks.config.model import HIDDEN
from fleetflow_tasks.config.provenance import Origin, Part, Path
from fleetflow_tasks.config.schema import Row
from fleetflow_tasks.config.trail import NOT_SET
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.hidden import for_eyes
from fleetflow_tasks.plan.settled import STAGE, Settled
from fleetflow_tasks.plan.variables import VariableTold
from fleetflow_tasks.view.ink import clean, paint, width
from fleetflow_tasks.view.jsonl import document

_BLOCK = re.compile(r" {4}\S.*\{$")  # of the stage itself, its services among them
_WIDEST = 72  # columns up to which origins are put below each other; a longer line pushes its own out


def text(found: Settled, row: Row, *, origins: bool = True, aligned: bool = False, colour: bool = False) -> str:
    """aligned: origins below each other, for eyes; else two spaces behind what they are of."""
    written = list(lines(nodes(found.document, row, lambda path: _said(found, path) if origins else "")))
    column = min(_WIDEST, max((width(line.text) for line in written if line.remark), default=0)) if aligned else 0
    return "\n".join(_line(line, column, colour=colour) for line in _airy(written))


def _airy(written: Sequence[Line]) -> Iterator[Line]:
    """A blank line before the stage, and before each of its blocks but the first."""
    for line, after in pairwise(written):
        yield line
        if after.text.startswith("stage ") or (_BLOCK.match(after.text) and not line.text.startswith("stage ")):
            yield Line(text="")
    yield written[-1]


def _said(found: Settled, path: Path) -> str:
    """A block is said to be somewhere only where a file says so; a value has its default, too."""
    if path not in found.origins and _is_block(found.document, path):
        return ""
    return (f"{HIDDEN}, " if _is_secret(path) else "") + _told(found.origin(path))


def _is_secret(path: Path) -> bool:
    return path[-2:-1] == ("secrets",)


def _is_block(value: object, path: Path) -> bool:
    for key in path:
        value = cast("Mapping[str | int, object]", value)[key]
    return isinstance(value, Mapping)


def _told(origin: Origin) -> str:
    over = f", over {', '.join(origin.over)}" if origin.over else ""
    parts = "".join(f"; {part.name} {_from(part)}" for part in origin.parts)
    return f"{origin.source}{over}{parts}"


def _from(part: Part) -> str:
    return part.source if part.source == NOT_SET else f"from {part.source}"


def _line(line: Line, column: int, *, colour: bool) -> str:
    if not line.remark:
        return line.text
    gap = " " * max(2, column - width(line.text) + 2)
    return f"{line.text}{gap}{paint(f'// {line.remark}', 'dim', on=colour)}"


def as_json(found: Settled, warnings: Sequence[Problem] = ()) -> str:
    """One object, of the type `config`: what a line of the KDL says is a value there, by its path."""
    services = {
        str(values["name"]): _settings(found, values, (*STAGE, "services", index))
        for index, values in enumerate(found.services)
    }
    fields = {
        "project": _setting(found, found.project, ("project",)),
        "stage": _setting(found, found.stage, STAGE),
        "runtime": _settings(found, found.runtime, (*STAGE, "runtime"), hidden=()),
        "variables": _settings(found, found.variables, (*STAGE, "variables"), hidden=()),
        "services": services,
        "warnings": warnings,
    }
    return document("config", fields)


def _settings(
    found: Settled, values: Mapping[str, object], path: Path, *, hidden: Sequence[str] = ("name",)
) -> Mapping[str, object]:
    """hidden: what the key of the whole says already."""
    there = ((name, value) for name, value in values.items() if name not in hidden)
    leaves = (leaf for name, value in there for leaf in _leaves(value, (*path, name)))
    return {_dotted(at[len(path) :]): _setting(found, value, at) for at, value in leaves}


def _leaves(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, tuple) and value and isinstance(value[0], Mapping):
        yield from (((*path, index), element) for index, element in enumerate(value))
    elif isinstance(value, Mapping) and not _is_secret(path):
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    else:
        yield path, value


def _dotted(path: Path) -> str:
    return ".".join(map(str, path)).removeprefix("options.")


def _setting(found: Settled, value: object, path: Path) -> Mapping[str, object]:
    return {"value": _plain(value), **_traced(found.origin(path))}


def _traced(origin: Origin) -> Mapping[str, object]:
    parts = [{"name": part.name, "from": part.source} for part in origin.parts]
    return {"from": origin.source, "over": origin.over, "parts": parts}


def _plain(value: object) -> object:
    if isinstance(value, Mixed):
        return for_eyes(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def variables(found: Sequence[VariableTold], *, colour: bool = False) -> str:
    """Each as a file would say it, with its origin behind it, and who uses it below."""
    told = [line for each in found for line in _variable(each, colour=colour)]
    return "\n".join(told or ["the stage knows no variables"])


def _variable(found: VariableTold, *, colour: bool) -> Iterator[str]:
    args = () if found.value is None else (found.value,)
    for line in lines([Node(name=found.name, args=args, behind=_told(found.origin))]):
        yield _line(line, 0, colour=colour)
    for user in found.users or ("nobody",):
        yield f"    used by {clean(user)}"


def variables_json(project: str, stage: str, found: Sequence[VariableTold], warnings: Sequence[Problem] = ()) -> str:
    """One object, of the type `variables`."""
    told = [{"name": each.name, "value": each.value, "users": each.users, **_traced(each.origin)} for each in found]
    return document("variables", {"project": project, "stage": stage, "variables": told, "warnings": warnings})
