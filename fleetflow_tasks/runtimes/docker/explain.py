# SPDX-License-Identifier: Apache-2.0
"""Why it failed: what a person would have found out by hand, as a Problem.

The functions above the line are pure: the Engine's words and a container's state in, a Problem out. Those below ask:
who holds a port, what the container wrote last.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from fleetflow_tasks.config.model import SHORTEST_SECRET, StageName
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.image import ImageError, parse, short
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes import exits
from fleetflow_tasks.runtimes.docker import observe
from fleetflow_tasks.runtimes.docker.client import Client
from fleetflow_tasks.runtimes.docker.observe import Holder, State

LINES = 20  # of a container's last output, shown in a problem
_PORT = re.compile(
    r"(?:Bind for \S*?:(\d+) failed|listen (?:tcp|udp)\d? \S*?:(\d+): bind|\S*:(\d+): bind: address already)"
)
_MISSING_BIND = re.compile(r"bind source path does not exist: (.*)")


def ending(state: State) -> str:
    """How a container ended, in one line."""
    if state.out_of_memory:
        return exits.out_of_memory(state.exit, state.memory)
    return exits.ended(state.exit)


def unready(service: ResolvedService, state: State | None, lines: Sequence[str], why: str, stage: StageName) -> Problem:
    """A container that ran, but did not become ready. why: the last verdict's own words."""
    cause = []
    if state is not None:
        cause += [f"the Engine says: {state.error}"] if state.error else []
        cause += [f"the health check's last output: {_one_line(state.output)}"] if state.output else []
    last = "its last line:" if len(lines) == 1 else f"its last {len(lines)} lines:"
    cause += [last, *(f"  {line}" for line in lines)] if lines else ["it wrote nothing"]
    return Problem(
        code="not-ready",
        message=f"`{service.name}` did not become ready: {why}"
        if not service.job
        else f"job `{service.name}` failed: {why}",
        cause=tuple(cause),
        fix=_fix(state),
        more=f"flow logs --stage={stage} {service.name}",
        place=service.places.get(""),
    )


def masked(problem: Problem, service: ResolvedService) -> Problem:
    """Without the values of secrets, which an application may have printed."""

    def hidden(text: str) -> str:
        for secret in service.secrets.values():
            if len(secret.reveal()) >= SHORTEST_SECRET:
                text = text.replace(secret.reveal(), "[hidden]")
        return text

    return msgspec.structs.replace(
        problem, message=hidden(problem.message), cause=tuple(hidden(line) for line in problem.cause)
    )


def _fix(state: State | None) -> str:
    if state is None:
        return ""
    if state.out_of_memory:
        return "raise `memory_limit` in `resources`, or let it use less"
    if state.health == "unhealthy" and state.status == "running":
        return "run the check by hand in the container, or give it more `start_period`"
    return "check `command` and `entrypoint`" if state.exit in {126, 127} else ""


def _one_line(text: str) -> str:
    return " · ".join(part.strip() for part in text.splitlines() if part.strip())[:300]


def unstarted(service: ResolvedService, status: int, answer: str) -> Problem:
    """The Engine's refusal to create or start a container, where it is neither a port nor a name."""
    code, message, fix, field = _refusal(service, answer)
    return Problem(
        code=code,
        message=f"`{service.name}` cannot be started: {message}",
        cause=(f"the Engine says ({status}): {_one_line(answer)}",),
        fix=fix,
        place=_place(service, field),
    )


def _refusal(service: ResolvedService, answer: str) -> tuple[str, str, str, str]:
    """(code, message, fix, the field to blame) for an Engine's words."""
    said = answer.lower()
    missing = _MISSING_BIND.search(answer)
    if missing:
        path = missing[1].strip()
        return (
            "bind-missing",
            f"`{path}` is not there to be mounted",
            f"make it (`mkdir -p {path}`), or correct the volume",
            "volumes",
        )
    if "executable file not found" in said or ("no such file or directory" in said and "exec" in said):
        return (
            "command-not-found",
            "its command does not exist in the image",
            "check `command` and `entrypoint`",
            "command",
        )
    if "permission denied" in said and "exec" in said:
        return "command-not-executable", "its command is not executable", "`chmod +x` it in the image", "command"
    if "not a directory" in said and "mount" in said:
        return (
            "mount-kind",
            "a file is mounted on a folder, or a folder on a file",
            "check both sides of `volumes`",
            "volumes",
        )
    if "logging plugin" in said or "logging driver" in said:
        return "log-driver", "the log driver is not known to this Engine", "check `log_driver` in `docker`", "options"
    if "no space left on device" in said:
        return "disk-full", "the Engine's disk is full", "make room: `docker system df`, then `docker system prune`", ""
    if "network" in said and "not found" in said:
        return "network-missing", "its network is gone", "run it again: the network is made anew", ""
    if "platform" in said and ("does not match" in said or "not supported" in said):
        return (
            "image-platform",
            f"`{service.image}` is not made for this machine",
            "say `platform` in `docker`, or build for it",
            "image",
        )
    return "not-started", _one_line(answer), "", ""


def image_missing(service: ResolvedService, answer: str) -> Problem:
    """The image is not on the Engine and cannot be pulled. answer: what the registry, or the Engine for it, said."""
    said, where = answer.lower(), _registry(service.image)
    code, why, fix = "image-not-found", f"does not exist on {where}", "push it, or correct `image` and `version`"
    if "toomanyrequests" in said or "rate limit" in said:
        code, why, fix = (
            "image-rate-limit",
            f"cannot be pulled now: {where} limits how often",
            "log in (`docker login`), or wait",
        )
    elif "unauthorized" in said or "no basic auth" in said or "authentication required" in said:
        code, why, fix = "image-denied", f"cannot be pulled: {where} wants a login", f"run `docker login {where}`"
    elif "denied" in said:
        code, why = "image-denied", f"does not exist on {where}, or wants a login"
        fix = f"correct `image` and `version`, or run `docker login {where}`"
    elif "no matching manifest" in said:
        code, why, fix = "image-platform", "is not made for this machine", "say `platform` in `docker`, or build for it"
    elif "manifest" not in said and "not found" not in said:
        code, why = "registry-unreachable", f"is not on this Engine, and {where} does not answer"
        fix = "build or load the image here, or see that the registry can be reached"
    return Problem(
        code=code,
        message=f"image `{service.image}` {why}",
        cause=(f"the answer: {_one_line(answer)}",),
        fix=fix,
        place=_place(service, "image"),
    )


def image_never(service: ResolvedService) -> Problem:
    return Problem(
        code="image-not-found",
        message=f'image `{service.image}` is not on this Engine, and `pull "never"` forbids to fetch it',
        fix=f'build or load it, or say `pull "missing"` in service `{service.name}`',
        place=_place(service, "image"),
    )


def image_elsewhere(service: ResolvedService) -> Problem:
    """It is named by its id, so nobody can be asked for it."""
    return Problem(
        code="image-not-found",
        message=f"image `{short(service.image)}` of service `{service.name}` is not on this Engine, and no registry knows it",
        fix="push the image to a registry, and deploy from there",
        place=_place(service, "image"),
    )


def _registry(image: str) -> str:
    try:
        return parse(image).registry or "Docker Hub"
    except ImageError:
        return "the registry"


def taken_port(answer: str) -> int | None:
    """The host port that a refusal is about; None where it is about something else."""
    found = _PORT.search(answer)
    return int(next(group for group in found.groups() if group)) if found else None


def port_taken(service: ResolvedService, port: int, holder: str) -> Problem:
    return Problem(
        code="port-taken",
        message=f"`{service.name}` cannot be started: host port {port} is taken" + (f" by {holder}" if holder else ""),
        cause=() if holder else ("by something that this machine does not show",),
        fix=f"stop it, or give `{service.name}` another host port; `port container=…` without host takes a free one",
        place=_place(service, "ports"),
    )


def name_taken(name: str, holder: Holder | None, place: Place | None) -> Problem:
    owner = f"; it belongs to {holder.owner}" if holder and holder.owner else ""
    seen = (f"container {holder.id[:12]}, image {holder.image}{owner}",) if holder else ()
    return Problem(
        code="foreign-container",
        message=f"a container called `{name}` is there already, and it is not ours",
        cause=seen,
        fix=f"rename or remove it: `docker rename {name} {name}-old`",
        place=place,
    )


def foreign(kind: str, name: str, owner: str) -> Problem:
    """A network or a volume of our name that somebody else made."""
    return Problem(
        code=f"foreign-{kind}",
        message=f"a {kind} called `{name}` is there already, and it is not ours",
        cause=(f"it belongs to {owner}" if owner else "it has no label of ours",),
        fix=f"remove it if nobody needs it: `docker {kind} rm {name}`",
    )


def no_previous() -> Problem:
    return Problem(
        code="no-previous",
        message="on Docker `--previous` means nothing: a container keeps what all its starts printed, one after the other",
        fix="leave it out",
    )


def stale(what: str, found: int, ours: int) -> Problem:
    return Problem(
        code="stale",
        message=f"`{what}` was made by a newer run (generation {found}); this one ({ours}) must not touch it",
    )


def _place(service: ResolvedService, field: str) -> Place | None:
    return service.places.get(field) or service.places.get("")


# ---------------------------------------------------------------------------------------------------------------------


def port_holder(client: Client, port: int) -> str:
    """Who has a host port: a container of the Engine, or a process of this machine; "" where nobody can tell."""
    for holder, ports in observe.all_containers(client):
        if port in ports:
            return f"container `{holder.name}`" + (f" of {holder.owner}" if holder.owner else "")
    return _process_on(port, Path("/proc")) if client.local else ""


def name_holder(client: Client, name: str) -> Holder | None:
    return next((holder for holder, _ in observe.all_containers(client) if holder.name == name), None)


def last_lines(client: Client, container: str) -> tuple[str, ...]:
    return client.tail(container, LINES)


def _process_on(port: int, proc: Path) -> str:
    """Linux: the process whose socket listens there, by its inode. Others' sockets are seen only by root."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    for folder in proc.glob("[0-9]*") if sockets else ():
        if _open_files(folder) & sockets:
            with suppress(OSError):  # it ended just now
                return f"process `{(folder / 'comm').read_text(encoding='utf-8').strip()}` ({folder.name})"
    return "a process of another user" if sockets else ""


def _open_files(folder: Path) -> set[str]:
    """What a process holds open; nothing of another user's, and nothing that it closes meanwhile."""
    found: set[str] = set()
    with suppress(OSError):
        for link in (folder / "fd").iterdir():
            with suppress(OSError):
                found.add(str(link.readlink()))
    return found


def _listening(port: int, proc: Path) -> set[str]:
    """Inodes of the sockets that listen at *port*: column 1 is the address in hex, 3 the state, 9 the inode."""
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        columns = (row.split() for row in rows)
        inodes.update(c[9] for c in columns if c[1].endswith(f":{port:04X}") and c[3] == "0A")
    return inodes
