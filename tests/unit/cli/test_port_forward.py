# SPDX-License-Identifier: Apache-2.0
import click
import pytest

from fleetflow_tasks.api import Forward
from fleetflow_tasks.cli.port_forward import parsed


@pytest.mark.parametrize(
    ("text", "local", "remote"), [("8080:80", 8080, 80), ("80", 80, 80), (":80", 0, 80), ("0:80", 0, 80)]
)
def test_a_port_here_and_there(text: str, local: int, remote: int) -> None:
    assert parsed(text) == Forward(local=local, remote=remote)


@pytest.mark.parametrize("text", ["", "x", "80:", "8080:0", "70000", "1:2:3", "-1", "٣"])
def test_what_is_no_port_is_told_with_what_is(text: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        parsed(text)

    assert caught.value.message == f"`{text}` is no port; write REMOTE, LOCAL:REMOTE or :REMOTE, such as 8080:80"
