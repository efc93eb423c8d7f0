# SPDX-License-Identifier: Apache-2.0
"""Log entries: what containers wrote, as Cloud Logging has it, and ListLogEntries.

https://cloud.google.com/run/docs/logging ("Resource types", "Log names"); the filter: `filters`.
"""

from typing import Any
from urllib.parse import quote

from . import filters, paging
from .accounts import Account
from .clock import stamp
from .names import parent
from .refused import Refused
from .runner import Say
from .state import State

Json = dict[str, Any]


STDOUT = "stdout"
SYSTEM = "varlog/system"  # what Cloud Run itself says of a container


def said(state: State, kind: str, name: str, log: str = STDOUT, **more: str) -> Say:
    """For one container. kind: of its monitored resource. name: of the revision, or of the task. more: labels."""
    where, ids = parent(name), name.split("/")[5::2]
    labels = {"project_id": where.project, "location": where.location}
    if kind == "cloud_run_revision":
        labels |= {"service_name": ids[0], "revision_name": ids[1], "configuration_name": ids[0]}
    else:
        labels |= {"job_name": ids[0]}
        more = {"run.googleapis.com/execution_name": ids[1], **more}

    def say(line: str) -> None:
        now = stamp(state.agenda.now)
        entry = {
            "logName": f"projects/{where.project}/logs/{quote(f'run.googleapis.com/{log}', safe='')}",
            "resource": {"type": kind, "labels": labels},
            "labels": more,
            "timestamp": now,
            "receiveTimestamp": now,
            "insertId": f"{next(state.numbers):012x}",
            "severity": "DEFAULT",
            "textPayload": line,
        }
        state.lines.append(entry)

    return say


def listed(state: State, caller: Account, request: Json) -> Json:
    """`ListLogEntriesRequest`: resource_names, filter, order_by ("timestamp asc", the default, or "timestamp desc")."""
    projects = tuple(f"{name}/" for name in request.get("resourceNames", []))
    if not projects:
        raise Refused("INVALID_ARGUMENT", "resource_names must not be empty.")
    fits = filters.compiled(request.get("filter", ""))
    found = [entry for entry in list(state.lines) if entry["logName"].startswith(projects) and fits(entry)]
    found.sort(
        key=lambda entry: (entry["timestamp"], entry["insertId"]),
        reverse=request.get("orderBy", "") == "timestamp desc",
    )
    return paging.page("entries", found, request)
