# SPDX-License-Identifier: Apache-2.0
"""A service's environment: values as they are, secrets by their names in Secret Manager.

A secret's value never goes into a revision, which everybody may read who may look at the service; the platform fetches it
when an instance starts.
"""

import re
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.source import Source

PORT = "PORT"  # said by the platform itself, from the container's port
LATEST = "latest"

_PATH = re.compile(r"projects/(?P<project>[^/]+)/secrets/(?P<secret>[^/]+)(?:/versions/(?P<version>[^/]+))?")
_SHORT = re.compile(r"(?P<project>)(?P<secret>[^/:]+)(?:(?:/versions/|:)(?P<version>[^/:]+))?")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,255}")


class Reference(Data, frozen=True, kw_only=True):
    """secret: its name, with the project's before it where it is another one's. version: a number, an alias, `latest`."""

    secret: str
    version: str = LATEST


def reference(ref: str, project: str) -> Reference | None:
    """What `ref=` names: `projects/p/secrets/s/versions/3`, or within *project* `s` or `s:3`. None where it names nothing."""
    found = _PATH.fullmatch(ref) or _SHORT.fullmatch(ref)
    if found is None or not _SECRET.fullmatch(found["secret"]):
        return None
    elsewhere = found["project"] and found["project"] != project
    secret = f"projects/{found['project']}/secrets/{found['secret']}" if elsewhere else found["secret"]
    return Reference(secret=secret, version=found["version"] or LATEST)


def env(made_from: Source) -> list[dict[str, Any]]:
    """Sorted by name. A secret beats a plain value of its name; `PORT` is the platform's own to say."""
    service = made_from.service
    found: dict[str, dict[str, Any]] = {name: {"value": value} for name, value in service.environment.items()}
    for name, ref in service.secret_refs.items():
        if (named := reference(ref, made_from.settings.project)) is not None:
            found[name] = {"valueSource": {"secretKeyRef": {"secret": named.secret, "version": named.version}}}
    return [{"name": name, **found[name]} for name in sorted(found) if name != PORT or service.job]
