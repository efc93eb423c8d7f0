# SPDX-License-Identifier: Apache-2.0
"""Which permission each method needs, and which role holds it.

https://cloud.google.com/run/docs/reference/iam/permissions and …/reference/iam/roles. Only what this server asks for.
"""

NEEDED: dict[str, str] = {
    "Services.CreateService": "run.services.create",
    "Services.GetService": "run.services.get",
    "Services.ListServices": "run.services.list",
    "Services.UpdateService": "run.services.update",
    "Services.DeleteService": "run.services.delete",
    "Services.GetIamPolicy": "run.services.getIamPolicy",
    "Services.SetIamPolicy": "run.services.setIamPolicy",
    "Revisions.GetRevision": "run.revisions.get",
    "Revisions.ListRevisions": "run.revisions.list",
    "Revisions.DeleteRevision": "run.revisions.delete",
    "Jobs.CreateJob": "run.jobs.create",
    "Jobs.GetJob": "run.jobs.get",
    "Jobs.ListJobs": "run.jobs.list",
    "Jobs.UpdateJob": "run.jobs.update",
    "Jobs.DeleteJob": "run.jobs.delete",
    "Jobs.RunJob": "run.jobs.run",
    "Jobs.GetIamPolicy": "run.jobs.getIamPolicy",
    "Jobs.SetIamPolicy": "run.jobs.setIamPolicy",
    "Executions.GetExecution": "run.executions.get",
    "Executions.ListExecutions": "run.executions.list",
    "Executions.DeleteExecution": "run.executions.delete",
    "Executions.CancelExecution": "run.executions.cancel",
    "Tasks.GetTask": "run.tasks.get",
    "Tasks.ListTasks": "run.tasks.list",
    "Operations.GetOperation": "run.operations.get",
    "Operations.WaitOperation": "run.operations.get",
    "Operations.ListOperations": "run.operations.list",
    "Operations.DeleteOperation": "run.operations.delete",
    "LoggingServiceV2.ListLogEntries": "logging.logEntries.list",
}
"""Method -> permission. TestIamPermissions needs none (`TestIamPermissions`: "returns an empty set", never an error)."""

ACT_AS = "iam.serviceAccounts.actAs"

_POLICY = frozenset({"run.services.setIamPolicy", "run.jobs.setIamPolicy"})
_RUN = frozenset(name for name in NEEDED.values() if name.startswith("run."))
_READS = frozenset(name for name in _RUN if name.rpartition(".")[2] in {"get", "list", "getIamPolicy"})
_MORE = frozenset({"run.jobs.runWithOverrides", "run.routes.invoke"})

ROLES: dict[str, frozenset[str]] = {
    "roles/owner": _RUN | _MORE | {ACT_AS, "logging.logEntries.list"},
    "roles/editor": (_RUN | _MORE | {ACT_AS, "logging.logEntries.list"}) - _POLICY,
    "roles/viewer": _READS | {"logging.logEntries.list"},
    "roles/run.admin": _RUN | _MORE,
    "roles/run.developer": (_RUN | {"run.jobs.runWithOverrides"}) - _POLICY,
    "roles/run.viewer": _READS,
    "roles/run.invoker": frozenset({"run.routes.invoke", "run.jobs.run"}),
    "roles/iam.serviceAccountUser": frozenset({ACT_AS}),
    "roles/logging.viewer": frozenset({"logging.logEntries.list"}),
}


def permissions(*roles: str) -> frozenset[str]:
    """Of roles (`roles/run.admin`) and single permissions (`run.services.get`) together."""
    held: set[str] = set()
    for role in roles:
        held |= ROLES[role] if role.startswith("roles/") else {role}
    return frozenset(held)
