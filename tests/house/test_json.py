# SPDX-License-Identifier: Apache-2.0
"""The contract of `--json` and the command line know the same commands, and the help says the same exit codes as the code."""

import pytest
from click import Context
from click.testing import CliRunner

from fleetflow_tasks import errors
from fleetflow_tasks.cli.commands import COMMANDS, flow
from fleetflow_tasks.errors import EXITS, FleetFlowError
from fleetflow_tasks.runtimes.base import NotStartedError
from fleetflow_tasks.view.contract.printed import PRINTED


def test_each_command_says_which_types_it_prints() -> None:
    assert set(PRINTED) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_json_where_it_has_an_answer(name: str) -> None:
    command = flow.get_command(Context(flow), name)

    assert command is not None
    assert ("--json" in {option for each in command.params for option in each.opts}) == bool(PRINTED[name])


def test_every_error_leaves_with_a_code_that_the_table_explains() -> None:
    tree = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, FleetFlowError)]
    named = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}

    assert {NotStartedError.exit_code, *(each.exit_code for each in tree), *named} == set(EXITS)


def test_the_help_explains_every_exit_code() -> None:
    words = " ".join(CliRunner().invoke(flow, ["--help"]).output.split())

    assert [code for code, meaning in EXITS.items() if f" {code} {meaning}" not in words] == []
