# SPDX-License-Identifier: Apache-2.0
"""Whether what is as it should be also serves.

A version that failed stays where it is, and so does one whose run was broken off: nothing about it would change, and yet
it is not well. The picture of the stage says so without another request; only then its pods and Events are asked for,
once for all services.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.kubernetes import waiting
from fleetflow_tasks.runtimes.kubernetes.client import KubernetesError
from fleetflow_tasks.runtimes.kubernetes.desired import Desired
from fleetflow_tasks.runtimes.kubernetes.events import TELLING
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, EVENT, POD, Kind
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.observe import Objects, key, labels, mark
from fleetflow_tasks.runtimes.kubernetes.place import Place
from fleetflow_tasks.runtimes.ready import Ready

_FORBIDDEN = 403


def is_settled(wanted: Desired, live: Objects, now: datetime) -> bool:
    """Whether the picture alone says that it is ready."""
    return not _said(wanted, live, now)


def unsettled(here: Place, doubtful: Mapping[ServiceName, tuple[Desired, Objects]]) -> dict[ServiceName, str]:
    """Why those are not ready that are not. doubtful: of which the picture alone did not say that they are."""
    if not doubtful:
        return {}
    pods = _listed(here, POD, labels(here.plan.project, here.plan.stage))
    events, now = _listed(here, EVENT, fields=TELLING), here.client.now()
    found = {
        service: _said(wanted, live, now, [pod for pod in pods if mark(pod).service == service], events)
        for service, (wanted, live) in doubtful.items()
    }
    return {service: said for service, said in found.items() if said}


def _said(wanted: Desired, live: Objects, now: datetime, pods: Sequence[Json] = (), events: Sequence[Json] = ()) -> str:
    """What is waited for, or what failed; "" where it is ready."""
    look = waiting.Look(
        workload=live.get(key(wanted.workload)),
        pods=tuple(pods),
        claims=tuple(each for (kind, _), each in live.items() if kind == CLAIM.name and pods),
        around=tuple(live[key(each)] for each in wanted.around if key(each) in live),
        events=tuple(events),
        now=now,
    )
    found = waiting.verdict(wanted, look)
    return "" if isinstance(found, Ready) else found.text


def _listed(here: Place, kind: Kind, selector: Mapping[str, str] | str = "", fields: str = "") -> Sequence[Json]:
    """Nothing where we may not look: what the workload itself says is less, but no reason to stop."""
    try:
        return here.client.list(kind, here.namespace, selector, fields=fields).items
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        return ()
