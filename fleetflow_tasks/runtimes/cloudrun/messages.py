# SPDX-License-Identifier: Apache-2.0
"""Google's messages and plain JSON, both ways; and which stock client has which method.

The API's REST form is what `google.protobuf.json_format` makes of its messages, so nothing is translated by hand: a field
that a newer google-cloud-run knows passes through here without a change. What is at its default is left out, unless the
message can tell "not said" from "zero": there a zero is kept (`maxRetries`). Imported with the first call, not before:
Google's packages take half a second.
"""

from collections.abc import Mapping
from typing import Any

import google.iam.v1.iam_policy_pb2 as iam  # type: ignore[import-untyped]  # Google ships no types for these two
import proto  # type: ignore[import-untyped]
from google.cloud import run_v2
from google.longrunning import operations_pb2
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.cloudrun.trouble import CloudRunError, word

Json = Mapping[str, Any]


class Method(Data, frozen=True, kw_only=True):
    """client: which stock client has it. call: its name there. request: what it takes. writes: what quota it costs."""

    client: str
    call: str
    request: Any
    writes: bool = False


def _method(client: str, call: str, request: Any, *, writes: bool = False) -> Method:
    return Method(client=client, call=call, request=request, writes=writes)


METHODS: Mapping[str, Method] = {
    "GetService": _method("services", "get_service", run_v2.GetServiceRequest),
    "ListServices": _method("services", "list_services", run_v2.ListServicesRequest),
    "CreateService": _method("services", "create_service", run_v2.CreateServiceRequest, writes=True),
    "UpdateService": _method("services", "update_service", run_v2.UpdateServiceRequest, writes=True),
    "DeleteService": _method("services", "delete_service", run_v2.DeleteServiceRequest, writes=True),
    "GetRevision": _method("revisions", "get_revision", run_v2.GetRevisionRequest),
    "ListRevisions": _method("revisions", "list_revisions", run_v2.ListRevisionsRequest),
    "GetJob": _method("jobs", "get_job", run_v2.GetJobRequest),
    "ListJobs": _method("jobs", "list_jobs", run_v2.ListJobsRequest),
    "CreateJob": _method("jobs", "create_job", run_v2.CreateJobRequest, writes=True),
    "UpdateJob": _method("jobs", "update_job", run_v2.UpdateJobRequest, writes=True),
    "DeleteJob": _method("jobs", "delete_job", run_v2.DeleteJobRequest, writes=True),
    "RunJob": _method("jobs", "run_job", run_v2.RunJobRequest, writes=True),
    "GetExecution": _method("executions", "get_execution", run_v2.GetExecutionRequest),
    "ListExecutions": _method("executions", "list_executions", run_v2.ListExecutionsRequest),
    "CancelExecution": _method("executions", "cancel_execution", run_v2.CancelExecutionRequest, writes=True),
    "ListTasks": _method("tasks", "list_tasks", run_v2.ListTasksRequest),
    "GetOperation": _method("services", "get_operation", operations_pb2.GetOperationRequest),
    "GetIamPolicy": _method("services", "get_iam_policy", iam.GetIamPolicyRequest),
    "SetIamPolicy": _method("services", "set_iam_policy", iam.SetIamPolicyRequest, writes=True),
    "TestIamPermissions": _method("services", "test_iam_permissions", iam.TestIamPermissionsRequest),
    "GetIamPolicyOfJob": _method("jobs", "get_iam_policy", iam.GetIamPolicyRequest),
    "SetIamPolicyOfJob": _method("jobs", "set_iam_policy", iam.SetIamPolicyRequest, writes=True),
    "TestIamPermissionsOfJob": _method("jobs", "test_iam_permissions", iam.TestIamPermissionsRequest),
}


def request(method: Method, name: str, said: Json) -> Any:
    """What the stock client takes. Raises CloudRunError where *said* is no such message; it was not sent then."""
    wrapped = issubclass(method.request, proto.Message)
    message = method.request.pb()() if wrapped else method.request()
    try:
        ParseDict(dict(said), message)
    except ParseError as error:
        raise _unwritable(name, error) from error
    return method.request.wrap(message) if wrapped else message


def answer(said: Any) -> Json:
    """A stock client's answer: a message, the first page of a list, or an operation."""
    if hasattr(said, "pages"):  # a pager; it has its first page already, and shall fetch no other
        return plain(next(iter(said.pages)))
    if hasattr(said, "metadata") and hasattr(said, "operation"):  # `google.api_core.operation.Operation`
        return _operation(said.operation)
    if isinstance(said, operations_pb2.Operation):
        return _operation(said)
    return plain(said)


def plain(message: Any) -> Json:
    """One message as JSON."""
    return MessageToDict(type(message).pb(message) if isinstance(message, proto.Message) else message)


def _operation(said: Any) -> Json:
    """What it carries is an Any: unpacked, and without the "@type" that such a thing has in JSON."""
    found: dict[str, Any] = {"name": said.name, "done": said.done}
    if said.HasField("metadata"):
        found["metadata"] = _carried(said.metadata)
    if said.HasField("response"):
        found["response"] = _carried(said.response)
    if said.HasField("error"):
        found["error"] = {"code": word(said.error.code), "message": said.error.message}
    return found


def _carried(packed: Any) -> Json:
    known = _CARRIED.get(packed.TypeName())
    if known is None:
        return {}
    message: Message = known.pb()()
    packed.Unpack(message)
    return MessageToDict(message)


_CARRIED: Mapping[str, Any] = {
    f"google.cloud.run.v2.{kind.__name__}": kind
    for kind in (run_v2.Service, run_v2.Job, run_v2.Execution, run_v2.Revision)
}


def _unwritable(name: str, error: ParseError) -> CloudRunError:
    why = str(error).partition("\n")[0]  # then it counts all fields up that there are
    return CloudRunError(
        Problem(code="api-refused", message=f"Cloud Run has no form for what `{name}` should be: {why}"),
        code="INVALID_ARGUMENT",
        answer=why,
        name=name,
        answered=False,
    )
