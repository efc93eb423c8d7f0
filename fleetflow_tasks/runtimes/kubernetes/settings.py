# SPDX-License-Identifier: Apache-2.0
"""What a stage says of its cluster, and what one deployment was asked for: `plan.options["kubernetes"]`, typed.

The text's half (`runtime "kubernetes" { … }`) says where; the command's half (`--replace`, `--force-conflicts`,
`--volumes`) says what may be lost or taken over this once. Both travel as texts in the plan, so that whichever worker
carries a step out does the same.
"""

import re

from fleetflow_tasks.config.model import Data, ServiceName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.labels import stage_name

# Small, on every architecture, and its `nc` knows `-z` and `-w`. Pinned, so that a pod template never changes by itself.
WAIT_IMAGE = "busybox:1.37.0"

OLDEST = (1, 28)  # that we speak to: our manifests need a Job's `podFailurePolicy`, and strict validation of fields
USUAL = (1, 30)  # that manifests are made for, where nothing is said

_VERSION = re.compile(r"1\.(\d{1,3})")
_YES = frozenset({"yes", "true", "1", "on"})


class Settings(Data, frozen=True, kw_only=True):
    """namespace: the stage's own. context: of the kubeconfig; "" for the current one.
    version: the oldest Kubernetes that must take the stage.

    wait_image: what init containers wait with. replace: services whose immutable fields may be changed by making them
    anew. force_conflicts: take over fields that another manager owns. volumes_go: claims are removed with their service.
    """

    namespace: str
    context: str = ""
    version: tuple[int, int] = USUAL
    wait_image: str = WAIT_IMAGE
    replace: frozenset[ServiceName] = frozenset()
    force_conflicts: bool = False
    volumes_go: bool = False


def settings(plan: Plan) -> Settings:
    said = plan.options.get("kubernetes", {})
    return Settings(
        namespace=said.get("namespace") or stage_name(plan.project, plan.stage),
        context=said.get("context", ""),
        version=version(said.get("version", "")) or USUAL,
        wait_image=said.get("wait_image") or WAIT_IMAGE,
        replace=frozenset(ServiceName(name) for name in said.get("replace", "").split()),
        force_conflicts=said.get("force_conflicts", "").lower() in _YES,
        volumes_go=said.get("volumes", "") == "remove",
    )


def version(said: str) -> tuple[int, int] | None:
    """`1.30` as numbers; None where it is none, or older than what we speak to."""
    found = _VERSION.fullmatch(said)
    numbers = (1, int(found[1])) if found else None
    return numbers if numbers and numbers >= OLDEST else None
