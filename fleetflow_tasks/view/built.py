# SPDX-License-Identifier: Apache-2.0
"""Images that `flow build` makes: what is being done, line by line, and what came of it."""

from collections.abc import Sequence
from typing import Protocol

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.image import short
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.view.ink import aligned, clean
from fleetflow_tasks.view.jsonl import document

_COUNTING = ("pulling ", "pushing ", "fetching ")  # what comes again and again with other numbers


class Image(Protocol):
    """As `api` tells of it."""

    @property
    def service(self) -> ServiceName: ...
    @property
    def image(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def anew(self) -> bool: ...
    @property
    def digest(self) -> str: ...


class Lines:
    """What is being done for each service, without repeating itself."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def __call__(self, service: str, text: str) -> str:
        """The line to print; "" where it says what the one before said already."""
        word = next((word for word in _COUNTING if text.startswith(word)), text)
        if self._last.get(service) == word:
            return ""
        self._last[service] = word
        return f"{service}  {clean(text)}"


def table(images: Sequence[Image]) -> str:
    """A line per service: its image, what became of it, and the digest that its registry knows it by."""
    return "\n".join(aligned((each.service, clean(each.image), _become(each)) for each in images))


def as_json(plan: Plan, images: Sequence[Image], warnings: Sequence[Problem]) -> str:
    """One object: `{"v":1,"type":"build","project":…,"stage":…,"images":[…],"warnings":[…]}`."""
    return document("build", {"project": plan.project, "stage": plan.stage, "images": images, "warnings": warnings})


def _become(image: Image) -> str:
    built = "built" if image.anew else "there already"
    return f"{built}, pushed as {short(image.digest)}" if image.digest else built
