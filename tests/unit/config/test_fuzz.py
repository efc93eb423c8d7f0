# SPDX-License-Identifier: Apache-2.0
"""Any bytes give a project or our own errors, and each of these can be shown."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.model import StageName
from fleetflow_tasks.errors import ConfigError, Problem

SEED = """
project "shop"
variables { A "1"; B "{{ A }}${A}" }
include "*.kdl"
service "db" { image "pg"; version 16; port 5432; volume "d" "/d" size="1Gi"; healthcheck { test "x"; interval 2 } }
service "api" { image "a"; port 80 container=8; env X="${A:-b}" { Y "{{ B | upper }}" }; secrets { S; T file=".env" }
  depends_on "db" { service "db" condition="healthy" required=false }; resources { cpu "500m"; memory "1g" }
  {% if A == "1" %}replicas 2{% endif %}; ingress host="h"; scaling min=1 max=2; command "a 'b'"; restart "no"; job #true
}
stage "local" { runtime "docker"; variables { C "x" }; service "db"; service "api" runtime="k8s" { env_file ".env" } }
"""  # fmt: skip

WORDS = st.sampled_from(
    [
        *SEED.split(),
        *('"', "'", "{", "}", "{{", "}}", "{%", "%}", "${", "$$", "/-", "/*", "*/", "//", "\\", "\n", ";", "=", "(", ")", "#", "r#"),
        *("null", "#null", "-1", "1e999", "99999999999999999999", "#inf", "0x", '"\\u{d800}"', '"\\u{0}"', "\x00", "\ufeff", "é"),
        *("{% for i in range(9) %}", "{% endfor %}", "{{ A * 9 }}", "{{ [] }}", "{{ A.x }}", "{{ loop }}", '"a/../b"', '"~x/y"', '"/"'),
    ]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The seed with stretches cut out, doubled or replaced."""
    text = SEED
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        put = draw(st.one_of(st.just(""), WORDS, st.text(max_size=4)))
        text = text[:start] + put + text[end:]
    return text.encode("utf-8", "surrogatepass")


ANYTHING = st.one_of(
    st.binary(max_size=200),
    st.lists(WORDS, max_size=40).map(lambda words: " ".join(words).encode("utf-8", "surrogatepass")),
    mutated(),
)


def check_shown(problems: Iterable[Problem]) -> None:
    for problem in problems:
        check(problem)


def check(problem: Problem) -> None:
    assert problem.message
    assert "\n" not in problem.message
    assert "\n" not in problem.fix
    place = problem.place
    if place is not None:
        assert place.line >= 1
        assert place.column >= 1
        assert place.length >= 1
        assert place.column - 1 + place.length <= max(len(place.text), place.column)


@settings(max_examples=300, deadline=None)
@given(
    main=ANYTHING,
    other=ANYTHING,
    dotenv=st.one_of(st.binary(max_size=60), st.just(b"A=1\n")),
    stage=st.sampled_from([None, "local", "x", "a/b"]),
)
def test_any_bytes_give_a_project_or_our_errors(main: bytes, other: bytes, dotenv: bytes, stage: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fleet.kdl").write_bytes(main)
        (folder / "other.kdl").write_bytes(other)
        (folder / ".env").write_bytes(dotenv)

        try:
            loaded = load(
                folder,
                file=Path("fleet.kdl"),
                stage=None if stage is None else StageName(stage),
                variables={},
                environ={},
            )
        except ConfigError as error:
            check_shown(error.problems)
        else:
            assert loaded.project.stages
            check_shown(loaded.warnings)


def test_whatever_the_name_of_a_stage_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text('service "a" { image "a" }\nstage "local" { service "a" }')

    for name in ("x" * 5000, "\0", "../..", "\ud800", "*", "[", ""):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, file=None, stage=StageName(name), variables={}, environ={})
        assert caught.value.problems[-1].code == "unknown-stage"
