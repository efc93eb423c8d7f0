# SPDX-License-Identifier: Apache-2.0
"""Lines of many services in one stream: whose each line is, in a column and a colour that stay the same.

api       | listening on :8080
postgres  | database system is ready to accept connections
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import LogLine
from fleetflow_tasks.view.ink import Colour, clean, padded, paint, width
from fleetflow_tasks.view.jsonl import document

_PALETTE: tuple[Colour, ...] = ("cyan", "green", "yellow", "blue", "bold green", "bold yellow", "bold")


class Logs:
    """services: all that may speak, so that the column is as wide from the first line on as it will be at the last."""

    def __init__(self, services: Sequence[ServiceName], *, timestamps: bool = False, colour: bool = False) -> None:
        self._names = max(map(width, services), default=0)
        self._colours = {name: _PALETTE[index % len(_PALETTE)] for index, name in enumerate(sorted(services))}
        self._timestamps = timestamps
        self._colour = colour

    def line(self, said: LogLine) -> str:
        """One line, without a line break; escape sequences that a service prints are left out."""
        name = paint(padded(said.service, self._names), self._colours.get(said.service, "bold"), on=self._colour)
        time = f"{_moment(said.at)} " if self._timestamps and said.at is not None else ""
        return f"{name} | {paint(time, 'dim', on=self._colour)}{clean(said.text)}".rstrip()


def as_json(said: LogLine) -> str:
    """One object: `{"v":1,"type":"log","service":…,"text":…,"at":…,"stream":…}`, the text as it was printed."""
    return document("log", {"service": said.service, "text": said.text, "at": said.at, "stream": said.stream})


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
