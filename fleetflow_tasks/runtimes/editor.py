# SPDX-License-Identifier: Apache-2.0
"""Help for editors, from the rows of the language: `python -m fleetflow_tasks.runtimes.editor docs/editor` writes both files.

`language.json` is the language for programs that complete and explain. `kdl.code-snippets` is for VS Code, and whatever reads
its form; the bodies are the rows' own examples, each value in them a place to jump to. A test holds both files to this.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleetflow_tasks.config.schema import NOT_USED, RUNTIMES, Blocks, Row, document_row
from fleetflow_tasks.runtimes.registry import blocks

Json = Mapping[str, object]

_VALUE = re.compile(r'"[^"]*"|#?\b(?:true|false)\b|\b\d+\b')
_WHOLE = {  # what is begun with; in each a name that is chosen, and what most have
    "service": 'service "api" {\n\timage "ghcr.io/shop/api"\n\tversion "1"\n\tport container=8080\n}',
    "service job": 'service "migrate" {\n\timage "ghcr.io/shop/migrate"\n\tversion "1"\n\tjob #true\n}',
    "stage docker": 'stage "local" {\n\tservice "api"\n}',
    "stage kubernetes": 'stage "stg" {\n\truntime "kubernetes" { namespace "shop-stg"; context "team" }\n\tservice "api"\n}',
    "stage cloudrun": 'stage "prd" {\n\truntime "cloudrun" { project "shop"; region "europe-west1" }\n\tservice "api"\n}',
}


def language(known: Blocks) -> Json:
    """v grows when a field goes or changes its meaning."""
    return {
        "v": 1,
        "nodes": [_node(row, stage=False) for row in document_row(known).rows],
        "runtimes": {name: list(aliases) for name, aliases in RUNTIMES.items()},
        "not_used": list(NOT_USED),
    }


def _node(row: Row, *, stage: bool) -> Json:
    """stage: inside one, where `service` is what it is at top level."""
    said = {
        "name": row.name,
        "doc": row.doc,
        "kind": row.kind,
        "type": row.type if row.kind in ("value", "values") else None,
        "aliases": list(row.aliases),
        "choices": list(row.choices),
        "low": row.low,
        "high": row.high,
        "default": row.default,
        "example": row.example,
        "required": row.required,
        "many": row.many,
        "positional": list(row.positional),
    }
    if stage and row.name == "service":
        return {**said, "nodes": "as at top level"}
    return {**said, "nodes": [_node(child, stage=stage or row.name == "stage") for child in row.rows]}


def snippets(known: Blocks) -> Json:
    """Name -> snippet, as VS Code has them."""
    return {name: {"prefix": name, "body": _body(text), "description": doc} for name, text, doc in texts(known)}


def texts(known: Blocks) -> Iterator[tuple[str, str, str]]:
    """(name, KDL with values filled in, what it is): what is begun with, then each row of a service that has an example.

    A row of a runtime's block is called after both, `docker user`.
    """
    document = document_row(known)
    docs = {row.name: row.doc for row in document.rows}
    for name, text in _WHOLE.items():
        yield name, text, docs["stage" if name.startswith("stage") else "service"]
    [service] = [row for row in document.rows if row.name == "service"]
    for row in service.rows:
        if row.example:
            yield row.name, _first(row), row.doc
        for own in row.rows if row.field.startswith("options.") else ():
            if own.example:
                yield f"{row.name} {own.name}", _first(own), own.doc


def _first(row: Row) -> str:
    """Of the nodes in an example the first one; what it holds stands on lines of its own."""
    nodes = list(_nodes(row.example))
    head, brace, inside = nodes[0].partition(" {")
    if not brace:
        return head
    lines = "".join(f"\t{line}\n" for line in _nodes(inside.rpartition("}")[0]))
    return f"{head} {{\n{lines}}}"


def _nodes(text: str) -> Iterator[str]:
    """Split at each `;` that stands in no braces and in no quotes."""
    for piece in re.findall(r'(?:"[^"]*"|\{[^}]*\}|[^;"{])+', text):
        if node := piece.strip():
            yield node


def _body(text: str) -> list[str]:
    """Each value becomes a place to jump to, with itself as what is there."""
    count = 0

    def place(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        value = found[0]
        inside = value.strip('"').replace("\\", "\\\\").replace("$", "\\$").replace("}", "\\}")
        return f'"${{{count}:{inside}}}"' if value.startswith('"') else f"${{{count}:{inside}}}"

    return _VALUE.sub(place, text).split("\n")


def written(known: Blocks) -> Mapping[str, str]:
    """File name -> its text."""
    files = {"language.json": language(known), "kdl.code-snippets": snippets(known)}
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in files.items()}


if __name__ == "__main__":
    for file, text in written(blocks()).items():
        (Path(sys.argv[1]) / file).write_text(text, encoding="utf-8")
