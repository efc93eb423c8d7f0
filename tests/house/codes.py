# SPDX-License-Identifier: Apache-2.0
"""The codes of all problems that the product can tell, read from its source: where each is made, and in which words.

A code is found where it is written: as `code=` of a call, or as the argument of a function of the same module whose
parameter is called `code`. Words are what stands beside it as `message` (or `text`, `why`): an f-string becomes a pattern
in which each `{…}` may be anything. Where the words come from elsewhere, nothing is claimed of them.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_WORDS = ("message", "text", "why", "words", "said")
_ANYTHING = "\0"


@dataclass
class Known:
    """One code. words: patterns of its first line. open: somewhere its words come from elsewhere."""

    places: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: bool = False

    def says(self, line: str) -> bool:
        """Whether *line* could be its first line."""
        return self.open or any(re.fullmatch(pattern, line, re.DOTALL) for pattern in self.words)


def codes(package: Path) -> dict[str, Known]:
    """Code -> what is known of it; a code that is put together (`docker-{field}`) has `*` where the rest comes from elsewhere."""
    found: dict[str, Known] = {}
    constants: dict[str, str] = {}
    modules = [_Module(path, path.relative_to(package.parent)) for path in sorted(package.rglob("*.py"))]
    modules = [module for module in modules if "testing" not in module.name.parts]
    for module in modules:
        constants |= module.constants()
    for module in modules:
        for code, words, line in module.made(constants):
            known = found.setdefault(code.replace(_ANYTHING, "*"), Known())
            known.places.append(f"{module.name}:{line}")
            if words is None:
                known.open = True
            else:
                known.words.append(".*".join(re.escape(part) for part in words.split(_ANYTHING)))
    return found


class _Module:
    def __init__(self, path: Path, name: Path) -> None:
        self.name = name
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.parameters = {
            each.name: [argument.arg for argument in (*each.args.posonlyargs, *each.args.args)]
            for each in ast.walk(self.tree)
            if isinstance(each, ast.FunctionDef)
            and "code" in {a.arg for a in (*each.args.args, *each.args.kwonlyargs)}
        }

    def constants(self) -> dict[str, str]:
        return {
            target.id: each.value.value
            for each in self.tree.body
            if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
            for target in each.targets
            if isinstance(target, ast.Name) and target.id.isupper()
        }

    def made(self, constants: dict[str, str]) -> Iterator[tuple[str, str | None, int]]:
        """Code, words and line of each."""
        for function in [self.tree, *(each for each in ast.walk(self.tree) if isinstance(each, ast.FunctionDef))]:
            local = _assigned(function)
            for call in _own_calls(function):
                given = self._given(call)
                for code in _texts(given.get("code"), {**constants}, local):
                    words = next((given[name] for name in _WORDS if name in given), None)
                    for text in _texts(words, constants, local) or [None]:
                        yield code, text, call.lineno

    def _given(self, call: ast.Call) -> dict[str, ast.expr]:
        given = {each.arg: each.value for each in call.keywords if each.arg}
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in self.parameters:
            positional = [each for each in self.parameters[name] if each != "self"]
            given |= dict(zip(positional, call.args, strict=False))
        return given


def _own_calls(function: ast.AST) -> Iterator[ast.Call]:
    """Those of the function itself, not of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _own_calls(child)


def _assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    """Local names -> what they are set to."""
    found: dict[str, list[ast.expr]] = {}
    for each in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
        if isinstance(each, ast.Assign):
            for target in each.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(each.value)
    return found


def _texts(value: ast.expr | None, constants: dict[str, str], local: dict[str, list[ast.expr]]) -> list[str]:
    """Every text that *value* may be, with a mark for what is not known; none, where nothing is."""
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return ["".join(str(each.value) if isinstance(each, ast.Constant) else _ANYTHING for each in values)]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_texts(body, constants, local), *_texts(orelse, constants, local)]
        case ast.Name(id=name) if name in local:
            return [text for each in local[name] for text in _texts(each, constants, {**local, name: []})]
        case ast.Name(id=name) if name in constants:
            return [constants[name]]
        case _:
            return []
