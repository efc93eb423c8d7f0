# SPDX-License-Identifier: Apache-2.0
"""A worker's log: one JSON object per line on stderr, an event word and its fields.

The fields are those of `extra`; ids in them are the same as in Redis and in Flower.
"""

import logging
import sys
from typing import Final

import msgspec

OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        line |= {name: value for name, value in vars(record).items() if name not in OWN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_as_json(level: int = logging.INFO) -> None:
    """For the whole process. Celery and kombu speak up only when something is wrong: their news is not ours."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for neighbour in ("celery", "kombu"):
        logging.getLogger(neighbour).setLevel(logging.WARNING)
