# SPDX-License-Identifier: Apache-2.0
"""What `gcloud run services describe --format=json` printed -> KDL that deploys the same: `flow import cloudrun`.

Read are JSON and YAML, Knative's form (v1) and the API's own (v2), one object, a list of them, or several documents. Each
project and region becomes a stage, since a stage is at one place, and the stage holds its services complete. What could
not be carried over stands beside the service as a remark; state is no wish and is left out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from msgspec.structs import replace

from fleetflow_tasks.config.as_kdl import Node, Remark, block, kdl, node
from fleetflow_tasks.runtimes.cloudrun.found import Found, read
from fleetflow_tasks.runtimes.cloudrun.knative_head import Whereabouts
from fleetflow_tasks.runtimes.cloudrun.translated import translated

_USUAL_STAGE = "prd"
_BESIDE = "deployed from here a service is called PROJECT-STAGE-SERVICE, and stands beside the one that was read"
_CALLERS = (
    "who may call a service stands in its IAM policy, which was not read (`gcloud run services get-iam-policy NAME`); "
    "it is said by `invoker` in `cloudrun`"
)


def imported(text: str, *, source: str, stage: str = "") -> str:
    """KDL for all that *text* holds. source: what it is called in messages. stage: "": as its labels say, else `prd`.

    Raises ConfigError where there is nothing of Cloud Run in it.
    """
    found = read(text, source)
    return kdl(_document(found, source, stage))


def _document(found: Sequence[Found], source: str, stage: str) -> Iterator[Node | Remark]:
    yield Remark(text=f"written by `flow import cloudrun` from {source}")
    yield from _remarks(found)
    projects = {each.mark.project for each in found if each.mark}
    if len(projects) == 1:
        yield node("project", *projects)
    for name, group in _stages(found, stage).items():
        where = group[0].where
        yield block("stage", *_runtime(where), *_services(group), args=(name,))


def _remarks(found: Sequence[Found]) -> Iterator[Remark]:
    if not all(each.mark for each in found):
        yield Remark(text=_BESIDE)
    if len(projects := sorted({each.mark.project for each in found if each.mark})) > 1:
        yield Remark(text=f"these are of several projects ({', '.join(projects)}), and a file is one: part them")
    if any(each.kind == "service" and not each.body.get("invokerIamDisabled") for each in found):
        yield Remark(text=_CALLERS)


def _stages(found: Sequence[Found], stage: str) -> Mapping[str, list[Found]]:
    """By name; one that is at several places is parted, since a stage is at one."""
    groups: dict[tuple[str, Whereabouts], list[Found]] = {}
    for each in found:
        name = stage or (each.mark.stage if each.mark else _USUAL_STAGE)
        groups.setdefault((name, replace(each.where, name="")), []).append(each)
    shared = {name for name, count in Counter(name for name, _ in groups).items() if count > 1}
    return {
        "-".join(filter(None, (name, where.project, where.region))) if name in shared else name: group
        for (name, where), group in groups.items()
    }


def _runtime(where: Whereabouts) -> Iterator[Node | Remark]:
    settings = tuple(
        node(name, value) for name, value in (("project", where.project), ("region", where.region)) if value
    )
    if len(settings) < len(("project", "region")):
        yield Remark(
            text="what was read does not say in which project and region it is: `project` and `region` go here"
        )
    if where.project.isdigit():
        yield Remark(text=f"a project's id says more than its number: `gcloud projects describe {where.project}`")
    yield block("runtime", *settings, args=("cloudrun",))


def _services(group: Sequence[Found]) -> Iterator[Node]:
    """By our own name for each, unless two have that; sorted."""
    taken = Counter(_name(each) for each in group)
    named = [(_name(each) if taken[_name(each)] == 1 else each.where.name, each) for each in group]
    for name, each in sorted(named, key=itemgetter(0)):
        yield translated(each.body, each.kind, name, each.left)


def _name(found: Found) -> str:
    return (found.mark.service if found.mark else None) or found.where.name
