# SPDX-License-Identifier: Apache-2.0
"""The front door of the state: `Api.call`, the same for gRPC and for REST.

Order, as on the real one as far as it shows: the token, the API, the permission, the quota, the request itself. All that
is asked is written down in `trace`, also what is refused.
"""

import threading
from collections.abc import Callable
from typing import Any

from fleetflow_tasks.config.model import Data

from . import entries, executions, jobs, operations, policies, revisions, services
from .accounts import Account, Accounts
from .faults import Faults
from .names import Parent, parent
from .refused import Refused, denied, disabled, exhausted
from .roles import NEEDED
from .state import State, told
from .world import project_number

Json = dict[str, Any]
Function = Callable[[State, Account, Json], Json]

FUNCTIONS: dict[str, Function] = {
    "Services.CreateService": services.create,
    "Services.GetService": services.get,
    "Services.ListServices": services.listed,
    "Services.UpdateService": services.update,
    "Services.DeleteService": services.delete,
    "Services.GetIamPolicy": policies.get,
    "Services.SetIamPolicy": policies.put,
    "Services.TestIamPermissions": policies.tested,
    "Revisions.GetRevision": revisions.get,
    "Revisions.ListRevisions": revisions.listed,
    "Revisions.DeleteRevision": revisions.deleted,
    "Jobs.CreateJob": jobs.create,
    "Jobs.GetJob": jobs.get,
    "Jobs.ListJobs": jobs.listed,
    "Jobs.UpdateJob": jobs.update,
    "Jobs.DeleteJob": jobs.delete,
    "Jobs.RunJob": jobs.run,
    "Jobs.GetIamPolicy": policies.get,
    "Jobs.SetIamPolicy": policies.put,
    "Jobs.TestIamPermissions": policies.tested,
    "Executions.GetExecution": executions.get,
    "Executions.ListExecutions": executions.listed,
    "Executions.DeleteExecution": executions.deleted,
    "Executions.CancelExecution": executions.cancelled,
    "Tasks.GetTask": executions.task,
    "Tasks.ListTasks": executions.tasks,
    "Operations.GetOperation": operations.get,
    "Operations.WaitOperation": operations.get,
    "Operations.ListOperations": operations.listed,
    "Operations.DeleteOperation": operations.deleted,
    "LoggingServiceV2.ListLogEntries": entries.listed,
}
"""Method -> what does it. A request is the method's own message in its JSON form, and so is the answer."""

_READS = ("Get", "List", "Test", "Wait")


class Asked(Data, frozen=True, kw_only=True):
    """method: "Services.GetService". name: of the resource, or of what it lies in. caller: "" where nobody knows them.
    code: "OK", or what it was refused with."""

    method: str
    name: str
    caller: str
    code: str

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


class Api:
    """trace: everything that was asked, in its order."""

    def __init__(self, state: State, accounts: Accounts, faults: Faults) -> None:
        self.state = state
        self.accounts = accounts
        self.faults = faults
        self.trace: list[Asked] = []
        self._tracing = threading.Lock()
        self._minutes: dict[tuple[str, bool, int], int] = {}

    def call(self, method: str, request: Json, *, token: str) -> Json:
        """What *method* answers. token: of the Authorization header, without "Bearer". Raises Refused."""
        name, caller, code = resource(request), "", "OK"
        fault = self.faults.met(f"{method} {name}")
        try:
            self.faults.before(fault)
            account = self.accounts.who(token)
            caller = account.email
            answer = self._answered(method, name, account, request)
            self.faults.after(fault)
        except Refused as error:
            code = error.code
            raise
        finally:
            with self._tracing:
                self.trace.append(Asked(method=method, name=name, caller=caller, code=code))
        return answer

    def peek(self, operation: str) -> Json:
        """An operation as it is now: for WaitOperation, which was asked once."""
        with self.state.look() as state:
            return told(state.operations[operation])

    def _answered(self, method: str, name: str, account: Account, request: Json) -> Json:
        with self.state.look() as state:
            if method != "LoggingServiceV2.ListLogEntries":
                self._open(method, parent(name))
            needed = NEEDED.get(method)
            if needed is not None and not account.may(needed):
                raise denied(needed, name)
            return FUNCTIONS[method](state, account, request)

    def _open(self, method: str, where: Parent) -> None:
        world, number = self.state.world, project_number(where.project)
        if where.project in world.disabled:
            raise disabled(number)
        if world.regions and where.location not in world.regions:  # guess: code and text
            text = f"Location {where.location} is not found or access is unauthorized."
            raise Refused("PERMISSION_DENIED", text)
        reads = method.partition(".")[2].startswith(_READS)
        limit = world.reads if reads else world.writes
        if limit is not None:
            self._counted(str(where), number, limit, reads=reads)

    def _counted(self, where: str, number: str, limit: int, *, reads: bool) -> None:
        """By whole minutes of the server's clock."""
        minute, rest = divmod(self.state.agenda.now, 60)
        key = (where, reads, int(minute))
        self._minutes[key] = self._minutes.get(key, 0) + 1
        if self._minutes[key] > limit:
            raise exhausted(number, "Read requests" if reads else "Write requests", 60 - rest)


def resource(request: Json) -> str:
    """What *request* is about."""
    for kind in ("service", "job"):
        if f"{kind}Id" in request:
            return f"{request.get('parent', '')}/{kind}s/{request[f'{kind}Id']}"
        if kind in request:
            return str(request[kind].get("name", "") or request.get("parent", ""))
    return str(
        request.get("name")
        or request.get("parent")
        or request.get("resource")
        or ",".join(request.get("resourceNames", []))
    )
