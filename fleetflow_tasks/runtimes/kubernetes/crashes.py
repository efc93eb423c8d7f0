# SPDX-License-Identifier: Apache-2.0
"""Why a container does not run, or not for long: its states in words. Pure.

An application may crash once or twice while what it needs comes up, so a crash is looked at in peace until it has been
started again three times (about half a minute: the kubelet waits 10 s, then 20 s, between two starts). Out of memory is
final the second time, and a command that does not exist is at once.
"""

import re
from datetime import datetime

from fleetflow_tasks.runtimes import exits
from fleetflow_tasks.runtimes.kubernetes.amounts import amount
from fleetflow_tasks.runtimes.kubernetes.diagnosis import Diagnosis, graced, one_line
from fleetflow_tasks.runtimes.kubernetes.objects import mapping
from fleetflow_tasks.runtimes.kubernetes.podstate import Container, Ended

CRASHES = 3  # restarts that are looked at in peace; the same number as on Docker
CONFIG_GRACE = 10.0  # seconds for a Secret or ConfigMap to arrive
GRACE = 30.0  # of what a busy node brings about by itself

UNSTARTABLE = frozenset({"StartError", "ContainerCannotRun"})  # how containerd, and Docker's shim, end what never ran
CREATION = frozenset(
    {"CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError"}
)
CONFIG = "CreateContainerConfigError"

_KEY = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) [^/\s]+/(?P<name>\S+)")
_MISSING = re.compile(r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found')
_ROOT = "runAsNonRoot"
_BUSY = ("context deadline exceeded", "is reserved for", "deadlineexceeded")
_COMMAND = re.compile(r'exec: "(?P<command>[^"]+)": ')


def misconfigured(container: Container, *, since: datetime | None, now: datetime) -> Diagnosis:
    """What it is to be given at its start is not there."""
    words = container.message
    code, message, fix, field = "config-missing", f"it cannot be set up: {one_line(words)}", "", ""
    if found := _KEY.search(words):
        kind = found["kind"].replace("ConfigMap", "config map").lower()
        code, message = "key-missing", f"{kind} `{found['name']}` has no key `{found['key']}`"
        fix, field = "add the key, or correct its name", _where(kind)
    elif found := _MISSING.search(words):
        kind = found["kind"].replace("configmap", "config map")
        code, message = f"{found['kind']}-missing", f"{kind} `{found['name']}` does not exist in the namespace"
        fix, field = "make it, or correct its name", _where(kind)
    elif _ROOT in words:
        code, fix, field = "runs-as-root", "say its number as `run_as_user`, or build the image with one", "options"
        message = "its image would run as root, which `run_as_non_root` forbids"
    found_ = Diagnosis(code=code, reason=container.reason, message=message, cause=_said(words), fix=fix, field=field)
    return graced(found_, since=since, grace=CONFIG_GRACE, now=now)


def unstarted(container: Container, words: str, reason: str, *, since: datetime | None, now: datetime) -> Diagnosis:
    """The runtime of the node could not make or start it. words: what it said."""
    said = words.lower()
    code, message, fix, field = "not-started", f"it could not be started: {_last(words)}", "", ""
    command = _COMMAND.search(words)
    name = f" `{command['command']}`" if command else ""
    if "executable file not found" in said or (command and "no such file or directory" in said):
        code, message = "command-not-found", f"its command{name} does not exist in the image"
        fix, field = "check `command` and `entrypoint`", "command"
    elif command and ("permission denied" in said or "is a directory" in said):
        code, message = "command-not-executable", f"its command{name} is not executable"
        fix, field = "`chmod +x` it in the image", "command"
    elif "no command specified" in said:
        code, message = "command-missing", "its image names no command, and the service neither"
        fix, field = "say `command`", "command"
    elif "not a directory" in said and "mount" in said:
        code, message = "mount-kind", "a file is mounted on a folder, or a folder on a file"
        fix, field = "check both sides of `volumes`", "volumes"
    elif "read-only file system" in said:
        code, message = "read-only", "what it is to write is read-only"
        fix, field = "check `read_only` and `volumes`", "volumes"
    found = Diagnosis(code=code, reason=reason, message=message, cause=_said(words), fix=fix, field=field)
    busy = any(word in said for word in _BUSY)
    return graced(found, since=since if busy else None, grace=GRACE if busy else 0, now=now)


def crashed(container: Container, ended: Ended, *, restarted: bool, unhealthy: str | None = None) -> Diagnosis:
    """It ran and ended. unhealthy: how its check failed, where that is why it was ended.
    restarted: its pod starts it again (a job's does not, and the Job says what follows)."""
    how = ending(container, ended)
    memory = ended.reason == "OOMKilled"
    again = container.restarts >= CRASHES or (memory and container.exits > 1)
    times = f"{container.restarts} restarts" if container.restarts != 1 else "1 restart"
    code, fix, field = "crashed", "", ""
    if memory:
        code, fix, field = "out-of-memory", "raise `memory_limit` in `resources`, or let it use less", "resources"
    elif unhealthy is not None:
        code, fix, field = "not-alive", "run the check by hand, or give it more `start_period`", "healthcheck"
        how = ": ".join(filter(None, ["its health check fails, so it is ended and started again", unhealthy]))
    elif ended.exit in {126, 127}:
        fix, field = "check `command` and `entrypoint`", "command"
    elif ended.exit == 0:
        code, fix = "service-ended", "a service must stay up; say `job` where it is to end"
        how = "it ends by itself, with exit code 0"
    return Diagnosis(
        code=code,
        reason="OOMKilled" if memory else container.reason or ended.reason,
        message=_told(how, times, again=again, restarted=restarted) if code == "crashed" else how,
        cause=_said(ended.message),
        fix=fix,
        field=field,
        fatal=again,
        wants_logs=True,
        previous=container.state != "ended",
    )


def _told(how: str, times: str, *, again: bool, restarted: bool) -> str:
    if not restarted:
        return how
    return f"it crashes again and again ({times}): {how}" if again else f"crashed ({how}), being started again"


def ending(container: Container, ended: Ended) -> str:
    if ended.reason == "OOMKilled":
        return exits.out_of_memory(ended.exit, _limit(container))
    return exits.ended(ended.exit)


def _limit(container: Container) -> int:
    """Bytes of memory that it may use; 0 where nobody says."""
    return int(amount(mapping(container.spec, "resources", "limits").get("memory")) or 0)


def _where(kind: str) -> str:
    return "secrets" if kind == "secret" else "environment"


def _last(words: str) -> str:
    """The end of a chain of causes is the one that tells: "failed to create task: failed to …: no such device"."""
    return one_line(words.rpartition("OCI runtime create failed: ")[2].rpartition("error during container init: ")[2])


def _said(words: str) -> tuple[str, ...]:
    return (f"the node says: {one_line(words, 1000)}",) if words else ()
