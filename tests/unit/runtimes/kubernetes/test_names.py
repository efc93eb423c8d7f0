# SPDX-License-Identifier: Apache-2.0
"""Names, quantities and paths, as a cluster takes them."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.runtimes.kubernetes import kinds, names, quantities
from fleetflow_tasks.runtimes.kubernetes.probes import escaped
from fleetflow_tasks.runtimes.kubernetes.settings import WAIT_IMAGE, Settings, settings

from .made import plan, service

EXPONENTS = {"m": Fraction(1, 1000), "": Fraction(1)}
EXPONENTS |= {suffix: Fraction(1000 ** (power + 1)) for power, suffix in enumerate("kMGTPE")}
EXPONENTS |= {f"{suffix}i": Fraction(1024 ** (power + 1)) for power, suffix in enumerate("KMGTPE")}

WORDS = st.text(alphabet="abAB09-_./ é", max_size=80)


def worth(text: str) -> Fraction:
    match = re.fullmatch(r"(\d+)(\D*)", text)
    assert match is not None
    return int(match[1]) * EXPONENTS[match[2]]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.5, "500m"), (1.0, "1"), (1.5, "1500m"), (2, "2"), (1000, "1k"), (4096, "4096"), (0.0001, "1m"), (0.1, "100m")],
)
def test_cores_are_written_as_the_api_writes_them(number: float, text: str) -> None:
    assert quantities.cores(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (1, "1"),
        (1023, "1023"),
        (1024, "1Ki"),
        (1536, "1536"),
        (512_000, "500Ki"),
        (10_000_000_000, "10G"),
        (256 << 20, "256Mi"),
        (1 << 30, "1Gi"),
        (3 << 59, "1536Pi"),
        (500_000_000, "500M"),
        (1_000_000_000_000_000_000, "1E"),
    ],
)
def test_bytes_are_written_as_the_api_writes_them(number: int, text: str) -> None:
    assert quantities.size(number) == text


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_size_keeps_its_value_and_has_no_shorter_suffix(number: int) -> None:
    text = quantities.size(number)

    assert worth(text) == number
    suffix = text.lstrip("0123456789")
    family = 1024 if suffix.endswith("i") else 1000
    digits = int(text.removesuffix(suffix))
    assert digits == 0 or digits % family or suffix in {"E", "Ei"}


@given(st.integers(min_value=1, max_value=4096 * 1000))
def test_thousandths_of_a_core_keep_their_value(thousandths: int) -> None:
    assert worth(quantities.cores(thousandths / 1000)) * 1000 == thousandths


@given(WORDS, st.integers(min_value=1, max_value=63))
def test_a_fitting_name_is_a_label_and_what_is_one_fits_already(name: str, longest: int) -> None:
    near = names.fitting(name, longest)

    assert near == "" or (names.is_label(near) and len(near) <= longest)
    assert names.fitting(near, longest) == near
    if names.is_label(name) and len(name) <= longest and "--" not in name:
        assert near == name


@given(st.lists(st.text(alphabet="ab-", min_size=1, max_size=90), min_size=2, max_size=2, unique=True))
def test_two_shortened_names_stay_two_and_fit(two: list[str]) -> None:
    short = [names.shortened(name) for name in two]

    assert short[0] != short[1]
    assert all(len(name) <= names.LABEL for name in short)


@given(st.text(alphabet="$()ab", max_size=12))
def test_what_is_escaped_is_expanded_to_itself(text: str) -> None:
    assert expanded(escaped(text)) == text


def test_a_dollar_that_means_nothing_there_is_left_alone() -> None:
    assert [escaped(text) for text in ("$HOME", "a$", "$(x)", "$$", "$$(x)")] == [
        "$HOME",
        "a$",
        "$$(x)",
        "$$$$",
        "$$$$(x)",
    ]


def expanded(text: str) -> str:
    """As the kubelet does it (third_party/forked/golang/expansion), with no variable known: `?` where one is asked."""
    done, at = "", 0
    while at < len(text):
        rest = text[at + 1 :]
        if text[at] != "$" or not rest:
            done, at = done + text[at], at + 1
        elif rest[0] == "$":
            done, at = done + "$", at + 2
        elif rest[0] == "(":
            end = rest.find(")")
            done, at = (done + "?", at + end + 2) if end > 0 else (done + "$(", at + 2)
        else:
            done, at = done + "$" + rest[0], at + 2
    return done


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.is_label, ["a", "1a", "a-b", "a" * 63], ["", "A", "-a", "a-", "a.b", "a_b", "a" * 64, "a\n"]),
        (names.is_subdomain, ["a", "a.b", "1.2", "a" * 253], ["", "a..b", ".a", "a.", "A", "a" * 254]),
        (names.is_label_value, ["", "a", "A.b_c-1", "a" * 63], ["-a", "a ", "a" * 64]),
        (names.is_key, ["a", "A_b.c", "x.io/a", "a" * 63], ["", "/a", "X/a", "a/b/c", "a" * 64, "é"]),
        (names.is_data_key, ["a", ".a", "-", "A_1"], ["", ".", "..", "a/b", "a" * 254]),
        (names.is_variable, ["A", "_a", "a.b-c"], ["1A", "", "A B", "A=B", "..a", "é"]),
    ],
)
def test_what_a_cluster_takes(rule: object, good: list[str], bad: list[str]) -> None:
    assert callable(rule)
    assert [name for name in good if not rule(name)] == []
    assert [name for name in bad if rule(name)] == []


def test_a_hash_does_not_know_the_order_of_fields() -> None:
    one, other = {"a": 1, "b": {"c": [1, 2], "d": None}}, {"b": {"d": None, "c": [1, 2]}, "a": 1}

    assert names.hashed(one) == names.hashed(other)
    assert names.hashed(one) != names.hashed({**one, "a": 2})
    assert names.is_label_value(names.hashed(one))
    assert names.hashed(one).startswith("v1-")


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        (kinds.DEPLOYMENT, "api", "/apis/apps/v1/namespaces/x/deployments/api"),
        (kinds.SECRET, "", "/api/v1/namespaces/x/secrets"),
        (kinds.NAMESPACE, "x", "/api/v1/namespaces/x"),
        (kinds.PERSISTENT_VOLUME, "", "/api/v1/persistentvolumes"),
    ],
)
def test_where_the_api_serves_a_kind(kind: kinds.Kind, name: str, path: str) -> None:
    assert kinds.path(kind, "x", name) == path


def test_a_kind_without_a_namespace_is_that_of_all_namespaces() -> None:
    assert kinds.path(kinds.POD, "") == "/api/v1/pods"


def test_the_table_of_kinds_is_closed() -> None:
    assert kinds.named("StatefulSet") is kinds.STATEFUL_SET
    assert [kinds.HPA.group, kinds.POD.group, kinds.INGRESS.group] == ["autoscaling", "", "networking.k8s.io"]
    with pytest.raises(KeyError):
        kinds.named("DaemonSet")


def test_a_stage_that_says_nothing_has_a_namespace_of_its_own() -> None:
    assert settings(plan(service())) == Settings(namespace="shop-stg", wait_image=WAIT_IMAGE)


def test_what_a_stage_and_a_command_say_is_read() -> None:
    said = plan(
        namespace="n",
        context="gke",
        wait_image="w:1",
        replace="db api",
        force_conflicts="yes",
        volumes="remove",
    )

    assert settings(said) == Settings(
        namespace="n",
        context="gke",
        wait_image="w:1",
        replace=frozenset({"db", "api"}),  # type: ignore[arg-type]  # names are texts here
        force_conflicts=True,
        volumes_go=True,
    )
