# SPDX-License-Identifier: Apache-2.0
"""Where an Engine may be: what somebody said, or the sockets of the products that people use."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem, UnavailableError


class Endpoint(Data, frozen=True, kw_only=True):
    """url: unix://, tcp://, ssh://. origin: who named it, as a person would say.

    certificates: a folder, or "". certified: who named that folder, as a person would say.
    """

    url: str
    origin: str
    certificates: str = ""
    certified: str = ""


def endpoints(option: str, environ: Mapping[str, str], home: Path) -> tuple[Endpoint, ...]:
    """Where an Engine may be, strongest first. What somebody named is the only answer; else the usual sockets."""
    if option:
        return (_named(option, "`docker_host` of the stage", environ, home),)
    if environ.get("DOCKER_HOST"):
        return (_named(environ["DOCKER_HOST"], "DOCKER_HOST", environ, home),)
    context = _context(environ, home)
    if context is not None:
        return (context,)
    return tuple(
        Endpoint(url=f"unix://{socket}", origin=origin) for socket, origin in _sockets(environ, home) if socket.exists()
    )


def _named(url: str, origin: str, environ: Mapping[str, str], home: Path) -> Endpoint:
    """With the folder of ca.pem, cert.pem and key.pem where DOCKER_TLS_VERIFY asks for TLS: as with `docker` itself, its
    own folder, unless another is named. A socket of this machine and ssh need none."""
    if not environ.get("DOCKER_TLS_VERIFY") or url.partition("://")[0] in _PRIVATE:
        return Endpoint(url=url, origin=origin)
    named = environ.get("DOCKER_CERT_PATH", "")
    told = (
        "DOCKER_CERT_PATH names the folder"
        if named
        else "without DOCKER_CERT_PATH it is looked for in docker's own folder"
    )
    return Endpoint(
        url=url,
        origin=origin,
        certificates=named or str(_folder(environ, home)),
        certified=f"DOCKER_TLS_VERIFY asks for TLS, and {told}",
    )


_PRIVATE = {"unix", "http+unix", "npipe", "ssh"}


def _folder(environ: Mapping[str, str], home: Path) -> Path:
    """Where `docker` keeps what is its own."""
    return Path(environ.get("DOCKER_CONFIG") or home / ".docker")


def _context(environ: Mapping[str, str], home: Path) -> Endpoint | None:
    """The docker context that `docker` itself would use, unless that is the default one."""
    folder = _folder(environ, home)
    name = environ.get("DOCKER_CONTEXT") or _text(_read(folder / "config.json"), "currentContext")
    if name in {"", "default"}:
        return None
    digest = sha256(name.encode()).hexdigest()
    meta = _read(folder / "contexts" / "meta" / digest / "meta.json")
    ends = meta.get("Endpoints")
    docker = ends.get("docker") if isinstance(ends, dict) else None
    url = _text(docker if isinstance(docker, dict) else {}, "Host")
    tls = folder / "contexts" / "tls" / digest / "docker"
    if not url:
        raise UnavailableError(
            Problem(
                code="docker-context",
                message=f"the docker context `{name}` is not known on this machine",
                cause=(f"looked in {folder / 'contexts'}",),
                fix="run `docker context ls`, then `docker context use NAME`",
            )
        )
    origin = f"docker context `{name}`"
    if not tls.exists():
        return Endpoint(url=url, origin=origin)
    return Endpoint(url=url, origin=origin, certificates=str(tls), certified=f"the folder was named by {origin}")


def _sockets(environ: Mapping[str, str], home: Path) -> Iterator[tuple[Path, str]]:
    yield Path("/var/run/docker.sock"), "the usual socket"
    yield home / ".docker/run/docker.sock", "Docker Desktop"
    yield home / ".docker/desktop/docker.sock", "Docker Desktop"
    yield home / ".orbstack/run/docker.sock", "OrbStack"
    yield home / ".colima/default/docker.sock", "Colima"
    yield home / ".rd/docker.sock", "Rancher Desktop"
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"]) / "docker.sock", "rootless Docker"
        yield Path(environ["XDG_RUNTIME_DIR"]) / "podman/podman.sock", "Podman"
    yield Path("/run/podman/podman.sock"), "Podman"


def _read(path: Path) -> Mapping[str, object]:
    """A JSON object of Docker's configuration; empty where there is none, or none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
