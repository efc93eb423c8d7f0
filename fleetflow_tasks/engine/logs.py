# SPDX-License-Identifier: Apache-2.0
"""Where the log goes: a worker's to stderr, for whoever collects it; that of `flow up` into a file, since its terminal is
for people.

One JSON object per line, an event word and its fields. The fields are those of `extra`; ids in them are the same as in
Redis and in Flower.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import msgspec

OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
OURS: Final = "fleetflow_tasks"
LARGEST: Final = 256 * 1024  # bytes of the file before it is put aside; one older one is kept


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


def log_file(state: Path) -> Path:
    return state / "flow.log"


@contextmanager
def logged_to_file(state: Path) -> Iterator[Path]:
    """Warnings and tracebacks of ours go to a file in *state* while the block runs; it is made by the first of them."""
    handler = _PrivateFile(log_file(state))
    logger = logging.getLogger(OURS)
    logger.addHandler(handler)
    try:
        yield log_file(state)
    finally:
        logger.removeHandler(handler)
        handler.close()


class _PrivateFile(RotatingFileHandler):
    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=LARGEST, backupCount=1, encoding="utf-8", delay=True)
        self.setLevel(logging.WARNING)
        self.setFormatter(JsonLines())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """A log that cannot be written must neither end a run nor spoil its picture."""

    def _open(self) -> TextIOWrapper:
        file = Path(self.baseFilename)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        return os.fdopen(handle, "a", encoding="utf-8")
