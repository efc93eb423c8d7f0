# SPDX-License-Identifier: Apache-2.0
"""Manifests as YAML for people and for `kubectl apply -f`: the same objects are always the same text.

Fields stand as people write them (apiVersion, kind, metadata, then the rest), everything below by name.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_FIRST = ("apiVersion", "kind", "metadata", "name")


def yaml(manifests: Iterable[Mapping[str, Any]]) -> str:
    """One document per object."""
    import yaml as pyyaml  # comes with the platform's extra, and only who renders needs it

    text: str = pyyaml.safe_dump_all(
        (_ordered(each) for each in manifests),
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        explicit_start=True,
        width=120,
    )
    return text


def _ordered(value: object) -> object:
    """A copy throughout: pyyaml would write what stands twice as an anchor and an alias."""
    if isinstance(value, Mapping):
        first = [name for name in _FIRST if name in value]
        return {name: _ordered(value[name]) for name in (*first, *sorted(value.keys() - set(first)))}
    return [_ordered(each) for each in value] if isinstance(value, (list, tuple)) else value
