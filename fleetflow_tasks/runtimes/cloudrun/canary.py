# SPDX-License-Identifier: Apache-2.0
"""A roll-out under way, as a service itself remembers it (`traffic` tells the story).

Pure: it looks at a service as the API returns it (v2, JSON).
"""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.shares import percent

BEFORE = labels.SLASHED + "before"  # annotation: a roll-out is under way, and what served before it
HELD = labels.SLASHED + "held"  # annotation: the revision that the requests were given back to

TAG = "next"
LONGEST_WITH_TAG = 46 - len(TAG)  # of a service's name: the API takes 46 characters for tag and name together

_WRITTEN = re.compile(r"([a-z]\S*) (\S+) (\S+) (\d|[1-9]\d|100)", re.ASCII)


class Before(Data, frozen=True, kw_only=True):
    """The revision that served before a roll-out, short name; hashes of what it was made of, "" where nobody knows.

    goal: percent of the requests that the new one is to get.
    """

    revision: str
    template: str = ""
    hash: str = ""
    goal: int = 0

    @property
    def mark(self) -> Mapping[str, str]:
        return {BEFORE: " ".join((self.revision, self.template or "-", self.hash or "-", str(self.goal)))}

    def to(self, goal: int) -> "Before":
        return replace(self, goal=goal)


class Canary(Data, frozen=True, kw_only=True):
    """A roll-out under way. new: the revision on trial. share: percent that it has. uri: its own address, "" without one."""

    before: Before
    new: str
    share: int
    uri: str


def canary(found: Json) -> Canary | None:
    """The roll-out that is under way, None where none is."""
    before = _before(annotation(found, BEFORE))
    if before is None:
        return None
    new = found.get("template", {}).get("revision") or short(found.get("latestCreatedRevision", ""))
    return Canary(
        before=before,
        new=new,
        share=sum(percent(each) for each in found.get("traffic", ()) if each.get("revision") == new),
        uri=next((each.get("uri", "") for each in found.get("trafficStatuses", ()) if each.get("tag") == TAG), ""),
    )


def held(found: Json) -> str:
    """The revision that the requests were given back to, short name; "" where all go to the newest."""
    return annotation(found, HELD)


def serving(found: Json) -> str:
    """The revision that a new one has to be as good as, short name; "" where none is ready."""
    trial = canary(found)
    return trial.before.revision if trial else held(found) or short(found.get("latestReadyRevision", ""))


def short(name: str) -> str:
    """The last part of a resource's full name."""
    return name.rpartition("/")[2]


def annotation(found: Json, name: str) -> str:
    """ "" where there is none."""
    return str(found.get("annotations", {}).get(name, ""))


def _before(text: str) -> Before | None:
    """None also for what somebody else wrote there."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    revision, template, content, goal = ("" if word == "-" else word for word in found.groups())
    return Before(revision=revision, template=template, hash=content, goal=int(goal))
