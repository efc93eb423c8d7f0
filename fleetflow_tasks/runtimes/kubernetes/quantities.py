# SPDX-License-Identifier: Apache-2.0
"""Cores and bytes as the API itself would write them, so that what we send and what a cluster holds are one text.

A quantity in another spelling (`1024Mi` for `1Gi`, `0.5` for `500m`) is taken, but comes back in the canonical one, and
would look like a change ever after.
"""

_BINARY = (("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10))
_DECIMAL = (("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3))


def cores(number: float) -> str:
    """`500m`, `2`, `1500m`; what is finer than a thousandth of a core is rounded, and never to nothing."""
    thousandths = max(1, round(number * 1000))
    return f"{thousandths}m" if thousandths % 1000 else _decimal(thousandths // 1000)


def size(number: int) -> str:
    """`256Mi` or `500M`: in the family that needs fewer digits, which is nearly always the one it was written in."""
    return min(_binary(number), _decimal(number), key=_digits)


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def _binary(number: int) -> str:
    for suffix, bits in _BINARY:
        if number and number % (1 << bits) == 0:
            return f"{number >> bits}{suffix}"
    return str(number)


def _decimal(number: int) -> str:
    for suffix, digits in _DECIMAL:
        if number and number % 10**digits == 0:
            return f"{number // 10**digits}{suffix}"
    return str(number)
