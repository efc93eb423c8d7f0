# SPDX-License-Identifier: Apache-2.0
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.plan import image

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


@pytest.mark.parametrize(
    ("text", "registry", "path", "tag", "digest"),
    [
        ("redis", "", "redis", "", ""),
        ("redis:7", "", "redis", "7", ""),
        ("library/redis", "", "library/redis", "", ""),
        ("registry:5000/x", "registry:5000", "x", "", ""),
        ("registry:5000/x:1", "registry:5000", "x", "1", ""),
        ("localhost/x", "localhost", "x", "", ""),
        ("ghcr.io/shop/api:9", "ghcr.io", "shop/api", "9", ""),
        ("[::1]:5000/x", "[::1]:5000", "x", "", ""),
        (f"ghcr.io/shop/api@{DIGEST}", "ghcr.io", "shop/api", "", DIGEST),
        (f"api:1@{DIGEST}", "", "api", "1", DIGEST),
        ("a/b__c/d-e.f:v1.2_3-rc", "", "a/b__c/d-e.f", "v1.2_3-rc", ""),
    ],
)
def test_a_reference_falls_into_its_parts_and_prints_as_it_was(
    text: str, registry: str, path: str, tag: str, digest: str
) -> None:
    reference = image.parse(text)

    assert (reference.registry, reference.path, reference.tag, reference.digest) == (registry, path, tag, digest)
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the image is empty"),
        ("Redis:7", "image `Redis:7` holds capital letters"),
        ("ghcr.io/Shop/api", "image `ghcr.io/Shop/api` holds capital letters"),
        ("re dis", "image `re dis` is no image name"),
        ("a//b", "image `a//b` is no image name"),
        ("-x", "image `-x` is no image name"),
        ("x:", "image `x:` has a tag that is none"),
        ("x:a b", "image `x:a b` has a tag that is none"),
        ("x:1:2", "image `x:1:2` has a tag that is none"),
        ("x@sha256:12", "image `x@sha256:12` has a digest that is none"),
        ("https://x/y:1", "image `https://x/y:1` begins as an address of the web does"),
        ("x@", "image `x@` has a digest that is none"),
        ("-.io/x", "image `-.io/x` names a registry that is none: `-.io`"),
        ("a" * 300, f"image name of 300 characters, 255 are allowed: `{'a' * 40}…`"),
    ],
)
def test_what_is_no_reference_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(image.ImageError) as caught:
        image.parse(text)

    assert str(caught.value) == message


def test_capital_letters_come_with_the_name_that_would_do() -> None:
    with pytest.raises(image.ImageError) as caught:
        image.parse("ghcr.io/Shop/API:V1")

    assert caught.value.fix == "image names are lower case: `ghcr.io/shop/api:V1`"


@pytest.mark.parametrize(
    ("said", "version", "expected"),
    [
        (None, None, "api:latest"),
        (None, "16", "api:16"),
        ("postgres", None, "postgres:latest"),
        ("postgres", "16", "postgres:16"),
        ("postgres:16", None, "postgres:16"),
        ("postgres:16", "16", "postgres:16"),
        ("registry:5000/x", None, "registry:5000/x:latest"),
        ("registry:5000/x", "2", "registry:5000/x:2"),
        (f"x@{DIGEST}", None, f"x@{DIGEST}"),
        (f"x@{DIGEST}", DIGEST, f"x@{DIGEST}"),
        (f"x:1@{DIGEST}", "1", f"x:1@{DIGEST}"),
        ("x", DIGEST, f"x@{DIGEST}"),
    ],
)
def test_the_tag_is_the_images_own_else_the_version_else_latest(
    said: str | None, version: str | None, expected: str
) -> None:
    assert str(image.named("api", said, version)) == expected


@pytest.mark.parametrize(
    ("said", "version", "message"),
    [
        ("postgres:15", "16", "image `postgres:15` has the tag `15`, but the version is `16`"),
        (f"x@{DIGEST}", OTHER, f"image `x@{DIGEST}` has the digest `{DIGEST}`, but the version is `{OTHER}`"),
    ],
)
def test_a_tag_and_a_version_that_differ_are_an_error(said: str, version: str, message: str) -> None:
    with pytest.raises(image.ImageError) as caught:
        image.named("api", said, version)

    assert str(caught.value) == message
    assert caught.value.fix.startswith("keep one of the two")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("", "version `` is no tag of an image"),
        ("a b", "version `a b` is no tag of an image"),
        ("sha256:12", "version `sha256:12` is no digest"),
    ],
)
def test_a_version_that_is_neither_tag_nor_digest_is_to_blame_itself(version: str, message: str) -> None:
    with pytest.raises(image.ImageError) as caught:
        image.named("api", "postgres", version)

    assert (str(caught.value), caught.value.field) == (message, "version")


@pytest.mark.parametrize(
    ("text", "floating"),
    [("x", True), ("x:latest", True), ("x:1", False), (f"x@{DIGEST}", False), (f"x:latest@{DIGEST}", False)],
)
def test_only_latest_without_a_digest_floats(text: str, floating: bool) -> None:
    assert image.parse(text).floating is floating


@given(st.text(max_size=60))
def test_any_text_is_a_reference_that_prints_as_it_was_or_is_refused(text: str) -> None:
    with contextlib.suppress(image.ImageError):
        assert str(image.parse(text)) == text


A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("text", "digests", "expected"),
    [
        ("ghcr.io/shop/api:1", [f"ghcr.io/shop/api@{A}"], f"ghcr.io/shop/api:1@{A}"),
        ("ghcr.io/shop/api:1", [f"ghcr.io/other/api@{A}", f"ghcr.io/shop/api@{B}"], f"ghcr.io/shop/api:1@{B}"),
        ("redis:7", [f"docker.io/library/redis@{A}"], f"redis:7@{A}"),
        ("docker.io/shop/api", [f"shop/api@{A}"], f"docker.io/shop/api@{A}"),
        (f"shop/api@{B}", [f"shop/api@{A}"], f"shop/api@{B}"),
        ("shop/api:1", [f"ghcr.io/shop/api@{A}"], ""),
        ("shop/api:1", [], ""),
    ],
)
def test_a_reference_is_pinned_by_the_digest_of_its_own_registry(text: str, digests: list[str], expected: str) -> None:
    assert image.pinned(text, digests) == expected


def test_people_see_the_beginning_of_a_digest() -> None:
    assert image.short(f"shop/api:1@{A}") == "shop/api:1@sha256:aaaaaaaaaaaa"
    assert image.short(A) == "sha256:aaaaaaaaaaaa"
    assert image.short(f"shop/api@sha512:{'c' * 128}") == "shop/api@sha512:cccccccccccc"
    assert image.short("shop/api:1") == "shop/api:1"


def test_an_id_is_no_name() -> None:
    assert image.is_id(A)
    assert not image.is_id(f"shop/api@{A}")
    assert not image.is_id("shop/api:1")
