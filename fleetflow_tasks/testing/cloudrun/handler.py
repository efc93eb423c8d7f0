# SPDX-License-Identifier: Apache-2.0
"""gRPC on the outside: the client's own messages in, JSON to `Api.call`, and back.

`google.protobuf.json_format` is what makes the two forms one; so no field is forgotten, and one that a newer google-cloud-run
knows passes through. Errors carry google.rpc.Status in `grpc-status-details-bin`, as all Google APIs do (AIP-193).
"""

import time
from collections.abc import Callable
from typing import Any

import grpc
from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2, policy_pb2  # type: ignore[import-untyped]  # Google ships no types for these
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # nor for these

from .api import Api
from .refused import CODES, Refused

Json = dict[str, Any]

__all__ = ["Handler"]

_DETAILS = error_details_pb2.DESCRIPTOR  # its messages must be known, for they travel as Any
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_TICK = 0.05  # seconds between two looks of WaitOperation


class Handler(grpc.GenericRpcHandler):
    """All methods of all services that are served here; what is not is UNIMPLEMENTED, as gRPC itself says."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._messages = _messages()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        path = handler_call_details.method
        known = self._messages.get(path)
        if known is None:
            return None
        request, answer = known
        method = path[1:].rpartition("/")[0].rpartition(".")[2] + "." + path.rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(
            self._answering(method, answer),
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _answering(self, method: str, kind: Any) -> Callable[[Any, grpc.ServicerContext], Any]:
        def answer(message: Any, context: grpc.ServicerContext) -> Any:
            request = MessageToDict(message)
            try:
                found = self._called(method, request, context)
            except Refused as error:
                _abort(context, error)
            return ParseDict(found, kind())

        return answer

    def _called(self, method: str, request: Json, context: grpc.ServicerContext) -> Json:
        found = self._api.call(method, request, token=_token(context))
        if method != "Operations.WaitOperation":
            return found
        until = time.monotonic() + float(request.get("timeout", "30s").removesuffix("s"))
        while not found["done"] and time.monotonic() < until and context.is_active():
            time.sleep(_TICK)
            found = self._api.peek(request["name"])
        return found


def _token(context: grpc.ServicerContext) -> str:
    for key, value in context.invocation_metadata():
        if key == "authorization":
            return str(value).removeprefix("Bearer ").strip()
    return ""


def _abort(context: grpc.ServicerContext, error: Refused) -> None:
    status = ParseDict(error.status, status_pb2.Status())
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(_CODES[CODES[error.code][0]], error.message)


def _messages() -> dict[str, tuple[Any, Any]]:
    """Path of a method -> (its request, its answer)."""
    found: dict[str, tuple[Any, Any]] = {}
    operation = operations_pb2.Operation
    for kind in ("Service", "Revision", "Job", "Execution", "Task"):
        for verb in ("Create", "Get", "Update", "Delete", "Run", "Cancel"):
            asked = getattr(run_v2, f"{verb}{kind}Request", None)
            if asked is not None:
                answer = getattr(run_v2, kind).pb() if verb == "Get" else operation
                found[f"/google.cloud.run.v2.{kind}s/{verb}{kind}"] = (asked.pb(), answer)
        listed = f"List{kind}s"
        pair = (getattr(run_v2, f"{listed}Request").pb(), getattr(run_v2, f"{listed}Response").pb())
        found[f"/google.cloud.run.v2.{kind}s/{listed}"] = pair
    return {**found, **_policies(), **_operations(), **_logging()}


def _policies() -> dict[str, tuple[Any, Any]]:
    iam = iam_policy_pb2
    return {
        f"/google.cloud.run.v2.{kind}s/{method}": pair
        for kind in ("Service", "Job")
        for method, pair in {
            "GetIamPolicy": (iam.GetIamPolicyRequest, policy_pb2.Policy),
            "SetIamPolicy": (iam.SetIamPolicyRequest, policy_pb2.Policy),
            "TestIamPermissions": (iam.TestIamPermissionsRequest, iam.TestIamPermissionsResponse),
        }.items()
    }


def _operations() -> dict[str, tuple[Any, Any]]:
    kinds = operations_pb2
    pairs = {
        "GetOperation": (kinds.GetOperationRequest, kinds.Operation),
        "WaitOperation": (kinds.WaitOperationRequest, kinds.Operation),
        "ListOperations": (kinds.ListOperationsRequest, kinds.ListOperationsResponse),
        "DeleteOperation": (kinds.DeleteOperationRequest, empty_pb2.Empty),
    }
    return {f"/google.longrunning.Operations/{method}": pair for method, pair in pairs.items()}


def _logging() -> dict[str, tuple[Any, Any]]:
    """Nothing where google-cloud-logging is not installed: it is an extra."""
    try:
        from google.cloud.logging_v2 import types
    except ImportError:
        return {}
    pair = (types.ListLogEntriesRequest.pb(), types.ListLogEntriesResponse.pb())
    return {"/google.logging.v2.LoggingServiceV2/ListLogEntries": pair}
