# SPDX-License-Identifier: Apache-2.0
"""Whose an object is: the labels that every runtime writes, and the names it gives. One rule for all.

Ownership is read from labels and never from a name: names can be taken by anybody, and an object may be renamed in
the middle of a replacement. A platform chooses the spelling (`fleetflow.project` on Docker, `fleetflow.io/project` on
Kubernetes); the facts are the same.
"""

from collections.abc import Mapping

from fleetflow_tasks.config.model import Data, ProjectName, ServiceName, StageName

DOTTED = "fleetflow."  # Docker
SLASHED = "fleetflow.io/"  # Kubernetes
DASHED = "fleetflow-"  # Cloud Run knows neither dots nor slashes


class Mark(Data, frozen=True, kw_only=True):
    """What an object's labels say of it.

    service: None for what belongs to the whole stage (a network, a namespace). run, generation: of the run that made
    it; 0 where an earlier tool did. hash: of the content it was made from, "" where there is none.
    """

    project: ProjectName
    stage: StageName
    service: ServiceName | None = None
    run: str = ""
    generation: int = 0
    hash: str = ""


def written(mark: Mark, prefix: str = DOTTED) -> dict[str, str]:
    """The labels that say *mark*; what is empty is not written."""
    facts = {
        "project": mark.project,
        "stage": mark.stage,
        "service": mark.service or "",
        "run": mark.run,
        "generation": str(mark.generation) if mark.generation else "",
        "hash": mark.hash,
    }
    return {prefix + name: value for name, value in facts.items() if value}


def selector(project: ProjectName, stage: StageName, service: ServiceName | None = None) -> dict[str, str]:
    """The labels by which the objects of a stage, or of one service, are found."""
    return written(Mark(project=project, stage=stage, service=service))


def read(labels: Mapping[str, str] | None, prefix: str = DOTTED) -> Mark | None:
    """The mark that *labels* hold; None where they are not ours. Labels that we do not know are let be."""
    facts = labels or {}
    project, stage = facts.get(prefix + "project"), facts.get(prefix + "stage")
    if not project or not stage:
        return None
    generation = facts.get(prefix + "generation", "")
    return Mark(
        project=ProjectName(project),
        stage=StageName(stage),
        service=ServiceName(facts[prefix + "service"]) if facts.get(prefix + "service") else None,
        run=facts.get(prefix + "run", ""),
        generation=int(generation) if generation.isascii() and generation.isdigit() else 0,
        hash=facts.get(prefix + "hash", ""),
    )


def stage_name(project: ProjectName, stage: StageName) -> str:
    """Of what a stage has once: its network, its group in Docker Desktop."""
    return f"{project}-{stage}"


def service_name(project: ProjectName, stage: StageName, service: ServiceName) -> str:
    return f"{stage_name(project, stage)}-{service}"


def volume_name(project: ProjectName, stage: StageName, volume: str) -> str:
    return f"{stage_name(project, stage)}_{volume}"
