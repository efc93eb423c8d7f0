# SPDX-License-Identifier: Apache-2.0
"""Codes that are put together, member by member: read from the calls of what puts them together.

`wrong(service, "ports.published", "cannot …", …)` in a runtime's folder makes `docker-ports`, and so do the few others below.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

Member = tuple[str, str]  # code, and its words with `anything` where they are not known
Texts = Callable[[ast.expr | None, ast.AST], list[str]]  # every text that an expression in a function may be


def members(path: Path, tree: ast.AST, texts: Texts, anything: str) -> Iterator[tuple[str, str | None, int]]:
    """Code, words and line of every call in a module that makes one of a family."""
    runtime = path.parent.name
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)):
        for node in _own(function):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[_, field, said, *_]) if name in _complaints(path):
                    for feature in texts(field, function):
                        code = f"{runtime}-{feature.partition('.')[0].replace('_', '-') or 'service'}"
                        for text in texts(said, function) or [anything]:
                            yield code, f"service `{anything}`: runtime `{runtime}` {text}", node.lineno
                case ast.Yield(value=ast.Tuple(elts=[ast.Constant(value=str(code)), said, _, _])) if (
                    runtime == "cloudrun" and code.isalpha()
                ):
                    for text in texts(said, function) or [anything]:
                        yield f"{runtime}-{code}", text, node.lineno
                case ast.Call(func=ast.Name(id="_conflicts"), args=[ast.Constant(value=str(what)), *_]):
                    text = f"services `{anything}` and `{anything}`: runtime `{runtime}` has one {what} `{anything}`"
                    yield f"{runtime}-{what.replace(' ', '-')}-conflict", text, node.lineno
                case ast.Call(func=ast.Attribute(attr="_unknown"), args=[_, ast.Constant(value=str(kind)), *_]):
                    yield f"unknown-{kind}", f"unknown {kind} `{anything}`{anything}", node.lineno
                case ast.Call(func=ast.Attribute(attr="foreign"), args=[ast.Constant(value=str(kind)), *_]):
                    yield (
                        f"foreign-{kind}",
                        f"a {kind} called `{anything}` is there already, and it is not ours",
                        node.lineno,
                    )
                case _:
                    pass


def _complaints(path: Path) -> tuple[str, ...]:
    return ("_problem",) if path.parts[-2:] == ("docker", "check.py") else ("wrong", "warned", "note")


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """Parts of the function itself, not of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _own(child)
