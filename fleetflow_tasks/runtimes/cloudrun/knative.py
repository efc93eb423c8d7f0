# SPDX-License-Identifier: Apache-2.0
"""One Service or Job in two forms: the API's v2 JSON, and Knative's, which `gcloud run` reads and writes (v1).

What one form cannot say, or what was not understood in it, is told and never dropped. State (conditions, addresses, times)
is passed over: it is nobody's wish.
"""

from collections.abc import Callable, Mapping

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.aliases import aliased, unaliased
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.knative_head import HEADS, Kind, kind_of, place
from fleetflow_tasks.runtimes.cloudrun.knative_tables import JOB, OBJECT, REVISION, SERVICE, note
from fleetflow_tasks.runtimes.cloudrun.mapping import Left, Path, Reading, Rule, Written, back, there

_TABLES: Mapping[Kind, tuple[Rule, ...]] = {"service": SERVICE, "job": JOB}


class Converted(Data, frozen=True, kw_only=True):
    """An object in the other form. left: what that form has no place for, or what was not understood, by its old path."""

    kind: Kind
    body: Json
    left: tuple[Left, ...] = ()


def as_knative(body: Json, kind: Kind) -> Converted:
    """body: in v2's form, with its full name. What the platform says of it (state, times) is passed over."""
    project = place(str(body.get("name", ""))).project
    source = Reading(_templated(body, kind, lambda template: aliased(template, project)))
    api_version, name = HEADS[kind]
    written: Written = {"apiVersion": api_version, "kind": name, "metadata": {}}
    written |= there(_TABLES[kind], source)
    pass_over(source)
    return Converted(kind=kind, body=written, left=tuple(source.left()))


def from_knative(body: Json) -> Converted:
    """Raises ValueError where it is neither a Service nor a Job of Knative's form."""
    kind = kind_of(body)
    source = Reading(body)
    written = _templated(back(_TABLES[kind], source), kind, unaliased)
    for path in _STATE_V1:
        source.took(path)
    return Converted(kind=kind, body=written, left=tuple(source.left()))


def pass_over(source: Reading) -> None:
    """What the platform says of an object by itself, in v2's form, shall not count as left."""
    for name in _STATE_V2:
        source.took((name,))


def _templated(body: Json, kind: Kind, change: Callable[[Json], Json]) -> Json:
    """*body* with the template that says what runs (a job's lies one deeper) put through *change*."""
    template = body.get("template")
    if not isinstance(template, Mapping):
        return body
    if kind == "service":
        return {**body, "template": change(template)}
    task = template.get("template")
    return {**body, "template": {**template, "template": change(task)}} if isinstance(task, Mapping) else body


# Words of the v2 form that are no wish: state, times, and which tool was used last.
_STATE_V2 = (
    *("uid", "generation", "createTime", "updateTime", "deleteTime", "expireTime", "creator", "lastModifier"),
    *("client", "clientVersion", "etag", "observedGeneration", "terminalCondition", "conditions", "reconciling"),
    *("satisfiesPzs", "uri", "urls", "latestReadyRevision", "latestCreatedRevision", "trafficStatuses"),
    *("executionCount", "latestCreatedExecution"),
)
_SAID_BY_THE_PLATFORM = (
    *("operation-id", "urls", "ingress-status", "creator", "lastModifier", "satisfiesPzs", "supportsPzs"),
    *("client-name", "client-version"),
)
_STATE_V1: tuple[Path, ...] = (
    ("apiVersion",),
    ("kind",),
    ("status",),
    *(("metadata", name) for name in ("uid", "generation", "creationTimestamp", "deletionTimestamp", "selfLink")),
    *(note(name, at) for at in (OBJECT, REVISION) for name in _SAID_BY_THE_PLATFORM),
    *((*OBJECT, f"serving.knative.dev/{name}") for name in ("creator", "lastModifier")),
    ("metadata", "labels", "run.googleapis.com/lastUpdatedTime"),
    ("spec", "template", "metadata", "labels", "run.googleapis.com/startupProbeType"),
    ("spec", "template", "metadata", "labels", "client.knative.dev/nonce"),
)
