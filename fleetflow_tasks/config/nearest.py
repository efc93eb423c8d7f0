# SPDX-License-Identifier: Apache-2.0
"""The known name that somebody probably meant."""

from collections.abc import Iterable

_LONGEST = 100  # characters that are compared
_MANY = 500  # known names that are compared with a word one by one; of more only those that are alike at first sight
_SHOWN = 12  # names in a list; more helps nobody


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most like *word*, if one is near enough to be a typo."""
    from difflib import get_close_matches  # only a mistake needs it

    names = sorted(set(known))
    wanted = word.lower()[:_LONGEST]
    if len(names) > _MANY:
        alike = [name for name in names if name[:1].lower() == wanted[:1] and abs(len(name) - len(word)) <= 1]
        names = sorted(alike, key=lambda name: abs(len(name) - len(word)))[:_MANY]
    lowered = {name.lower()[:_LONGEST]: name for name in reversed(names)}
    near = get_close_matches(wanted, list(lowered), n=1, cutoff=0.6)
    return lowered[near[0]] if near else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean …?`, else all known names; empty where there are none."""
    names = sorted(set(known))
    near = nearest(word, names)
    if near is not None:
        return f"did you mean `{near}`?"
    if len(names) == 1:
        return f"known is only `{names[0]}`"
    return f"known are {listed(names)}" if names else ""


def listed(names: Iterable[str]) -> str:
    """The names in backquotes, a long list cut."""
    every = list(names)
    return ", ".join(f"`{name}`" for name in every[:_SHOWN]) + (" …" if len(every) > _SHOWN else "")
