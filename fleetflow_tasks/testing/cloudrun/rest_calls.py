# SPDX-License-Identifier: Apache-2.0
"""What each REST call of v1 is in v2: one or two calls of `Api`, and the answer in Knative's form."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.knative import from_knative

from . import rest_status
from .api import Api
from .names import last, parent
from .refused import Refused
from .world import project_number

Json = dict[str, Any]

_SERVING, _RUN = "serving.knative.dev/v1", "run.googleapis.com/v1"


class Call(Data, frozen=True, kw_only=True):
    """region: of the host's name or of the path; "" where neither says it, "-" for all of them. id: of what it is about."""

    api: Any  # `Api`: no data, but who answers
    token: str
    project: str
    region: str
    id: str = ""
    query: Mapping[str, str] = {}
    body: Mapping[str, Any] = {}

    @property
    def parent(self) -> str:
        """Raises Refused."""
        if not self.region:
            raise Refused("INVALID_ARGUMENT", "The request was sent to no region's endpoint.")
        return f"projects/{self.project}/locations/{self.region}"

    def ask(self, method: str, **request: object) -> Json:
        """Raises Refused."""
        answer: Json = self.api.call(method, request, token=self.token)
        return answer


def by_id(api: Api, said: str) -> str:
    """A project is named by its id or by its number; the server knows it by its id, once it has anything of it."""
    with api.state.look() as state:
        known = {parent(name).project for name in (*state.services, *state.jobs)}
    return next((project for project in known if project_number(project) == said), said)


def services(call: Call) -> Json:
    found = [each for where in _places(call) for each in _all(call, "Services.ListServices", "services", where)]
    return _listed(_SERVING, "ServiceList", [rest_status.service(each) for each in found])


def service(call: Call) -> Json:
    return rest_status.service(call.ask("Services.GetService", name=f"{call.parent}/services/{call.id}"))


def create_service(call: Call) -> Json:
    name, said = _asked(call, "services")
    asked = {"parent": call.parent, "serviceId": last(name), "service": said}
    return _done(call, "Services.CreateService", "Services.GetService", name, asked, rest_status.service)


def replace_service(call: Call) -> Json:
    name, said = _asked(call, "services", call.id)
    asked = {"service": {**said, "name": name}}
    return _done(call, "Services.UpdateService", "Services.GetService", name, asked, rest_status.service)


def delete_service(call: Call) -> Json:
    call.ask("Services.DeleteService", name=f"{call.parent}/services/{call.id}")
    return {"status": "Success"}


def revisions(call: Call) -> Json:
    """Of one service, where a selector names it; it selects among all, so none is no error."""
    service = _selected(call, "serving.knative.dev/service")
    found = _all(call, "Revisions.ListRevisions", "revisions", f"{call.parent}/services/-")
    items = [rest_status.revision(each) for each in found if service in {"-", last(each["service"])}]
    return _listed(_SERVING, "RevisionList", items)


def revision(call: Call) -> Json:
    found = _all(call, "Revisions.ListRevisions", "revisions", f"{call.parent}/services/-")
    return rest_status.revision(_named(found, "Revision", call.id))


def jobs(call: Call) -> Json:
    found = [each for where in _places(call) for each in _all(call, "Jobs.ListJobs", "jobs", where)]
    return _listed(_RUN, "JobList", [rest_status.job(each) for each in found])


def job(call: Call) -> Json:
    return rest_status.job(call.ask("Jobs.GetJob", name=f"{call.parent}/jobs/{call.id}"))


def create_job(call: Call) -> Json:
    name, said = _asked(call, "jobs")
    asked = {"parent": call.parent, "jobId": last(name), "job": said}
    return _done(call, "Jobs.CreateJob", "Jobs.GetJob", name, asked, rest_status.job)


def replace_job(call: Call) -> Json:
    name, said = _asked(call, "jobs", call.id)
    return _done(call, "Jobs.UpdateJob", "Jobs.GetJob", name, {"job": {**said, "name": name}}, rest_status.job)


def delete_job(call: Call) -> Json:
    call.ask("Jobs.DeleteJob", name=f"{call.parent}/jobs/{call.id}")
    return {"status": "Success"}


def run_job(call: Call) -> Json:
    """`Overrides.timeoutSeconds` is v2's `timeout`; all else is called alike."""
    said = dict(call.body.get("overrides", {}))
    if "timeoutSeconds" in said:
        said["timeout"] = f"{said.pop('timeoutSeconds')}s"
    name = f"{call.parent}/jobs/{call.id}"
    operation = call.ask("Jobs.RunJob", name=name, **({"overrides": said} if said else {}))
    begun = {key: value for key, value in operation["metadata"].items() if key != "@type"}
    return rest_status.execution(begun)


def executions(call: Call) -> Json:
    job = _selected(call, "run.googleapis.com/job")
    found = _all(call, "Executions.ListExecutions", "executions", f"{call.parent}/jobs/-")
    items = [rest_status.execution(each) for each in found if job in {"-", last(each["job"])}]
    return _listed(_RUN, "ExecutionList", items)


def execution(call: Call) -> Json:
    found = _all(call, "Executions.ListExecutions", "executions", f"{call.parent}/jobs/-")
    return rest_status.execution(_named(found, "Execution", call.id))


def policy(call: Call) -> Json:
    return call.ask(f"{_kind(call)}.GetIamPolicy", resource=f"{call.parent}/{call.id}")


def set_policy(call: Call) -> Json:
    asked = {**call.body, "resource": f"{call.parent}/{call.id}"}
    return call.ask(f"{_kind(call)}.SetIamPolicy", **asked)


def project(call: Call) -> Json:
    """cloudresourcemanager.googleapis.com: which number a project has."""
    number = project_number(call.project)
    return {"projectId": call.project, "projectNumber": number, "lifecycleState": "ACTIVE", "name": call.project}


def usage(call: Call) -> Json:
    """serviceusage.googleapis.com: whether the API is on; `gcloud run deploy` asks."""
    state = "DISABLED" if call.project in call.api.state.world.disabled else "ENABLED"
    return {"name": f"projects/{project_number(call.project)}/services/{call.id}", "state": state}


def _asked(call: Call, collection: str, id_: str = "") -> tuple[str, Json]:
    """The name and v2's form of what was sent. id_: from the path; "": of the object itself. Raises Refused."""
    try:
        made = from_knative(call.body)
    except ValueError as error:
        raise Refused("INVALID_ARGUMENT", f"The kind '{call.body.get('kind')}' is not expected here.") from error
    if made.left:
        said = ", ".join(f"{each.path}: {json.dumps(each.value)}" for each in made.left)
        raise Refused("INVALID_ARGUMENT", f"Not supported: {said}")  # guess: the text
    name = f"{call.parent}/{collection}/{id_ or last(str(made.body.get('name', '')))}"
    return name, dict(made.body)


def _done(call: Call, change: str, look: str, name: str, asked: Json, shown: Callable[[Json], Json]) -> Json:
    """The object as it begins to change; of a dry run, as it would."""
    if call.query.get("dryRun") == "all":
        answer = call.ask(change, **asked, validateOnly=True)
        return shown({key: value for key, value in answer["response"].items() if key != "@type"})
    call.ask(change, **asked)
    return shown(call.ask(look, name=name))


def _places(call: Call) -> list[str]:
    """`-` is every region that holds anything of the project."""
    if call.region != "-":
        return [call.parent]
    with call.api.state.look() as state:
        found = {str(parent(name)) for name in (*state.services, *state.jobs)}
    return sorted(each for each in found if parent(each).project == call.project)


def _all(call: Call, method: str, field: str, where: str) -> Iterator[Json]:
    token = ""
    while True:
        answer = call.ask(method, parent=where, pageToken=token)
        yield from answer[field]
        token = answer.get("nextPageToken", "")
        if not token:
            return


def _selected(call: Call, label: str) -> str:
    """Out of `labelSelector`, the only way to name an owner in v1; "-" for all of them."""
    pairs = [each.partition("=") for each in call.query.get("labelSelector", "").split(",")]
    return next((value.strip() for name, _, value in pairs if name.strip() == label), "-")


def _named(found: Iterator[Json], kind: str, id_: str) -> Json:
    for each in found:
        if last(each["name"]) == id_:
            return each
    raise Refused("NOT_FOUND", f"{kind} '{id_}' could not be found.")


def _listed(version: str, kind: str, items: list[Json]) -> Json:
    """`metadata` is there without a `continue`: this is all."""
    return {"apiVersion": version, "kind": kind, "metadata": {}, "items": items}


def _kind(call: Call) -> str:
    return "Jobs" if call.id.startswith("jobs/") else "Services"
