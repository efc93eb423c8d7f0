# SPDX-License-Identifier: Apache-2.0
"""Who may call a service: what is added to its policy, what is taken away, and what is never touched."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError
from fleetflow_tasks.runtimes.cloudrun.iam import (
    EVERYBODY,
    ROLE,
    callers,
    changed,
    checked,
    ours,
    refuses_unchecked,
    remembered,
    wanted,
)
from fleetflow_tasks.runtimes.cloudrun.names import INVOKERS

from . import made

A, B, C = "user:a@example.org", "group:b@example.org", "serviceAccount:c@p.iam.gserviceaccount.com"
VIEWER = {"role": "roles/run.viewer", "members": [C]}
BY_DAY = {"role": ROLE, "members": [C], "condition": {"expression": "request.time < timestamp('2027-01-01T00:00:00Z')"}}


def policy(*members: str, **fields: Any) -> dict[str, Any]:
    own = [{"role": ROLE, "members": list(members)}] if members else []
    return {"version": 3, "etag": "BwX", "bindings": [VIEWER, *own, BY_DAY], **fields}


def test_a_member_is_added_beside_all_that_is_there() -> None:
    assert changed(policy(A), [B], []) == policy(A, B)
    assert changed({"etag": "BwX"}, [B], []) == {"etag": "BwX", "bindings": [{"role": ROLE, "members": [B]}]}


def test_a_condition_lets_nobody_in_for_good_so_its_members_are_added_once_more() -> None:
    assert callers(policy(A)) == (A,)
    assert changed(policy(A), [C], []) == policy(A, C)


def test_taking_away_what_was_added_leaves_what_was_before() -> None:
    before = policy(A)

    with_ours = changed(before, [B, EVERYBODY], [])

    assert with_ours is not None
    assert changed(with_ours, [], [B, EVERYBODY]) == before


def test_a_binding_that_has_lost_its_last_member_goes_and_no_other_one() -> None:
    assert changed(policy(B), [], [B]) == policy()


@pytest.mark.parametrize(("add", "drop"), [([A], []), ([], [C]), ([A, A], [B])])
def test_where_nothing_would_change_nothing_is_set(add: list[str], drop: list[str]) -> None:
    assert changed(policy(A), add, drop) is None


members = st.lists(st.sampled_from([A, B, C, EVERYBODY]), unique=True)


@given(before=members, mine=members)
def test_whatever_was_there_is_there_again_once_ours_are_gone(before: list[str], mine: list[str]) -> None:
    start = policy(*before)
    added = ours(start, mine, ())

    between = changed(start, mine, []) or start
    end = changed(between, [], added) or between

    assert set(mine) <= set(callers(between))
    assert end == start


def test_who_was_let_in_by_somebody_else_is_not_ours_to_take_away() -> None:
    assert ours(policy(A, B), [A, B, EVERYBODY], before=[B]) == (EVERYBODY, B)
    assert ours(None, [A], ()) == (A,)


def test_whom_we_let_in_stands_on_the_service() -> None:
    assert remembered({"annotations": {INVOKERS: f"{A},{B}"}}) == (A, B)
    assert remembered({}) == remembered(None) == ()


def test_a_public_service_is_opened_in_its_policy_only_where_it_has_to_be() -> None:
    public = made.wanted(options={"public": True})

    assert (wanted(public), wanted(public, by_policy=True)) == ((), (EVERYBODY,))
    assert wanted(msgspec.structs.replace(public, public=False, invokers=(A,)), by_policy=True) == (A,)


def test_a_body_whose_calls_are_checked_again_is_the_same_else() -> None:
    public = made.wanted(options={"public": True}).body

    assert "invokerIamDisabled" in public
    assert {**checked(public), "invokerIamDisabled": True} == public
    assert "invokerIamDisabled" not in checked(public)


@pytest.mark.parametrize(
    ("code", "answer", "expected"),
    [
        ("FAILED_PRECONDITION", "Constraint constraints/run.managed.requireInvokerIam violated", True),
        ("INVALID_ARGUMENT", "invoker_iam_disabled may not be set", True),
        ("FAILED_PRECONDITION", "something else", False),
        ("UNAVAILABLE", "requireInvokerIam", False),
    ],
)
def test_only_a_refusal_of_the_unchecked_call_leads_to_the_policy(code: str, answer: str, expected: bool) -> None:
    error = CloudRunError(Problem(code="x", message="x"), code=code, answer=answer)

    assert refuses_unchecked(error) is expected
