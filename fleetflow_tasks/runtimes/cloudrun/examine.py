# SPDX-License-Identifier: Apache-2.0
"""A stage's region, looked at for `flow doctor`: where it is, as whom we come, and which rights we lack.

Nothing is changed. That services and jobs can be listed is tried; what may be done with those that are there is asked of
Cloud Run (TestIamPermissions, which needs no right itself); whether one could be made is tried without making it
(`validate_only`), as whom it would run included. What cannot be asked without doing it is not claimed.
"""

from collections.abc import Collection, Iterator, Sequence

from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Finding
from fleetflow_tasks.runtimes.cloudrun import explain, grants, rights
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError
from fleetflow_tasks.runtimes.cloudrun.desired import desired
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import full_name, short_name
from fleetflow_tasks.runtimes.cloudrun.settings import Settings, parent, settings

_WITHOUT = {  # what cannot be done, where a right for it is missing
    "jobs": "jobs cannot be run",
    "open": "nobody can be let in to call a service: neither `public` nor `invoker` works",
}


def examined(client: Client, plan: Plan) -> Sequence[Finding]:
    """Raises UnavailableError where Cloud Run does not answer at all."""
    where = settings(plan)
    about = f"Cloud Run at {client.endpoint}, project {where.project}, region {where.region}"
    engine = f"{about}, as {client.account or 'somebody'}"
    found = _listed(client, plan)
    if isinstance(found, Problem):
        return (Finding(name="engine", text=f"{engine}: it cannot be used", problems=(found,)),)
    return (Finding(name="engine", text=engine), _rights(client, plan, found))


def _listed(client: Client, plan: Plan) -> dict[str, Json] | Problem:
    """What the region holds, by full names; or why it cannot be looked at."""
    where = parent(settings(plan))
    try:
        return {each["name"]: each for each in (*client.services(where), *client.jobs(where))}
    except CloudRunError as error:
        if not error.answered:
            raise UnavailableError(error.problem) from error
        return explain.problem_of(error, plan, None, f"look at stage `{plan.stage}`", account=client.account)


def _rights(client: Client, plan: Plan, found: dict[str, Json]) -> Finding:
    where = settings(plan)
    ours = [each for each in plan.services if each.runtime == "cloudrun"]
    problems = [*_lacks(client, plan, _there(plan, ours, found)), *_unmakeable(client, plan, ours, found)]
    said = "rights are missing" if problems else "all that was looked for"
    return Finding(name="rights", text=f"{said} in project {where.project}", problems=tuple(problems))


def _there(plan: Plan, ours: Sequence[ResolvedService], found: Collection[str]) -> list[str]:
    """One service and one job that are there: rights on one are most often rights on all."""
    names = [full_name(plan, each) for each in ours if full_name(plan, each) in found]
    kinds = {name.split("/")[4]: name for name in reversed(names)}
    return sorted(kinds.values())


def _lacks(client: Client, plan: Plan, names: Sequence[str]) -> Iterator[Problem]:
    lacking = [need for name in names for need in _missing(client, name)]
    where = settings(plan)
    if needed := [need for need in lacking if need.purpose == "deploy"]:
        yield _problem(f"stage `{plan.stage}` cannot be deployed", needed, where, client.account)
    for purpose, without in _WITHOUT.items():
        if needed := [need for need in lacking if need.purpose == purpose]:
            yield _problem(without, needed, where, client.account)


def _missing(client: Client, name: str) -> list[rights.Need]:
    """Of those that can be asked for there: on this object, that is."""
    kind = f"run.{name.split('/')[4]}."
    asked = [each for each in rights.NEEDS if each.permission.startswith(kind) and _is_of_one(each.permission)]
    allowed = client.permitted(name, [each.permission for each in asked])
    return [each for each in asked if each.permission not in allowed]


def _is_of_one(permission: str) -> bool:
    """Not of the whole region."""
    return permission.rpartition(".")[2] not in {"list", "create"}


def _problem(message: str, needed: Sequence[rights.Need], where: Settings, account: str) -> Problem:
    roles = sorted({need.role for need in needed})
    return Problem(
        code="rights-missing",
        message=f"{message}: rights are missing in project `{where.project}`",
        cause=tuple(f"{need.permission} ({need.role} has it)" for need in needed),
        fix="grant them: " + "; ".join(grants.project_role(where.project, role, account) for role in roles),
    )


def _unmakeable(
    client: Client, plan: Plan, ours: Sequence[ResolvedService], found: Collection[str]
) -> Iterator[Problem]:
    """The first that is not there yet, tried without making it."""
    new = next((each for each in ours if full_name(plan, each) not in found), None)
    if new is None:
        return
    make = client.create_job if new.job else client.create_service
    try:
        make(parent(settings(plan)), short_name(plan, new), desired(plan, new).body, validate_only=True)
    except CloudRunError as error:
        if not error.answered:
            raise UnavailableError(error.problem) from error
        yield explain.problem_of(error, plan, new, f"make `{new.name}`", account=client.account)
