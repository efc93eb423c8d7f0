# SPDX-License-Identifier: Apache-2.0
"""How a pod stops: what it waits for before the signal, and how long it may take in all.

When a pod is to go, two things begin at once: it gets its signal, and every node hears that no more requests are to be
sent there. Until the last of them has heard it, requests still come, and who has ended by then loses them. So whoever
listens waits for a moment first, and no update loses a request. The platform itself does the waiting (`preStop.sleep`):
an image may have no `sleep`. It does so from Kubernetes 1.30 on, and an older one refuses the field; for a stage that an
older one must take (`version`), nothing waits.
"""

from math import ceil
from typing import Any

from fleetflow_tasks.runtimes.kubernetes.manifests import Source

SLEEPS = (1, 30)  # the Kubernetes that waits by itself
_DELAY = 3.0  # seconds; nodes hear of it within one, on a busy cluster in two
_GRACE = 30.0  # seconds between the signal and SIGKILL; the platform's own default


def before_stop(made_from: Source) -> dict[str, Any] | None:
    """What happens before the signal; None for nothing."""
    if made_from.options.pre_stop:
        return {"exec": {"command": list(made_from.options.pre_stop)}}
    delay = _delay(made_from)
    return {"sleep": {"seconds": delay}} if delay else None


def grace(made_from: Source) -> int | None:
    """Seconds for all of it, None for the platform's own. `stop_grace` is counted from the signal, as people mean it; the
    platform counts from before what happens before."""
    asked, delay = made_from.options.stop_grace, _delay(made_from)
    if asked is None and not delay:
        return None
    return ceil(_GRACE if asked is None else asked) + delay


def _delay(made_from: Source) -> int:
    options, service = made_from.options, made_from.service
    if options.pre_stop or made_from.settings.version < SLEEPS:
        return 0
    listens = not service.job and any(port.protocol == "tcp" for port in service.ports)
    usual = _DELAY if listens else 0.0
    return ceil(usual if options.stop_delay is None else options.stop_delay)
