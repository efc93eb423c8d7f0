# SPDX-License-Identifier: Apache-2.0
"""Which data goes with a stage's volumes, as far as anybody can say, before it goes."""

from collections import Counter
from collections.abc import Sequence

from fleetflow_tasks.runtimes.base import HeldVolume
from fleetflow_tasks.view.ink import ago, aligned, clean, counted

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


def lines(found: Sequence[HeldVolume], now: float) -> list[str]:
    """`  volume shop-stg_data  1.2 GB  made 3d ago`; now: Unix seconds."""
    rows = [(f"  {each.kind} {clean(each.name)}", _size(each.size), _age(each.created, now)) for each in found]
    return [line.rstrip() for line in aligned(rows)]


def question(found: Sequence[HeldVolume]) -> str:
    kinds = Counter(each.kind for each in found)
    what = " and ".join(counted(number, kind) for kind, number in sorted(kinds.items()))
    return f"Remove {what} and the data in {'it' if len(found) == 1 else 'them'}?"


def _size(size: int | None) -> str:
    if size is None:
        return "size unknown"
    amount, unit = float(size), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{size} B"


def _age(created: float | None, now: float) -> str:
    return f"made {ago(now - created)}" if created is not None else ""
