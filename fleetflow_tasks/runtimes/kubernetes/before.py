# SPDX-License-Identifier: Apache-2.0
"""The version before, kept on the objects themselves: whoever comes next can go back to it. Pure.

A worker may be killed between its write and the moment when the new version fails, and an answer may be lost on its
way. What was there before is then known to nobody: the object holds the new version, and bears the mark of its run. So
each write of a run carries along, in the same request, what it writes over: the manifest that we owned, which applied
again brings that version back. What a run makes where nothing was says that too.

The next attempt of a run goes back to what its objects say. Another run finds a version that was never proven good, its
own way back cut off; then it takes over what that one would have gone back to. All that is newer than the workload it
goes back to belongs to the version that is left.

An annotation may be changed by anybody, and `kubectl rollout undo` brings old ones back: one that is not of the run
that the object's mark names says nothing, nor one about another object.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.kubernetes.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    SECRET,
    STATEFUL_SET,
)
from fleetflow_tasks.runtimes.kubernetes.managed import owned
from fleetflow_tasks.runtimes.kubernetes.objects import MANAGER, Json, condition, mapping, number, text
from fleetflow_tasks.runtimes.kubernetes.observe import Key, Objects, key, mark
from fleetflow_tasks.runtimes.labels import SLASHED

BEFORE = f"{SLASHED}before"
GENERATION = f"{SLASHED}generation"
LONGEST = 128 * 1024  # characters; an object's annotations may have twice that together

_SILENT = frozenset({CONFIG_MAP.name, SECRET.name, JOB.name})  # never changed once they are made
_SERVING = frozenset({DEPLOYMENT.name, STATEFUL_SET.name})
_COMPLETE = "NewReplicaSetAvailable"  # stays, whatever becomes of its pods, until the next version is rolled out


class Before(Data, frozen=True, kw_only=True):
    """run: which changed the object. manifest: what brings back what was there; None where nothing was, empty where we owned
    nothing of it. served: whether pods of that version were ready. gone: of a workload, what had to go before it was changed.
    """

    run: str
    manifest: Mapping[str, Any] | None = None
    served: bool = False
    gone: tuple[Mapping[str, Any], ...] = ()


class Past(Data, frozen=True, kw_only=True):
    """What a run finds of a service. before: of objects that are not of the version to go back to, what was there.

    workload: of that version, None where there is none.
    """

    before: Mapping[Key, Before] = {}
    workload: Before | None = None


def past(live: Objects, run: str) -> Past:
    """live: of one service, as *run* finds it now: before its first attempt, or in the middle of it."""
    workloads = {where: _of_workload(each, run) for where, each in live.items() if where[0] in _SERVING}
    there = [each for each in workloads.values() if each.manifest is not None]
    workload = max(there, key=lambda each: _generation(each.manifest), default=None)
    if workload is None:
        return Past()
    since = _generation(workload.manifest)
    told = {where: told for where, each in live.items() if (told := _left_over(each, run, since)) is not None}
    gone = {_key(each): Before(run=run, manifest=each) for each in workload.gone}
    return Past(before={**gone, **told, **_changed(live, workloads)}, workload=workload)


def told(live: Json, run: str) -> Before | None:
    """What *run* goes back to instead of *live*, in its own name; None where that is *live* itself."""
    found = _read(live)
    if found is None:
        return None
    handed_on = live["kind"] in _SERVING and found.manifest is not None and not proven(live)
    return msgspec.structs.replace(found, run=run) if mark(live).run == run or handed_on else None


def replaced(live: Json, run: str) -> Before:
    """What *run* goes back to when it changes *live*, which is complete with who owns what."""
    itself = Before(run=run, manifest=_bare(owned(live, MANAGER)), served=_serves(live))
    return told(live, run) or itself


def noted(manifest: Json, before: Before) -> Json:
    """*manifest*, saying what it takes the place of."""
    if manifest["kind"] in _SILENT:
        return manifest
    said = _said(before)
    if len(said) > LONGEST:
        said = _said(msgspec.structs.replace(before, manifest={}, gone=()))
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), BEFORE: said}}}


def proven(workload: Json) -> bool:
    """Whether this version was once rolled out to its end, whatever has become of its pods since."""
    if number(workload, "status", "observedGeneration") < number(workload, "metadata", "generation"):
        return False
    if workload["kind"] == DEPLOYMENT.name:
        # While the pods of before are ended first, the condition is still that of before, and there is none of the new.
        begun = number(workload, "status", "updatedReplicas") or not number(workload, "spec", "replicas", absent=1)
        return bool(begun) and text(condition(workload, "Progressing"), "reason") == _COMPLETE
    return text(workload, "status", "currentRevision") == text(workload, "status", "updateRevision")


def _of_workload(live: Json, run: str) -> Before:
    return told(live, run) or Before(run=run, manifest=live, served=_serves(live))


def _changed(live: Objects, workloads: Mapping[Key, Before]) -> dict[Key, Before]:
    return {where: each for where, each in workloads.items() if each.manifest is not live[where]}


def _left_over(live: Json, run: str, since: int) -> Before | None:
    """What was there, where *live* is newer than the version to go back to."""
    if live["kind"] in _SERVING or live["kind"] == CLAIM.name or mark(live).generation <= since:
        return None
    found = _read(live)
    return msgspec.structs.replace(found, run=run) if found is not None else None


def _read(live: Json) -> Before | None:
    try:
        found = msgspec.json.decode(text(live, "metadata", "annotations", BEFORE), type=Before)
    except msgspec.DecodeError:
        return None
    if found.run != mark(live).run or (found.manifest and _key(found.manifest) != key(live)):
        return None
    return found


def _said(before: Before) -> str:
    return msgspec.json.encode(before, order="deterministic").decode()


def _bare(manifest: Json) -> Json:
    """Without what it said of the version before itself, or each would hold all there ever were."""
    metadata = mapping(manifest, "metadata")
    if BEFORE not in mapping(metadata, "annotations"):
        return manifest
    rest = {name: value for name, value in metadata["annotations"].items() if name != BEFORE}
    kept = {name: value for name, value in metadata.items() if name != "annotations"}
    return {**manifest, "metadata": {**kept, **({"annotations": rest} if rest else {})}}


def _key(manifest: Json) -> Key:
    return text(manifest, "kind"), text(manifest, "metadata", "name")


def _serves(live: Json) -> bool:
    return number(live, "status", "readyReplicas") > 0


def _generation(manifest: Json | None) -> int:
    said = text(manifest, "metadata", "labels", GENERATION)
    return int(said) if said.isascii() and said.isdigit() else 0
