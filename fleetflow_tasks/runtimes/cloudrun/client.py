# SPDX-License-Identifier: Apache-2.0
"""Cloud Run's Admin API: one typed method per thing that we ask of it. Objects go in and come out as plain JSON.

JSON is the API's own v2 REST form: camelCase, enums by name, durations "300s", times as RFC 3339, int64 as strings; what
has its default (0, false, "", empty) is not in it. `access.connect` gives a Client, `messages` turns JSON into Google's
messages and back, `wire` sends them, `trouble` says what a refusal means. No method waits for an operation to end.

Every call may be sent twice: a reply that got lost leaves no other way. So a create that was repeated may answer
ALREADY_EXISTS, an update ABORTED, though both are our own work: who is told so looks again.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.trouble import CloudRunError
from fleetflow_tasks.runtimes.cloudrun.wire import TIMEOUT, Line, Trace

__all__ = ["TIMEOUT", "Client", "CloudRunError", "Failure", "Json", "Operation", "Trace"]

PAGE = 500  # objects of one answer to a list; the API may give fewer
POLICY = 3  # the form of IAM policies that holds conditions; an older one would lose them when it is set again

Json = Mapping[str, Any]


class Failure(Data, frozen=True, kw_only=True):
    """How an operation ended badly. code: gRPC's word ("INTERNAL"). It is the user's, most often; never retried by code."""

    code: str
    message: str = ""


class Operation(Data, frozen=True, kw_only=True):
    """Work that Google has begun. name: "" where nothing has to be waited for (`validate_only`).

    response: the object as it is at the end. metadata: as it was when the operation began; a new execution's name is there.
    """

    name: str
    done: bool
    error: Failure | None = None
    response: Json | None = None
    metadata: Json | None = None


class Client:
    """One endpoint. Safe for many threads, not across a fork. Methods raise CloudRunError, and UnavailableError where no
    token can be had.

    Names are full: "projects/p/locations/r/services/s", …/jobs/j, …/jobs/j/executions/e, …/services/s/revisions/v.
    """

    def __init__(self, line: Line) -> None:
        self.line = line

    @property
    def endpoint(self) -> str:
        return self.line.endpoint.url

    @property
    def account(self) -> str:
        """Who we are there, as far as our credentials say it; "" where they do not."""
        return self.line.account

    def identity_token(self, audience: str) -> str:
        """Who we are, for a service of our own at the URL *audience*; "" where our credentials can make none."""
        return self.line.wallet.identity_token(audience)

    def close(self) -> None:
        self.line.close()

    # --- services

    def service(self, name: str) -> Json | None:
        """None: there is no such service."""
        return self._found("GetService", name)

    def services(self, parent: str) -> list[Json]:
        """All of "projects/p/locations/r"."""
        return list(self._listed("ListServices", parent, "services"))

    def create_service(self, parent: str, name: str, body: Json, *, validate_only: bool = False) -> Operation:
        """name: its last part alone. ALREADY_EXISTS where there is one."""
        request = {"parent": parent, "serviceId": name, "service": body, "validateOnly": validate_only}
        return self._begun("CreateService", f"{parent}/services/{name}", request)

    def update_service(
        self, body: Json, *, etag: str = "", allow_missing: bool = False, validate_only: bool = False
    ) -> Operation:
        """The whole of `body["name"]`: what *body* leaves out returns to its default. etag: ABORTED where it has moved."""
        request = {"service": _at(body, etag), "allowMissing": allow_missing, "validateOnly": validate_only}
        return self._begun("UpdateService", str(body["name"]), request)

    def delete_service(self, name: str, *, etag: str = "") -> Operation | None:
        """With all of its revisions and its policy. None: it was gone already."""
        return self._ended("DeleteService", name, etag)

    def revision(self, name: str) -> Json | None:
        return self._found("GetRevision", name)

    def revisions(self, service: str, *, at_most: int = 0) -> list[Json]:
        """Of a service, the newest first. at_most: 0 for all; else about so many, for the price of one request."""
        return list(self._listed("ListRevisions", service, "revisions", at_most))

    # --- jobs

    def job(self, name: str) -> Json | None:
        return self._found("GetJob", name)

    def jobs(self, parent: str) -> list[Json]:
        return list(self._listed("ListJobs", parent, "jobs"))

    def create_job(self, parent: str, name: str, body: Json, *, validate_only: bool = False) -> Operation:
        """name: its last part alone. ALREADY_EXISTS where there is one."""
        request = {"parent": parent, "jobId": name, "job": body, "validateOnly": validate_only}
        return self._begun("CreateJob", f"{parent}/jobs/{name}", request)

    def update_job(
        self, body: Json, *, etag: str = "", allow_missing: bool = False, validate_only: bool = False
    ) -> Operation:
        """The whole of `body["name"]`, as `update_service`."""
        request = {"job": _at(body, etag), "allowMissing": allow_missing, "validateOnly": validate_only}
        return self._begun("UpdateJob", str(body["name"]), request)

    def delete_job(self, name: str, *, etag: str = "") -> Operation | None:
        """With all of its executions. None: it was gone already."""
        return self._ended("DeleteJob", name, etag)

    def run_job(self, name: str, *, etag: str = "", overrides: Json | None = None) -> Operation:
        """A new execution, whose name is in `metadata`. Never sent twice: a second one would be a second migration."""
        request = {"name": name, "etag": etag, **({"overrides": overrides} if overrides else {})}
        return self._begun("RunJob", name, request, twice=False)

    def execution(self, name: str) -> Json | None:
        return self._found("GetExecution", name)

    def executions(self, job: str, *, at_most: int = 0) -> list[Json]:
        """Of a job, the newest first. at_most: as for `revisions`."""
        return list(self._listed("ListExecutions", job, "executions", at_most))

    def cancel_execution(self, name: str, *, etag: str = "") -> Operation | None:
        """None: there is no such execution."""
        return self._ended("CancelExecution", name, etag)

    def tasks(self, execution: str, *, at_most: int = 0) -> list[Json]:
        return list(self._listed("ListTasks", execution, "tasks", at_most))

    # --- operations

    def operation(self, name: str) -> Operation | None:
        """How far it is, at this moment. None: nobody knows it (any more)."""
        answer = self._found("GetOperation", name)
        return None if answer is None else _operation(answer)

    # --- who may what

    def policy(self, resource: str) -> Json:
        """{"bindings": [{"role", "members", "condition"?}], "etag", "version"} of a service or a job itself."""
        request = {"resource": resource, "options": {"requestedPolicyVersion": POLICY}}
        return self.line.ask(_method("GetIamPolicy", resource), resource, request)

    def set_policy(self, resource: str, policy: Json) -> Json:
        """The whole policy; with the etag that it was read with, ABORTED where somebody else was first."""
        request = {"resource": resource, "policy": {**policy, "version": POLICY}}
        return self.line.ask(_method("SetIamPolicy", resource), resource, request)

    def permitted(self, resource: str, permissions: Collection[str]) -> frozenset[str]:
        """Those of *permissions* that we have on a service or a job; needs none itself."""
        request = {"resource": resource, "permissions": sorted(permissions)}
        answer = self.line.ask(_method("TestIamPermissions", resource), resource, request)
        return frozenset(answer.get("permissions", ()))

    # --- their common form

    def _found(self, method: str, name: str, **more: str) -> Json | None:
        try:
            return self.line.ask(method, name, {"name": name, **more})
        except CloudRunError as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    def _listed(self, method: str, parent: str, field: str, at_most: int = 0) -> Iterator[Json]:
        rest = ""
        while True:
            request = {"parent": parent, "pageSize": at_most or PAGE, "pageToken": rest}
            page = self.line.ask(method, parent, request)
            yield from page.get(field, ())
            rest = page.get("nextPageToken", "")
            if not rest or at_most:
                return

    def _begun(self, method: str, name: str, request: Json, *, twice: bool = True) -> Operation:
        return _operation(self.line.ask(method, name, request, twice=twice))

    def _ended(self, method: str, name: str, etag: str) -> Operation | None:
        answer = self._found(method, name, etag=etag)
        return None if answer is None else _operation(answer)


def _at(body: Json, etag: str) -> Json:
    return {**body, "etag": etag} if etag else body


def _method(name: str, resource: str) -> str:
    """Services and jobs have each their own."""
    return f"{name}OfJob" if "/jobs/" in resource else name


def _operation(answer: Json) -> Operation:
    error = answer.get("error")
    return Operation(
        name=answer.get("name", ""),
        done=bool(answer.get("done")),
        error=None if error is None else Failure(code=error["code"], message=error.get("message", "")),
        response=answer.get("response"),
        metadata=answer.get("metadata"),
    )
