# SPDX-License-Identifier: Apache-2.0
"""Which failures may pass by themselves, and when the step is tried again.

Full jitter: the wait is drawn from the whole span between nothing and the backoff. Fifty services that failed together
on a registry's 503 must not come back together. What a platform asked for (`Retry-After`) is a floor, not a wish.
"""

import random

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.runtimes.base import DeployError

FIRST = 1.0  # seconds, the backoff after the first attempt; doubled after each
CAP = 60.0  # seconds; a person is watching
PATIENCE = 600.0  # seconds; a platform that asks for more is treated as if it asked for this much
SPREAD = 0.1  # of what the platform asked for, added at most, so that all do not come at the same moment


def retry_in(error: Exception, *, attempt: int, rng: random.Random | None = None) -> float | None:
    """Seconds until the next attempt is worth making, None where another one would end the same way.

    attempt: the one that failed, from 1.
    """
    if not may_pass(error):
        return None
    rng = rng or random.Random()  # noqa: S311  (jitter needs no secrecy)
    asked = error.retry_after if isinstance(error, DeployError) else None
    if asked is not None:
        return min(asked, PATIENCE) * (1 + rng.uniform(0, SPREAD))
    return rng.uniform(0, backoff(attempt))


def backoff(attempt: int) -> float:
    """The longest wait after *attempt*, in seconds: 1, 2, 4 … 60."""
    return min(CAP, FIRST * 2.0 ** min(attempt - 1, 10))


def may_pass(error: Exception) -> bool:
    """A platform that did not answer may answer later; an image that does not exist will not come into being."""
    if isinstance(error, DeployError):
        return error.transient
    return isinstance(error, UnavailableError)
