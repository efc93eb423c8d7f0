# SPDX-License-Identifier: Apache-2.0
"""FleetFlow as a user has it, on a whole node: processes of `flow` and of workers, and an account as ops/ ships it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.desk import state_folder
from tests.kubernetes.conftest import Cluster
from tests.kubernetes.whole.fleet import Fleet

Fleets = Callable[..., Fleet]


def _fleets(node: Cluster, folder: Path, stack: ExitStack) -> Fleets:
    def make(namespace: str = "") -> Fleet:
        state = stack.enter_context(state_folder())
        work = folder / state.name / "files"
        work.mkdir(parents=True)
        made = Fleet(work, state, node, namespace)
        stack.callback(node.removed, made.namespace)
        stack.callback(made.close)
        return made

    return make


@pytest.fixture
def fleets(node: Cluster, tmp_path: Path) -> Iterator[Fleets]:
    """Makes one; each has a project of its own."""
    with ExitStack() as stack:
        yield _fleets(node, tmp_path, stack)


@pytest.fixture
def fleet(fleets: Fleets) -> Fleet:
    return fleets()


@pytest.fixture(scope="module")
def shared(node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for all tests of a file, which look at what they share."""
    with ExitStack() as stack:
        yield _fleets(node, tmp_path_factory.mktemp("shared"), stack)()
