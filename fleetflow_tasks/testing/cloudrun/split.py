# SPDX-License-Identifier: Apache-2.0
"""Traffic: what may be asked, and what it comes to.

`TrafficTarget`, `Service.traffic` ("If traffic is empty or not provided, defaults to 100% traffic to the latest `Ready`
Revision"); https://cloud.google.com/run/docs/rollouts-rollbacks-traffic-migration (percentages add up to 100; tags).
"""

from collections.abc import Callable
from typing import Any

from .names import ID
from .violations import Violations

Json = dict[str, Any]

LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
_TAGGED = 46  # characters of tag and name of the service together: "---" and a suffix must still fit one DNS label


def checked(service: str, traffic: list[Json], found: Violations) -> None:
    """service: its id."""
    total = sum(target.get("percent", 0) for target in traffic)
    found.say_if(
        bool(traffic) and total != 100, "traffic", f"Traffic targets should sum up to 100%, they are {total}%."
    )
    tags = [target["tag"] for target in traffic if target.get("tag")]
    for tag in sorted({tag for tag in tags if tags.count(tag) > 1}):
        found.say("traffic", f"the tag '{tag}' is used more than once.")
    for index, target in enumerate(traffic):
        _target(service, target, f"traffic[{index}]", found)


def _target(service: str, target: Json, field: str, found: Violations) -> None:
    percent, tag = target.get("percent", 0), target.get("tag", "")
    found.say_if(not 0 <= percent <= 100, f"{field}.percent", "must be between 0 and 100.")
    match target.get("type"):
        case "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST":
            found.say_if(bool(target.get("revision")), f"{field}.revision", "must be empty for the latest revision.")
        case "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION":
            found.say_if(not target.get("revision"), f"{field}.revision", "must be the name of a revision.")
        case _:
            found.say(f"{field}.type", "must be specified.")
    found.say_if(bool(tag) and not ID.fullmatch(tag), f"{field}.tag", f"'{tag}' must be a DNS label.")
    long = bool(tag) and len(tag) + len(service) > _TAGGED
    found.say_if(long, f"{field}.tag", f"'{tag}' and the service's name must be at most {_TAGGED} characters together.")


def named(traffic: list[Json]) -> list[str]:
    """The revisions that *traffic* sends something to by name, or gives a tag."""
    return list(dict.fromkeys(target["revision"] for target in traffic if target.get("revision")))


def statuses(traffic: list[Json], url: Callable[[str], str]) -> list[Json]:
    """`Service.traffic_statuses`. url: of a tag."""
    targets = traffic or [{"type": LATEST, "percent": 100}]
    return [{**target, **({"uri": url(target["tag"])} if target.get("tag") else {})} for target in targets]
