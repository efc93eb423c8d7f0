# SPDX-License-Identifier: Apache-2.0
"""A pod as we look at it: its object, read once. Pure.

Only pods of the wanted version tell anything of a deployment: the label `fleetflow.io/template` says which one a pod is
of. A pod that is being deleted, or that the platform gave up (evicted, preempted), is none that could become ready.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.kubernetes.dependencies import WAIT
from fleetflow_tasks.runtimes.kubernetes.manifests import TEMPLATE
from fleetflow_tasks.runtimes.kubernetes.objects import (
    Json,
    at,
    born,
    condition,
    holds,
    items,
    mapping,
    moment,
    number,
    text,
)

_WAITS = re.compile(r"waiting for ([^\s;]+:\d+)")  # what an init container that waits says first


class Ended(Data, frozen=True, kw_only=True):
    """How a container's run ended. exit: 137 and the like for signals, as shells count."""

    exit: int
    reason: str = ""
    message: str = ""
    at: datetime | None = None


class Container(Data, frozen=True, kw_only=True):
    """One container of a pod.

    reason, message: why it waits. started: its present run. ended: that run's end; last: that of the run before. spec: as
    the pod asks for it.
    """

    name: str
    image: str
    init: bool
    state: Literal["waiting", "running", "ended"]
    spec: Mapping[str, Any]
    reason: str = ""
    message: str = ""
    ready: bool = False
    restarts: int = 0
    started: datetime | None = None
    ended: Ended | None = None
    last: Ended | None = None

    @property
    def crash(self) -> Ended | None:
        """The newest end that is known."""
        return self.ended or self.last

    @property
    def exits(self) -> int:
        """How often it ended so far."""
        return self.restarts + (0 if self.state == "running" else 1) if self.crash else 0

    @property
    def waits_for(self) -> str:
        """`postgres:5432`, where it is one of our init containers that wait for a dependency; else ""."""
        if not self.init or not self.name.startswith(WAIT):
            return ""
        said = _WAITS.search(" ".join(map(str, items(self.spec, "command"))))
        return said[1] if said else self.name.removeprefix(WAIT)


class Pod(Data, frozen=True, kw_only=True):
    """unscheduled: the scheduler's sentence, "" where it has a node or was not looked at yet. placed: when it got its node."""

    name: str
    uid: str
    template: str
    going: bool
    phase: str
    ready: bool
    scheduled: bool
    containers: tuple[Container, ...]
    reason: str = ""
    message: str = ""
    unscheduled: str = ""
    judged: datetime | None = None
    placed: datetime | None = None
    created: datetime | None = None
    restarted: bool = True

    @property
    def lost(self) -> str:
        """Why the platform gave it up ("Evicted", "OutOfcpu"); "" where it did not."""
        return self.reason if self.phase == "Failed" and self.reason else ""

    @property
    def present(self) -> bool:
        return not self.going and not self.lost


def read(pod: Json) -> Pod:
    scheduling = condition(pod, "PodScheduled")
    placed = text(scheduling, "status") == "True"
    return Pod(
        name=text(pod, "metadata", "name"),
        uid=text(pod, "metadata", "uid"),
        template=text(pod, "metadata", "labels", TEMPLATE),
        going=at(pod, "metadata", "deletionTimestamp") is not None,
        phase=text(pod, "status", "phase"),
        ready=holds(pod, "Ready"),
        scheduled=placed or bool(text(pod, "spec", "nodeName")),
        containers=tuple(_containers(pod)),
        reason=text(pod, "status", "reason"),
        message=text(pod, "status", "message"),
        unscheduled=text(scheduling, "message") if text(scheduling, "reason") == "Unschedulable" else "",
        judged=moment(scheduling, "lastTransitionTime"),
        placed=moment(scheduling, "lastTransitionTime") if placed else None,
        created=born(pod),
        restarted=text(pod, "spec", "restartPolicy") != "Never",
    )


def of_version(pods: Iterable[Json], template: str) -> tuple[Pod, ...]:
    """Those of the wanted version that are to stay, by name; a fixed order, so that two looks tell of the same pod."""
    found = (pod for pod in map(read, pods) if pod.template == template and not pod.going)
    return tuple(sorted(found, key=lambda pod: pod.name))


def _containers(pod: Json) -> Iterable[Container]:
    """In the order in which they are written; a pod without a node has no states of them yet."""
    for init, specs, statuses in (
        (True, items(pod, "spec", "initContainers"), items(pod, "status", "initContainerStatuses")),
        (False, items(pod, "spec", "containers"), items(pod, "status", "containerStatuses")),
    ):
        known = {text(status, "name"): status for status in statuses}
        for spec in specs:
            yield _container(known.get(text(spec, "name"), {}), spec, init=init)


def _container(status: Json, spec: Json, *, init: bool) -> Container:
    state, waiting = mapping(status, "state"), mapping(status, "state", "waiting")
    return Container(
        name=text(spec, "name"),
        image=text(spec, "image"),
        init=init,
        state="running" if "running" in state else "ended" if "terminated" in state else "waiting",
        spec=spec,
        reason=text(waiting, "reason"),
        message=text(waiting, "message"),
        ready=at(status, "ready") is True,
        restarts=number(status, "restartCount"),
        started=moment(state, "running", "startedAt"),
        ended=_ended(at(state, "terminated")),
        last=_ended(at(status, "lastState", "terminated")),
    )


def _ended(found: object) -> Ended | None:
    if not isinstance(found, Mapping):
        return None
    return Ended(
        exit=number(found, "exitCode"),
        reason=text(found, "reason"),
        message=text(found, "message"),
        at=moment(found, "finishedAt"),
    )
