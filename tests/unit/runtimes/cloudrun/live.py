# SPDX-License-Identifier: Apache-2.0
"""Services, revisions and jobs as Cloud Run returns them, with no more in them than a test is about."""

from collections.abc import Mapping
from typing import Any

PLACE = "projects/shop-prd/locations/europe-west1"
NAME = f"{PLACE}/services/shop-prd-api"
JOB = f"{PLACE}/jobs/shop-prd-migrate"

OLD, NEW = f"{NAME}/revisions/shop-prd-api-00001-old", f"{NAME}/revisions/shop-prd-api-00002-new"


def condition(kind: str, state: str, reason: str = "", message: str = "", **more: str) -> dict[str, str]:
    """more: a reason of another kind (`revisionReason`), a severity, a time."""
    found = {"type": kind, "state": f"CONDITION_{state}", "reason": reason, "message": message, **more}
    return {name: value for name, value in found.items() if value}


def service(terminal: Mapping[str, str], *others: Mapping[str, str], **fields: Any) -> dict[str, Any]:
    """Of generation 2, looked at; its newest revision is ready."""
    usual = {
        "name": NAME,
        "generation": "2",
        "observedGeneration": "2",
        "latestCreatedRevision": NEW,
        "latestReadyRevision": NEW,
        "terminalCondition": terminal,
        "conditions": list(others),
        "template": {"containers": [{"image": "eu.example/shop/api:2"}]},
    }
    return {**usual, **fields}


def serving(**fields: Any) -> dict[str, Any]:
    return service(condition("Ready", "SUCCEEDED"), **fields)


def failed(reason: str = "", message: str = "", *others: Mapping[str, str], **fields: Any) -> dict[str, Any]:
    """An update that failed: all else stays at the version before."""
    before = {"observedGeneration": "1", "latestReadyRevision": OLD}
    return service(condition("Ready", "FAILED", reason, message), *others, **{**before, **fields})


def revision(*conditions: Mapping[str, str], **fields: Any) -> dict[str, Any]:
    usual = {"name": NEW, "containers": [{"image": "eu.example/shop/api:2"}], "conditions": list(conditions)}
    return {**usual, **fields}


def execution(state: str, **fields: Any) -> dict[str, Any]:
    """state: of its condition `Completed`."""
    usual = {
        "name": f"{JOB}/executions/shop-prd-migrate-abc",
        "taskCount": 1,
        "conditions": [condition("Completed", state)],
        "template": {"containers": [{"image": "eu.example/shop/migrate:2"}]},
    }
    return {**usual, **fields}
