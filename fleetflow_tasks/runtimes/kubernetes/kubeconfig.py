# SPDX-License-Identifier: Apache-2.0
"""Kubeconfig files -> the cluster and the user that they name, as kubectl reads them.

Several files are one: of two entries of a name the first counts, and so does the first `current-context`. Paths start
at the folder of the file that they stand in. What a file lacks is said with the file's name, since a kubeconfig is
written by tools and read by nobody until it fails.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.config.nearest import listed, suggestion
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.kubernetes.credentials import (
    Issuer,
    Pass,
    basic,
    bearer,
    openid,
    token_file,
)
from fleetflow_tasks.runtimes.kubernetes.plugins import Plugin, plugin
from fleetflow_tasks.runtimes.kubernetes.reach import Target, bare, proxy

_AS_DATA = "write it in base64 as `{name}-data`"
_SECTIONS = ("clusters", "contexts", "users")


class Entry(Data, frozen=True, kw_only=True):
    """One cluster, context or user. said: what stands under its name. file: where."""

    name: str
    said: Mapping[str, Any]
    file: Path


class Kubeconfig(Data, frozen=True, kw_only=True):
    files: tuple[Path, ...]
    clusters: Mapping[str, Entry]
    contexts: Mapping[str, Entry]
    users: Mapping[str, Entry]
    current: str = ""


def read(files: Sequence[Path]) -> Kubeconfig:
    """All *files* as one. Raises UnavailableError for one that is no kubeconfig."""
    found: dict[str, dict[str, Entry]] = {section: {} for section in _SECTIONS}
    current = ""
    for file in files:
        told = _loaded(file)
        current = current or str(told.get("current-context") or "")
        for section in _SECTIONS:
            for name, said in _named(told, section, file):
                found[section].setdefault(name, Entry(name=name, said=said, file=file))
    return Kubeconfig(files=tuple(files), current=current, **found)


def chosen(config: Kubeconfig, context: str, environ: Mapping[str, str]) -> tuple[Target, Issuer]:
    """The server of a context, "" for the current one, and where a pass for it comes from."""
    name = context or config.current
    entry = _context(config, name, asked=bool(context))
    cluster = _entry(config.clusters, "cluster", str(entry.said.get("cluster") or ""), name, entry.file)
    user = str(entry.said.get("user") or "")
    target = _target(cluster, name, environ)
    if not user:
        return target, Pass
    return target, _issuer(_entry(config.users, "user", user, name, entry.file), cluster, target, config.files, environ)


def _loaded(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        told = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both are safe)
    except OSError as error:
        raise _wrong(file, f"cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise _wrong(file, f"is no YAML{where}: {getattr(error, 'problem', None) or error}") from error
    if told is None:
        return {}
    if not isinstance(told, Mapping):
        raise _wrong(file, "is no kubeconfig: it is not a mapping")
    return told


def _named(told: Mapping[str, Any], section: str, file: Path) -> Sequence[tuple[str, Mapping[str, Any]]]:
    entries = told.get(section) or []
    if not isinstance(entries, list) or not all(isinstance(each, Mapping) and each.get("name") for each in entries):
        raise _wrong(file, f"is no kubeconfig: `{section}` is not a list of named entries")
    return [(str(each["name"]), _mapping(each.get(section.removesuffix("s")))) for each in entries]


def _mapping(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _context(config: Kubeconfig, name: str, *, asked: bool) -> Entry:
    known = sorted(config.contexts)
    files = ", ".join(map(str, config.files))
    if not name:
        raise UnavailableError(
            Problem(
                code="no-context",
                message="no Kubernetes cluster is chosen: the kubeconfig has no current context",
                cause=(f"{files} {f'knows {listed(known)}' if known else 'holds no contexts'}",),
                fix='choose one: `context "…"` in the stage\'s `kubernetes { }`, or `kubectl config use-context …`',
            )
        )
    if name not in config.contexts:
        raise UnavailableError(
            Problem(
                code="unknown-context",
                message=f"unknown Kubernetes context `{name}`",
                cause=(
                    "the stage names it" if asked else "it is the kubeconfig's current one",
                    f"looked for in {files}",
                ),
                fix=suggestion(name, known) or "have the cluster's kubeconfig written there",
            )
        )
    return config.contexts[name]


def _entry(entries: Mapping[str, Entry], what: str, name: str, context: str, file: Path) -> Entry:
    if name not in entries:
        near = suggestion(name, entries) if name else ""
        raise _wrong(
            file,
            f"does not fit together: context `{context}` names the {what} `{name}`, which is nowhere defined",
            near,
        )
    return entries[name]


def _target(cluster: Entry, context: str, environ: Mapping[str, str]) -> Target:
    server = str(cluster.said.get("server") or "").rstrip("/")
    if not server.startswith(("http://", "https://")):
        raise _wrong(cluster.file, f"has no `server` with http:// or https:// for context `{context}`")
    if bare(server) != server:
        raise _wrong(
            cluster.file,
            f"has a name and a password in the `server` of context `{context}`",
            "write them as `username` and `password` of its user",
        )
    return Target(
        server=server,
        origin=f"context `{context}` of {cluster.file}",
        authority=_content(cluster, "certificate-authority"),
        insecure=bool(cluster.said.get("insecure-skip-tls-verify")),
        server_name=str(cluster.said.get("tls-server-name") or ""),
        proxy=str(cluster.said.get("proxy-url") or "") or proxy(server, environ),
    )


def _issuer(user: Entry, cluster: Entry, target: Target, files: Sequence[Path], environ: Mapping[str, str]) -> Issuer:
    said, headers = user.said, _impersonated(user.said)
    if said.get("tokenFile") and not said.get("token"):
        return token_file(user.file.parent / str(said["tokenFile"]), headers)
    if said.get("exec"):
        return plugin(_plugin(user, cluster, target), environ, headers)
    if said.get("auth-provider"):
        return openid(_mapping(said["auth-provider"]), target.origin, headers)
    return _written(user, files)


def _written(user: Entry, files: Sequence[Path]) -> Issuer:
    """What the file itself holds. Read again each time: somebody may have logged in anew since."""

    def issued() -> Pass:
        known = read(files).users
        now = known.get(user.name, user)
        return Pass(
            headers=(*_said(now.said), *_impersonated(now.said)),
            certificate=_content(now, "client-certificate"),
            key=_content(now, "client-key"),
        )

    return issued


def _said(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if user.get("token"):
        return bearer(str(user["token"]))
    if user.get("username"):
        return basic(str(user["username"]), str(user.get("password") or ""))
    return ()


def _impersonated(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """`as`: to be served with somebody else's rights, usually with fewer. To leave it out would be to take more."""
    if not user.get("as"):
        return ()
    extra = _mapping(user.get("as-user-extra"))
    return (
        ("Impersonate-User", str(user["as"])),
        *((("Impersonate-Uid", str(user["as-uid"])),) if user.get("as-uid") else ()),
        *(("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()),
        *((f"Impersonate-Extra-{name}", str(value)) for name, values in extra.items() for value in values or ()),
    )


def _plugin(user: Entry, cluster: Entry, target: Target) -> Plugin:
    said = _mapping(user.said["exec"])
    if not said.get("command") or not said.get("apiVersion"):
        raise _wrong(user.file, "names a credential plugin (`exec`) without `command` or `apiVersion`")
    return Plugin(
        command=str(said["command"]),
        version=str(said["apiVersion"]),
        origin=target.origin,
        arguments=tuple(str(each) for each in said.get("args") or ()),
        environment={str(each["name"]): str(each.get("value", "")) for each in said.get("env") or ()},
        folder=str(user.file.parent),
        cluster=_told(cluster, target) if said.get("provideClusterInfo") else None,
        hint=str(said.get("installHint") or ""),
        asks=said.get("interactiveMode") == "Always",
    )


def _told(cluster: Entry, target: Target) -> Mapping[str, Any]:
    """What a plugin is told of the cluster; its own part stands among the extensions."""
    extensions = {each.get("name"): each.get("extension") for each in cluster.said.get("extensions") or ()}
    known = {
        "server": target.server,
        "tls-server-name": target.server_name,
        "insecure-skip-tls-verify": target.insecure,
        "certificate-authority-data": base64.b64encode(target.authority).decode(),
        "proxy-url": target.proxy,
        "config": extensions.get("client.authentication.k8s.io/exec"),
    }
    return {name: value for name, value in known.items() if value}


def _content(entry: Entry, name: str) -> bytes:
    """PEM: in the file itself, as base64, or in another file."""
    inside, path = entry.said.get(f"{name}-data"), entry.said.get(name)
    if "-----BEGIN" in str(path):
        raise _wrong(entry.file, f"holds `{name}` itself, where the name of a file belongs", _AS_DATA.format(name=name))
    try:
        if inside:
            return base64.b64decode("".join(str(inside).split()), validate=True)
        return (entry.file.parent / str(path)).read_bytes() if path else b""
    except binascii.Error as error:
        raise _wrong(entry.file, f"is damaged: its `{name}-data` is no base64") from error
    except OSError as error:
        raise _wrong(entry.file, f"names `{path}` as `{name}`, which cannot be read: {error.strerror}") from error


def _wrong(file: Path, why: str, fix: str = "") -> UnavailableError:
    return UnavailableError(
        Problem(
            code="bad-kubeconfig",
            message=f"the kubeconfig {file} {why}",
            fix=fix or "have it written anew, or name another one: KUBECONFIG=…",
        )
    )
