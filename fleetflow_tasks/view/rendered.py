# SPDX-License-Identifier: Apache-2.0
"""What `flow render` prints: the files one after the other, as a stream that the platform's own tool takes.

YAML documents are parted by `---`, so that `flow render | kubectl apply -f -` works. JSON objects need nothing between
them: `flow render | jq`. Only where a stage is spread over several runtimes does a line say whose files begin.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.view.ink import clean, counted, listed
from fleetflow_tasks.view.jsonl import document

_NEXT = "---\n"  # of YAML


def text(texts: Mapping[RuntimeName, Mapping[str, str]]) -> str:
    """Without a line break at its end. What is there in two forms is printed in the one for people, as YAML."""
    parts: list[str] = []
    for runtime, files in texts.items():
        parts += [f"# {runtime}\n"] if len(texts) > 1 else []
        parts += [_parted(name, file) for name, file in files.items() if not _is_second(name, files)]
    return "".join(parts).rstrip("\n")


def as_json(plan: Plan, texts: Mapping[RuntimeName, Mapping[str, str]], warnings: Sequence[Problem] = ()) -> str:
    """One object: `{"v":1,"type":"render",…,"files":[{"runtime":"kubernetes","name":"api.yaml","text":"…"}]}`."""
    files = [
        {"runtime": runtime, "name": name, "text": file}
        for runtime, files in texts.items()
        for name, file in files.items()
    ]
    return document("render", {"project": plan.project, "stage": plan.stage, "files": files, "warnings": warnings})


class Written(Protocol):
    """What became of a folder's files, by their names in it."""

    @property
    def changed(self) -> tuple[str, ...]: ...
    @property
    def same(self) -> tuple[str, ...]: ...
    @property
    def removed(self) -> tuple[str, ...]: ...


def wrote(folder: str, done: Written) -> str:
    """`stg: 2 files written (api.yaml, db.yaml), 4 unchanged, 1 removed (old.yaml)`."""
    told = [
        f"{counted(len(done.changed), 'file')} written{_named(done.changed)}",
        f"{len(done.same)} unchanged" if done.same else "",
        f"{len(done.removed)} removed{_named(done.removed)}" if done.removed else "",
    ]
    return clean(f"{folder}: {', '.join(filter(None, told))}")


def wrote_json(folder: str, done: Written, warnings: Sequence[Problem] = ()) -> str:
    """One object: `{"v":1,"type":"rendered","folder":…,"changed":["api.yaml"],"same":[…],"removed":[…]}`."""
    files = {"changed": done.changed, "same": done.same, "removed": done.removed}
    return document("rendered", {"folder": folder, **files, "warnings": warnings})


def _named(names: tuple[str, ...]) -> str:
    return f" ({listed(names)})" if names else ""


def _is_second(name: str, files: Mapping[str, str]) -> bool:
    return name.endswith(".json") and name.removesuffix(".json") + ".yaml" in files


def _parted(name: str, file: str) -> str:
    return _NEXT + file if name.endswith(".yaml") and not file.startswith(_NEXT) else file
