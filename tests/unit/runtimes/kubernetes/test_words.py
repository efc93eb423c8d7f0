# SPDX-License-Identifier: Apache-2.0
"""What we say where we do not even try. The words of what is not ours are in test_apply.py, beside who says them."""

from fleetflow_tasks.runtimes.kubernetes.words import stale, unheard


def test_a_newer_runs_object_is_told_with_both_generations() -> None:
    assert stale("Deployment api", 7, 5).message == (
        "`Deployment api` was made by a newer run (generation 7); this one (5) must not touch it"
    )


def test_what_became_of_a_service_while_nobody_answered_is_not_guessed() -> None:
    found = unheard("api", "the API server did not answer")

    assert (found.code, found.message) == (
        "api-lost",
        "it is not known what became of `api`: the API server did not answer",
    )
