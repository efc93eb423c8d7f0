# SPDX-License-Identifier: Apache-2.0
import graphlib
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.plan import graph

Needs = dict[int, list[int]]


@st.composite
def any_graphs(draw: st.DrawFn) -> Needs:
    nodes = draw(st.lists(st.integers(0, 30), unique=True, max_size=12))
    return {node: draw(st.lists(st.sampled_from(nodes), max_size=4)) for node in nodes}


@st.composite
def graphs_with_an_order(draw: st.DrawFn) -> Needs:
    nodes = draw(st.lists(st.integers(0, 30), unique=True, max_size=12))
    needs: Needs = {}
    for index, node in enumerate(nodes):
        needs[node] = draw(st.lists(st.sampled_from(nodes[:index]), max_size=4)) if index else []
    return {node: needs[node] for node in draw(st.permutations(nodes))}


def paths(needs: Needs, node: int) -> list[tuple[int, ...]]:
    return [(*path, node) for need in needs[node] for path in paths(needs, need)] or [(node,)]


def test_what_is_free_at_the_same_time_comes_in_the_order_it_was_given() -> None:
    needs = {"web": ["api"], "db": [], "cache": [], "api": ["db", "cache"]}

    assert graph.ordered(needs) == ("db", "cache", "api", "web")


@given(graphs_with_an_order())
def test_each_node_stands_behind_all_that_it_needs(needs: Needs) -> None:
    order = graph.ordered(needs)

    assert sorted(order) == sorted(needs)
    assert all(order.index(need) < order.index(node) for node in needs for need in needs[node])


@given(any_graphs())
def test_there_is_an_order_exactly_where_there_is_no_knot(needs: Needs) -> None:
    if _python_orders(needs):
        assert graph.knots(needs) == ()
        assert len(graph.ordered(needs)) == len(needs)
    else:
        with pytest.raises(graph.CycleError) as caught:
            graph.ordered(needs)
        assert caught.value.path == graph.cycles(needs)[0]


def _python_orders(needs: Needs) -> bool:
    try:
        tuple(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError:
        return False
    return True


@given(any_graphs())
def test_a_knot_holds_just_those_that_reach_each_other(needs: Needs) -> None:
    def reaches(one: int, other: int) -> bool:
        return any(other in graph.closure(needs, [need]) for need in needs[one])

    for knot in graph.knots(needs):
        assert all(reaches(one, other) for one in knot for other in knot)
    tied = {node for knot in graph.knots(needs) for node in knot}
    assert tied == {node for node in needs if reaches(node, node)}
    assert sum(map(len, graph.knots(needs))) == len(tied)


@given(any_graphs())
def test_a_cycle_is_a_path_of_needs_that_ends_where_it_began(needs: Needs) -> None:
    for path in graph.cycles(needs):
        assert path[0] == path[-1]
        assert len(set(path)) == len(path) - 1
        assert all(other in needs[one] for one, other in pairwise(path))


def test_a_cycle_is_told_as_the_path_that_people_follow() -> None:
    needs = {"db": [], "api": ["web", "db"], "web": ["api"], "x": ["x"]}

    with pytest.raises(graph.CycleError, match=r"^api -> web -> api$"):
        graph.ordered(needs)

    assert graph.cycles(needs) == (("api", "web", "api"), ("x", "x"))


def test_a_cycle_is_the_shortest_one_through_the_first_of_its_knot() -> None:
    needs = {"a": ["b", "c"], "b": ["c"], "c": ["d"], "d": ["a"]}

    assert graph.cycles(needs) == (("a", "c", "d", "a"),)


@given(graphs_with_an_order())
def test_a_height_counts_the_nodes_behind_one_on_the_longest_way(needs: Needs) -> None:
    heights = graph.heights(needs)

    followers = graph.turned(needs)
    turned = {node: list(after) for node, after in followers.items()}
    assert heights == {node: max(map(len, paths(turned, node))) - 1 for node in needs}


@given(graphs_with_an_order(), st.lists(st.integers(0, 9), min_size=31, max_size=31))
def test_no_path_costs_more_than_the_critical_one(needs: Needs, costs: list[int]) -> None:
    path = graph.critical_path(needs, cost=lambda node: costs[node])

    def price(nodes: tuple[int, ...]) -> int:
        return sum(costs[node] for node in nodes)

    assert all(one in needs[other] for one, other in pairwise(path))
    assert price(path) == max((price(each) for node in needs for each in paths(needs, node)), default=0)


def test_the_critical_path_counts_nodes_where_no_cost_is_given() -> None:
    needs = {"a": [], "b": ["a"], "c": ["b"], "d": ["a"], "e": ["c", "d"]}

    assert graph.critical_path(needs) == ("a", "b", "c", "e")


def test_an_empty_graph_has_an_empty_order_and_path() -> None:
    needs: dict[str, list[str]] = {}

    assert graph.ordered(needs) == ()
    assert graph.critical_path(needs) == ()
    assert graph.cycles(needs) == ()


def test_a_need_said_twice_counts_once() -> None:
    needs = {"a": [], "b": ["a", "a"]}

    assert graph.turned(needs) == {"a": ("b",), "b": ()}
    assert graph.ordered(needs) == ("a", "b")


def test_twenty_thousand_in_a_row_are_neither_too_deep_nor_slow() -> None:
    chain = {number: [number - 1] if number else [] for number in range(20_000)}
    before = time.process_time()

    assert len(graph.critical_path(chain)) == 20_000
    assert graph.heights(chain)[0] == 19_999
    assert graph.cycles({**chain, 0: [19_999]})[0][:2] == (0, 19_999)
    assert time.process_time() - before < 10  # quadratic would take minutes
