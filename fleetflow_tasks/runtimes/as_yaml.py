# SPDX-License-Identifier: Apache-2.0
"""A platform's objects as YAML, for people and for its own tools: the same objects are always the same text.

Fields stand as people write them (apiVersion, kind, metadata, then the rest), everything below by name. Text is written as
it is, but for the line breaks that only YAML knows: pyyaml writes them as they are, and reads a space in their place.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_FIRST = ("apiVersion", "kind", "metadata", "name")
_BREAKS = frozenset("\x85\u2028\u2029")


def yaml(objects: Iterable[Mapping[str, Any]], *, started: bool = True) -> str:
    """One document per object. started: each begins with `---`."""
    found = [ordered(each) for each in objects]
    text = _dumped(found, started=started, plain=True)
    return _dumped(found, started=started, plain=False) if _BREAKS & {*text} else text


def ordered(value: object) -> Any:
    """A copy throughout: pyyaml would write what stands twice as an anchor and an alias."""
    if isinstance(value, Mapping):
        first = [name for name in _FIRST if name in value]
        return {name: ordered(value[name]) for name in (*first, *sorted(value.keys() - set(first)))}
    return [ordered(each) for each in value] if isinstance(value, (list, tuple)) else value


def _dumped(objects: list[Any], *, started: bool, plain: bool) -> str:
    import yaml as pyyaml  # comes with a platform's extra, and only who renders needs it

    text: str = pyyaml.safe_dump_all(
        objects, sort_keys=False, default_flow_style=False, allow_unicode=plain, explicit_start=started, width=120
    )
    return text
