# SPDX-License-Identifier: Apache-2.0
"""Is a container ready? Pure: what inspecting it told, and for how long it has been so, in; a verdict out.

"Started" is not ready. Where something is checked, the check decides. Where nothing is, the same start must have lasted
a second: a process that crashes at once is thus not taken for one that serves, and a container that its restart policy
starts again and again is seen by its changing start.
"""

from fleetflow_tasks.runtimes.docker.explain import ending
from fleetflow_tasks.runtimes.docker.observe import State
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

STEADY = 1.0  # seconds of the same start
CRASHES = 3  # restarts that are looked at in peace: an application may crash once while its database comes up


def verdict(state: State | None, *, job: bool, restarts: int, up: float) -> Verdict:
    """restarts: how many there were when we began to look. up: seconds since this start was first seen."""
    if state is None:
        return Broken(text="somebody removed its container")
    if job:
        return _of_job(state)
    if state.restarts - restarts >= CRASHES:
        return Broken(text=f"it crashes again and again ({state.restarts - restarts} restarts): {ending(state)}")
    if state.restarting or state.status == "restarting":
        return Waiting(text=f"crashed ({ending(state)}), being restarted")
    if state.status == "created":
        return Broken(text=f"it was not started: {state.error}" if state.error else "it was not started")
    if state.status != "running":
        return Broken(text=ending(state))
    match state.health:
        case "healthy":
            return Ready(text="healthy")
        case "unhealthy":
            times = "once" if state.failing == 1 else f"{state.failing} times"
            return Broken(text=f"its health check failed {times}")
        case "starting":
            failed = f" ({state.failing} failed so far)" if state.failing else ""
            return Waiting(text=f"waiting for its health check{failed}")
        case "":  # pragma: no branch  (the last there is)
            left = STEADY - up
            return Waiting(text="running, watched for a second", soon=left) if left > 0 else Ready(text="running")


def _of_job(state: State) -> Verdict:
    if state.status in {"exited", "dead"}:
        return (
            Ready(text="ended with exit code 0") if state.exit == 0 and not state.error else Broken(text=ending(state))
        )
    return Waiting(text="job is running")
