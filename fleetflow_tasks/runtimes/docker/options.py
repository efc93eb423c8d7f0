# SPDX-License-Identifier: Apache-2.0
"""What `docker { … }` of a service may say: the rows that the language reads, and the same, typed.

Each field is honoured in `desired`.
"""

from collections.abc import Mapping

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.config.schema import Row

SCHEMA: tuple[Row, ...] = (
    Row(
        name="init", doc="Run a small process 1 that hands signals on and reaps children.", type="bool", default="false"
    ),
    Row(
        name="stop_signal",
        doc="Signal that asks it to end.",
        default="the image's, else SIGTERM",
        example='stop_signal "SIGQUIT"',
    ),
    Row(name="stop_grace", doc="Time between that signal and SIGKILL.", type="seconds", low=0, default="10 s"),
    Row(name="hostname", doc="Its own name inside.", default="the container's id"),
    Row(name="user", doc="User, or user and group, that it runs as.", example='user "1000:1000"'),
    Row(name="working_dir", doc="Folder that the command starts in."),
    Row(name="privileged", doc="All rights on the host's kernel.", type="bool", default="false"),
    Row(name="read_only", doc="Its own file system cannot be written.", type="bool", default="false"),
    Row(name="cap_add", kind="values", doc="Kernel capabilities to add.", example='cap_add "NET_ADMIN"'),
    Row(name="cap_drop", kind="values", doc="Kernel capabilities to take away.", example='cap_drop "ALL"'),
    Row(
        name="platform",
        doc="Platform of the image, where the Engine can run several.",
        example='platform "linux/arm64"',
    ),
    Row(
        name="log_driver",
        doc="Where its output goes; `flow logs` reads json-file, local and journald.",
        default="the Engine's",
    ),
    Row(
        name="log_options",
        kind="map",
        doc="Options of that driver.",
        rows=(Row(name="NAME", doc="An option and its value."),),
        example='log_options { max-size "10m" }',
    ),
    Row(
        name="extra_hosts",
        kind="values",
        doc="More lines of /etc/hosts, as name:address.",
        example='extra_hosts "db:10.0.0.5"',
    ),
    Row(name="dns", kind="values", doc="Name servers instead of the Engine's."),
    Row(name="shm_size", doc="Size of /dev/shm.", type="bytes", low=1, default="64 MiB"),
    Row(
        name="tmpfs",
        kind="values",
        doc="Folders held in memory; options behind a colon.",
        example='tmpfs "/run" "/tmp:size=64m"',
    ),
)


class Options(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """init: a small process 1 that hands signals on and reaps children. stop_grace: seconds between the stop signal and
    KILL. shm_size: bytes. tmpfs: targets, each with mount options behind a colon where it has any."""

    init: bool = False
    stop_signal: str = ""
    stop_grace: float | None = None
    hostname: str = ""
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    platform: str = ""
    log_driver: str = ""
    log_options: Mapping[str, str] = {}
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    shm_size: int | None = None
    tmpfs: tuple[str, ...] = ()


def read(options: Mapping[str, object]) -> Options:
    """Raises msgspec.ValidationError where they cannot be; its text names the field."""
    return msgspec.convert(options, Options, strict=False)
