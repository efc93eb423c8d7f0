# SPDX-License-Identifier: Apache-2.0
"""`flow diff` on the screen: a block per service that would change, its fields below it, old above new.

replace api: image changed; downtime ~1 s: published port  services/api.kdl:2
  image  services/api.kdl:4
    - ghcr.io/shop/api:1.4.0
    + ghcr.io/shop/api:1.5.0

What is to be made anew has no old value: it stands there as it would be sent, each line with a plus.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Change, FieldChange
from fleetflow_tasks.view import places, tables
from fleetflow_tasks.view.ink import Colour, clean, paint
from fleetflow_tasks.view.jsonl import document

Texts = Mapping[RuntimeName, Mapping[str, str]]


def text(plan: Plan, found: Mapping[StepId, Change], texts: Texts, *, colour: bool = False) -> str:
    """texts: what would be sent, as a runtime renders it: a file per service."""
    blocks = [
        "\n".join(_block(plan, name, change, _sent(name, texts) if change.kind == "create" else "", colour=colour))
        for name, change in tables.told(plan, found)
        if change.kind != "none"
    ]
    total = tables.total(change for _, change in tables.told(plan, found))
    return "\n\n".join([*blocks, f"diff: {total}" if blocks else f"{plan.project}/{plan.stage}: nothing differs"])


def as_json(plan: Plan, found: Mapping[StepId, Change], warnings: Sequence[Problem] = ()) -> str:
    """One object: `{"v":1,"type":"diff","differs":true,"changes":[{"service":…,"kind":…,"fields":[…]}]}`."""
    changes = [change for change in tables.changed(plan, found) if change["kind"] != "none"]
    place = {"project": plan.project, "stage": plan.stage}
    return document("diff", {**place, "differs": bool(changes), "changes": changes, "warnings": warnings})


def _block(plan: Plan, name: str, change: Change, sent: str, *, colour: bool) -> Iterator[str]:
    why = tables.why(change)
    head = paint(f"{tables.verb(change)} {name}{f': {why}' if why else ''}", "bold", on=colour)
    yield head + _where(places.of_service(plan, name), colour=colour)
    for field in change.fields:
        yield f"  {clean(field.field)}{_where(places.of_field(plan, name, field.field), colour=colour)}"
        yield from _values(field, colour=colour)
    if not change.fields:
        yield from (paint(f"  + {clean(line)}", "green", on=colour) for line in sent.splitlines())


def _where(place: str, *, colour: bool) -> str:
    return f"  {paint(place, 'dim', on=colour)}" if place else ""


def _values(field: FieldChange, *, colour: bool) -> Iterator[str]:
    if field.old is not None and field.old == field.new:  # a secret, which is told by name alone
        yield paint(f"    ~ {clean(field.old)}, changed", "yellow", on=colour)
        return
    sides: tuple[tuple[str, str | None, Colour], ...] = (("-", field.old, "red"), ("+", field.new, "green"))
    for sign, value, ink in sides:
        line = partial(paint, colour=ink, on=colour)
        yield from (line(f"    {sign} {clean(each)}") for each in _lines(value))


def _lines(value: str | None) -> list[str]:
    if value is None:
        return []
    return value.splitlines() or ['""']


def _sent(name: str, texts: Texts) -> str:
    """The file of service *name*; "" where no runtime has one of that name."""
    return next(
        (text for files in texts.values() for file, text in files.items() if file.rpartition(".")[0] == name), ""
    )
