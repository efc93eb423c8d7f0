# SPDX-License-Identifier: Apache-2.0
"""The codes of all problems that the product can tell, read from its source: where each is made, and in which words.

A code is found where it is written: as `code=` of a call, or as the argument of a function of the same module whose
parameter is called `code` (a method's: of any module). A variable stands for all that it is set to, also by what a function
returns. Words are what stands beside it as `message` (or `text`, `why`): an f-string becomes a pattern in which each `{…}`
may be anything. Where the words come from elsewhere, nothing is claimed of them. A code in capitals is not ours: it is the
platform's own word for an answer of its.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .families import members

_WORDS = ("message", "text", "why", "words", "said")
_TELLING = 14  # characters
_ANYTHING = "\0"
_CODE = re.compile(rf"[a-z{_ANYTHING}-]+")
_APART = {"testing", "contract", "catalogue"}  # for tests, or showing what others make

Local = dict[str, list[ast.expr]]


@dataclass
class Known:
    """One code. words: patterns of its first line. open: somewhere its words come from elsewhere."""

    places: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: bool = False

    def stretches(self) -> set[str]:
        """Of its words, what no name or number can change, where that is long enough to be said by nothing else."""
        fixed = {re.sub(r"\\(.)", r"\1", part).strip() for each in self.words for part in re.split(r"\.\*|`", each)}
        return {part for part in fixed if len(part) >= _TELLING}

    def says(self, line: str) -> bool:
        """Whether *line* could be its first line; what could not be done may stand before it: `cannot deploy `api`: …`."""
        parts = line.split(": ")
        ends = [": ".join(parts[number:]) for number in range(len(parts))]
        return self.open or any(re.fullmatch(pattern, end, re.DOTALL) for pattern in self.words for end in ends)


def codes(package: Path) -> dict[str, Known]:
    """Code -> what is known of it; a code that is put together (`docker-{field}`) has `*` where the rest comes from elsewhere."""
    found: dict[str, Known] = {}
    modules = [_Module(path, path.relative_to(package.parent)) for path in sorted(package.rglob("*.py"))]
    modules = [module for module in modules if not _APART.intersection(module.name.parts)]
    constants = {name: text for module in modules for name, text in module.constants().items()}
    methods = {name: named for module in modules for name, named in module.methods().items()}
    for module in modules:
        for code, words, line in module.made(constants, methods):
            if code.isupper() or not _CODE.fullmatch(code):
                continue
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
        self.functions = [each for each in ast.walk(self.tree) if isinstance(each, ast.FunctionDef)]
        self.parameters = {each.name: named for each in self.functions if "code" in (named := _parameters(each))}

    def methods(self) -> dict[str, list[str]]:
        """Name of a method that takes a code -> its parameters."""
        return {name: named for name, named in self.parameters.items() if named[0] == "self"}

    def constants(self) -> dict[str, str]:
        return {
            target.id: each.value.value
            for each in self.tree.body
            if isinstance(each, ast.Assign)
            and isinstance(each.value, ast.Constant)
            and isinstance(each.value.value, str)
            for target in each.targets
            if isinstance(target, ast.Name) and target.id.isupper()
        }

    def made(self, constants: dict[str, str], methods: dict[str, list[str]]) -> Iterator[tuple[str, str | None, int]]:
        """Code, words and line of each."""
        for function in [self.tree, *self.functions]:
            local = self._assigned(function)
            for call in _own_calls(function):
                given = _given(call, {**methods, **self.parameters})
                for code in _texts(given.get("code"), constants, local):
                    words = next((given[name] for name in _WORDS if name in given), None)
                    known = _texts(words, constants, local)
                    elsewhere = not known or _is_open(words, constants, local)
                    for text in [*known, *([None] if elsewhere else [])]:
                        yield code, text, call.lineno
        yield from members(
            self.name, self.tree, lambda value, inside: _texts(value, constants, self._assigned(inside)), _ANYTHING
        )

    def _assigned(self, function: ast.AST) -> Local:
        """Local names -> what they are set to, also several at once: `code, why = "…", "…"`, or by what a function returns."""
        found: Local = {}
        for each in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
            if isinstance(each, ast.Assign):
                for value in self._values(each.value):
                    for target in each.targets:
                        _set(target, value, found)
        return found

    def _values(self, value: ast.expr) -> Iterator[ast.expr]:
        match value:
            case ast.Call(func=ast.Name(id=name)):
                called = [each for each in self.functions if each.name == name]
                returned = [each.value for one in called for each in ast.walk(one) if isinstance(each, ast.Return)]
                yield from (
                    known for each in returned if each for known in self._values(each) if isinstance(known, ast.Tuple)
                )
                yield value
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._values(body)
                yield from self._values(orelse)
            case _:
                yield value


def _set(target: ast.expr, value: ast.expr, found: Local) -> None:
    match target, value:
        case ast.Name(id=name), _:
            found.setdefault(name, []).append(value)
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
            for each, its in zip(targets, values, strict=True):
                _set(each, its, found)
        case _:
            pass


def _parameters(function: ast.FunctionDef) -> list[str]:
    """Those without a place come last, and are given by name alone."""
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def _given(call: ast.Call, parameters: dict[str, list[str]]) -> dict[str, ast.expr]:
    given = {each.arg: each.value for each in call.keywords if each.arg}
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    positional = [each for each in parameters.get(name, ()) if each != "self"]
    return {**given, **dict(zip(positional, call.args, strict=False))}


def _own_calls(function: ast.AST) -> Iterator[ast.Call]:
    """Those of the function itself, not of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _own_calls(child)


def _texts(value: ast.expr | None, constants: dict[str, str], local: Local) -> list[str]:
    """Every text that *value* may be, with a mark for what is not known; none, where nothing is."""
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return ["".join(_part(each, constants) for each in values)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            ends = _texts(right, constants, local) or [_ANYTHING]
            return [f"{head}{end}" for head in _texts(left, constants, local) for end in ends]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_texts(body, constants, local), *_texts(orelse, constants, local)]
        case ast.Name(id=name) if name in local:
            return [text for each in local[name] for text in _texts(each, constants, {**local, name: []})]
        case ast.Name(id=name) if name in constants:
            return [constants[name]]
        case _:
            return []


def _is_open(value: ast.expr | None, constants: dict[str, str], local: Local) -> bool:
    """Whether a variable of it is also set to what cannot be read here."""
    match value:
        case ast.IfExp(body=body, orelse=orelse):
            return _is_open(body, constants, local) or _is_open(orelse, constants, local)
        case ast.Name(id=name):
            return any(not _texts(each, constants, local) for each in local.get(name, ()))
        case _:
            return False


def _part(each: ast.expr, constants: dict[str, str]) -> str:
    match each:
        case ast.Constant(value=value):
            return str(value)
        case ast.FormattedValue(value=ast.Name(id=name), format_spec=None):
            return constants.get(name, _ANYTHING)
        case _:
            return _ANYTHING
