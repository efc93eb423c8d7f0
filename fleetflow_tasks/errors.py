# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as data, and the exit code of each.

Everything that a person may have to mend is a `Problem`: a typo in a file, a cycle between services, an image that does
not exist. Problems travel as data (in a plan's check, in a step's state, in an event) and become text in one place,
`view/problems.py`. An exception is only the vehicle; it always carries at least one problem:

    FleetFlowError              exit code
      ConfigError               3   a file says something that cannot be
      PlanError                 3   each node is right, but together they make no plan
      UnavailableError          4   Redis, an engine, a worker or a credential is not there
      RefusedError              5   somebody else's right: a busy stage, a foreign container, a wrong key
      CancelledError            6   the run was cancelled
      Bug                      70   a mistake of ours; the traceback goes to the log

A deployment that fails raises nothing: it is a state of a step, and `flow` then exits with `EXIT_FAILED`. Usage errors
are click's, with its exit code 2.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

import msgspec

EXIT_OK = 0
EXIT_FAILED = 1  # the run ended, and not well
EXIT_USAGE = 2  # click's own
EXIT_UNWRITTEN = 74  # the output could not be written; sysexits.h calls it EX_IOERR
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count
EXIT_UNREAD = 141  # 128 + SIGPIPE: whoever read the output has gone

# All that `flow` may leave with, for its help and its documentation. `flow exec` passes on what its command left with.
EXITS: Mapping[int, str] = {
    EXIT_OK: "done",
    EXIT_FAILED: "the run ended badly; of `diff` and `plan --exit-code`: something would change; of `fmt --check`: a file is not formatted",
    EXIT_USAGE: "the command line is wrong",
    3: "the files are wrong",
    4: "Redis, an engine, a worker or a credential is not there",
    5: "refused: a busy stage, another key, something that is not ours",
    6: "the run was cancelled",
    70: "a mistake in FleetFlow itself",
    EXIT_UNWRITTEN: "the output could not be written",
    127: "of `exec`: the service has no such command",
    EXIT_INTERRUPTED: "interrupted, what was begun may go on; 143: by SIGTERM, 129: by SIGHUP",
    EXIT_UNREAD: "whoever read the output has gone",
}


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A spot in a file that a person can go to.

    file: as the user would type it, relative to the working directory or the project's root.
    line, column: from 1. length: how many characters the caret underlines, at least 1.
    text: the whole source line, without its end; empty where it is not at hand.
    """

    file: str
    line: int
    column: int = 1
    length: int = 1
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong: complete in its first line, then why, then what to do.

    code: a stable word for machines, such as `unknown-node` or `image-not-found`.
    message: one line, lower case, the user's words in backquotes; complete without the rest.
    cause: lines that explain, the nearest cause first (a container's last output, the two ends of a cycle).
    fix: what to do, one line, imperative; empty where nobody can know.
    more: a command that shows more; empty where there is none.
    place: where in the user's files; None where no file is to blame.
    """

    code: str
    message: str
    cause: tuple[str, ...] = ()
    fix: str = ""
    more: str = ""
    place: Place | None = None
    severity: Literal["error", "warning", "note"] = "error"

    def __post_init__(self) -> None:
        """A user's word may hold the end of a line, and a message quotes it."""
        for name, said in (("message", self.message), ("fix", self.fix)):
            if "\n" in said or "\r" in said:
                msgspec.structs.force_setattr(self, name, said.replace("\n", "\\n").replace("\r", "\\r"))


class FleetFlowError(Exception):
    """The root. `problems` is never empty; all of a file's problems come at once."""

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class ConfigError(FleetFlowError):
    """What the files say cannot be."""

    exit_code = 3


class PlanError(FleetFlowError):
    """Each node is right, but together they make no plan: a cycle, a service that the stage does not hold."""

    exit_code = 3


class UnavailableError(FleetFlowError):
    """Something that is needed does not answer: Redis, a Docker Engine, a worker."""

    exit_code = 4


class RefusedError(FleetFlowError):
    """It could be done and must not be: a busy stage with `--no-wait`, a foreign container, a plan sealed by another key."""

    exit_code = 5


class CancelledError(FleetFlowError):
    """The run was cancelled before its end."""

    exit_code = 6


class Bug(FleetFlowError):  # noqa: N818  (the name is what it is)
    """A mistake of FleetFlow's own. The text says where the traceback went."""

    exit_code = 70


def errors_among(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those that stop us; warnings and notes are left out."""
    return tuple(problem for problem in problems if problem.severity == "error")
