# SPDX-License-Identifier: Apache-2.0
"""What the engine is told from outside: which Redis, which keys, which folder, how patient.

`from_environ` is handed the environment; no module reads it by itself. A plan's values are sealed, so a key is always
there: from `FLEETFLOW_KEY`, or, where Redis cannot be reached from another machine, from a file that is made at first
use and that only its owner can read. A Redis that others can reach needs a key that was chosen and handed out on
purpose: a key made here would not be on the workers over there.
"""

import ipaddress
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.engine.model import LEASE, RENEW
from fleetflow_tasks.errors import ConfigError, Problem, RefusedError, UnavailableError
from fleetflow_tasks.plan.codec import Keys, parse_key

GRACE = 30.0  # seconds from SIGTERM to the end; Kubernetes kills after 30 by default, Docker after 10
BEAT = 5.0  # seconds between two words of a worker about itself; one that missed three is counted as gone
OVERSTAY = 60.0  # seconds past its deadline after which a step is taken to hang
SCHEMES = ("redis", "rediss", "unix")


class Settings(Data, frozen=True, kw_only=True):
    """redis_url: None asks for the embedded Valkey in `state`.

    lease, renew, beat, grace, overstay: seconds. Whoever shares a Redis must agree on the lease, so none of them is read from the
    environment; tests shorten them.
    """

    keys: Keys
    state: Path
    redis_url: str | None = None
    lease: float = LEASE
    renew: float = RENEW
    beat: float = BEAT
    grace: float = GRACE
    overstay: float = OVERSTAY


def from_environ(environ: Mapping[str, str]) -> Settings:
    """`FLEETFLOW_REDIS_URL`, `FLEETFLOW_KEY` and `FLEETFLOW_STATE_DIR`, all of them optional.

    Raises ConfigError where one of them cannot be read, RefusedError where a Redis that others can reach comes without
    a key, UnavailableError where the state folder cannot be made.
    """
    url = environ.get("FLEETFLOW_REDIS_URL") or None
    if url is not None:
        _checked(url)
    state = state_folder(environ)
    return Settings(redis_url=url, keys=_keys(environ.get("FLEETFLOW_KEY", ""), url, state), state=state)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's own data lives: the embedded Valkey and the generated key. Not made here."""
    if told := environ.get("FLEETFLOW_STATE_DIR"):
        return Path(told).expanduser().absolute()
    if base := environ.get("XDG_STATE_HOME"):
        return Path(base).absolute() / "fleetflow"
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".local" / "state" / "fleetflow"


def private_folder(folder: Path) -> Path:
    """*folder*, made with mode 0700 if it is missing. One that others may write to is refused, not narrowed: it is theirs."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise UnavailableError(
            Problem(
                code="state-folder",
                message=f"the state folder `{folder}` cannot be used: {error.strerror}",
                fix="set FLEETFLOW_STATE_DIR to a folder of yours",
            )
        ) from error
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


def is_private(url: str | None) -> bool:
    """True where no other machine can reach this Redis: embedded, a unix socket, or loopback."""
    if url is None:
        return True
    parts = urlsplit(url)
    return parts.scheme == "unix" or _is_loopback(parts.hostname or "localhost")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(url: str) -> None:
    try:
        parts = urlsplit(url)
        problem = "" if parts.scheme in SCHEMES else f"it begins with `{parts.scheme or url.partition(':')[0]}`"
        _ = parts.port
    except ValueError as error:
        problem = str(error)
    if problem:
        raise ConfigError(
            Problem(
                code="redis-url",
                message=f"FLEETFLOW_REDIS_URL is no address of a Redis: {problem}",
                fix="write redis://HOST:6379/0, rediss://… for TLS, or unix:///path/to/redis.sock",
            )
        )


def _keys(text: str, url: str | None, state: Path) -> Keys:
    if text.strip():
        current, _, previous = text.partition(",")
        return Keys(
            current=parse_key(current.strip()),
            previous=parse_key(previous.strip()) if previous.strip() else None,
        )
    if not is_private(url):
        host = urlsplit(url or "").hostname
        raise RefusedError(
            Problem(
                code="key-missing",
                message=f"FLEETFLOW_KEY is not set, and the Redis on `{host}` can be reached by others",
                cause=(
                    "a plan holds passwords; with a key they lie sealed in Redis, and only your workers can open them",
                ),
                fix="export FLEETFLOW_KEY=$(openssl rand -base64 32) here, and hand the same key to every worker",
            )
        )
    return Keys(current=parse_key(_kept_key(private_folder(state) / "key")), previous=None)


def _kept_key(file: Path) -> str:
    """The key in *file*; made first if it is missing.

    Written under another name and linked into place, so that of two processes that begin together one wins and both
    read the winner's key, whole.
    """
    if not file.exists():
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".key-")  # 0600 by mkstemp
        try:
            with os.fdopen(handle, "w", encoding="ascii") as made:
                made.write(secrets.token_urlsafe(48) + "\n")
                made.flush()
                os.fsync(made.fileno())
            with suppress(FileExistsError):
                os.link(name, file)
        finally:
            Path(name).unlink()
    _refuse_open_file(file)
    return file.read_text(encoding="ascii").strip()


def _refuse_open_file(file: Path) -> None:
    if file.stat().st_mode & 0o077:
        raise RefusedError(
            Problem(
                code="key-readable",
                message=f"the key file `{file}` can be read by others",
                fix=f"chmod 600 {file}",
            )
        )
