# SPDX-License-Identifier: Apache-2.0
"""What we must be allowed to do in a project: one table, for `flow doctor`, for refusals and for the role that we ship.

A right that nobody needs is none that we ask for. Two rights are not the project's: to act as a service's own account
(`iam.serviceAccounts.actAs`, on that account), and to read its image.
"""

from collections.abc import Mapping
from typing import Literal

from fleetflow_tasks.config.model import Data

Purpose = Literal["deploy", "jobs", "open", "logs"]

DEVELOPER = "roles/run.developer"
ADMIN = "roles/run.admin"
ACTOR = "roles/iam.serviceAccountUser"


class Need(Data, frozen=True, kw_only=True):
    """role: the least of Google's own that has it. purpose: what it is for; `open` is to let others call a service."""

    permission: str
    role: str
    purpose: Purpose = "deploy"


NEEDS: tuple[Need, ...] = (
    *(
        Need(permission=f"run.{each}", role=DEVELOPER)
        for each in (
            "operations.get",
            "revisions.get",
            "services.create",
            "services.delete",
            "services.get",
            "services.list",
            "services.update",
            "jobs.list",  # a stage without jobs too: whether it has one to be removed
        )
    ),
    *(
        Need(permission=f"run.{each}", role=DEVELOPER, purpose="jobs")
        for each in (
            "executions.get",
            "jobs.create",
            "jobs.delete",
            "jobs.get",
            "jobs.run",
            "jobs.update",
            "tasks.list",
        )
    ),
    *(
        Need(permission=f"run.{each}", role=ADMIN, purpose="open")
        for each in ("services.getIamPolicy", "services.setIamPolicy")
    ),
    Need(permission="logging.logEntries.list", role="roles/logging.viewer", purpose="logs"),
)

_OTHERS: Mapping[str, str] = {  # rights on what is not the project's Cloud Run, in lower case, as messages spell them
    "iam.serviceaccounts.actas": ACTOR,
    "artifactregistry.repositories.downloadartifacts": "roles/artifactregistry.reader",
    "vpcaccess.connectors.use": "roles/vpcaccess.user",
    "compute.networks.use": "roles/compute.networkUser",
    "compute.subnetworks.use": "roles/compute.networkUser",
    "serviceusage.services.use": "roles/serviceusage.serviceUsageConsumer",
    "binaryauthorization.platformpolicies.evaluatepolicy": "roles/binaryauthorization.policyEvaluator",
}


def role(permission: str) -> str:
    """The least of Google's roles that has *permission*, "" where we do not know one."""
    known = {need.permission.lower(): need.role for need in NEEDS} | dict(_OTHERS)
    found = known.get(permission.lower(), "")
    return found or (ADMIN if permission.startswith("run.") else "")
