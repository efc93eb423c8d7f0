# SPDX-License-Identifier: Apache-2.0
"""The names of resources: "projects/p/locations/r/services/s/revisions/v", taken apart and held to their rules.

Formats: the docstrings of google.cloud.run_v2's requests. What makes an id good: `CreateServiceRequest.service_id` ("must
begin with letter, and cannot end with hyphen; must contain fewer than 50 characters"); lower case, for it becomes a part of
a host name. A project is taken by its id alone, not by its number.
"""

import re
import secrets

from fleetflow_tasks.config.model import Data

from .refused import Refused

ID = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST_ID = 49
LONGEST_REVISION = 63  # guess: it must be a DNS label, as in Kubernetes
_PROJECT = re.compile(r"[a-z0-9][-a-z0-9.:]*")
_LOCATION = re.compile(r"[a-z]+(-[a-z]+)+[0-9]+")
_ALPHABET = "bcdfghjkmnpqrstvwxz2456789"


class Parent(Data, frozen=True, kw_only=True):
    """ "projects/{project}/locations/{location}"."""

    project: str
    location: str

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"


def parent(name: str) -> Parent:
    """Of any resource below a location, or of the location itself. Raises Refused for what has another form."""
    parts = name.split("/")
    if len(parts) < 4 or (parts[0], parts[2]) != ("projects", "locations"):
        raise malformed(name)
    project, location = parts[1], parts[3]
    if not _PROJECT.fullmatch(project):
        raise malformed(name)
    if not _LOCATION.fullmatch(location):
        # `ListServicesRequest.parent`: "Location must be a valid Google Cloud region, and cannot be the "-" wildcard."
        raise Refused("INVALID_ARGUMENT", f"Location '{location}' is not a valid Google Cloud region.")
    return Parent(project=project, location=location)


def parts(name: str, *collections: str) -> list[str]:
    """The ids below the location, one per collection. Raises Refused where *name* has another form."""
    parent(name)
    found = name.split("/")[4:]
    if found[0::2] != list(collections) or len(found) != 2 * len(collections) or not all(found[1::2]):
        raise malformed(name)
    return found[1::2]


def last(name: str) -> str:
    return name.rpartition("/")[2]


def above(name: str) -> str:
    """The resource that *name* belongs to."""
    return name.rsplit("/", 2)[0]


def good_id(field: str, said: str) -> None:
    """Raises Refused."""
    if not ID.fullmatch(said) or len(said) > LONGEST_ID:
        raise Refused(
            "INVALID_ARGUMENT",
            f"Violation in {field}: only lowercase, digits, and hyphens; must begin with letter, and may not end with "
            "hyphen; must be less than 50 characters.",
        )


def chance(length: int) -> str:
    """The end of a name that the server makes itself."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def malformed(name: str) -> Refused:
    return Refused("INVALID_ARGUMENT", f"Resource name '{name}' does not have the expected format.")
