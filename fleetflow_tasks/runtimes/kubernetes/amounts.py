# SPDX-License-Identifier: Apache-2.0
"""Quantities as the API writes them, by value: "500m" of a core, "64Mi" of memory. Pure.

One amount has many spellings, and a cluster answers with its own ("0.5" comes back as "500m").
"""

import re
from decimal import Decimal

_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_SUFFIXES = {
    **{name: Decimal(10) ** (3 * power) for power, name in enumerate(_DECIMAL, -3)},
    **{name: Decimal(1024) ** power for power, name in enumerate(_BINARY, 1)},
}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?", re.ASCII
)


def amount(said: object) -> Decimal | None:
    """What a quantity is worth; None where it is none."""
    found = _QUANTITY.fullmatch(str(said))
    if not found:
        return None
    number, suffix = Decimal(found["number"]), found["suffix"] or ""
    return number * _SUFFIXES[suffix] if suffix in _SUFFIXES else number.scaleb(int(suffix[1:]))


def same(one: object, other: object) -> bool:
    worth = amount(one)
    return worth is not None and worth == amount(other)
