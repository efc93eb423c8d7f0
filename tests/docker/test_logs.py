# SPDX-License-Identifier: Apache-2.0
"""Output of real containers: interleaved, by time, and on across a restart."""

import threading
from collections.abc import Generator

import msgspec

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import LogLine, LogOptions
from fleetflow_tasks.testing import eventually

from .conftest import Stage, service


def read(stage: Stage, *services: str, **options: object) -> Generator[LogLine]:
    names = [ServiceName(name) for name in services]
    lines = stage.runtime.logs(stage.plan(), names, msgspec.convert(options, LogOptions))
    assert isinstance(lines, Generator)
    return lines


def test_lines_of_several_services_come_in_the_order_of_their_times(stage: Stage) -> None:
    stage.up(
        service("a", "/bin/sh", "-c", "echo a1; sleep 0.4; echo a2 >&2; exec sleep 1000"),
        service("b", "/bin/sh", "-c", "echo b1; exec sleep 1000"),
    )

    lines = list(read(stage))

    assert [(line.service, line.text, line.stream) for line in lines] == [
        ("a", "a1", "stdout"),
        ("a", "a2", "stderr"),
        ("b", "b1", "stdout"),
    ]
    assert [line.at for line in lines] == sorted(line.at or 0 for line in lines)


def test_a_tail_and_a_moment_cut_what_is_shown(stage: Stage) -> None:
    stage.up(service("a", "/bin/sh", "-c", "echo 1; sleep 0.2; echo 2; sleep 0.2; echo 3; exec sleep 1000"))

    assert [line.text for line in read(stage, "a", tail=2)] == ["2", "3"]
    second = list(read(stage, "a"))[1].at
    assert [line.text for line in read(stage, "a", since=second)][-1] == "3"
    assert [line.text for line in read(stage, "nobody")] == []


def test_following_goes_on_across_a_restart_and_shows_nothing_twice(stage: Stage) -> None:
    stage.up(service("a", "/bin/sh", "-c", "echo line $(cat /count 2>/dev/null) x; echo x >> /count; exec sleep 1000"))
    seen: list[str] = []
    lines = read(stage, "a", follow=True)

    def collect() -> None:
        for line in lines:
            seen.append(line.text)
            if len(seen) == 2:
                return

    reader = threading.Thread(target=collect)
    reader.start()
    eventually(lambda: seen == ["line x"])
    stage.engine.restart(stage.id("a"), timeout=0)
    reader.join(10)
    lines.close()

    assert seen == ["line x", "line x x"]


def test_following_waits_for_a_service_that_is_not_there_yet(stage: Stage) -> None:
    found: list[LogLine] = []
    lines = read(stage, "late", follow=True)
    reader = threading.Thread(target=lambda: found.append(next(lines)))
    reader.start()

    stage.up(service("late", "/bin/sh", "-c", "echo here; exec sleep 1000"))
    reader.join(10)
    lines.close()

    assert [line.text for line in found] == ["here"]
