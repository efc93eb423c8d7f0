# SPDX-License-Identifier: Apache-2.0
"""Folders of the host that a service mounts, where the Engine's host is this machine."""

from pathlib import Path

from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.docker.client import Client


def made_binds(client: Client, plan: Plan, service: ResolvedService) -> tuple[str, ...]:
    """Make the folders below the project's root that a service mounts and that are not there; says which.

    A folder is made as the user who runs FleetFlow, not as root, as the Engine would. What looks like a file is not
    made: a folder in its place would only move the error to where nobody looks. What is missing outside of the
    project is the Engine's to refuse.
    """
    if not client.local:
        return ()
    root = Path(plan.root)
    made = []
    for volume in service.volumes:
        source = Path(volume.source)
        if (
            volume.kind == "bind"
            and root in source.parents
            and not source.exists()
            and not _file(source, volume.target)
        ):
            source.mkdir(parents=True, exist_ok=True)
            made.append(str(source.relative_to(root)))
    return tuple(made)


def _file(source: Path, target: str) -> bool:
    return bool(source.suffix and source.suffix == Path(target).suffix)
