# SPDX-License-Identifier: Apache-2.0
"""What TAB offers: names out of the project's files, runs out of Redis. Never a word on the screen, whatever is wrong.

click asks these while the shell waits, each with what stands on the line already (`ctx.params`) and the word so far.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import Context, Parameter
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from fleetflow_tasks.config.names import Names

PATIENCE = 1.0  # seconds that Redis may take; who presses TAB waits for nothing longer

Items = list[CompletionItem]
Complete = Callable[[Context, Parameter, str], Items]


def stages(ctx: Context, param: Parameter, incomplete: str) -> Items:
    return _beginning(_names(ctx).stages, incomplete)


def services(ctx: Context, param: Parameter, incomplete: str) -> Items:
    """Of the stage on the line, else of all; those that stand there already are left out."""
    said = ctx.params.get(param.name or "")
    taken = said if isinstance(said, tuple) else ()
    return _beginning((name for name in _services(ctx) if name not in taken), incomplete)


def several_services(ctx: Context, param: Parameter, incomplete: str) -> Items:
    """`api,web`: the last of them, behind those that are written."""
    *before, last = incomplete.split(",")
    head = "".join(f"{name}," for name in before)
    return [CompletionItem(f"{head}{name}") for name in _services(ctx) if name.startswith(last) and name not in before]


def runtimes(ctx: Context, param: Parameter, incomplete: str) -> Items:
    from fleetflow_tasks.config.schema import RUNTIMES

    return _beginning(RUNTIMES, incomplete)


def runs(ctx: Context, param: Parameter, incomplete: str) -> Items:
    """The newest ones, with their stage and how they ended."""
    from fleetflow_tasks.api.recent import recent_runs

    found = recent_runs(dict(os.environ), within=PATIENCE)
    return [
        CompletionItem(run.id, help=f"{run.project}/{run.stage} {run.status}")
        for run in found
        if run.id.startswith(incomplete) or (incomplete and run.id.endswith(incomplete))
    ]


def _names(ctx: Context) -> "Names":
    from fleetflow_tasks.config.names import names

    said = _said(ctx)
    file = said.get("file") or os.environ.get("FLEETFLOW_FILE")
    return names(Path(said.get("directory") or "."), Path(file) if file else None)


def _services(ctx: Context) -> tuple[str, ...]:
    said = _said(ctx)
    stages = (said.get("stage"), said.get("stage_argument"), os.environ.get("FLEETFLOW_STAGE"))
    return _names(ctx).of(next(filter(None, stages), None))


def _said(ctx: Context) -> Mapping[str, Any]:
    """What stands on the line. click reads nothing of one that ends in an option, so that is read again without it."""
    words: list[str] = ctx.obj or []
    if not words or not words[-1].startswith("-"):
        return ctx.params
    own = words[words.index(ctx.info_name or "") + 1 : -1]
    return ctx.command.make_context(ctx.info_name, own, resilient_parsing=True).params


def _beginning(words: Iterable[str], incomplete: str) -> Items:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
