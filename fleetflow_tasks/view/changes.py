# SPDX-License-Identifier: Apache-2.0
"""`flow plan` on the screen: what stays, what is made, what is changed and what is lost, in this order, then the sum.

shop/stg on docker

= unchanged  cache, db
+ create     mailer  not there  services/mailer.kdl:2
± replace    api     image changed; downtime ~1 s: published port  services/api.kdl:2
    image: shop/api:1 -> shop/api:2  services/api.kdl:4
- remove     old     declared no more

plan: 1 to create, 1 to replace, 1 to remove, 2 unchanged

So what may hurt stands next to the sum, where one looks first, however long the rest is.
"""

from collections.abc import Iterator, Mapping, Sequence

from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Change, ChangeKind, FieldChange
from fleetflow_tasks.view import places
from fleetflow_tasks.view.ink import Colour, clean, counted, padded, paint, width, wrapped
from fleetflow_tasks.view.tables import told, total, verb, why

_LISTED = 10  # unchanged services that are named; more are counted
_GAP = "  "
_HANG = 4  # columns by which the rest of a field's line stands behind its beginning
_ROOM = 20  # columns that a cause wants, or it stands below

_SIGNS: Mapping[ChangeKind, tuple[str, str, Colour]] = {  # on a terminal that can, on one that cannot; what hurts last
    "none": ("=", "=", "dim"),
    "create": ("+", "+", "green"),
    "start": (">", ">", "green"),
    "run": (">", ">", "cyan"),
    "update": ("~", "~", "yellow"),
    "replace": ("±", "!", "yellow"),
    "remove": ("-", "-", "red"),
}
_RANK = {kind: rank for rank, kind in enumerate(_SIGNS)}


def text(
    plan: Plan,
    found: Mapping[StepId, Change],
    *,
    head: str = "",
    colour: bool = False,
    unicode: bool = True,
    columns: int | None = None,
) -> str:
    """head: where it all goes. columns: where causes are broken; None: never."""
    all_ = sorted(told(plan, found), key=lambda entry: _RANK[entry[1].kind])
    same = [name for name, change in all_ if change.kind == "none"]
    shown = [entry for entry in all_ if entry[1].kind != "none"]
    verbs = max((width(verb(change)) for _, change in all_), default=0)
    pen = _Pen(plan, verbs, shown, colour=colour, unicode=unicode, columns=columns)
    parts = [
        [paint(clean(head), "bold", on=colour)] if head else [],
        [*(pen.same(same) if same else ()), *(line for entry in shown for line in pen.change(*entry))],
        wrapped(f"plan: {total(change for _, change in all_)}", columns, hang=len("plan: ")),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


class _Pen:
    """verbs: columns for the verb."""

    def __init__(
        self,
        plan: Plan,
        verbs: int,
        shown: Sequence[tuple[str, Change]],
        *,
        colour: bool,
        unicode: bool,
        columns: int | None,
    ) -> None:
        self._plan = plan
        self._verbs = verbs
        self._names = max((width(name) for name, _ in shown), default=0)
        self._colour = colour
        self._unicode = unicode
        self._columns = columns

    def same(self, names: Sequence[str]) -> Iterator[str]:
        """One line: nobody reads a plan for what it leaves alone."""
        said = counted(len(names), "service") if len(names) > _LISTED else ", ".join(names)
        begin = self._begin("none", "unchanged")
        start = width(begin) + len(_GAP)
        yield from self._beside(paint(begin, "dim", on=self._colour), paint(said, "dim", on=self._colour), start)

    def change(self, name: str, change: Change) -> Iterator[str]:
        ink = _SIGNS[change.kind][2]
        begin = f"{self._begin(change.kind, verb(change))}{_GAP}{padded(name, self._names)}"
        said = why(change) + self._where(places.of_service(self._plan, name))
        yield from self._beside(paint(begin, ink, on=self._colour), said, width(begin) + len(_GAP))
        for field in change.fields:
            yield from self._field(name, field)

    def _begin(self, kind: ChangeKind, word: str) -> str:
        fine, plain, _ = _SIGNS[kind]
        return f"{fine if self._unicode else plain} {padded(word, self._verbs)}"

    def _where(self, place: str) -> str:
        return _GAP + paint(place, "dim", on=self._colour) if place else ""

    def _beside(self, head: str, cause: str, start: int) -> Iterator[str]:
        """*cause* behind *head*, which takes *start* columns; below it, where hardly any room is left."""
        if self._columns is not None and self._columns - start < _ROOM:
            yield head.rstrip()
            yield from (f"    {line}" for line in wrapped(cause, self._columns - _HANG) if cause)
            return
        first, *rest = wrapped(cause.lstrip(), None if self._columns is None else self._columns - start)
        yield f"{head}{_GAP}{first}".rstrip()
        yield from (" " * start + line for line in rest)

    def _field(self, name: str, field: FieldChange) -> Iterator[str]:
        where = self._where(places.of_field(self._plan, name, field.field))
        yield from wrapped(f"    {clean(field.field)}: {_values(field)}{where}", self._columns, hang=_HANG)


def _values(field: FieldChange) -> str:
    """A secret has one form before and after: it is told by name alone."""
    if field.old is not None and field.old == field.new:
        return f"{clean(field.old)}, changed"
    return f"{_value(field.old)} -> {_value(field.new)}"


def _value(value: str | None) -> str:
    return "-" if value is None else clean(value) or '""'
