# SPDX-License-Identifier: Apache-2.0
"""The entry point. It is ready to be interrupted before it loads anything that takes time: Ctrl-C never shows a traceback."""

import os
import sys
from collections.abc import Sequence

from fleetflow_tasks.cli.interrupted import exit_code, listen

VARIABLE = "_FLOW_COMPLETE"  # a shell's question on TAB; click's name for it


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `flow` and leave with its exit code. Bad input never shows a traceback."""
    listen()
    if VARIABLE in os.environ:
        _completing()
    try:
        from fleetflow_tasks.cli.commands import run

        code = run(arguments)
    except KeyboardInterrupt as stopped:
        code = exit_code(stopped)
    sys.exit(code)


def _completing() -> None:
    """Whatever goes wrong, nothing is to be written between what the user types."""
    from fleetflow_tasks.cli.shells import register

    register()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)
