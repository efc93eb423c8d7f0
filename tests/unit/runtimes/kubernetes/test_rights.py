# SPDX-License-Identifier: Apache-2.0
"""The table of rights holds all that we do, and says each of it once."""

from fleetflow_tasks.runtimes.kubernetes.kinds import MADE
from fleetflow_tasks.runtimes.kubernetes.rights import NEEDS


def test_each_resource_stands_once_with_its_verbs_in_order() -> None:
    resources = [(need.kind.group, need.resource) for need in NEEDS]

    assert len(resources) == len(set(resources))
    assert all(need.verbs == tuple(sorted(need.verbs)) for need in NEEDS)
    assert {("", "pods/log"), ("", "pods/exec"), ("apps", "deployments")} <= set(resources)


def test_what_we_make_we_may_also_remove() -> None:
    verbs = {need.kind: set(need.verbs) for need in NEEDS if not need.part}

    assert [kind.name for kind in MADE if not {"create", "delete", "get"} <= verbs[kind]] == []
    assert [kind.name for kind in MADE if "patch" not in verbs[kind]] == ["Namespace"]
