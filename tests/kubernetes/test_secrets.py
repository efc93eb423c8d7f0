# SPDX-License-Identifier: Apache-2.0
"""A secret's value is nowhere in what `flow` prints, whatever the cluster or the program says of it."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk import BASE, Desk, Result

from .conftest import Cluster
from .front import Front
from .stage import swept

CANARY = "geheimer-kanarienvogel-7319"
CODED = b64encode(CANARY.encode()).decode()
PIECE = 6  # characters of it that nobody may read in a row
SHOP = f"""
service "api" {{ image "{BASE}"; job #true; %s; secrets {{ TOKEN env="TOKEN" }} }}
stage "stg" {{ runtime "kubernetes"; service "api" }}
"""


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"), tmp_path_factory.mktemp("s"))
    made.environ["TOKEN"] = CANARY
    yield made
    made.close()


@pytest.fixture
def real(desk: Desk, node: Cluster) -> Iterator[Desk]:
    desk.environ["KUBECONFIG"] = str(node.kubeconfig)
    yield desk
    swept(node, desk.project)


@pytest.fixture
def played(desk: Desk, plane: Cluster, line: Front, tmp_path: Path) -> Iterator[Desk]:
    """It reaches the cluster over the line."""
    desk.environ["KUBECONFIG"] = str(line.kubeconfig(tmp_path / "kubeconfig"))
    yield desk
    swept(plane, desk.project)


def pieces(result: Result) -> list[str]:
    """Of the secret, as they stand in what was printed."""
    printed = result.out + result.err
    every = [form[at : at + PIECE] for form in (CANARY, CODED) for at in range(len(form) - PIECE + 1)]
    return [piece for piece in every if piece in printed]


def test_a_program_that_prints_what_it_was_given_before_it_fails(real: Desk) -> None:
    real.write(SHOP % 'command "sh" "-c" "echo it is $TOKEN; echo -n $TOKEN | base64; exit 3"')

    told, data = real.flow("up"), real.flow("up", "--json")
    looked = [real.flow("diff"), real.flow("diff", "--json"), real.flow("ps"), real.flow("ps", "--json")]

    assert "it is [hidden]" in told.out
    assert "it is [hidden]" in data.out
    assert [pieces(each) for each in (told, data, *looked)] == [[]] * 6


@pytest.mark.parametrize("before", [0, 90, 120, 150])
def test_a_cluster_that_repeats_the_secret_that_it_refuses(played: Desk, line: Front, before: int) -> None:
    """Its words are long, and cut in the middle: before, in and after the secret."""
    body = json.dumps({"kind": "Secret", "metadata": {"name": "x" * before}, "data": {"TOKEN": CODED}, "raw": CANARY})
    words = f'admission webhook "w.example.org" denied the request: I will not have {body} here: {"no " * 200}'
    line.answers("POST .*/secrets", 403, words, reason="Forbidden", times=1000)
    played.write(SHOP % 'command "true"')

    told, data = played.flow("up"), played.flow("up", "--json")

    assert told.code == data.code == 1, told
    assert "`w.example.org` denies it: I will not have" in told.out
    assert [pieces(each) for each in (told, data)] == [[], []]
