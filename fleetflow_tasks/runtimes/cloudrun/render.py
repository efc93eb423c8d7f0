# SPDX-License-Identifier: Apache-2.0
"""What would be sent to Cloud Run, as files: per service `{service}.yaml`, Knative's form, which `gcloud run services
replace` (of a job `gcloud run jobs replace`) takes, and `{service}.json`, the v2 form that we send ourselves.

The same plan gives the same text, so a file carries no run and no generation. Whose it is, and the hashes of what it was
made from, it does carry: what such a file has deployed is ours, and the next deployment finds nothing to do. Traffic is
said in full: all requests to the newest. What a file cannot say stands above it, as the line that says it to gcloud.
"""

import json
from collections.abc import Iterable, Iterator, Mapping

from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.as_yaml import ordered, yaml
from fleetflow_tasks.runtimes.cloudrun.desired import Desired, desired, marked
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.knative import as_knative
from fleetflow_tasks.runtimes.cloudrun.knative_head import place
from fleetflow_tasks.runtimes.cloudrun.mapping import Left
from fleetflow_tasks.runtimes.cloudrun.shares import NEWEST
from fleetflow_tasks.runtimes.cloudrun.source import CLOUDRUN


def rendered(plan: Plan) -> Mapping[str, str]:
    """A file's name -> its text. No secret's value is ever in it: they go to Cloud Run by their names."""
    here = [service for service in plan.services if service.runtime == CLOUDRUN]
    return {
        name: text
        for wanted in (desired(plan, service) for service in here)
        for name, text in _files(wanted, _whole(plan, wanted)).items()
    }


def _files(wanted: Desired, body: Json) -> Mapping[str, str]:
    return {f"{wanted.service}.json": _as_json(body), f"{wanted.service}.yaml": _as_yaml(wanted, body)}


def _whole(plan: Plan, wanted: Desired) -> Json:
    """The object with its name, its marks and, of a service, its traffic."""
    body = marked(wanted, labels.Mark(project=plan.project, stage=plan.stage))
    traffic = {"traffic": list(NEWEST)} if wanted.kind == "service" else {}
    return {**body, "name": wanted.name, **traffic}


def _as_json(body: Json) -> str:
    return json.dumps(ordered(body), indent=2, ensure_ascii=False) + "\n"


def _as_yaml(wanted: Desired, body: Json) -> str:
    converted = as_knative(body, wanted.kind)
    heads = "".join(f"# {line}\n" for line in (*_beside(wanted), *_unsaid(converted.left)))
    return heads + yaml([converted.body], started=False)


def _beside(wanted: Desired) -> Iterator[str]:
    """What a deployment does besides sending the object."""
    found = place(wanted.name)
    where = f"--project={found.project} --region={found.region}"
    if wanted.kind == "job":
        yield f"then: gcloud run jobs execute {found.name} {where} --wait"
    for member in wanted.invokers:
        line = f"gcloud run services add-iam-policy-binding {found.name} {where}"
        yield f"then: {line} --member={member} --role=roles/run.invoker"
    if wanted.share is not None:
        yield f"a deployment gives the new revision {wanted.share} % of the requests; this file gives it all"


def _unsaid(left: Iterable[Left]) -> Iterator[str]:
    for each in left:
        yield f"Knative's form has no place for {each.path}: {json.dumps(each.value, ensure_ascii=False)}"
