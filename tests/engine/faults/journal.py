# SPDX-License-Identifier: Apache-2.0
"""What a `RecordingRuntime` wrote down, read on from where the last look ended, and what in it is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.plan.model import StepId

EFFECTS = {"made", "removed"}  # words of the journal that say that the world was changed


@dataclass(frozen=True)
class Entry:
    """A line of the journal: `made api:deploy after=0.001 run=… attempt=1 generation=7 at=9.5 pid=42`."""

    word: str
    step: StepId
    run: RunId
    attempt: int
    generation: int
    pid: int
    at: float
    after: float

    def told(self) -> str:
        return f"`{self.word} {self.step}` of run {self.run}, attempt {self.attempt}, process {self.pid}"


class Journal:
    """All journals of a folder, one or one for each process, read on from where the last look ended."""

    def __init__(self, folder: Path) -> None:
        self.entries: list[Entry] = []
        self._folder = folder
        self._read: dict[Path, int] = {}
        self._done: dict[RunId, set[StepId]] = {}

    def read(self) -> list[Entry]:
        new = [entry for file in self._folder.glob("journal*") for entry in self._news(file)]
        for entry in new:
            if entry.word in ("made", "found"):
                self._done.setdefault(entry.run, set()).add(entry.step)
        self.entries += new
        return self.entries

    def done(self, run: RunId) -> set[StepId]:
        """The steps whose work *run* did, or found done."""
        return self._done.get(run, set())

    def doubled(self) -> Iterator[str]:
        """The same step of the same run, twice."""
        made: dict[tuple[RunId, StepId], Entry] = {}
        for entry in self._in_time():
            if entry.word == "made":
                if other := made.get((entry.run, entry.step)):
                    yield f"doubled: {entry.told()}, made before by attempt {other.attempt}"
                made[entry.run, entry.step] = entry

    def late(self, margin: float) -> Iterator[str]:
        """Changes, tried or made, by an attempt that another had followed, less than *margin* seconds after it asked.

        Who asked longer ago was stopped in the meantime: one call of it may land, and it must have been refused.
        """
        begun: dict[tuple[RunId, StepId], int] = {}
        for entry in self._in_time():
            key = (entry.run, entry.step)
            if entry.word == "begin":
                begun[key] = max(begun.get(key, 0), entry.attempt)
            followed = entry.attempt < begun.get(key, 0)
            if entry.word in ("made", "found") and followed and entry.after < margin:
                yield f"late: {entry.told()}, {entry.after:g} s after it asked, when attempt {begun[key]} had begun"
            if entry.word == "stale" and entry.after < margin:
                yield f"invariant 13: {entry.told()}, {entry.after:g} s after it asked, found what a later run had made"

    def _in_time(self) -> list[Entry]:
        return sorted(self.entries, key=lambda entry: entry.at)

    def _news(self, file: Path) -> Iterator[Entry]:
        with file.open("rb") as lines:
            lines.seek(self._read.get(file, 0))
            whole, _, _ = lines.read().rpartition(b"\n")
            if whole:
                self._read[file] = self._read.get(file, 0) + len(whole) + 1
        for line in whole.decode().splitlines():
            if (entry := _entry(line)) is not None:
                yield entry


def _entry(line: str) -> Entry | None:
    """None: not about an attempt at a step."""
    words = line.split()
    told = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    if "run" not in told:
        return None
    return Entry(
        word=words[0],
        step=StepId(words[1]),
        run=RunId(told["run"]),
        attempt=int(told["attempt"]),
        generation=int(told["generation"]),
        pid=int(told["pid"]),
        at=float(told["at"]),
        after=float(told.get("after", 0)),
    )
