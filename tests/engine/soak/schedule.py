# SPDX-License-Identifier: Apache-2.0
"""What breaks, and when: drawn from the seed alone."""

import random
from collections.abc import Mapping
from typing import Literal

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.engine.model import settling

Kind = Literal[
    "worker killed",
    "worker stopped",
    "worker stopped for long",
    "worker terminated",
    "reconciler stopped",
    "redis killed",
    "redis away",
    "redis stopped",
    "connections cut",
    "connections slow",
    "connections dead",
    "replies lost",
    "hints dropped",
    "hints doubled",
    "hints reordered",
]

OFTEN: Mapping[Kind, float] = {
    "worker killed": 22,
    "worker stopped": 14,
    "worker stopped for long": 2,
    "worker terminated": 10,
    "reconciler stopped": 4,
    "redis killed": 3,
    "redis away": 2,
    "redis stopped": 3,
    "connections cut": 8,
    "connections slow": 5,
    "connections dead": 4,
    "replies lost": 9,
    "hints dropped": 6,
    "hints doubled": 4,
    "hints reordered": 4,
}
BETWEEN = (1.0, 4.0)  # seconds from one fault to the next


class Fault(Data, frozen=True, kw_only=True):
    """at: seconds from the beginning. victim: which worker. seconds: how long it lasts, where it lasts."""

    at: float
    kind: Kind
    victim: int
    seconds: float


def schedule(seed: str, *, seconds: float, workers: int, lease: float) -> list[Fault]:
    """All faults of the first *seconds* seconds."""
    rng = random.Random(f"{seed} faults")
    faults: list[Fault] = []
    at = rng.uniform(*BETWEEN)
    while at < seconds:
        kind = rng.choices(list(OFTEN), weights=list(OFTEN.values()))[0]
        shortest, longest = _lasts(kind, lease)
        faults.append(Fault(at=at, kind=kind, victim=rng.randrange(workers), seconds=rng.uniform(shortest, longest)))
        at += rng.uniform(*BETWEEN)
    return faults


def _lasts(kind: Kind, lease: float) -> tuple[float, float]:
    match kind:
        case "worker stopped":
            return 1.2 * lease, 2.5 * lease
        case "worker stopped for long":  # so long that the stage's next run has begun
            return lease + settling(lease) + 1, lease + settling(lease) + 4
        case "reconciler stopped":  # longer than the right to reconcile lasts
            return 6, 7
        case "redis away":
            return 1.2 * lease, 2.5 * lease
        case "redis stopped" | "connections dead":
            return 0.5, 2 * lease
        case "connections slow" | "hints dropped" | "hints doubled" | "hints reordered":
            return 0.5, 2
        case "worker killed" | "worker terminated" | "redis killed" | "connections cut" | "replies lost":
            return 0, 0
