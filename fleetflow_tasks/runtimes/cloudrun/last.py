# SPDX-License-Identifier: Apache-2.0
"""The version before: what is put back when a new one fails. Pure.

A revision that fails gets no requests, so the one before goes on serving by itself. But the service would then say of
itself that it is the new version, and the next change of anything would try that again. So what was there is sent
again, as it was read. Its template names the revision that was made from it: Cloud Run makes none of a name that it
has, if the content is the same.

A worker that was lost takes what it had read with it. Therefore each update notes on the service (`fleetflow.io/last`) which
revision it takes the place of, and of which content that was; a revision's own object holds all of the template.
What stands around the template is not in it, so the hash of everything is not kept then: the next run sets that right.
"""

from collections.abc import Mapping
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.canary import annotation, canary, serving, short
from fleetflow_tasks.runtimes.cloudrun.conditions import judged
from fleetflow_tasks.runtimes.cloudrun.desired import renewed
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import HASH, RUN, TEMPLATE
from fleetflow_tasks.runtimes.cloudrun.reading import text
from fleetflow_tasks.runtimes.cloudrun.shares import NEWEST
from fleetflow_tasks.runtimes.labels import DASHED, SLASHED
from fleetflow_tasks.runtimes.ready import Ready

LAST = SLASHED + "last"  # annotation: the revision that served when this version was sent, its template, its run

_GENERATION = DASHED + "generation"

# What the API tells and nobody can send.
_TOLD = frozenset({
    "uid", "generation", "createTime", "updateTime", "deleteTime", "expireTime", "creator", "lastModifier",
    "observedGeneration", "terminalCondition", "conditions", "latestReadyRevision", "latestCreatedRevision",
    "trafficStatuses", "uri", "urls", "reconciling", "satisfiesPzs", "threatDetectionEnabled", "etag",
})  # fmt: skip
# What a revision has of the template that it was made from.
_OF_TEMPLATE = (
    "labels", "annotations", "scaling", "vpcAccess", "timeout", "serviceAccount", "containers", "volumes",
    "executionEnvironment", "encryptionKey", "maxInstanceRequestConcurrency", "serviceMesh",
    "encryptionKeyRevocationAction", "encryptionKeyShutdownDuration", "sessionAffinity", "nodeSelector",
    "gpuZonalRedundancyDisabled",
)  # fmt: skip


class Last(Data, frozen=True, kw_only=True):
    """revision: short name. template: hash of what it was made from, "" where nobody knows. run: that made it."""

    revision: str
    template: str = ""
    run: str = ""

    @property
    def mark(self) -> Mapping[str, str]:
        return {LAST: " ".join((self.revision, self.template or "-", self.run or "-"))}


def last(found: Json | None) -> Last | None:
    """What serves, if *found* is well; else what served before *found* was sent; None: nothing did."""
    if found is None:
        return None
    if isinstance(judged(found), Ready):
        return _serving(found)
    words = ["" if word == "-" else word for word in annotation(found, LAST).split(" ")]
    return Last(revision=words[0], template=words[1], run=words[2]) if len(words) == 3 and words[0] else None


def as_read(before: Json, generation: int) -> Json:
    """The update that puts back *before*, a service that was well. generation: of the run that does it."""
    template = {**before["template"], "revision": short(text(before, "latestReadyRevision"))}
    return _guarded({**_sendable(before), "template": template}, generation)


def rebuilt(found: Json, before: Last, revision: Json, generation: int) -> Json:
    """The same, where only the revision is known. found: the service as it is now."""
    template = {name: revision[name] for name in _OF_TEMPLATE if name in revision}
    known = {TEMPLATE: before.template, RUN: before.run}
    notes = {name: value for name, value in found.get("annotations", {}).items() if name not in {HASH, TEMPLATE, RUN}}
    body = {
        **_sendable(found),
        "template": {**template, "revision": before.revision},
        "annotations": {**notes, **{name: value for name, value in known.items() if value}},
        "traffic": list(NEWEST),
    }
    return _guarded(body, generation)


def again(found: Json, word: str, run: str, generation: int) -> Json:
    """The update that makes another revision of what *found* is already. word: tells this time from others."""
    notes = found.get("annotations", {})
    serving = before.mark if (before := last(found)) is not None else {}
    body = {**_sendable(found), "annotations": {**notes, **serving, RUN: run}}
    return _guarded(renewed(unnamed(body), word), generation)


def unnamed(body: Json) -> Json:
    """*body* without the revision's name: a new one is made of the old content, where the name is refused."""
    template: Mapping[str, Any] = body["template"]
    return {**body, "template": {name: value for name, value in template.items() if name != "revision"}}


def _serving(found: Json) -> Last:
    """Not what is newest, while that is on trial or was given up."""
    trial, run = canary(found), annotation(found, RUN)
    if trial is not None:
        return Last(revision=trial.before.revision, template=trial.before.template, run=run)
    return Last(revision=serving(found), template=annotation(found, TEMPLATE), run=run)


def _sendable(found: Json) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in _TOLD}


def _guarded(body: Json, generation: int) -> Json:
    """Older runs than the one that put it back must not touch it either."""
    return {**body, "labels": {**body.get("labels", {}), _GENERATION: str(generation)}}
