# SPDX-License-Identifier: Apache-2.0
"""What Cloud Run takes as a name and a label, how ours are written, and short hashes of what an object holds.

A name that does not fit is an error with one that would, never cut in silence. Labels there know neither dots nor slashes
nor capitals, so whose an object is stands in labels of their own spelling (`fleetflow-project`), by which it is found, and
what does not fit a label stands in annotations (`fleetflow.io/hash`), which take any text.
"""

import re
from hashlib import sha256

import msgspec

from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.settings import parent, settings

LONGEST = 49  # characters of a service's name there: "fewer than 50"
LABEL = 63  # characters of a label's key, and of its value
LABELS = 64  # that one object may have

HASH = labels.SLASHED + "hash"  # annotation: what the object was made from
TEMPLATE = labels.SLASHED + "template"  # annotation: what its revisions or executions are made from
INVOKERS = labels.SLASHED + "invokers"  # annotation: the members whom we let call it
RUN = labels.SLASHED + "run"  # annotation: the run that made it, in its own letters
AGAIN = labels.SLASHED + "again"  # annotation of a template: makes a new revision of what is the same

VERSION = "v1-"  # of the rules by which we hash, so that ours can be told from a change of yours

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_KEY = re.compile(rf"[^\W\d_][\w-]{{0,{LABEL - 1}}}")
_LABEL_VALUE = re.compile(rf"[\w-]{{0,{LABEL}}}")
_FOREIGN = ("run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev")


def short_name(plan: Plan, service: ResolvedService) -> str:
    """What people see in the console: `{project}-{stage}-{service}`."""
    return labels.service_name(plan.project, plan.stage, service.name)


def full_name(plan: Plan, service: ResolvedService) -> str:
    """What the API calls it."""
    kind = "jobs" if service.job else "services"
    return f"{parent(settings(plan))}/{kind}/{short_name(plan, service)}"


def is_name(name: str) -> bool:
    return len(name) <= LONGEST and _NAME.fullmatch(name) is not None


def is_label_key(key: str) -> bool:
    return key == key.lower() and _LABEL_KEY.fullmatch(key) is not None


def is_label_value(value: str) -> bool:
    return value == value.lower() and _LABEL_VALUE.fullmatch(value) is not None


def is_foreign(key: str) -> bool:
    """Whether an annotation's key is one of Google's own, which the API refuses."""
    domain = key.partition("/")[0]
    return "/" in key and any(domain == each or domain.endswith(f".{each}") for each in _FOREIGN)


def fitting(name: str, longest: int = LONGEST) -> str:
    """The name nearest to *name*; "" where nothing of it can be kept."""
    lower = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")
    return lower[: max(longest, 0)].rstrip("-")


def written(mark: labels.Mark) -> tuple[dict[str, str], dict[str, str]]:
    """The labels and the annotations that say *mark*."""
    own = labels.written(msgspec.structs.replace(mark, run=mark.run.lower(), hash=""), labels.DASHED)
    notes = {HASH: mark.hash, RUN: mark.run}
    return own, {name: value for name, value in notes.items() if value}


def mark(found: Json) -> labels.Mark | None:
    """Whose *found* is, a Service or a Job as the API has it; None where it is not ours."""
    own = labels.read(found.get("labels"), labels.DASHED)
    if own is None:
        return None
    notes = found.get("annotations", {})
    return msgspec.structs.replace(own, run=notes.get(RUN, own.run), hash=notes.get(HASH, ""))


def digest(content: object) -> str:
    """40 hex digits over anything that JSON can say; the order of keys does not count."""
    return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:40]


def hashed(content: object) -> str:
    return VERSION + digest(content)
