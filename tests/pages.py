# SPDX-License-Identifier: Apache-2.0
"""Pages that are followed as a reader would: each fence is typed, and what is printed is compared with what stands there.

    kdl       the whole of fleet.kdl from here on
    diff      a change to it: the lines with `-` are found, together, and become those with `+`
    console   `$ command`, what it prints, the next one; commands that stay (a worker, a Redis) go to a terminal of their own

What is different each time is masked on both sides: times, ids, ports, addresses, who and where. `…` in a page stands for
anything in a line, and alone for any lines. The order of lines is not compared: steps run beside each other.

`FLEETFLOW_TEST_GOLDEN=write pytest …` writes what was printed into the page, where no `…` says that it was abridged.
"""

import os
import re
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleetflow_tasks.config.model import Data
from tests.desk import eventually

STAYS = ("flow worker", "redis-server")

_MASKS = (
    (r"\b(just now|\d+[smhd] ago)", "AGO"),
    (r"\b\d+(\.\d+)?( ?ms|s)\b", "TIME"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "DATE"),
    (r"\b[0-9a-z]{26}\b", "RUN"),
    (r"\b[0-9a-z]{8} after [0-9a-z]{8}\b", "RUN after RUN"),
    (r"\b1\d{4}->", "PORT->"),
    (r"on docker at \S+", "on docker at ENGINE"),
    (r"a Redis of its own in \S+", "a Redis of its own in FOLDER"),
    (r"context [\w.-]+", "context CONTEXT"),
    (r"https?://[\w.:-]*(run\.app|\d)", "URL"),
    (r"\b([a-z0-9]+-prd-[a-z]+)-[a-z0-9-]+", r"\1-REVISION"),
    (r"\b[\w.-]+@[\w.-]+", "WHO"),
    (r'"at":[\d.]+', '"at":0'),
    (r'"worker":"[^"]+"', '"worker":"HOST"'),
    (r"\(worker [\w.-]+\)", "(worker HOST)"),
    (r" steps, \d+ done$", " steps"),
    (r"^(\S+ +\d+ +\d+ +)\d+( +0 +0 +0)$", r"\1BUSY\2"),  # the table of `flow queue`: told by the last heartbeat
    (r"^(\S+:\w+ +\w+ +TIME +TIME +)\S+", r"\1HOST"),  # the table of `flow show`
    (r"\bTIME  +AGO|\bAGO  +TIME", "AGO TIME"),
    (r" +", " "),
)
_READERS = (  # what a page shows in place of a machine's own
    (r"on docker at \S+", "on docker at unix:///var/run/docker.sock"),
    (r"a Redis of its own in \S+", "a Redis of its own in ~/.local/state/fleetflow/redis"),
    (r"context [\w.-]+", "context team"),
)
_PASSING = re.compile(
    r": (waiting|starting|pulling|checking|creating|asking|moving|removing|(deploy|remove) started)\b|^$"
)  # seen, or not, by whoever looks at the right moment


class Fence(Data, frozen=True, kw_only=True):
    """line: of its opening, from 1."""

    line: int
    language: str
    text: str


class Typed(Data, frozen=True, kw_only=True):
    command: str
    prints: tuple[str, ...]


def fences(page: Path, part: str = "") -> Iterator[Fence]:
    """Those of *page*, in order; with *part*, those below the heading of that name alone."""
    text = page.read_text(encoding="utf-8")
    heading = ""
    for found in re.finditer(r"^(?:## ([^\n]*)|```(\w*)\n(.*?)^```)$", text, re.MULTILINE | re.DOTALL):
        heading = heading if found[1] is None else found[1]
        if found[1] is None and part in ("", heading):
            yield Fence(line=text.count("\n", 0, found.start()) + 1, language=found[2], text=found[3])


def typed(text: str) -> Iterator[Typed]:
    """The commands of a console fence. One that goes on behind a backslash is one."""
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = piece.splitlines()
        length = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
        yield Typed(command="\n".join(lines[:length]), prints=tuple(lines[length:]))


def masked(line: str) -> str:
    for pattern, instead in _MASKS:
        line = re.sub(pattern, instead, line)
    return line.strip()


def differences(page: tuple[str, ...], printed: tuple[str, ...]) -> list[str]:
    """What stands in one and not in the other, as lines with `-` (the page's alone) and `+`."""
    shown, got = _weighed(page), _weighed(printed)
    abridged = bool(shown.pop("…", 0))
    for pattern in [line for line in shown if "…" in line]:
        if fits := [line for line in got if _fits(pattern, line)]:
            got[fits[0]] -= 1
            del shown[pattern]
    more = [] if abridged else [f"+ {line}" for line in (got - shown)]
    return [f"- {line}" for line in (shown - got)] + more


def _weighed(lines: tuple[str, ...]) -> Counter[str]:
    return Counter(masked(line) for line in lines if not _PASSING.search(line))


def _fits(pattern: str, line: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part.strip()) for part in pattern.split("…")), line) is not None


class Reader:
    """Somebody who follows a page in *folder*. names: words of the page -> what they are here."""

    def __init__(self, folder: Path, environ: Mapping[str, str], names: Mapping[str, str]) -> None:
        self.desk = self.folder = folder
        self.environ = dict(environ)
        self.names = names
        self.terminals: list[tuple[subprocess.Popen[str], Path]] = []

    def follow(self, page: Path, part: str = "") -> None:
        """Type all of it; fail at the first command that prints something else."""
        followed = list(fences(page, part))
        assert followed, f"{page.name} has nothing to type below `{part}`"
        for fence in followed:
            getattr(self, f"_{fence.language}")(page, fence)

    def close(self) -> None:
        for process, log in reversed(self.terminals):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
            log.unlink()

    def _kdl(self, page: Path, fence: Fence) -> None:
        del page
        (self.folder / "fleet.kdl").write_text(self._here(fence.text), encoding="utf-8")

    def _diff(self, page: Path, fence: Fence) -> None:
        before, after = (
            "".join(self._here(line[1:]) + "\n" for line in fence.text.splitlines() if line[0] in (sign, " "))
            for sign in "-+"
        )
        file = self.folder / "fleet.kdl"
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{page.name}:{fence.line}: these lines are not there once:\n{before}\n{text}"
        file.write_text(text.replace(before, after), encoding="utf-8")

    def _console(self, page: Path, fence: Fence) -> None:
        told = []
        for each in typed(fence.text):
            stays = each.command.startswith(STAYS)
            printed = self._stay(each) if stays else self.type(each.command)
            told.append((each, each.prints if stays else printed))
        if os.environ.get("FLEETFLOW_TEST_GOLDEN") == "write" and "…" not in fence.text:
            _write(page, fence, told)
            return
        for each, printed in told:
            wrong = differences(each.prints, printed)
            whole = "\n".join(printed)
            assert not wrong, f"{page.name}:{fence.line}: $ {each.command}\n" + "\n".join(wrong) + f"\n\nin\n{whole}"

    def type(self, command: str) -> tuple[str, ...]:
        """What it prints, as both streams come to a terminal. Folder and exports are kept for the next one."""
        kept = self.desk / ".shell"
        script = f'{self._here(command)}\ncode=$?\n{{ pwd; env -0; }} >"{kept}"\nexit $code'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        where, _, values = kept.read_text(encoding="utf-8").partition("\n")
        kept.unlink()
        self.folder = Path(where)
        self.environ = dict(value.split("=", 1) for value in values.split("\0") if value)
        return self._page(done.stdout)

    def _stay(self, each: Typed) -> tuple[str, ...]:
        """Begin it, and wait until it has printed all that the page shows."""
        log = self.desk / f".terminal-{len(self.terminals)}"
        with log.open("w", encoding="utf-8") as sink:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {self._here(each.command)}"],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.terminals.append((process, log))

        def said() -> tuple[str, ...]:
            return self._page(log.read_text(encoding="utf-8"))

        eventually(
            lambda: all(line.startswith("+") for line in differences(each.prints, said())),
            60,
            lambda: f"$ {each.command}\n" + "\n".join(differences(each.prints, said())),
        )
        return said()

    def _here(self, text: str) -> str:
        for page, here in self.names.items():
            text = text.replace(page, here)
        return text

    def _page(self, text: str) -> tuple[str, ...]:
        for page, here in self.names.items():
            text = text.replace(here, page)
        return tuple(text.splitlines())


def _write(page: Path, fence: Fence, told: list[tuple[Typed, tuple[str, ...]]]) -> None:
    lines = []
    for each, printed in told:
        lines += [f"$ {each.command}", *(_for_readers(line) for line in printed)]
    text = page.read_text(encoding="utf-8")
    page.write_text(
        text.replace(f"```console\n{fence.text}```", "```console\n" + "\n".join(lines) + "\n```"), encoding="utf-8"
    )


def _for_readers(line: str) -> str:
    for pattern, instead in _READERS:
        line = re.sub(pattern, instead, line)
    return re.sub(r"\b(root|\w+)@[\w-]+\b(?!\.)", "ada@laptop", line).rstrip()


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])
