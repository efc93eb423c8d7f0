# SPDX-License-Identifier: Apache-2.0
"""Which test tries which fault in which state of a step; and that the page for users promises nothing that no test holds.

    ready      a hint of it is out: in the queue, or in a worker's hands
    claimed    a worker has it, and has done nothing yet
    call       a call to the platform is under way
    done       the work is done, and Redis has not heard of it
    finished   Redis has heard of it, and the hints of its successors are not sent
    queued     its run waits in line for another of its stage

`everywhere` tests have a step in each of these states at once, and a run in line. Where a cell is missing, the fault cannot
meet that state.
"""

import ast
import re
from collections.abc import Collection
from pathlib import Path

from fleetflow_tasks.engine.model import LEASE, MAX_LOSSES, PATIENCE, RENEW, SETTLE, TELL
from fleetflow_tasks.engine.reconcile import EVERY, HOLD
from fleetflow_tasks.engine.settings import BEAT, GRACE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PAGE = ROOT / "docs" / "reliability.md"

STATES = ("ready", "claimed", "call", "done", "finished", "queued")

KILLED = "test_redis_killed_and_restarted_costs_no_step_a_second_begin"
AWAY = "test_redis_away_for_longer_than_a_lease_takes_no_step_from_who_still_holds_it"
ASLEEP = "test_redis_that_sleeps_is_waited_for"
FULL = "test_a_full_redis_begins_nothing_and_lets_everything_end"
EMPTIED = "test_an_emptied_redis_ends_its_runs_in_words_and_the_next_run_finds_what_is_there"
CLAIMS_LOST = "test_claims_that_a_failover_lost_are_made_again_and_their_holders_hear_of_it"
ENDS_LOST = "test_ends_that_a_failover_lost_come_again_and_find_the_work_done"
CUT_OFF = "test_a_worker_cut_off_for_longer_than_a_lease_changes_nothing_more_and_others_go_on"
CLOCK = "test_a_wall_clock_an_hour_off_has_no_effect_in_any_state"

MATRIX: dict[str, dict[str, tuple[str, ...]]] = {
    "worker killed": {
        "ready": (
            "test_a_worker_killed_with_a_hint_in_its_hands_costs_two_passes",
            "test_a_hint_that_no_worker_has_fetched_waits_for_the_next",
        ),
        "claimed": ("test_a_worker_killed_with_a_claim_is_replaced_at_the_end_of_its_lease",),
        "call": ("test_a_worker_killed_in_a_call_is_replaced_at_the_end_of_its_lease",),
        "done": ("test_what_a_killed_worker_had_done_is_found_by_the_next",),
        "finished": ("test_the_hints_that_a_killed_worker_owed_are_sent_by_the_second_pass",),
    },
    "worker asleep for longer than a lease": {
        "claimed": (
            "test_a_worker_that_slept_with_a_claim_changes_nothing",
            "test_a_worker_that_slept_and_was_not_missed_goes_on_where_it_was",
        ),
        "call": (
            "test_a_call_that_lands_after_its_worker_slept_finds_the_work_done",
            "test_a_call_of_a_cancelled_run_that_lands_late_does_not_change_what_the_next_run_made",
        ),
        "done": (
            "test_what_a_worker_says_of_its_step_after_it_slept_is_not_heard",
            "test_a_worker_that_wakes_up_while_another_is_at_its_step_does_not_end_it",
        ),
        "finished": ("test_the_hints_that_a_sleeping_worker_owes_are_sent_without_it_and_twice_is_as_good_as_once",),
    },
    "worker told to end": {
        "ready": (
            "test_a_worker_that_leaves_takes_no_more_hints",
            "test_a_worker_that_leaves_with_a_hint_in_its_hands_begins_nothing",
        ),
        "claimed": ("test_a_worker_that_leaves_gives_a_claim_back_at_once",),
        "call": (
            "test_a_worker_that_leaves_gives_back_a_step_that_only_waits",
            "test_a_worker_that_leaves_ends_a_step_that_is_amid_its_changes",
            "test_a_worker_whose_grace_ends_gives_back_even_what_it_cannot_stop",
        ),
        "done": ("test_a_worker_that_leaves_writes_down_what_it_has_done",),
        "finished": ("test_a_worker_that_leaves_sends_the_hints_it_owes",),
    },
    "Redis killed and restarted": dict.fromkeys(STATES, (KILLED,)),
    "Redis away for longer than a lease": dict.fromkeys(STATES, (AWAY,)),
    "Redis asleep": dict.fromkeys(STATES, (ASLEEP,)),
    "Redis full": dict.fromkeys(STATES, (FULL,)),
    "Redis emptied": dict.fromkeys(STATES, (EMPTIED,)),
    "failover that loses the last writes": {
        "ready": (CLAIMS_LOST,),
        "claimed": (CLAIMS_LOST,),
        "call": (CLAIMS_LOST, ENDS_LOST),
        "done": (CLAIMS_LOST, ENDS_LOST),
        "finished": (CLAIMS_LOST, ENDS_LOST),
        "queued": (ENDS_LOST, "test_a_submit_that_a_replica_has_not_got_is_told"),
    },
    "worker cut off from Redis": dict.fromkeys(STATES[:-1], (CUT_OFF,)),
    "connections cut, swallowed, slow": dict.fromkeys(
        STATES,
        (
            "test_connections_that_are_cut_are_made_anew",
            "test_a_way_that_swallows_everything_costs_its_time_and_nothing_else",
            "test_a_slow_way_is_slow_and_nothing_else",
        ),
    ),
    "reply lost after the request went through": {
        "claimed": (
            "test_a_worker_whose_reply_was_lost_asks_again_and_gets_the_same_answer",
            "test_a_claim_that_its_worker_never_heard_of_is_given_to_another_at_the_end_of_its_lease",
        ),
        "call": ("test_a_worker_whose_last_words_are_lost_says_them_again",),
        "done": ("test_an_end_that_is_written_and_not_answered_is_told_again_until_it_is",),
        "finished": (
            "test_a_worker_whose_reply_was_lost_asks_again_and_gets_the_same_answer",
            "test_a_pass_whose_reply_was_lost_sends_the_same_hints",
        ),
        "queued": (
            "test_a_submit_whose_reply_was_lost_is_one_run",
            "test_a_cancel_whose_reply_was_lost_is_answered_with_the_hints_of_the_next_run",
        ),
    },
    "hint lost, doubled, in another order, late, foreign": {
        "ready": (
            "test_a_lost_hint_is_sent_again_by_the_second_pass",
            "test_a_hint_that_comes_ten_times_is_one_claim",
            "test_hints_in_any_order_carry_steps_out_in_theirs",
            "test_what_is_no_hint_of_ours_costs_one_line_at_most",
        ),
        "call": ("test_a_hint_that_comes_when_its_step_is_under_way_changes_nothing",),
        "done": ("test_a_hint_that_comes_long_after_its_run_has_ended_changes_nothing",),
    },
    "step that kills its worker": {
        "claimed": ("test_a_claim_whose_workers_die_before_they_begin_fails_after_three_as_well",),
        "call": ("test_a_step_that_kills_its_worker_three_times_fails_and_says_so",),
    },
    "platform fails, asks for patience, hangs": {
        "call": (
            "test_a_failure_that_may_pass_is_tried_again_by_the_first_pass_after_its_time",
            "test_a_platform_that_asks_for_patience_gets_it",
            "test_retries_end_and_what_waits_is_skipped",
            "test_a_call_that_hangs_for_longer_than_a_lease_is_not_begun_by_another",
            "test_a_step_that_hangs_past_its_time_costs_its_worker_and_a_lease",
            "test_what_nobody_foresaw_fails_its_step_and_its_worker_lives_on",
        ),
    },
    "plan newer than its workers, or no worker": {
        "ready": (
            "test_what_nobody_can_do_is_told_at_submit_and_after_seconds_and_fails_after_minutes",
            "test_a_plan_newer_than_its_workers_is_not_begun_by_them_and_they_live_on",
        ),
    },
    "submitter killed": {
        "ready": ("test_a_run_whose_submitter_was_killed_before_it_said_a_word_goes_on_by_the_second_pass",),
        "queued": ("test_runs_in_line_keep_their_order_though_a_submitter_was_killed",),
    },
    "reconciler asleep, or two at once": {
        "ready": ("test_when_the_one_that_reconciles_falls_asleep_another_takes_over_and_both_together_do_no_harm",),
        "claimed": ("test_two_reconcilers_that_act_at_once_give_a_step_back_once",),
    },
    "wall clock an hour off": dict.fromkeys(STATES, (CLOCK,))
    | {"done": (CLOCK, "test_a_worker_an_hour_ahead_is_replaced_in_time_by_one_an_hour_behind")},
    "run cancelled": {
        "call": (
            "test_a_cancel_is_seen_at_the_first_renewal_after_it",
            "test_a_cancel_that_cannot_wait_takes_the_step_away_and_leaves_its_last_call_the_time_to_land",
        ),
    },
}
ABOUT_THE_TOOLS = {"test_matrix.py", "test_proxy.py", "test_checks.py"}


def test_each_cell_of_the_matrix_is_a_test() -> None:
    named = {test for row in MATRIX.values() for tests in row.values() for test in tests}

    assert {state for row in MATRIX.values() for state in row} <= set(STATES)
    assert sorted(named - named_in(HERE)) == []


def test_each_test_of_a_fault_has_its_cell() -> None:
    named = {test for row in MATRIX.values() for tests in row.values() for test in tests}

    assert sorted(named_in(HERE, without=ABOUT_THE_TOOLS) - named) == []


def test_each_promise_of_the_page_is_held_by_a_test_that_exists() -> None:
    promises = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!---|promise)", line)]
    named = [re.findall(r"`(test_\w+)`", line) for line in promises]

    assert promises
    assert [line for line, tests in zip(promises, named, strict=True) if not tests] == []
    assert sorted({test for tests in named for test in tests} - named_in(ROOT / "tests")) == []


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    numbers = re.findall(r"^- (\w+): ([\d.]+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert {name: float(number) for name, number in numbers} == {
        "lease": LEASE,
        "renewal": RENEW,
        "pass": EVERY,
        "hold": HOLD,
        "settling": SETTLE,
        "losses": MAX_LOSSES,
        "word": TELL,
        "patience": PATIENCE,
        "beat": BEAT,
        "grace": GRACE,
    }


def named_in(folder: Path, *, without: Collection[str] = ()) -> set[str]:
    """The names of the tests of all files below *folder*."""
    return {
        node.name
        for file in folder.rglob("test_*.py")
        if file.name not in without
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
