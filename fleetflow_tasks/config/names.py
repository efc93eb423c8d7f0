# SPDX-License-Identifier: Apache-2.0
"""Names of stages and services in a project's files, as far as the text shows them: for completion on TAB.

The scanner alone looks at the files: nothing is parsed, rendered or checked, so it takes no time and nothing can be wrong.
A name that a template makes is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fleetflow_tasks.config import kdl
from fleetflow_tasks.config.discover import Disk, File, Include
from fleetflow_tasks.config.locate import Span, Spot, Text, scan
from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import ConfigError


class Names(Data, frozen=True, kw_only=True):
    """Each in the order of the text. project: "" where there is none, or a template makes its name. stages: name -> the services that the stage holds. services: those at top level."""

    project: str = ""
    stages: Mapping[str, tuple[str, ...]] = {}
    services: tuple[str, ...] = ()

    def of(self, stage: str | None) -> tuple[str, ...]:
        """Services of the stage; of one that is not known, of them all."""
        held = self.stages.get(stage or "")
        return held or tuple(dict.fromkeys([*self.services, *(name for each in self.stages.values() for name in each)]))


def names(root: Path, file: Path | None = None) -> Names:
    """Of the project that is found from *root* upwards. No names where there is none, or where it cannot be read."""
    try:
        disk = Disk(root, file)
        texts = [each.text for stage in (None, *disk.stage_files()) for each in _files(disk, stage)]
    except ConfigError:
        return Names()
    nodes = [(text, spot) for text in dict.fromkeys(texts) for spot in scan(text.source).nodes]
    stages: dict[str, dict[str, None]] = {}
    for text, spot in nodes:
        for name in _named(text, spot, "stage"):
            stages.setdefault(name, {}).update(_inside(text, spot))
    services = {name: None for text, spot in nodes for name in _named(text, spot, "service")}
    return Names(
        project=_project(nodes, disk.root.name),
        stages={name: tuple(held) for name, held in stages.items()},
        services=tuple(services),
    )


def _project(nodes: Iterable[tuple[Text, Spot]], folder: str) -> str:
    """As the text names it, else after its folder."""
    said = [(text, spot) for text, spot in nodes if _name(text, spot.name) == "project"]
    return next((name for text, spot in said for name in _named(text, spot, "project")), "" if said else folder)


def _files(disk: Disk, stage: str | None) -> Iterator[File]:
    for file in disk.files(stage, _includes):
        yield from file.all()


def _includes(text: Text) -> list[Include]:
    return [
        Include(path, text.place_in_source(entry.value.start, entry.value.end))
        for spot in scan(text.source).nodes
        if _name(text, spot.name) == "include"
        for entry in spot.entries
        if (path := _name(text, entry.value))
    ]


def _named(text: Text, spot: Spot, kind: str) -> Iterator[str]:
    """The node's own name, where it is of that kind and says one in plain text."""
    if _name(text, spot.name) == kind:
        first = next((entry.value for entry in spot.entries if entry.key is None), None)
        yield from filter(None, [_name(text, first) if first else ""])


def _inside(text: Text, stage: Spot) -> dict[str, None]:
    return {name: None for spot in stage.children for name in _named(text, spot, "service")}


def _name(text: Text, span: Span) -> str:
    source = text.source[span.start : span.end]
    if "{{" in source or "${" in source or "\n" in source:
        return ""
    name = kdl.name_of(source) if span.quoted else source
    return "" if span.quoted and name == source else name  # a string that is never closed
