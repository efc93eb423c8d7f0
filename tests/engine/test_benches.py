# SPDX-License-Identifier: Apache-2.0
"""The benches still run, and say all that the documentation takes from them. What they measure is nobody's concern here."""

import re
import subprocess
import sys
from pathlib import Path

from tests.engine.conftest import lines

ROOT = Path(__file__).resolve().parents[2]


def test_the_bench_of_the_engine_tells_every_figure_and_whether_its_target_is_met() -> None:
    told = quick("engine.py")

    assert told == lines(
        "a quick look: too few nodes and services for the targets of the canvas and the makespan",
        "300 no-op steps, raw Celery",
        "300 no-op steps, FleetFlow",
        "of raw Celery's rate: at least 0.8",
        "an edge in a chain of 50, ms: at most 4",
        "10 layers of 20 nodes, Celery's canvas",
        "the same, FleetFlow",
        "times as fast: at least 20",
        "a step in a run of 100",
        "a step in a run of 1,000",
        "dearest over cheapest, end to end: at most 1.2",
        "dearest over cheapest, in scripts: at most 1.2",
        "160 services of a known duration on 16 slots",
        "of what nobody can beat: at most 1.05",
        "of what the same order takes at no cost",
        "submit of 1000 services, end to end",
        "of that, its scripts in Redis, ms: at most 50",
    )


def test_the_bench_of_many_deployments_tells_every_figure_and_whether_its_target_is_met() -> None:
    told = quick("fleet.py")

    assert told == lines(
        "800 steps of 40 stages, submitted at once",
        "services that take no time, workers: 1",
        "times one worker",
        "services that take no time, workers: 2",
        "times one worker",
        "services that take 0.1 s, workers: 1",
        "times one worker",
        "of what its slots could do",
        "services that take 0.1 s, workers: 2",
        "times one worker",
        "of what its slots could do",
        "3 services one after the other, alone",
        "beside a run of 1200 on the same 16 slots",
        "times as long as alone: at most 2",
        "a run of 20 services in Redis, active",
        "ended, within the hour",
        "ended, after it",
        "30 days of 40 stages, 50 runs each",
        "a reconciler's pass over 40 active stages",
        "3 clients that only claim and finish",
        "so one Redis, if it had its core to itself",
    )


def test_the_bench_of_the_command_line_tells_every_figure_and_whether_its_target_is_met() -> None:
    told = quick("cli.py", "--without-compose")

    assert told == lines(
        "a bare start of Python",
        "flow --help: at most 0.15",
        "flow --help / a bare start of Python",
        "flow <TAB>: at most 0.15",
        "flow up <TAB>, a stage: at most 0.15",
        "flow up --only s001,<TAB>, a service: at most 0.15",
        "flow validate, 100 services: at most 0.5",
        "flow config, 100 services",
        "flow submit, 50 services, without waiting: at most 0.5",
        "flow validate, 100 services",
        "flow validate, 300 services",
        "a service among the most, over one among the fewest: at most 1.2",
    )


def quick(bench: str, *options: str) -> str:
    """What *bench* tells in one short round: what each line is about, and its target, but no figure."""
    ended = subprocess.run(
        [sys.executable, ROOT / "bench" / bench, "--quick", *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    machine, _, rest = ended.stdout.partition("\n\n")
    assert re.search(r"\d+ cores, load .*, Linux .*, celery .*\nmedians of 1 rounds", machine)
    table, _, spread = rest.partition("\n\n  least to most, rounds\n")
    assert spread
    return lines(*(_about(line) for line in table.splitlines() if line))


def _about(line: str) -> str:
    what = re.split(r"  +| \(", line.strip())[0]
    bound = re.search(r"(?:met|MISSED): (.*)", line)
    return f"{what}: {bound[1]}" if bound else what
