# SPDX-License-Identifier: Apache-2.0
"""`--verbose` shows our log on stderr as long as a command runs, and leaves nothing behind."""

import logging
import re

import click
import pytest

from fleetflow_tasks.cli.commands import COMMANDS, flow
from fleetflow_tasks.cli.verbose import told
from fleetflow_tasks.runtimes.asked import asked

log = logging.getLogger("fleetflow_tasks.runtimes.test")
SILENT = {"completion", "config", "fmt", "graph", "import", "init", "render", "validate", "version"}


def command(name: str) -> click.Command:
    @click.command(name)
    def made() -> None:
        asked(log, "docker", "GET", "/v1/containers?command=secret", 200, 0.0042)

    return told(name, made)


def test_what_is_asked_is_told_with_its_time_and_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    command("ps").main(["-v"], prog_name="ps", standalone_mode=False)

    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(
        r" *\d+\.\d{3}s  docker\.asked method=GET path=/v1/containers status=200 took=0\.004s\n", said.err
    )


def test_nothing_is_told_unasked_nor_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    made, ours = command("ps"), logging.getLogger("fleetflow_tasks")
    before = (ours.level, list(ours.handlers))

    made.main(["-v"], prog_name="ps", standalone_mode=False)
    capsys.readouterr()
    made.main([], prog_name="ps", standalone_mode=False)

    assert capsys.readouterr().err == ""
    assert (ours.level, ours.handlers) == before


def test_a_worker_s_own_log_tells_more_and_is_not_doubled(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    command("worker").main(["-v"], prog_name="worker", standalone_mode=False)

    assert capsys.readouterr().err == ""
    assert [record.getMessage() for record in caplog.records] == ["docker.asked"]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_that_asks_anybody_knows_it_and_says_so_once(name: str) -> None:
    context = click.Context(flow)

    for _ in range(2):
        found = flow.get_command(context, name)
        assert found is not None
        options = [option for param in found.params for option in param.opts]
        assert options.count("--verbose") == (name not in SILENT)
