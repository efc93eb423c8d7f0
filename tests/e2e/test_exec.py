# SPDX-License-Identifier: Apache-2.0
"""A person's hand inside a running service: `flow exec`, `flow port-forward`."""

import re
import signal
import socket
import subprocess

from tests.desk import FLOW
from tests.e2e.conftest import BASE, Desk
from tests.printed import checked

SHOP = f"""
service "api" {{ image "{BASE}"; command "nc" "-ll" "-p" "80" "-e" "echo" "hello"; docker {{ init #true }}; port container=80 }}
stage "local" {{ service "api" }}
"""


def up(desk: Desk) -> None:
    desk.write(SHOP)
    result = desk.flow("up", "-q")
    assert result.code == 0, result


def answer(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        return line.recv(100)


def number(line: str) -> int:
    return int(line.partition(" ")[0].rpartition(":")[2])


def test_a_command_s_exit_code_and_streams_are_its_own(desk: Desk) -> None:
    up(desk)

    result = desk.flow("exec", "api", "--", "sh", "-c", "echo out; echo err >&2; exit 42")

    assert (result.code, result.out, result.err) == (42, "out\n", "err\n")


def test_what_is_piped_in_comes_back_whole(desk: Desk) -> None:
    up(desk)
    data = bytes(range(256)) * 4000

    done = subprocess.run(
        [*FLOW, "exec", "api", "--", "cat"],
        cwd=desk.folder,
        env=desk.environ,
        input=data,
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, data)


def test_what_cannot_be_entered_is_told_of(desk: Desk) -> None:
    desk.write(SHOP)

    nothing = desk.flow("exec", "api", "--", "true")
    unknown = desk.flow("exec", "apo", "--", "true")
    silent = desk.flow("exec", "api")

    assert (nothing.code, unknown.code, silent.code) == (4, 3, 2)
    assert "no container of service `api` runs in stage `local`" in nothing.err
    assert "stage `local` has no service `apo`" in unknown.err


def test_a_port_of_this_machine_leads_there_until_ctrl_c(desk: Desk) -> None:
    up(desk)
    running = desk.start("port-forward", "api", ":80", ":81")
    port = number(running.until(r"127\.0\.0\.1:\d+ -> api:80 \(container [a-z0-9-]+\)"))
    silent = number(running.until(r"127\.0\.0\.1:\d+ -> api:81"))

    assert answer(port) == b"hello\n"
    assert answer(silent) == b""
    running.until("port 81 of container `[a-z0-9-]+` does not answer")
    assert answer(port) == b"hello\n"
    running.process.send_signal(signal.SIGINT)

    assert running.wait().code == 0


def test_a_program_reads_which_port_it_is(desk: Desk) -> None:
    up(desk)
    running = desk.start("port-forward", "api", ":80", "--json")

    (told,) = checked(running.until(r"\{.*\}"))

    assert (told["type"], told["remote"]) == ("forward", 80)
    assert answer(told["port"]) == b"hello\n"


def test_a_port_that_is_taken_and_a_word_that_is_no_port_are_told_of(desk: Desk) -> None:
    up(desk)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        busy = desk.flow("port-forward", "api", f"{port}:80")
    wrong = desk.flow("port-forward", "api", "http")

    assert (busy.code, wrong.code) == (4, 2)
    assert re.search(rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use\n  fix: take another", busy.err)
    assert "`http` is no port" in wrong.err


def test_docker_keeps_no_life_apart_from_the_one_before(desk: Desk) -> None:
    up(desk)

    result = desk.flow("logs", "--previous")

    assert result.code == 4, result
    assert (
        "on Docker `--previous` means nothing: a container keeps what all its starts printed, one after the other\n"
    ) in result.err
