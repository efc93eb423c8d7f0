# SPDX-License-Identifier: Apache-2.0
"""A graph of things that need each other, over any hashable; it knows nothing of services.

Everywhere, *needs* maps each node to the nodes that must come before it; every need is itself a key. Answers depend on
the order of the mapping and of the needs alone, never on hashes, so the same input gives the same answer in every
process. Nothing here recurses, and all of it takes time linear in nodes and edges.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


class CycleError(ValueError):
    """There is no order. path: nodes of which each needs the next; the last is the first."""

    def __init__(self, path: tuple[Hashable, ...]) -> None:
        super().__init__(" -> ".join(str(node) for node in path))
        self.path = path


def ordered(needs: Mapping[N, Iterable[N]]) -> tuple[N, ...]:
    """Each node behind all that it needs; what is free at the same time comes in the mapping's order.

    Raises CycleError.
    """
    followers = turned(needs)
    missing = {node: len(frozenset(before)) for node, before in needs.items()}
    free = deque(node for node, count in missing.items() if count == 0)
    order: list[N] = []
    while free:
        node = free.popleft()
        order.append(node)
        for follower in followers[node]:
            missing[follower] -= 1
            if missing[follower] == 0:
                free.append(follower)
    if len(order) < len(missing):
        raise CycleError(cycles(needs)[0])
    return tuple(order)


def turned(needs: Mapping[N, Iterable[N]]) -> dict[N, tuple[N, ...]]:
    """The same graph the other way round: each node with those that need it."""
    followers: dict[N, list[N]] = {node: [] for node in needs}
    for node, before in needs.items():
        for need in dict.fromkeys(before):
            followers[need].append(node)
    return {node: tuple(after) for node, after in followers.items()}


def closure(needs: Mapping[N, Iterable[N]], starts: Iterable[N]) -> frozenset[N]:
    """*starts* and all that they need, however far away."""
    found = set(starts)
    open_ = list(found)
    while open_:
        for need in needs[open_.pop()]:
            if need not in found:
                found.add(need)
                open_.append(need)
    return frozenset(found)


def heights(needs: Mapping[N, Iterable[N]]) -> dict[N, int]:
    """How many nodes still come behind each, on the longest way to the end. Raises CycleError."""
    followers = turned(needs)
    height: dict[N, int] = {}
    for node in reversed(ordered(needs)):
        height[node] = max((height[follower] + 1 for follower in followers[node]), default=0)
    return height


def critical_path(needs: Mapping[N, Iterable[N]], cost: Callable[[N], float] = lambda _: 1.0) -> tuple[N, ...]:
    """The most expensive way from a node that needs nothing to the end: no number of workers makes it shorter.

    cost: of one node, not negative. Of several such ways the one that the order meets first. Raises CycleError.
    """
    total: dict[N, float] = {}
    before: dict[N, N | None] = {}
    for node in ordered(needs):
        before[node] = max(needs[node], key=total.__getitem__, default=None)
        slowest = before[node]
        total[node] = cost(node) + (0.0 if slowest is None else total[slowest])
    path: list[N] = []
    node_or_none = max(total, key=total.__getitem__, default=None)
    while node_or_none is not None:
        path.append(node_or_none)
        node_or_none = before[node_or_none]
    return tuple(reversed(path))


def knots(needs: Mapping[N, Iterable[N]]) -> tuple[tuple[N, ...], ...]:
    """The groups of nodes that need each other in a circle, each in the mapping's order; none in a graph that has an order.

    Kosaraju: walked the other way round, in the reverse order of leaving, a walk cannot leave its group.
    """
    followers = turned(needs)
    group: dict[N, int] = {}
    for number, start in enumerate(reversed(_left(needs))):
        _mark(followers, start, number, group)
    groups: dict[int, list[N]] = {}
    for node in needs:
        groups.setdefault(group[node], []).append(node)
    return tuple(tuple(nodes) for nodes in groups.values() if len(nodes) > 1 or nodes[0] in needs[nodes[0]])


def cycles(needs: Mapping[N, Iterable[N]]) -> tuple[tuple[N, ...], ...]:
    """One circle per knot, as a path whose last node is its first: the shortest one through the knot's first node."""
    return tuple(_circle(needs, frozenset(knot), knot[0]) for knot in knots(needs))


def _left(needs: Mapping[N, Iterable[N]]) -> list[N]:
    """All nodes in the order in which a depth-first walk leaves them."""
    seen: set[N] = set()
    left: list[N] = []
    for start in needs:
        if start in seen:
            continue
        seen.add(start)
        walk = [(start, iter(needs[start]))]
        while walk:
            node, rest = walk[-1]
            for need in rest:
                if need not in seen:
                    seen.add(need)
                    walk.append((need, iter(needs[need])))
                    break
            else:
                left.append(node)
                walk.pop()
    return left


def _mark(followers: Mapping[N, Iterable[N]], start: N, number: int, group: dict[N, int]) -> None:
    """Give *number* to *start* and to all that can be reached from it and have none yet."""
    open_ = [start]
    while open_:
        node = open_.pop()
        if node not in group:
            group[node] = number
            open_.extend(followers[node])


def _circle(needs: Mapping[N, Iterable[N]], knot: frozenset[N], start: N) -> tuple[N, ...]:
    """Breadth first from *start* inside its knot until somebody needs *start* again; a knot always has such a one."""
    came_from: dict[N, N] = {}
    open_ = deque([start])
    while start not in came_from:
        node = open_.popleft()
        for need in needs[node]:
            if need in knot and need not in came_from:
                came_from[need] = node
                open_.append(need)
    path = [start, came_from[start]]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))
