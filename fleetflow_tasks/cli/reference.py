# SPDX-License-Identifier: Apache-2.0
"""The page of all commands, from what click knows: `python -m fleetflow_tasks.cli.reference > docs/cli.md`.

Options that several commands share in the same words are said once, at the end, and named where they are taken: what is
particular about a command can then be read.
"""

import inspect
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import click

from fleetflow_tasks.cli.commands import COMMANDS, flow
from fleetflow_tasks.errors import EXITS

_HEAD = """\
# The commands of `flow`

<!-- Printed by `python -m fleetflow_tasks.cli.reference`; change `fleetflow_tasks/cli/` instead. -->

Most commands take a stage, as their first word or with `--stage`; without one it is `FLEETFLOW_STAGE`, else `local`, else the
only stage there is. Answers go to stdout, everything else to stderr. What `--json` prints is [a contract](json.md), and what a
problem's code means stands in [errors.md](errors.md).
"""

_SHARED_BY = 4  # commands; what so many take in the same words is said once

Words = tuple[str, str]  # how an option is written, and what it does


def page() -> str:
    context = click.Context(flow, info_name="flow")
    commands = {name: command for name in COMMANDS if (command := flow.get_command(context, name)) is not None}
    shared = _shared(commands)
    lines = [_HEAD, *_exits(), *_contents(commands)]
    for name, command in commands.items():
        lines += _command(context, name, command, shared)
    return "\n".join([*lines, *_at_the_end(shared), ""])


def _exits() -> Iterator[str]:
    yield "## Exit codes\n\n| code | |\n| --- | --- |"
    for code, meaning in sorted(EXITS.items()):
        yield f"| {code} | {meaning} |"
    yield ""


def _contents(commands: Mapping[str, click.Command]) -> Iterator[str]:
    yield "## Commands\n\n| | |\n| --- | --- |"
    for name in commands:
        yield f"| [`flow {name}`](#flow-{name}) | {COMMANDS[name]} |"
    yield ""


def _command(context: click.Context, name: str, command: click.Command, shared: Mapping[str, Words]) -> Iterator[str]:
    own = click.Context(command, info_name=name, parent=context)
    said = list(_options(command))
    yield f"### `flow {name}`\n"
    yield f"```text\n{command.get_usage(own).removeprefix('Usage: ')}\n```\n"
    yield f"{_paragraphs(command.help or COMMANDS[name])}\n"
    yield from _listed(words for words in said if words not in shared.values())
    if also := [key for key, words in shared.items() if words in said]:
        names = ", ".join(f"`{key}`" for key in also)
        yield f"[Shared](#options-of-many-commands): {names}.\n"


def _at_the_end(shared: Mapping[str, Words]) -> Iterator[str]:
    yield "## Options of many commands\n"
    yield from _listed(shared.values())


def _listed(options: Iterable[Words]) -> Iterator[str]:
    lines = [f"- `{written}`: {does}" for written, does in options]
    if lines:
        yield "\n".join(lines) + "\n"


def _shared(commands: Mapping[str, click.Command]) -> dict[str, Words]:
    """By their long names, those that many commands take in the same words."""
    taken = Counter(words for command in commands.values() for words in _options(command))
    many = (words for words, times in taken.items() if times >= _SHARED_BY)
    return {_key(words[0]): words for words in sorted(many, key=lambda words: _key(words[0]))}


def _key(written: str) -> str:
    """`-s, --stage TEXT` -> `--stage`."""
    return next((word.strip(",") for word in written.split() if word.startswith("--")), written)


def _options(command: click.Command) -> Iterator[Words]:
    context = click.Context(command)
    for parameter in command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield record


def _paragraphs(text: str) -> str:
    """As click takes them: a block after `\\b` keeps its lines."""
    parts = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(f"```text\n{part[1:].strip(chr(10))}\n```" if part.startswith("\b") else part for part in parts)


if __name__ == "__main__":
    sys.stdout.write(page())
