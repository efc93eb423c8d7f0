# SPDX-License-Identifier: Apache-2.0
"""Data into a file descriptor that is not ours alone: a terminal, a pipe, which somebody may have set not to block."""

import os
import select
from contextlib import suppress


def poured(data: bytes, sink: int) -> None:
    """All of it, before this returns. Raises BrokenPipeError where nobody reads any more."""
    while data:
        with suppress(BlockingIOError):
            data = data[os.write(sink, data) :]
        if data:
            select.select([], [sink], [])
