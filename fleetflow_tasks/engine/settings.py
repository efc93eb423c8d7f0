# SPDX-License-Identifier: Apache-2.0
"""What the engine is told from outside: which Redis, which keys, which folder, how patient.

`from_environ` is handed the environment; no module reads it by itself. A plan's values are sealed, so a key is always
there: from `FLEETFLOW_KEY`, or, where Redis cannot be reached from another machine, from a file that is made at first
use and that only its owner can read. A Redis that others can reach needs a key that was chosen and handed out on
purpose: a key made here would not be on the workers over there.
"""

import fcntl
import ipaddress
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fleetflow_tasks.config.model import Data, RuntimeName
from fleetflow_tasks.engine.address import FORMS, parsed, shown
from fleetflow_tasks.engine.model import LEASE, RENEW
from fleetflow_tasks.errors import ConfigError, Problem, RefusedError, UnavailableError
from fleetflow_tasks.plan.codec import KeyMaterial, Keys, parse_key

GRACE = 30.0  # seconds from SIGTERM to the end; Kubernetes kills after 30 by default, Docker after 10
BEAT = 5.0  # seconds between two words of a worker about itself; one that missed three is counted as gone
OVERSTAY = 60.0  # seconds past its deadline after which a step is taken to hang
# Steps at once. A Docker Engine gains nothing from more; a step on Kubernetes or Cloud Run mostly waits, and a wave that has
# to wait for the one before it costs a whole rollout. What a project's quota allows, the runtime itself keeps to.
SLOTS = {"docker": 16, "kubernetes": 100, "cloudrun": 100}
MORE_SLOTS = 32  # the others: their steps wait on a platform that is larger than one machine
DEAF = 30.0  # seconds without a hint, though some wait and slots are free, after which a consumer is taken for dead


class Place(Data, frozen=True, kw_only=True):
    """Where runs lie; enough for whoever only looks. redis_url: None asks for the embedded Valkey in `state`."""

    state: Path
    redis_url: str | None = None


class Settings(Place, frozen=True, kw_only=True):
    """What it takes to submit and to work: the keys too.

    lease, renew, beat, grace, overstay, deaf: seconds. Whoever shares a Redis must agree on the lease, so none of them is
    read from the environment; tests shorten them.
    recycle: seconds after which a worker makes way for a new process; None: never.
    """

    keys: Keys
    lease: float = LEASE
    renew: float = RENEW
    beat: float = BEAT
    grace: float = GRACE
    overstay: float = OVERSTAY
    deaf: float = DEAF
    recycle: float | None = None

    def __repr__(self) -> str:
        """Whoever prints it must not print the password in the address."""
        return f"Settings({shown(self.redis_url) if self.redis_url else 'embedded'}, {self.keys!r}, state={self.state})"


def from_environ(environ: Mapping[str, str]) -> Settings:
    """`FLEETFLOW_REDIS_URL`, `FLEETFLOW_KEY` and `FLEETFLOW_STATE_DIR`, all of them optional.

    Raises ConfigError where one of them cannot be read, RefusedError where a Redis that others can reach comes without
    a key, UnavailableError where the state folder cannot be made.
    """
    found = place(environ)
    url, state = found.redis_url, found.state
    return Settings(redis_url=url, keys=_keys(environ.get("FLEETFLOW_KEY", ""), url, state), state=state)


def place(environ: Mapping[str, str]) -> Place:
    """The same without the keys: to look at a run no key is needed, so nobody is to be given one for that.

    Raises as `from_environ`, but for the keys.
    """
    url = environ.get("FLEETFLOW_REDIS_URL") or None
    if url is not None:
        _checked(url)
    return Place(redis_url=url, state=state_folder(environ))


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's own data lives: the embedded Valkey and the generated key. Not made here.

    Raises UnavailableError where it hangs on a home folder that cannot be found.
    """
    try:
        if told := environ.get("FLEETFLOW_STATE_DIR"):
            return Path(told).expanduser().absolute()
        if base := environ.get("XDG_STATE_HOME"):
            return Path(base).absolute() / "fleetflow"
        home = environ.get("HOME")
        return (Path(home) if home else Path.home()) / ".local" / "state" / "fleetflow"
    except (RuntimeError, OSError) as error:
        raise UnavailableError(
            Problem(
                code="state-folder",
                message="the state folder cannot be found: there is no home folder to look in",
                cause=(str(error),),
                fix="set FLEETFLOW_STATE_DIR to a folder of yours, by its whole path",
            )
        ) from error


def private_folder(folder: Path) -> Path:
    """*folder*, made with mode 0700 if it is missing. One that others may write to is refused, not narrowed: it is theirs."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise unusable(folder, error) from error
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise RefusedError(
            Problem(
                code="state-folder-shared",
                message=f"the state folder `{folder}` is not yours alone: others may write to it",
                cause=("the key that seals plans and the embedded Redis live there",),
                fix="set FLEETFLOW_STATE_DIR to a folder of yours, or take the others' right to write away",
            )
        )
    return folder


def unusable(path: Path, error: OSError) -> UnavailableError:
    """The state folder, or the file in it, that *error* is about."""
    return UnavailableError(
        Problem(
            code="state-folder",
            message=f"the state folder cannot be used: `{path}`: {error.strerror or error}",
            fix="set FLEETFLOW_STATE_DIR to a folder of yours that can be written to",
        )
    )


def is_private(url: str | None) -> bool:
    """True where no other machine can reach this Redis: embedded, a unix socket, or loopback.

    Sentinels are for several machines, wherever they are asked.
    """
    if url is None:
        return True
    address = parsed(url)
    return not address.master_name and all(_is_loopback(host) for host, _ in address.hosts)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(url: str) -> None:
    try:
        parsed(url)
    except ValueError as error:
        raise ConfigError(
            Problem(
                code="redis-url",
                message=f"FLEETFLOW_REDIS_URL is no address of a Redis: {error}",
                fix=f"write {FORMS}",
            )
        ) from error


def _keys(text: str, url: str | None, state: Path) -> Keys:
    if text.strip():
        current, *others = (part.strip() for part in text.split(","))
        if len(others) > 1:
            raise ConfigError(
                Problem(
                    code="too-many-keys",
                    message=f"FLEETFLOW_KEY holds {1 + len(others)} keys, and two are the most",
                    cause=("the first one seals, the second one still opens what was sealed before it was changed",),
                    fix="write the new one and the old one, with one comma between them: new,old",
                )
            )
        previous = others[0] if others else ""
        return Keys(current=parse_key(current), previous=parse_key(previous) if previous else None)
    if not is_private(url):
        hosts = ", ".join(host for host, _ in parsed(url or "").hosts)
        raise RefusedError(
            Problem(
                code="key-missing",
                message=f"FLEETFLOW_KEY is not set, and the Redis on `{hosts}` can be reached by others",
                cause=(
                    "a plan holds passwords; with a key they lie sealed in Redis, and only your workers can open them",
                ),
                fix="export FLEETFLOW_KEY=$(openssl rand -base64 32) here, and hand the same key to every worker",
            )
        )
    return Keys(current=_kept_key(private_folder(state) / "key"), previous=None)


def _kept_key(file: Path) -> KeyMaterial:
    """The key in *file*; made first if it is missing."""
    try:
        if not file.exists():
            _make_key(file)
        _refuse_open_file(file)
        return parse_key(file.read_text(encoding="ascii"))
    except OSError as error:
        raise unusable(file, error) from error
    except (UnicodeDecodeError, RefusedError) as error:
        if isinstance(error, RefusedError) and error.problems[0].code != "key-too-short":
            raise
        raise _no_key(file, error) from error


def _make_key(file: Path) -> None:
    """Under a lock, so that of two processes that begin together both read the same key; moved into place whole, so that
    one killed meanwhile leaves no half of it."""
    folder = os.open(file.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if file.exists():
            return
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".key-")  # 0600 by mkstemp
        with os.fdopen(handle, "w", encoding="ascii") as made:
            made.write(secrets.token_urlsafe(48) + "\n")
            made.flush()
            os.fsync(made.fileno())
        Path(name).replace(file)
    finally:
        os.close(folder)


def _no_key(file: Path, error: Exception) -> RefusedError:
    return RefusedError(
        Problem(
            code="key-file",
            message=f"the key file `{file}` holds no key",
            cause=("it is not text" if isinstance(error, UnicodeDecodeError) else str(error),),
            fix=f"put the key back that was there, or remove the file: the next command makes a new one: rm {file}",
        )
    )


def _refuse_open_file(file: Path) -> None:
    if file.stat().st_mode & 0o077:
        raise RefusedError(
            Problem(
                code="key-readable",
                message=f"the key file `{file}` can be read by others",
                fix=f"chmod 600 {file}",
            )
        )


def slots_of(runtime: RuntimeName) -> int:
    """Steps at once that suit *runtime*, where nobody says otherwise."""
    return SLOTS.get(runtime, MORE_SLOTS)
