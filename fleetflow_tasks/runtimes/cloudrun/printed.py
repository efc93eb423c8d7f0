# SPDX-License-Identifier: Apache-2.0
"""What services print, as Cloud Logging is asked for it: its filters, and its entries as lines. Pure.

Three logs are asked for: the two streams of a container, and what Cloud Run itself says of it ("Container called exit(1)").
Not the requests that came in, and not who changed what: those are other logs, and long ones. An entry is a plain JSON
object, as the API's REST form has it; of one that holds JSON its `message` is the line, as Google's own viewers show it.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import LogLine
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import short_name
from fleetflow_tasks.runtimes.cloudrun.reading import last, moment, text
from fleetflow_tasks.runtimes.cloudrun.settings import settings

LOGS = ("stdout", "stderr", "varlog/system")
SHORT = 6  # characters of an instance's id that tell it from the others

_PREFIX = "run.googleapis.com/"


def of_services(plan: Plan, services: Collection[ResolvedService]) -> str:
    """The filter of all that these print."""
    sources = [f"({_resource(short_name(plan, each), job=each.job)})" for each in services]
    return f'({" OR ".join(sources)}) AND resource.labels.location="{settings(plan).region}" AND {_logs()}'


def of_revision(service: str, revision: str) -> str:
    """The filter of one revision, both by their short names."""
    return f'{_resource(service, job=False)} AND resource.labels.revision_name="{revision}" AND {_logs()}'


def of_execution(job: str, execution: str) -> str:
    label = 'labels."run.googleapis.com/execution_name"'
    return f'{_resource(job, job=True)} AND {label}="{execution}" AND {_logs()}'


def since(query: str, at: float) -> str:
    """at: Unix seconds."""
    return f'{query} AND timestamp>="{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"'


def command(plan: Plan, query: str) -> str:
    """The line of gcloud that shows the same."""
    return f"gcloud logging read '{query}' --project={settings(plan).project} --order=asc --format='value(textPayload)'"


def link(plan: Plan, query: str) -> str:
    """The page of Google's console that shows the same."""
    return f"https://console.cloud.google.com/logs/query;query={quote(query, safe='')}?project={settings(plan).project}"


def when(entry: Json) -> float:
    return moment(entry, "timestamp") or 0.0


def order(entry: Json) -> tuple[float, str]:
    """Of the same moment, the one that came in first stands first."""
    return when(entry), text(entry, "insertId")


def key(entry: Json) -> tuple[str, str]:
    """What tells it from every other: two with the same are one."""
    return text(entry, "timestamp"), text(entry, "insertId")


def owner(plan: Plan, entry: Json) -> ServiceName | None:
    """Whose it is; None where it is nobody's of this plan."""
    name = text(entry, "resource", "labels", "service_name") or text(entry, "resource", "labels", "job_name")
    return next((each.name for each in plan.services if short_name(plan, each) == name), None)


def instance(entry: Json) -> str:
    """Which of several: of a job its task, else the end of the instance's id."""
    task = text(entry, "labels", _PREFIX + "task_index")
    return f"task {task}" if task else text(entry, "labels", "instanceId")[-SHORT:]


def lines(plan: Plan, entries: Iterable[Json], met: Mapping[ServiceName, set[str]]) -> list[LogLine]:
    """An entry may hold several. met: the instances seen so far, by service: only of several does a line say which."""
    told = []
    for entry in entries:
        if (service := owner(plan, entry)) is None:
            continue
        seen = met[service]
        seen.add(instance(entry))
        source = instance(entry) if len(seen) > 1 else ""
        at, stream = when(entry), _stream(entry)
        told += [LogLine(service=service, text=said, at=at, stream=stream, source=source) for said in content(entry)]
    return told


def content(entry: Json) -> Sequence[str]:
    """Its lines, as they were printed."""
    payload = entry.get("jsonPayload")
    if isinstance(payload, Mapping):
        message = text(payload, "message")
        return message.splitlines() or [json.dumps(payload, ensure_ascii=False, sort_keys=True)]
    return text(entry, "textPayload").splitlines() or [""]


def _stream(entry: Json) -> Literal["stdout", "stderr"]:
    return "stdout" if last(text(entry, "logName")).endswith("stdout") else "stderr"


def _resource(name: str, *, job: bool) -> str:
    kind, label = ("cloud_run_job", "job_name") if job else ("cloud_run_revision", "service_name")
    return f'resource.type="{kind}" AND resource.labels.{label}="{name}"'


def _logs() -> str:
    return "(" + " OR ".join(f'logName:"{quote(_PREFIX + each, safe="")}"' for each in LOGS) + ")"
