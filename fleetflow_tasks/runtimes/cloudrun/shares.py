# SPDX-License-Identifier: Apache-2.0
"""The shares of a service's requests, as the API says them: a list of targets, of which each has a percentage.

Pure. Zero is left out of JSON by who writes it from messages, so what is absent counts as zero.
"""

from collections.abc import Sequence

from fleetflow_tasks.runtimes.cloudrun.form import Json

Traffic = Sequence[Json]

LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
ALL = 100  # percent
NEWEST: Traffic = ({"type": LATEST, "percent": ALL},)


def all_to(revision: str) -> tuple[Json, ...]:
    """All requests to one revision, whatever is newer."""
    return ({"type": REVISION, "revision": revision, "percent": ALL},)


def shares(traffic: Traffic) -> str:
    """For people: `90 % api-00003, 10 % api-00004`; "" where all requests go to the newest revision that is ready."""
    if is_newest(traffic):
        return ""
    return ", ".join(f"{percent(each)} % {each.get('revision') or 'the newest'}" for each in _told(traffic))


def is_newest(traffic: Traffic) -> bool:
    """Whether all requests go to the newest revision that is ready. Nothing said means that."""
    return plain(traffic) in (plain(()), plain(NEWEST))


def untagged(each: Json) -> Json:
    """A target without the address of its own."""
    return {name: value for name, value in each.items() if name != "tag"}


def plain(traffic: Traffic) -> Sequence[tuple[str, str, int]]:
    """The shares, to be compared. A tag of somebody's own does no harm: no request comes to it by itself."""
    return sorted((each.get("type", ""), each.get("revision", ""), percent(each)) for each in traffic if percent(each))


def percent(each: Json) -> int:
    """What a target gets."""
    return int(each.get("percent", 0))


def _told(traffic: Traffic) -> Sequence[Json]:
    return [each for each in traffic if percent(each) or each.get("tag")]
