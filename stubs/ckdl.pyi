# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import Literal

Scalar = str | int | float | bool | None

class ParseError(Exception): ...

class Value:
    type_annotation: str | None
    value: Scalar

class Node:
    name: str
    type_annotation: str | None
    args: Sequence[Scalar | Value]
    properties: dict[str, Scalar | Value]
    children: Sequence[Node]

class Document:
    nodes: Sequence[Node]

def parse(kdl_text: str, version: Literal[1, 2, "any"] = ...) -> Document: ...
