# SPDX-License-Identifier: Apache-2.0
"""A file written anew: whoever reads it meanwhile sees the old one or the new one, and never a part."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_PLAIN = 0o666  # less what the process's umask takes
_PRIVATE = 0o600


def put(path: Path, data: bytes, *, like: os.stat_result | None = None, private: bool = False) -> None:
    """*data* as the content of *path*, by way of a file beside it. Raises OSError, and nothing is changed then.

    like: of the file whose mode and owner are kept. private: nobody else may read it.
    """
    # Not a process's number: two containers that share a folder may have the same one.
    new = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE if like or private else _PLAIN)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if like is not None:
                _take_after(file.fileno(), like)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _take_after(handle: int, like: os.stat_result) -> None:
    with suppress(PermissionError):  # only root gives files away
        os.fchown(handle, like.st_uid, like.st_gid)
    os.fchmod(handle, stat.S_IMODE(like.st_mode))
