# SPDX-License-Identifier: Apache-2.0
"""Folders with files in them: what people write, mutated; soups of its words; and bytes that were never text."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from tests.fuzz.corpus import DOTENV, SEED, texts
from tests.fuzz.documents import documents

WORDS = st.sampled_from(
    [
        *SEED.split(),
        *('"', "'", "{", "}", "{{", "}}", "{%", "%}", "${", "$$", "/-", "/*", "*/", "//", "\\", "\n", ";", "=", "(", ")", "#", "r#"),
        *("null", "#null", "-1", "1e999", "9" * 30, "9" * 5000, "#inf", "0x", '"\\u{d800}"', '"\\u{0}"', "\x00", "\ufeff", "é", "\r"),
        *("{% for i in range(9) %}", "{% for i in range(99999) %}", "{% endfor %}", "{% endif %}", "{% else %}", "{% raw %}"),
        *("{{ A * 9 }}", "{{ [] }}", "{{ A.x }}", "{{ loop }}", "{{ A ~ A }}", "{{ 1e999 }}", "{%- set A = [A, A] -%}", "{# #}"),
        *('"a/../b"', '"~x/y"', '"/"', '"**/*.kdl"', '"[a"', '"{{ A }}.kdl"', '"fleet.kdl"', '"/dev/zero"', '"services"', '"."'),
    ]
)  # fmt: skip


class Files(NamedTuple):
    """name -> bytes. stage: that is asked for, None for all."""

    files: Mapping[str, bytes]
    stage: str | None


@st.composite
def _mutated(draw: st.DrawFn, sources: Callable[[], tuple[str, ...]]) -> bytes:
    """A text with stretches cut out, doubled or replaced, by pieces of others too.

    sources: by a function, and texts by their numbers: Hypothesis writes out what a strategy is made of, now and then.
    """
    text = draw(_one_of(sources()))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        put = draw(st.one_of(st.just(""), WORDS, st.text(max_size=4), st.just(text[start:end] * 2), _piece(sources())))
        text = text[:start] + put + text[end:]
    return text.encode("utf-8", "surrogatepass")


def _piece(sources: tuple[str, ...]) -> st.SearchStrategy[str]:
    lines = [line for source in sources for line in source.splitlines() if line.strip()]
    return _one_of(lines).map(lambda line: f"\n{line}\n")


def _one_of(texts: Sequence[str]) -> st.SearchStrategy[str]:
    return st.integers(0, len(texts) - 1).map(lambda number: texts[number])


def _soup() -> st.SearchStrategy[bytes]:
    return st.lists(WORDS, max_size=40).map(lambda words: " ".join(words).encode("utf-8", "surrogatepass"))


def _document() -> st.SearchStrategy[bytes]:
    return st.one_of(documents(1), documents(2)).map(lambda document: document.text.encode())


def projects() -> st.SearchStrategy[Files]:
    kdl = st.one_of(_mutated(texts), _mutated(lambda: (SEED,)), _soup(), st.binary(max_size=200), _document())
    dotenv = st.one_of(_mutated(lambda: (DOTENV,)), st.binary(max_size=60))
    others = st.fixed_dictionaries(
        {"fleet.kdl": kdl},
        optional={
            "other.kdl": kdl,
            "services/deep/more.kdl": kdl,
            "fleet.prd.kdl": kdl,
            "fleet.local.kdl": kdl,
            ".env": dotenv,
            ".env.prd": dotenv,
        },
    )
    return st.builds(Files, others, st.sampled_from([None, None, "local", "prd", "x", "a/b"]))
