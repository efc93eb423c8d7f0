# SPDX-License-Identifier: Apache-2.0
"""Lines of many services in one stream: whose each line is, in a column and a colour that stay the same.

api/x2kqp | listening on :8080
postgres  | database system is ready to accept connections

Where a service has several instances, the end of one's name stands behind its own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import LogLine
from fleetflow_tasks.view.ink import Colour, clean, padded, paint, width
from fleetflow_tasks.view.jsonl import document

_PALETTE: tuple[Colour, ...] = ("cyan", "green", "yellow", "blue", "bold green", "bold yellow", "bold")


class Logs:
    """services: all that may speak, so that the column is as wide from the first line on as it will be at the last.

    Only instances make it wider, since nobody knows their names beforehand.
    """

    def __init__(self, services: Sequence[ServiceName], *, timestamps: bool = False, colour: bool = False) -> None:
        self._names = max(map(width, services), default=0)
        self._colours = {name: _PALETTE[index % len(_PALETTE)] for index, name in enumerate(sorted(services))}
        self._timestamps = timestamps
        self._colour = colour

    def line(self, said: LogLine) -> str:
        """One line, without a line break; escape sequences that a service prints are left out."""
        whose = f"{said.service}/{clean(said.source)}" if said.source else said.service
        self._names = max(self._names, width(whose))
        name = paint(padded(whose, self._names), self._colours.get(said.service, "bold"), on=self._colour)
        time = f"{_moment(said.at)} " if self._timestamps and said.at is not None else ""
        return f"{name} | {paint(time, 'dim', on=self._colour)}{clean(said.text)}".rstrip()


def as_json(said: LogLine) -> str:
    """One object: `{"v":1,"type":"log","service":…,"text":…,"at":…,"stream":…,"source":…}`, the text as it was printed."""
    fields = {"service": said.service, "text": said.text, "at": said.at, "stream": said.stream, "source": said.source}
    return document("log", fields)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
