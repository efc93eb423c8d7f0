# SPDX-License-Identifier: Apache-2.0
"""Who owns which field of an object: the API's own book-keeping of server-side apply, read. Pure.

`metadata.managedFields` holds, for each manager, the set of fields it applied: `f:name` is a field, `k:{…}` the item
of a list with these keys, `v:…` the element of a set, `i:n` the n-th of a list, and `.` says that the item itself is
owned. A field with nothing below is owned whole.

With it an earlier version can be applied again exactly, without anybody having kept it: what we own of a live object
*is* the manifest that we sent, with the API's spelling of values. Applied again by us it changes nothing. What others
own (an autoscaler's `replicas`) is not in it, nor what the API filled in.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleetflow_tasks.runtimes.kubernetes import merging
from fleetflow_tasks.runtimes.kubernetes.objects import Json, at, items, mapping, text

Tree = Mapping[str, Any]
_ITSELF = "."


def owned(live: Json, manager: str) -> dict[str, Any]:
    """The manifest that *manager* applied, complete with kind and name; `{}` where it applied nothing."""
    mine, others = _trees(live, manager)
    if not mine:
        return {}
    part = _part(live, mine, others)
    names = {name: said for name in ("name", "namespace") if (said := text(live, "metadata", name))}
    metadata = {**names, **part.get("metadata", {})}
    return {"apiVersion": text(live, "apiVersion"), "kind": text(live, "kind"), **part, "metadata": metadata}


def owners(live: Json, path: str) -> tuple[str, ...]:
    """Who owns what stands at *path*, or below it, or it as a part of a whole.

    path: as the API writes it in a conflict: `.spec.template.spec.containers[name="api"].image`.
    """
    found = {
        text(entry, "manager")
        for entry in items(live, "metadata", "managedFields")
        if any(_covers(owned_path, path) for owned_path in _paths(mapping(entry, "fieldsV1"), ""))
    }
    return tuple(sorted(found))


def gone(desired: Json, live: Json, manager: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What applying *desired* takes away: fields that *manager* alone owns and that are not in *desired*.

    Yields where it is, as field names and `[key]` of items, and what stands there.
    """
    mine, others = _trees(live, manager)
    return _left_out(desired, live, mine, others, ())


def _trees(live: Json, manager: str) -> tuple[Tree, list[Tree]]:
    """What *manager* applied, and what each other one owns. Its own updates (a `kubectl scale` in our name) are others'."""
    mine: Tree = {}
    others: list[Tree] = []
    for entry in items(live, "metadata", "managedFields"):
        tree = mapping(entry, "fieldsV1")
        ours = (
            text(entry, "manager") == manager and text(entry, "operation") == "Apply" and not text(entry, "subresource")
        )
        if ours:
            mine = tree
        else:
            others.append(tree)
    return mine, others


def _part(value: Any, tree: Tree, others: Sequence[Tree]) -> Any:
    """What of *value* is in *tree*."""
    if not _below(tree):
        return _without(value, others)
    if isinstance(value, Mapping):
        return {
            name: _part(value[name], tree[f"f:{name}"], _descended(others, f"f:{name}"))
            for name in value
            if f"f:{name}" in tree
        }
    found = ((item, name) for index, item in enumerate(value) if (name := _name(item, index, tree)))
    return [_part(item, tree[name], _descended(others, name)) for item, name in found]


def _without(value: Any, others: Sequence[Tree]) -> Any:
    """A whole value, but for what others own below it: they were let in, so it is not one whole to the API either."""
    theirs = {name.removeprefix("f:") for tree in others for name in _below(tree)}
    return {k: v for k, v in value.items() if k not in theirs} if isinstance(value, Mapping) and theirs else value


def _below(tree: Tree) -> list[str]:
    return [name for name in tree if name != _ITSELF]


def _descended(trees: Sequence[Tree], name: str) -> list[Tree]:
    return [tree[name] for tree in trees if name in tree]


def _name(item: Any, index: int, tree: Tree) -> str:
    """What *tree* calls the item of a list; "" where it does not hold it."""
    return next((name for name in _below(tree) if _is(item, index, name)), "")


def _is(item: Any, index: int, name: str) -> bool:
    kind, said = name[:2], json.loads(name[2:])
    if kind == "k:":
        return isinstance(item, Mapping) and all(item.get(f, merging.DEFAULTS.get(f)) == v for f, v in said.items())
    return bool(index == said) if kind == "i:" else bool(item == said)


def _left_out(
    desired: Any, live: Any, tree: Tree, others: Sequence[Tree], where: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in _below(tree):
        shared = _descended(others, name)
        step, had = _found(live, name)
        _, wanted = _found(desired, name)
        if had is None:
            continue
        if wanted is not None or (shared and _below(tree[name])):
            yield from _left_out(wanted, had, tree[name], shared, (*where, step))
        elif not shared:
            yield (*where, step), _part(had, tree[name], ())


def _found(value: Any, name: str) -> tuple[str, Any]:
    """The step, in words, and what stands there; None where nothing does."""
    said = name[2:]
    if name.startswith("f:"):
        return said, at(value, said)
    entries = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    words = ",".join(str(v) for v in json.loads(said).values()) if name.startswith("k:") else said
    return f"[{words}]", next((item for index, item in enumerate(entries) if _is(item, index, name)), None)


def _paths(tree: Tree, path: str) -> Iterator[str]:
    for name in _below(tree):
        here = path + _spelled(name)
        yield from _paths(tree[name], here)
        if not _below(tree[name]) or _ITSELF in tree[name]:
            yield here


def _spelled(name: str) -> str:
    """As the API spells a step of a path: `.image`, `[name="api"]`, `[="x"]`, `[0]`."""
    kind, said = name[:2], name[2:]
    if kind == "f:":
        return f".{said}"
    if kind == "k:":
        return "[" + ",".join(f"{field}={json.dumps(value)}" for field, value in sorted(json.loads(said).items())) + "]"
    return f"[{said}]" if kind == "i:" else f"[={said}]"


def _covers(one: str, path: str) -> bool:
    return one == path or _within(one, path) or _within(path, one)


def _within(one: str, other: str) -> bool:
    return one.startswith(other) and one[len(other)] in ".["
