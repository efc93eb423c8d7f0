# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and SIGHUP are Ctrl-C from somewhere else: from CI, systemd, `timeout`, a closed terminal."""

import signal
from types import FrameType
from typing import NoReturn


class Interrupted(KeyboardInterrupt):
    """By the signal of that number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


def listen() -> None:
    """From now on they interrupt this process as Ctrl-C does."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _interrupt)


def exit_code(stopped: KeyboardInterrupt) -> int:
    """128 and the signal's number, as shells count."""
    return 128 + (stopped.signal if isinstance(stopped, Interrupted) else signal.SIGINT)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(number)
