# SPDX-License-Identifier: Apache-2.0
"""The reference page of the language, made from the schema's rows and from those of each runtime's own block.

What stands here as prose is what no row can say: which files are read, how variables and definitions win. A test holds
`docs/language.md` to this. `python -m fleetflow_tasks.runtimes.reference` prints it: the runtimes know their blocks.
"""

from collections.abc import Iterator

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

_INTRODUCTION = """\
# The FleetFlow language

<!-- Printed by `python -m fleetflow_tasks.runtimes.reference`; change `fleetflow_tasks/config/schema.py` instead, or the
     `options.py` of a runtime. -->

A project is described in KDL, version 1 or 2, decided per file: `read_only=true` and `read_only=#true` both work.

```kdl
project "shop"

service "postgres" {
    image "postgres"
    version "16"
    environment { POSTGRES_DB "shop" }
    secrets { POSTGRES_PASSWORD env="PG_PASSWORD" }
    volume "pgdata" "/var/lib/postgresql/data"
    healthcheck { test "CMD-SHELL" "pg_isready"; interval 2; retries 20 }
}

service "api" {
    image "ghcr.io/shop/api"
    port 8080 80
    depends_on "postgres"
}

stage "local" {
    service "postgres"
    service "api"
}

stage "prd" {
    runtime "kubernetes" { namespace "shop" }
    variables { LOG "warning" }
    service "postgres"
    service "api" { replicas 3 }
}
```

Every error and warning names file, line and column, and the nearest known name. Unknown nodes and properties are
warnings, with `--strict` errors. @NOT_USED@ belong to an earlier tool of the same name: they are
accepted and not used.

## Files

Searched from the working directory upwards: @NAMES@; or the path in `--file` or `FLEETFLOW_FILE`. Beside
it, where there: `services/**/*.kdl`, `stages/**/*.kdl`, `variables/**/*.kdl`, and for one stage `fleet.{stage}.kdl` and
`flow.{stage}.kdl` (so `fleet.local.kdl` counts in the stage `local` alone). A later file wins over an earlier one.
An included file counts at the place of its `include`; a file is read once, however often it is included.

Paths in volumes, `env_file` and `secrets` are relative to the project's folder: the one that holds the file, or that
holds `.fleetflow`.

## Variables

`{{ NAME }}`, `{{ NAME | default("x") }}`, `{% if %}` and `{% for %}` are rendered before the text is read.
`${NAME}`, `${NAME:-default}`, `${NAME:?message}` work inside texts; `$$` is a dollar. A variable that is not defined is an error.
Whatever a value holds, it stays one text: it cannot add nodes or end a string.

Strength, weakest first:

1. `.env`
2. `.env.{stage}`
3. `variables` at top level
4. `variables` of the stage
5. variables of the process that begin with @PREFIXES@
6. `--var NAME=VALUE`

A stage's `variables` are environment of every service in that stage as well; the service's own `environment` wins.
@RESERVED@ are not: they configure the stage's runtime.

`include` and `variables` are read before templates are rendered, so neither can stand inside `{% if %}`.

## Definitions that meet

A service in a stage is the top-level definition with the stage's block over it. Values and lists of the later
definition replace those of the earlier, maps (`environment`, `labels`) and blocks (`resources`, `healthcheck`) merge per
name. An empty node empties a list: `depends_on`, `ports`.

## Kinds of values

| kind | written as |
|---|---|
| text | `"text"`; a number or `true` is its own text: `version 16`, `DEBUG true` |
| number | `3`, also `"3"` |
| true or false | `#true`, `true`, `"true"` |
| duration | seconds: `30`, `1.5`; or `"30s"`, `"5m"`, `"1h30m"`, `"250ms"` |
| size | bytes; `"256Mi"` is 256 · 1024², `"256M"` 256 · 1000² as Kubernetes has it, `"256m"` 256 · 1024² as Docker has it |
| cores | `0.5`, `"500m"` |

## Nodes
"""

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
    return "\n".join([_introduction(), *tables, _runtimes()])


def _introduction() -> str:
    text = _INTRODUCTION
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
    return [child for child in row.rows if not child.later and child.name not in row.positional[:1]]


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
    lines += [
        "",
        "Strongest first: `--runtime`, `FLEETFLOW_RUNTIME`, the stage's `runtime`, its `backend`, the variable `RUNTIME`, docker.",
    ]
    return "\n".join([*lines, "A service's own `runtime` beats its stage's.", ""])
