# SPDX-License-Identifier: Apache-2.0
"""The reference page of the language, made from the schema's rows and from those of each runtime's own block.

`reference_text` says as prose what no row can say: which files are read, how variables and definitions win. A test holds
`docs/language.md` to this. `python -m fleetflow_tasks.runtimes.reference` prints it: the runtimes know their blocks.
"""

from collections.abc import Iterator

from fleetflow_tasks.config import reference_text
from fleetflow_tasks.config.discover import NAMES
from fleetflow_tasks.config.schema import (
    NOT_USED,
    RESERVED_VARIABLES,
    RUNTIMES,
    Blocks,
    Row,
    document_row,
    service_row,
)
from fleetflow_tasks.config.variables import PREFIXES

_KINDS = {
    "text": "text",
    "int": "number",
    "bool": "true or false",
    "seconds": "duration",
    "bytes": "size",
    "cores": "cores",
}


def reference(blocks: Blocks) -> str:
    """The whole page. blocks: what each runtime's own block in a service may say."""
    document = document_row({})
    tables = [_section("At top level", document)]
    tables += [_section(f"`{row.name}`", row) for row in document.rows if row.name == "stage"]
    tables += [_section("`service`", row) for row in document.rows if row.name == "service"]
    own = [row for row in service_row(blocks).rows if row.field.startswith("options.")]
    tables += [_section(f"`{row.name}` in a service", row) for row in own]
    return "\n".join([_chapters(), "## Nodes", "", *tables, _runtimes()])


def _chapters() -> str:
    text = "\n".join(reference_text.PROSE)
    for mark, names in (
        ("@NAMES@", NAMES),
        ("@NOT_USED@", NOT_USED),
        ("@PREFIXES@", PREFIXES),
        ("@RESERVED@", RESERVED_VARIABLES),
    ):
        text = text.replace(mark, ", ".join(f"`{name}`" for name in names))
    return text


def _section(title: str, row: Row) -> str:
    lines = [f"### {title}", "", f"{row.doc}", "", *_table(_listed(row))]
    for child in _listed(row):
        lines += [] if child.name in ("service", "stage") else _details(child)
    return "\n".join([*lines, ""])


def _listed(row: Row) -> list[Row]:
    """The rows to show: a name that stands as the node's argument is in its example."""
    return [child for child in row.rows if child.name not in row.positional[:1]]


def _table(rows: list[Row]) -> Iterator[str]:
    yield "| node | | default | example |"
    yield "|---|---|---|---|"
    for row in rows:
        names = ", ".join(f"`{name}`" for name in row.names())
        example = f"`{row.example.replace('|', '&#124;')}`" if row.example else ""
        yield f"| {names} | {row.doc} | {row.default} | {example} |"


def _details(row: Row) -> list[str]:
    """The parts of a block, of a map's entries, of elements that have no row of their own."""
    element = row if row.kind == "block" else next((each for each in row.rows if not each.many), None)
    if element is None or not element.rows:
        return []
    positional = (
        f"; as arguments: {', '.join(f'`{name}`' for name in element.positional)}" if element.positional else ""
    )
    return ["", f"**`{row.name}`**{positional}", "", *(f"- {_part(part)}" for part in element.rows)]


def _part(row: Row) -> str:
    allowed = " · ".join(f"`{choice}`" for choice in row.choices) or _shape(row)
    default = f" Default: {row.default}." if row.default else ""
    return f"`{row.name}` ({allowed}): {row.doc}{default}"


def _shape(row: Row) -> str:
    return "names with values" if row.kind == "map" else f"{_KINDS[row.type]}{_limits(row)}"


def _limits(row: Row) -> str:
    if row.high is not None:
        return f" from {row.low:g} to {row.high:g}"
    return ""


def _runtimes() -> str:
    lines = ["## Runtimes", "", "| runtime | also written |", "|---|---|"]
    lines += [f"| `{name}` | {', '.join(f'`{alias}`' for alias in aliases)} |" for name, aliases in RUNTIMES.items()]
    return "\n".join([*lines, "", reference_text.RUNTIMES])
