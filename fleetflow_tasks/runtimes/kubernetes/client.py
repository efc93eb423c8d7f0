# SPDX-License-Identifier: Apache-2.0
"""The API server: one typed method per thing that we ask of it. Objects go in and come out as plain JSON.

What is written is written by server-side apply under our own name, so that the server knows which fields are ours and
tells us when somebody else's are in the way. What is removed is removed by its uid, so that nothing can be removed that
has taken its place. `wire` holds the connections, `trouble` says what a refusal means.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.runtimes.kubernetes.kinds import Kind
from fleetflow_tasks.runtimes.kubernetes.lines import Lines, Watching
from fleetflow_tasks.runtimes.kubernetes.trouble import Cause, KubernetesError, decoded
from fleetflow_tasks.runtimes.kubernetes.wire import TIMEOUT, Line, Trace

__all__ = ["MANAGER", "TIMEOUT", "Cause", "Client", "Json", "KubernetesError", "Lines", "Listed", "Trace", "Watching"]

MANAGER = "fleetflow"  # the name under which our fields are ours
PAGE = 500  # objects of one answer to a list, as kubectl asks for
WATCH = 240.0  # seconds after which the server ends a watch by itself; then it goes on from where it was
MARGIN = 30.0  # seconds more, after which a watch that says nothing is taken for dead

Json = Mapping[str, Any]
Propagation = Literal["Foreground", "Background", "Orphan"]
Labels = Mapping[str, str] | str


class Listed(Data, frozen=True, kw_only=True):
    """version: of the collection; a watch that starts from it misses nothing."""

    items: tuple[Json, ...]
    version: str


class Client:
    """One cluster. Safe for many threads. Each method raises KubernetesError, and UnavailableError for want of a pass."""

    def __init__(self, line: Line) -> None:
        self.line = line

    @property
    def server(self) -> str:
        return self.line.target.server

    @property
    def origin(self) -> str:
        """Where the cluster's address is written, for people."""
        return self.line.target.origin

    def now(self) -> datetime:
        """The moment on the server's clock, which all times of its objects are on."""
        return self.line.clock.now()

    def close(self) -> None:
        self.line.close()

    # --- looking

    def version(self) -> tuple[int, int]:
        told = self._asked("tell its version", "GET", "/version")
        return _number(str(told.get("major", ""))), _number(str(told.get("minor", "")))

    def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """None: there is no such object."""
        try:
            return self._asked(f"show {_words(kind, name)}", "GET", kinds.path(kind, namespace, name))
        except KubernetesError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: Kind, namespace: str, selector: Labels = "", fields: str = "") -> Listed:
        """All of a namespace that *selector* and *fields* choose; what was written before the call is in it."""
        asked = _chosen(selector, fields)
        try:
            return self._paged(kind, namespace, [*asked, ("limit", str(PAGE))])
        except KubernetesError as error:
            if error.status != 410:
                raise
        return self._paged(kind, namespace, asked)  # it took too long from page to page: all at once

    def _paged(self, kind: Kind, namespace: str, query: Sequence[tuple[str, str]]) -> Listed:
        items: list[Json] = []
        rest = ""
        while True:
            page = self._page(kind, namespace, [*query, *([("continue", rest)] if rest else [])])
            items += page.get("items") or ()
            version, rest = _place(page)
            if not rest:
                # A list says of what kind it is, its items do not.
                return Listed(items=tuple(_typed(kind, item) for item in items), version=version)

    def _page(self, kind: Kind, namespace: str, query: Sequence[tuple[str, str]]) -> Json:
        doing = f"list {kind.plural}"
        return self._asked(doing, "GET", kinds.path(kind, namespace), query=query, packed=True)

    def can(self, verb: str, kind: Kind, namespace: str, subresource: str = "") -> bool:
        """Whether we may; asked of the server, which knows every rule."""
        wanted = {
            "verb": verb,
            "group": kind.group,
            "resource": kind.plural,
            "subresource": subresource,
            **({"namespace": namespace} if kind.namespaced else {}),
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._asked("tell what we may do", "POST", path, body=msgspec.json.encode(review))
        return bool(answer.get("status", {}).get("allowed"))

    # --- changing

    def apply(
        self,
        kind: Kind,
        namespace: str,
        manifest: Json,
        *,
        force: bool = False,
        version: str | None = None,
        dry_run: bool = False,
        manager: str = MANAGER,
    ) -> Json:
        """The object as it is now. *manifest* is complete: what it lacks and *manager* alone owned is removed.

        version: the object must still be at it, else the answer is 409 Conflict. force: take fields from other managers.
        """
        metadata = dict(manifest["metadata"]) | ({"resourceVersion": version} if version is not None else {})
        name = str(metadata["name"])
        query = [("fieldManager", manager), ("fieldValidation", "Strict")]
        query += [("force", "true")] if force else []
        return self._asked(
            f"apply {_words(kind, name)}",
            "PATCH",
            kinds.path(kind, namespace, name),
            query=[*query, *_dry(dry_run)],
            body=msgspec.json.encode({**manifest, "metadata": metadata}),
            content="application/apply-patch+yaml",
            urgency=kinds.urgency(kind),
        )

    def create(
        self, kind: Kind, namespace: str, manifest: Json, *, dry_run: bool = False, manager: str = MANAGER
    ) -> Json:
        """The new object; 409 AlreadyExists where there is one of its name."""
        return self._asked(
            f"create {_words(kind, str(manifest['metadata'].get('name', '')))}",
            "POST",
            kinds.path(kind, namespace),
            query=[("fieldManager", manager), ("fieldValidation", "Strict"), *_dry(dry_run)],
            body=msgspec.json.encode(manifest),
            urgency=kinds.urgency(kind),
        )

    def entitle(self, kind: Kind, namespace: str, name: str, entries: Sequence[Json], version: str) -> Json:
        """Say anew who owns which fields: `metadata.managedFields` becomes *entries*; 409 where it has left *version*."""
        patch = [
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},  # `test` would be a 422 instead
        ]
        return self._asked(
            f"take over {_words(kind, name)}",
            "PATCH",
            kinds.path(kind, namespace, name),
            query=[("fieldManager", MANAGER)],
            body=msgspec.json.encode(patch),
            content="application/json-patch+json",
        )

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str,
        version: str = "",
        propagation: Propagation = "Foreground",
        grace: int | None = None,
        dry_run: bool = False,
    ) -> bool:
        """False: the object of that uid was gone already. The API's own default would leave a Job's pods behind.

        version: it must still be at it, else the answer is 409 Conflict.
        """
        try:
            self.line.ask(
                f"delete {_words(kind, name)}",
                "DELETE",
                kinds.path(kind, namespace, name),
                query=_dry(dry_run),
                body=msgspec.json.encode(_meant(uid, version, propagation, grace)),
            )
        except KubernetesError as error:
            if error.status == 404 or _another(error):
                return False
            raise
        return True

    def _asked(self, doing: str, method: str, path: str, **more: Any) -> dict[str, Any]:
        return decoded(doing, self.line.ask(doing, method, path, **more))

    # --- listening

    def watch(self, kind: Kind, namespace: str, selector: Labels = "", fields: str = "", version: str = "") -> Watching:
        """What changes from *version* on. The server ends it after some minutes; then one goes on from where it was."""
        life = WATCH * random.uniform(1.0, 1.1)  # noqa: S311  (so that a worker's watches do not all end at once)
        query = [
            *_chosen(selector, fields),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(int(life))),
        ]
        doing = f"watch {kind.plural}"
        answer = self.line.open(doing, kinds.path(kind, namespace), query=query, silence=life + MARGIN)
        return Watching(doing, Lines(doing, self.server, answer, whole=True))

    def pod_log(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        *,
        previous: bool = False,
        follow: bool = False,
        tail: int | None = None,
        since: str = "",
        timestamps: bool = False,
    ) -> Lines:
        """What a container wrote. since: a time as RFC 3339 has it. previous: of the one before the last restart."""
        said = {
            "container": container,
            "previous": "true" if previous else "",
            "follow": "true" if follow else "",
            "tailLines": "" if tail is None else str(tail),
            "sinceTime": since,
            "timestamps": "true" if timestamps else "",
        }
        doing = f"show the log of pod `{pod}`"
        query = [(name, value) for name, value in said.items() if value]
        path = f"{kinds.path(kinds.POD, namespace, pod)}/log"
        return Lines(doing, self.server, self.line.open(doing, path, query=query, silence=None if follow else TIMEOUT))

    def stream(self, doing: str, path: str, query: Sequence[tuple[str, str]], protocols: Sequence[str]) -> Any:
        """An open WebSocket (`websocket.WebSocket`), as exec, attach and port-forward speak it."""
        return self.line.socket(doing, path, query=query, protocols=protocols)


def _chosen(selector: Labels, fields: str) -> list[tuple[str, str]]:
    labels = selector if isinstance(selector, str) else ",".join(f"{name}={value}" for name, value in selector.items())
    return [(name, said) for name, said in (("labelSelector", labels), ("fieldSelector", fields)) if said]


def _another(error: KubernetesError) -> bool:
    """Whether another object has the name by now: its uid is not the one that was meant."""
    return error.status == 409 and "UID in " in error.answer


def _meant(uid: str, version: str, propagation: Propagation, grace: int | None) -> Json:
    """Which object is to be deleted, and how."""
    return {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": uid, **({"resourceVersion": version} if version else {})},
        "propagationPolicy": propagation,
        **({} if grace is None else {"gracePeriodSeconds": grace}),
    }


def _dry(dry_run: bool) -> list[tuple[str, str]]:
    return [("dryRun", "All")] if dry_run else []


def _place(page: Json) -> tuple[str, str]:
    """(version of the collection, where the next page begins; "" for the last)."""
    metadata = page.get("metadata", {})
    return str(metadata.get("resourceVersion", "")), str(metadata.get("continue", ""))


def _typed(kind: Kind, item: Json) -> Json:
    return {"apiVersion": kind.api, "kind": kind.name, **item}


def _words(kind: Kind, name: str) -> str:
    return f"{kind.name} `{name}`"


def _number(text: str) -> int:
    """Some add a plus: `34+`."""
    digits = text.rstrip("+")
    return int(digits) if digits.isdigit() else 0
