# SPDX-License-Identifier: Apache-2.0
"""The closed table of kinds, and who of them is sent first."""

from fleetflow_tasks.runtimes.kubernetes.kinds import APPLIED, DEPLOYMENT, MADE, POD, SERVICE, STATEFUL_SET, urgency


def test_what_is_made_is_applied_each_kind_once() -> None:
    assert sorted(kind.name for kind in APPLIED) == sorted(kind.name for kind in MADE)


def test_who_is_further_with_its_service_is_sent_first_and_what_is_only_read_last() -> None:
    assert urgency(STATEFUL_SET) > urgency(SERVICE) > urgency(DEPLOYMENT) > urgency(APPLIED[0]) > urgency(POD) == 0
