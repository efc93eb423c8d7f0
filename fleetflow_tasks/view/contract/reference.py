# SPDX-License-Identifier: Apache-2.0
"""The page of the contract: `python -m fleetflow_tasks.view.contract.reference > docs/json.md`.

Made from the types, their docstrings, the examples and the table of exit codes; only how to read it all is prose here.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fleetflow_tasks.errors import EXITS
from fleetflow_tasks.view.contract import TYPES, VERSION, answers, line, streams
from fleetflow_tasks.view.contract.examples import EXAMPLES
from fleetflow_tasks.view.contract.printed import PRINTED, RUN_LINES
from fleetflow_tasks.view.contract.queries import QUERIES
from fleetflow_tasks.view.contract.schema import meanings, schema, summary

Schema = Mapping[str, Any]


def reference() -> str:
    parts = (_INTRODUCTION, *_queries(), *_exits(), *_commands(), *_types(), *_shapes())
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


_INTRODUCTION = f"""\
# JSON

<!-- Printed by `python -m fleetflow_tasks.view.contract.reference`; change `fleetflow_tasks/view/contract/` instead. -->

With `--json` a command prints objects for programs on stdout: one per line, nothing else, never a secret. What it has to say to
people goes to stderr as always, and is no part of this.

```json
{{"v":{VERSION},"type":"rollback","run":"01kpzv4e8q3n5s7t9w0x2y4z6b","by":"01kpzv9a0b2c4d6e8f0g2h4j6k","to":null}}
```

- **`v`** is the version of this contract, **`type`** says what the object is. The [JSON Schema](schema/flow-{VERSION}.json) of all
  types is kept beside this page.
- **Every field is always there**: `null`, `""`, `0`, `false` or `[]` where there is nothing to say.
- **A thing is named by its kind**: a run's id is `run`, a step's `step`, a service's name `service`, wherever they stand.
- **Times are Unix seconds**, with a fraction, of the clock of Redis; those of containers and log lines are their platform's.
  Lengths of time are seconds.
- **An answer or a stream.** `ps`, `plan`, `runs` and the like print one object. What follows a run prints a line for each thing
  that happens, as it happens: `snapshot`, the events, `end`. Where a run is rolled back, `rollback` comes next, and the lines of
  the run that does it.
- **What went wrong** is an object of type [`problems`](#problems), the last line, with the exit code. A command that has an
  answer prints that instead: `validate`, whose answer is problems; `doctor`; a run that failed, whose `problem`s stand in its
  lines.
- **Warnings** stand in the answer, in `warnings`. In a stream they are a line of type `problems` whose `exit_code` is `null`.
- **Interrupted**, a command still ends with a whole line: `problems`, code `interrupted`.

**What may change.** Within version {VERSION}, types, fields and words (a new `status`, a new `code`) may be added at any time; nothing
goes, is renamed or changes its meaning. So read by name, and pass over what you do not know. Should anything else ever be
necessary, `v` becomes {VERSION + 1}, and the [changelog](../CHANGELOG.md) says so. Text for people (`message`, `text`, `cause`, `fix`) is no
part of the promise: decide by `code`, `status`, `kind`. [errors.md](errors.md) lists every `code`."""


def _queries() -> Iterator[str]:
    yield "## Asking with jq"
    told = [f"# {each.words}\n$ flow {each.command} --json | jq {each.jq}" for each in QUERIES]
    yield "```console\n" + "\n\n".join(told) + "\n```"
    yield (
        "In Python, a line at a time, with what comes while it comes:\n\n"
        "```python\n"
        "import json, subprocess\n\n"
        'following = subprocess.Popen(["flow", "watch", "--json"], stdout=subprocess.PIPE)\n'
        "for line in following.stdout:\n"
        "    told = json.loads(line)\n"
        '    if told["type"] == "step.moved":\n'
        '        print(told["step"], told["status"])\n'
        "```"
    )


def _exits() -> Iterator[str]:
    yield "## Exit codes"
    yield "\n".join(["| | |", "|---:|---|", *(f"| {code} | {meaning} |" for code, meaning in EXITS.items())])


def _commands() -> Iterator[str]:
    yield "## What each command prints"
    yield f"A *run's lines* are {_linked(RUN_LINES)}. Each command may print [`problems`](#problems) besides."
    rows = [f"| `flow {name}` | {_told(types)} |" for name, types in PRINTED.items()]
    yield "\n".join(["| command | types |", "|---|---|", *rows])


def _told(types: tuple[str, ...]) -> str:
    own = _linked(tuple(each for each in types if each not in RUN_LINES))
    lines = "a run's lines" if set(RUN_LINES) <= set(types) else ""
    return ", ".join(each for each in (own, lines) if each) or "takes no `--json`"


def _linked(types: tuple[str, ...]) -> str:
    return ", ".join(f"[`{each}`](#{_anchor(each)})" for each in types)


def _anchor(heading: str) -> str:
    return heading.lower().replace(".", "")


def _types() -> Iterator[str]:
    shapes = schema()["$defs"]
    for module, heading in ((answers, "## Answers"), (streams, "## Lines of a stream")):
        yield heading
        for kind, each in TYPES.items():
            if each.__module__ == module.__name__:
                yield f"### {kind}"
                yield summary(each)
                yield _fields(shapes[each.__name__], each)
                yield f"```json\n{_pretty(EXAMPLES[kind])}\n```"


def _shapes() -> Iterator[str]:
    tagged = {each.__name__ for each in TYPES.values()}
    yield "## What they are made of"
    for name, shape in schema()["$defs"].items():
        if name not in tagged:
            yield f"### part {name}"
            yield str(shape["description"])
            yield _rows(shape["properties"])


def _fields(shape: Schema, of: type[msgspec.Struct]) -> str:
    """Its own fields; those of a run are told once."""
    of_run = meanings(of.__mro__[1]) if of.__mro__[1].__name__ == "Run" else {}
    own = {name: each for name, each in shape["properties"].items() if name not in {"v", "type", *of_run}}
    return _rows(own, *(["| | | those of a [Run](#part-run), and |"] if of_run else []))


def _rows(fields: Mapping[str, Schema], *first: str) -> str:
    rows = [f"| `{name}` | {_kind(each)} | {each['description']} |" for name, each in fields.items()]
    return "\n".join(["| field | type | |", "|---|---|---|", *first, *rows])


def _kind(of: Schema) -> str:
    match of:
        case {"$ref": str() as ref}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#part-{name.lower()})"
        case {"anyOf": list() as several}:
            return " or ".join(_kind(each) for each in several)
        case {"enum": list() as words}:
            return ", ".join(f"`{word}`" for word in words)
        case {"type": "array", "items": dict() as items}:
            return f"list of {_kind(items)}"
        case {"type": "object", "additionalProperties": dict() as values}:
            return f"object of {_kind(values)}"
        case _:
            return str(of.get("type", "any"))


def _pretty(example: msgspec.Struct) -> str:
    """A level per line where there is more than fits into one."""
    text = line(example)
    if len(text) <= 120:
        return text
    fields = json.loads(text)
    rows = (f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
    return "{\n" + ",\n".join(rows) + "\n}"


if __name__ == "__main__":
    sys.stdout.write(reference())
