# SPDX-License-Identifier: Apache-2.0
"""Who may what on a service or a job: GetIamPolicy, SetIamPolicy, TestIamPermissions.

`google.iam.v1.Policy`: "It is strongly suggested that systems make use of the `etag` in the read-modify-write cycle"; bindings
of one role and condition are one; conditions need version 3. https://cloud.google.com/run/docs/securing/managing-access.
"""

import base64
import hashlib
import json
import re
from typing import Any

from .accounts import Account
from .refused import Refused
from .state import JobState, ServiceState, State

Json = dict[str, Any]

EMPTY = "ACAB"  # the etag of a policy that nobody ever set, as the real one shows it
_MEMBER = re.compile(
    r"allUsers|allAuthenticatedUsers|(user|serviceAccount|group|domain|principal|principalSet):\S+|deleted:\S+"
)


def get(state: State, caller: Account, request: Json) -> Json:
    return _shown(_holder(state, request["resource"]).policy)


def put(state: State, caller: Account, request: Json) -> Json:
    """The whole policy. Without an etag, over whatever is there ("the existing policy is overwritten")."""
    holder = _holder(state, request["resource"])
    asked = request.get("policy", {})
    told, now = asked.get("etag", ""), _shown(holder.policy)["etag"]
    if told and told != now:
        text = (
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
        )
        raise Refused("ABORTED", text)
    bindings = _merged(asked.get("bindings", []))
    _checked(state, bindings, asked.get("version", 1))
    holder.policy = {"version": asked.get("version", 1), "bindings": bindings}
    return _shown(holder.policy)


def tested(state: State, caller: Account, request: Json) -> Json:
    """ "If the resource does not exist, this will return an empty set of permissions, not a NOT_FOUND error."""
    resource = request["resource"]
    if resource not in state.services and resource not in state.jobs:
        return {}
    held = [permission for permission in request.get("permissions", []) if caller.may(permission)]
    return {"permissions": held} if held else {}


def members(policy: Json, role: str) -> set[str]:
    """Who has *role*, conditions left aside."""
    return {
        member for binding in policy.get("bindings", []) if binding["role"] == role for member in binding["members"]
    }


def _holder(state: State, resource: str) -> ServiceState | JobState:
    return state.job(resource) if "/jobs/" in resource else state.service(resource)


def _shown(policy: Json) -> Json:
    if not policy:
        return {"etag": EMPTY}
    digest = hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).digest()[:12]
    return {**policy, "etag": base64.b64encode(digest).decode()}


def _merged(bindings: list[Json]) -> list[Json]:
    """One per role and condition, each member once, empty ones left out."""
    found: dict[str, Json] = {}
    for binding in bindings:
        key = json.dumps([binding.get("role", ""), binding.get("condition")], sort_keys=True)
        kept = found.setdefault(key, {**binding, "members": []})
        kept["members"] += [member for member in binding.get("members", []) if member not in kept["members"]]
    return [binding for binding in found.values() if binding["members"]]


def _checked(state: State, bindings: list[Json], version: int) -> None:
    for binding in bindings:
        if not re.fullmatch(r"(roles|projects/[^/]+/roles|organizations/[^/]+/roles)/\S+", binding.get("role", "")):
            raise Refused(
                "INVALID_ARGUMENT", f"Role ({binding.get('role', '')}) does not exist in the resource's hierarchy."
            )
        if "condition" in binding and version != 3:
            text = "Policies that contain conditional role bindings must set the version to 3."
            raise Refused("INVALID_ARGUMENT", text)
        for member in binding["members"]:
            if not _MEMBER.fullmatch(member):
                raise Refused("INVALID_ARGUMENT", f"Invalid argument: the member '{member}' is of an unknown type.")
            if state.world.domain_restricted and member.startswith("all"):
                # https://cloud.google.com/resource-manager/docs/organization-policy/restricting-domains
                text = "One or more users named in the policy do not belong to a permitted customer."
                raise Refused("FAILED_PRECONDITION", text)
