# SPDX-License-Identifier: Apache-2.0
"""What stands around a template in either form: what an object is and where, its labels and notes, who gets the requests.

A v2 name says project and region; Knative's form has the project as namespace and the region in a label of Google's own.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.mapping import Path, Reading, Written, put, put_if
from fleetflow_tasks.runtimes.cloudrun.names import is_foreign, is_label_key
from fleetflow_tasks.runtimes.cloudrun.shares import LATEST, REVISION
from fleetflow_tasks.runtimes.cloudrun.spelling import flag, text

REGION = "cloud.googleapis.com/location"
Kind = Literal["service", "job"]
HEADS: Mapping[Kind, tuple[str, str]] = {
    "service": ("serving.knative.dev/v1", "Service"),
    "job": ("run.googleapis.com/v1", "Job"),
}

_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/(?:services|jobs)/([^/]+)")
_LABELS, _NOTES = ("metadata", "labels"), ("metadata", "annotations")


class Whereabouts(Data, frozen=True, kw_only=True):
    """project, region: "" where a name does not say them."""

    name: str
    project: str = ""
    region: str = ""


def place(name: str) -> Whereabouts:
    """Of a full name, or of a short one."""
    found = _NAME.fullmatch(name)
    if found is None:
        return Whereabouts(name=name.rpartition("/")[2])
    return Whereabouts(project=found[1], region=found[2], name=found[3])


def kind_of(body: Json) -> Kind:
    """Raises ValueError where it is neither a Service nor a Job of Knative's form."""
    for kind, head in HEADS.items():
        if (body.get("apiVersion"), body.get("kind")) == head:
            return kind
    raise ValueError(body.get("kind"))


class Place(Data, frozen=True, kw_only=True):
    """collection: the word in a full name, `services`."""

    collection: str

    def there(self, source: Reading, target: Written) -> None:
        name = source.peek(("name",))
        if not isinstance(name, str):
            return
        source.took(("name",))
        found = place(name)
        put_if(target, ("metadata", "name"), found.name)
        put_if(target, ("metadata", "namespace"), found.project)
        put_if(target, (*_LABELS, REGION), found.region)

    def back(self, source: Reading, target: Written) -> None:
        paths = (("metadata", "name"), ("metadata", "namespace"), (*_LABELS, REGION))
        name, project, region = (source.value(path, text) or "" for path in paths)
        known = project and region
        full = f"projects/{project}/locations/{region}/{self.collection}/{name}" if known else name
        put_if(target, ("name",), full)


class Labels(Data, frozen=True, kw_only=True):
    """v2 takes those alone that Google's labels can be; Knative's form holds some of its own beside them."""

    v2: Path
    v1: Path

    def there(self, source: Reading, target: Written) -> None:
        _each(source, self.v2, target, self.v1, lambda _: True)

    def back(self, source: Reading, target: Written) -> None:
        _each(source, self.v1, target, self.v2, is_label_key)


class Notes(Data, frozen=True, kw_only=True):
    """Annotations that are nobody's field. Stands behind all rules that read one."""

    v2: Path
    v1: Path

    def there(self, source: Reading, target: Written) -> None:
        _each(source, self.v2, target, self.v1, lambda _: True)

    def back(self, source: Reading, target: Written) -> None:
        _each(source, self.v1, target, self.v2, lambda name: not is_foreign(name))


class Target(Data, frozen=True, kw_only=True):
    """Of a share of the requests: the newest ready revision, or one by its name."""

    def there(self, source: Reading, target: Written) -> None:
        kind, revision = source.peek(("type",)), source.peek(("revision",))
        if kind == LATEST or (kind is None and revision is None):
            source.took(("type",))
            target["latestRevision"] = True
        elif (kind == REVISION or kind is None) and isinstance(revision, str):
            source.took(("type",))
            source.took(("revision",))
            target["revisionName"] = revision

    def back(self, source: Reading, target: Written) -> None:
        newest, revision = source.value(("latestRevision",), flag), source.peek(("revisionName",))
        if isinstance(revision, str) and revision and not newest:
            source.took(("revisionName",))
            target |= {"type": REVISION, "revision": revision}
        elif newest is not False:
            target["type"] = LATEST


def _each(source: Reading, here: Path, target: Written, there: Path, fits: Callable[[str], bool]) -> None:
    """Every text of a map whose name fits."""
    found = source.peek(here)
    for name, value in found.items() if isinstance(found, Mapping) else ():
        if isinstance(value, str) and fits(name):
            source.took((*here, name))
            put(target, (*there, name), value)
