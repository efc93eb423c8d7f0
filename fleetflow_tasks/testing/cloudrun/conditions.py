# SPDX-License-Identifier: Apache-2.0
"""Conditions, as `google.cloud.run_v2.types.Condition` describes them, and which of its three reasons a word belongs to."""

from typing import Any

Json = dict[str, Any]

PENDING = "CONDITION_PENDING"
RECONCILING = "CONDITION_RECONCILING"
FAILED = "CONDITION_FAILED"
SUCCEEDED = "CONDITION_SUCCEEDED"

_OF_REVISIONS = frozenset(
    {
        "PENDING", "RESERVE", "RETIRED", "RETIRING", "RECREATING", "HEALTH_CHECK_CONTAINER_ERROR",
        "CUSTOMIZED_PATH_RESPONSE_PENDING", "MIN_INSTANCES_NOT_PROVISIONED", "ACTIVE_REVISION_LIMIT_REACHED", "NO_DEPLOYMENT",
        "HEALTH_CHECK_SKIPPED", "MIN_INSTANCES_WARMING",
    }
)  # fmt: skip
_OF_EXECUTIONS = frozenset(
    {
        "JOB_STATUS_SERVICE_POLLING_ERROR", "NON_ZERO_EXIT_CODE", "CANCELLED", "CANCELLING", "DELETED",
        "DELAYED_START_PENDING",
    }
)  # fmt: skip


def condition(kind: str, state: str, at: str, *, message: str = "", reason: str = "", severity: str = "") -> Json:
    """at: when it became so. reason: of any of the three kinds; "" for none."""
    made = {"type": kind, "state": state, "lastTransitionTime": at}
    if message:
        made["message"] = message
    if severity:
        made["severity"] = severity
    if reason:
        made[_field(reason)] = reason
    return made


def _field(reason: str) -> str:
    if reason in _OF_REVISIONS:
        return "revisionReason"
    return "executionReason" if reason in _OF_EXECUTIONS else "reason"


def of_revision(reason: str) -> bool:
    return reason in _OF_REVISIONS


def put(body: Json, *made: Json) -> None:
    """Into `body["conditions"]`; the time stays where the state does (`last_transition_time`)."""
    kept = {each["type"]: each for each in body.get("conditions", [])}
    for each in made:
        before = kept.get(each["type"])
        if before is not None and before["state"] == each["state"]:
            each["lastTransitionTime"] = before["lastTransitionTime"]
        kept[each["type"]] = each
    body["conditions"] = list(kept.values())
