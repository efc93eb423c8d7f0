# SPDX-License-Identifier: Apache-2.0
"""An operation -> calls. The only room that changes anything, and it decides nothing.

A worker may sleep for minutes between two calls, while a newer run deploys. So each change is made in three steps: is the
step still ours (`checkpoint`), what is there now (whose it is, and of which run), and then the change itself, which the
API refuses where the object has changed since that look. After a refusal all three are done again. So is a removal: what a
newer run has taken back meanwhile stays. Each change carries along what it writes over (`before`).

What is not there is made by POST and not by apply: an apply would write over what somebody else has made meanwhile. The
API then holds us for the owner of its fields by "update"; before the first apply that is put right (`entitled`), or what
the text no longer says would stay for ever.

The number of pods changes hands when an autoscaler comes. A field that nobody claims any more falls back to its default,
one pod; so before we let go of it, it is claimed under a second name, which the autoscaler then takes it from.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from fleetflow_tasks.runtimes.base import Attempt, DeployError, StaleError
from fleetflow_tasks.runtimes.kubernetes.before import GENERATION, Before, noted, replaced
from fleetflow_tasks.runtimes.kubernetes.client import MANAGER, Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.decide import (
    Claim,
    Delete,
    Grow,
    Make,
    Operation,
    Renew,
    Write,
    name,
    newer,
    renewed,
    renewing,
    unfit,
)
from fleetflow_tasks.runtimes.kubernetes.desired import stamped
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, HPA, POD, STATEFUL_SET, WORKLOADS, named
from fleetflow_tasks.runtimes.kubernetes.managed import owners
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.objects import RENEWER, at, items, mapping
from fleetflow_tasks.runtimes.kubernetes.observe import NAMED_BY_CONTENT, Key, Snapshot, going, key, mark
from fleetflow_tasks.runtimes.kubernetes.words import busy, foreign, stale
from fleetflow_tasks.runtimes.labels import Mark

REPLICAS = f"{MANAGER}-replicas"
TRIES = 5  # looks anew that often when somebody else was faster
_AGAIN = 0.2  # seconds between two looks at what is on its way out
_CONTROL_PLANE = "kube-"  # its managers write what is theirs: status, revisions, the scale that an autoscaler wants
_SCALERS = (REPLICAS, "kube-controller-manager")
_WAITED = frozenset(kind.name for kind in WORKLOADS)  # what has made pods, and is gone when these are
_REFUSED = 422
_MANAGER = re.compile(r'conflict with "([^"]+)"')

Gone = Callable[[Json], None]  # waits until an object, and what it made, is gone
Told = Callable[[Json], None]  # hears of each answer to a write


class Hands:
    """Changes the objects of one stage, in the name of one attempt.

    before: of each object that this run has changed, by an earlier attempt too, what was there.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        mark: Mark,
        attempt: Attempt,
        snapshot: Snapshot,
        *,
        force: bool = False,
        gone: Gone,
        told: Told,
        before: Mapping[Key, Before],
    ) -> None:
        """mark: of the stage and the run; the service is each object's own. force: take fields over from others.

        before: what is known of it already.
        """
        self._client = client
        self._namespace = namespace
        self._mark = mark
        self._attempt = attempt
        self._snapshot = snapshot
        self._force = force
        self._gone = gone
        self._told = told
        self.before = dict(before)
        self._removed: dict[Key, Mapping[str, Any]] = {}  # what was there, and is not made anew so far

    def __call__(self, operation: Operation) -> None:
        match operation:
            case Make(manifest=manifest):
                self._attempt.report(f"making {name(manifest)}")
                if not self._made(manifest):
                    self._brought(manifest)
            case Write(manifest=manifest):
                self._attempt.report(f"changing {name(manifest)}")
                self._brought(manifest)
            case Claim(manifest=manifest):
                self._claimed(manifest)
            case Grow(claim=claim, size=size):
                self._attempt.report(f"growing claim {claim} to {size}")
                self._grown(claim, size)
            case Delete(found=found, alone=alone):
                self._attempt.report(f"removing {name(found)}")
                self.removed(found, alone=alone)
                if found["kind"] in _WAITED:
                    self._gone(found)
            case Renew(found=found, word=word):
                self._attempt.report(f"renewing the pods of {name(found)}")
                self._again(found, lambda live: self._renewed(live, word))

    def removed(self, found: Json, *, alone: bool = False) -> bool:
        """Whether it was there, and not another one of its name. What hangs on it may take longer to go."""
        for _ in range(TRIES):
            live = self._looked(found)
            if live is None or live["metadata"]["uid"] != found["metadata"]["uid"]:
                self._snapshot.drop(found)
                return False
            was = self._remembered(live)
            try:
                gone = self._deleted(live, alone=alone)
            except KubernetesError as error:
                if not _moved(error):
                    raise
                continue
            self._removed |= {key(live): was.manifest} if was.manifest else {}
            return gone
        raise DeployError(busy(name(found)), transient=True)

    def rehearse(self, manifest: Json) -> None:
        """Let the server do all but keep it. Raises KubernetesError as the change itself would."""

        def step(live: Json) -> Json | None:
            if unfit(manifest, live):
                if entries := entitled(live):
                    self._entitle(live, entries)
                    return None
                rehearsed(self._client, self._namespace, manifest, force=self._forced(live))
            return live

        self._again(manifest, step)

    def put_back(self, was: Json) -> None:
        """*was*, what we owned of an object, is applied again; it is made again where it has to be.

        It bears the mark of the run that made it, but our generation: who is older than we are must not touch it either.
        """
        manifest = _of_generation(was, self._mark.generation)

        def step(live: Json) -> Json | None:
            if entries := entitled(live):
                self._entitle(live, entries)
                return None
            try:
                return self._applied(_as_large(manifest, live), live)
            except KubernetesError as error:
                if error.status != _REFUSED or was["kind"] != STATEFUL_SET.name:
                    raise
                self._deleted(live, alone=True)  # it was made anew for what cannot be changed in place
                return None

        self._again(manifest, step, make=lambda: self._sent(manifest))

    def _deleted(self, live: Json, *, alone: bool) -> bool:
        gone = self._client.delete(
            named(live["kind"]),
            self._namespace,
            live["metadata"]["name"],
            uid=live["metadata"]["uid"],
            # A pod says all the time how it is, and nobody takes one back: its uid is enough.
            version="" if live["kind"] == POD.name else _version(live),
            propagation="Orphan" if alone else "Foreground" if live["kind"] in _WAITED else "Background",
        )
        self._snapshot.drop(live)
        return gone

    def _made(self, manifest: Json) -> bool:
        """False: there is one of its name already."""
        was = self.before.get(key(manifest), Before(run=self._mark.run))  # it may have been removed to be made anew
        return self._sent(self._noted(manifest, was))

    def _sent(self, manifest: Json) -> bool:
        self._attempt.checkpoint()
        try:
            made = self._client.create(named(manifest["kind"]), self._namespace, manifest)
        except KubernetesError as error:
            if error.reason != "AlreadyExists":
                raise
            return False
        self.before.setdefault(key(made), Before(run=self._mark.run))
        self._removed.pop(key(made), None)
        self._heard(made)
        return True

    def _brought(self, manifest: Json) -> None:
        self._again(manifest, lambda live: self._step(manifest, live), make=lambda: self._made(manifest))

    def _claimed(self, manifest: Json) -> None:
        """It is ours now: so that the tidying of the run that prepared it does not take it from us, or to be judged anew.

        What is named by its content can hold nothing else. Of all else a field may have got another owner since.
        """

        def claim(live: Json) -> Json | None:
            if mark(live).run == self._mark.run:
                return live
            if entries := entitled(live):
                self._entitle(live, entries)
                return None
            if manifest["kind"] in NAMED_BY_CONTENT:
                return self._applied(self._stamped(manifest), live, force=True)
            return self._written(manifest, live)

        self._again(manifest, claim, make=lambda: self._made(manifest))

    def _again(
        self, manifest: Json, step: Callable[[Json], Json | None], *, make: Callable[[], bool] = lambda: True
    ) -> None:
        """*step* by step, each upon a fresh look, until it answers with what came of it.

        make: called where nothing is there; False: something is there by now.
        """
        tries = 0
        while tries < TRIES:
            live = self._looked(manifest)
            if live is not None and going(live):
                self._attempt.report(f"waiting until the {name(live)} of before is gone")
                self._attempt.sleep(_AGAIN)
                continue
            try:
                if live is None and make():
                    return
                answer = step(live) if live is not None else None
            except KubernetesError as error:
                if not _moved(error):
                    raise
                answer = None
            if answer is not None:
                self._heard(answer)
                return
            tries += 1
        raise DeployError(busy(name(manifest)), transient=True)

    def _step(self, manifest: Json, live: Json) -> Json | None:
        """One change towards *manifest*; None: it was not the last."""
        if not unfit(manifest, live):
            if mark(live).run == self._mark.run:
                self._remembered(live)  # the answer to our own write was lost
            return live
        return self._written(manifest, live)

    def _written(self, manifest: Json, live: Json) -> Json | None:
        """Applied with our marks; None: it was not the last step on the way there."""
        was = self._remembered(live)
        if entries := entitled(live):
            self._entitle(live, entries)
            return None
        if held := handed_over(manifest, live):
            kind = named(live["kind"])
            self._client.apply(kind, self._namespace, held, force=True, version=_version(live), manager=REPLICAS)
            return None
        return self._applied(self._noted(manifest, was), live, force=self._forced(live))

    def _remembered(self, live: Json) -> Before:
        return self.before.setdefault(key(live), replaced(as_entitled(live), self._mark.run))

    def _noted(self, manifest: Json, was: Before) -> Json:
        gone = [each for where, each in self._removed.items() if where != key(manifest)]
        if gone and manifest["kind"] in _WAITED:
            was = replace(was, gone=(*was.gone, *gone))
        return noted(self._stamped(manifest), was)

    def _entitle(self, live: Json, entries: Sequence[Json]) -> Json:
        kind, called = named(live["kind"]), live["metadata"]["name"]
        return self._client.entitle(kind, self._namespace, called, entries, _version(live))

    def _forced(self, live: Json) -> bool:
        """What an earlier tool made is taken over once, whoever wrote it."""
        return self._force or not mark(live).generation

    def _applied(self, manifest: Json, live: Json, *, force: bool = False) -> Json:
        kind, version = named(live["kind"]), _version(live)
        try:
            return self._client.apply(kind, self._namespace, manifest, force=force, version=version)
        except KubernetesError as error:
            if not self._is_left_over(error, live):
                raise
            return self._client.apply(kind, self._namespace, manifest, force=True, version=version)

    def _is_left_over(self, error: KubernetesError, live: Json) -> bool:
        """Only the number of pods is in the way, of an autoscaler that is gone."""
        found = conflicts(error)
        if not found or any(field != ".spec.replicas" or who not in _SCALERS for field, who in found):
            return False
        scalers = self._client.list(HPA, self._namespace).items
        target = (live["kind"], live["metadata"]["name"])
        return all(
            (at(each, "spec", "scaleTargetRef", "kind"), at(each, "spec", "scaleTargetRef", "name")) != target
            for each in scalers
        )

    def _renewed(self, live: Json, word: str) -> Json:
        """Under a name of its own, as nothing else is ours by it: what the text says of the object stays ours by the other,
        and the next deployment, which does not know this, does not take it away."""
        if renewed(live) == word:
            return live
        kind, version = named(live["kind"]), _version(live)
        return self._client.apply(
            kind, self._namespace, renewing(live, word), force=True, version=version, manager=RENEWER
        )

    def _grown(self, claim: str, size: str) -> None:
        wanted = {
            "apiVersion": "v1",
            "kind": CLAIM.name,
            "metadata": {"name": claim},
            "spec": {"resources": {"requests": {"storage": size}}},
        }
        self._again(wanted, lambda live: self._applied(wanted, live, force=True))

    def _looked(self, wanted: Json) -> Json | None:
        """What is there now, where we may change it. Raises DeployError for a stranger's, StaleError for a newer run's."""
        self._attempt.checkpoint()
        live = self._client.get(named(wanted["kind"]), self._namespace, wanted["metadata"]["name"])
        if live is not None:
            self._guard(live)
        return live

    def _guard(self, live: Json) -> None:
        theirs = mark(live)
        if (theirs.project, theirs.stage) != (self._mark.project, self._mark.stage):
            raise DeployError(foreign(live))
        if newer([live], self._mark.generation):
            raise StaleError(stale(name(live), theirs.generation, self._mark.generation))

    def _stamped(self, manifest: Json) -> Json:
        return stamped(manifest, self._mark)

    def _heard(self, answer: Json) -> None:
        self._snapshot.put(answer)
        self._told(answer)


def rehearsed(client: Client, namespace: str, manifest: Json, *, force: bool) -> Json:
    """What the object would be after an apply: the server does all but keep it. Raises KubernetesError, as that would.

    Only of what is ours by "apply" that is the truth: the server would not take away what is ours in another way.
    """
    kind = named(manifest["kind"])
    try:
        return client.apply(kind, namespace, manifest, force=force, dry_run=True)
    except KubernetesError as error:
        found = conflicts(error)
        if not found or any(who not in _SCALERS for _, who in found):
            raise
        return client.apply(kind, namespace, manifest, force=True, dry_run=True)


def conflicts(error: KubernetesError) -> list[tuple[str, str]]:
    """(field, manager) of each field that somebody else owns."""
    told = [cause for cause in error.causes if cause.reason == "FieldManagerConflict"]
    return [(cause.field, found[1]) for cause in told if (found := _MANAGER.search(cause.message))]


def entitled(live: Json) -> list[Json] | None:
    """The entries of `managedFields`, once what was ours by "update" is ours by "apply"; None where that is so already.

    Of what another tool made under our labels, all is taken over: kubectl's fields, a client library's.
    """
    entries = items(live, "metadata", "managedFields")
    adopted = not mark(live).generation
    taken = [each for each in entries if _is_ours(each, adopted=adopted)]
    if not taken:
        return None
    ours = [each for each in entries if each["manager"] == MANAGER and each["operation"] == "Apply"]
    fields: dict[str, Any] = {}
    for each in (*ours, *taken):
        _united(fields, each.get("fieldsV1") or {})
    one = {**taken[0], "manager": MANAGER, "operation": "Apply", "fieldsV1": fields}
    return [one, *(each for each in entries if each not in taken and each not in ours)]


def as_entitled(live: Json) -> Json:
    """*live*, as if that had been done."""
    entries = entitled(live)
    return live if entries is None else {**live, "metadata": {**live["metadata"], "managedFields": entries}}


def _is_ours(entry: Json, *, adopted: bool) -> bool:
    if entry["operation"] != "Update" or entry.get("subresource"):
        return False
    who = entry["manager"]
    return who == MANAGER or (adopted and not who.startswith(_CONTROL_PLANE))


def _united(fields: dict[str, Any], more: Json) -> None:
    for name_, inner in more.items():
        _united(fields.setdefault(name_, {}), inner)


def handed_over(manifest: Json, live: Json) -> Json | None:
    """What is to be applied as REPLICAS before *manifest*, which says nothing of the number of pods; None: nothing."""
    pods = at(live, "spec", "replicas")
    if "replicas" in mapping(manifest, "spec") or pods in {None, 1}:
        return None
    who = owners(live, ".spec.replicas")
    if MANAGER not in who or REPLICAS in who:
        return None
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {"name": live["metadata"]["name"]},
        "spec": {"replicas": pods},
    }


def _of_generation(manifest: Json, generation: int) -> Json:
    metadata = manifest["metadata"]
    labels = {**mapping(metadata, "labels"), GENERATION: str(generation)}
    return {**manifest, "metadata": {**metadata, "labels": labels}}


def _as_large(manifest: Json, live: Json) -> Json:
    """A claim that has grown cannot shrink, and does not matter to the version before."""
    if manifest["kind"] != CLAIM.name:
        return manifest
    return {**manifest, "spec": {**mapping(manifest, "spec"), "resources": mapping(live, "spec", "resources")}}


def _moved(error: KubernetesError) -> bool:
    """Somebody else was faster: what is there is to be looked at again."""
    return error.status == 409 and not conflicts(error)


def _version(live: Json) -> str:
    return str(live["metadata"]["resourceVersion"])
