# SPDX-License-Identifier: Apache-2.0
"""The entry point. It is ready to be interrupted before it loads anything that takes time: Ctrl-C never shows a traceback."""

import sys
from collections.abc import Sequence

from fleetflow_tasks.cli.interrupted import exit_code, listen


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `flow` and leave with its exit code. Bad input never shows a traceback."""
    listen()
    try:
        from fleetflow_tasks.cli.commands import run

        code = run(arguments)
    except KeyboardInterrupt as stopped:
        code = exit_code(stopped)
    sys.exit(code)
