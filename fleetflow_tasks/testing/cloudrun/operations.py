# SPDX-License-Identifier: Apache-2.0
"""google.longrunning.Operations: https://google.aip.dev/151, and the comments in its proto file."""

from typing import Any

from . import paging
from .accounts import Account
from .names import parent, parts
from .refused import missing
from .state import Operation, State, told

Json = dict[str, Any]


def get(state: State, caller: Account, request: Json) -> Json:
    return told(_found(state, request["name"]))


def listed(state: State, caller: Account, request: Json) -> Json:
    """`ListOperationsRequest.name`: "The name of the operation's parent resource"."""
    here = f"{parent(request['name'])}/operations/"
    found = [told(each) for name, each in state.operations.items() if name.startswith(here)]
    return paging.page("operations", found, {**request, "parent": here})


def deleted(state: State, caller: Account, request: Json) -> Json:
    """ "It indicates that the client is no longer interested in the operation result. It does not cancel the operation."""
    del state.operations[_found(state, request["name"]).name]
    return {}


def _found(state: State, name: str) -> Operation:
    parts(name, "operations")
    found = state.operations.get(name)
    if found is None:
        raise missing("Operation", name)
    return found
