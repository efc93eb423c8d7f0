# SPDX-License-Identifier: Apache-2.0
"""The language, 4: images."""

import pytest

from .conftest import Written

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def web(body: str) -> str:
    return f'service "web" {{ {body} }}\nstage "local" {{ service "web" }}'


@pytest.mark.parametrize(
    ("body", "image"),
    [
        ('version "1.25"', "web:1.25"),
        ("", "web:latest"),
        ('image "nginx"', "nginx:latest"),
        ('image "nginx"; version "1.25"', "nginx:1.25"),
        ('image "nginx:1.25"', "nginx:1.25"),
        ('image "nginx:1.25"; version "1.25"', "nginx:1.25"),
        (f'image "nginx@{DIGEST}"', f"nginx@{DIGEST}"),
        (f'image "nginx:1.25@{DIGEST}"; version "1.25"', f"nginx:1.25@{DIGEST}"),
        (f'image "nginx"; version "{DIGEST}"', f"nginx@{DIGEST}"),
    ],
)
def test_version_alone_neither_image_alone_and_both(shop: Written, body: str, image: str) -> None:
    assert shop(web(body)).service("web").image == image


@pytest.mark.parametrize(
    ("body", "image"),
    [
        ('image "registry:5000/x"', "registry:5000/x:latest"),
        ('image "registry:5000/x"; version 2', "registry:5000/x:2"),
        ('image "registry:5000/team/x:1"', "registry:5000/team/x:1"),
        ('image "[::1]:5000/x"; version 2', "[::1]:5000/x:2"),
        ('image "localhost/x"', "localhost/x:latest"),
    ],
)
def test_the_tag_is_what_follows_the_last_colon_after_the_last_slash(shop: Written, body: str, image: str) -> None:
    assert shop(web(body)).service("web").image == image


@pytest.mark.parametrize(
    ("image", "version", "kind"),
    [
        ("nginx:1.25", "1.26", "tag `1.25`"),
        ("nginx:latest", "1.26", "tag `latest`"),
        (f"nginx@{DIGEST}", "1.26", f"digest `{DIGEST}`"),
        (f"nginx@{DIGEST}", OTHER, f"digest `{DIGEST}`"),
        (f"nginx:1.25@{DIGEST}", "1.26", "tag `1.25`"),
    ],
)
def test_a_tag_or_digest_and_a_version_that_differ_are_an_error(
    shop: Written, image: str, version: str, kind: str
) -> None:
    shop(f'service "web" {{\n  image "{image}"\n  version "{version}"\n}}\nstage "local" {{ service "web" }}')

    assert shop.headlines() == [
        (
            f"fleet.kdl:3:3: service `web`: image `{image}` has the {kind}, but the version is `{version}`"
            ' => keep one of the two: `image "nginx"` with the version, or the image alone'
        )
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('image ""', "image `` => "),
        ('image "Shop/API"', "image `Shop/API` holds capital letters => image names are lower case: `shop/api`"),
        ('image "https://ghcr.io/x"', "image `https://ghcr.io/x` begins as an address of the web does => leave `https://` out: `ghcr.io/x`"),
        ('image "nginx:"', "image `nginx:` has a tag that is none => a tag is up to 128 letters"),
        ('image "nginx@sha256:abc"', "image `nginx@sha256:abc` has a digest that is none => a digest is `sha256:` and 64"),
        ('image "nginx"; version "a b"', "version `a b` is no tag of an image => a tag is up to 128 letters"),
        ('image "nginx"; version ""', "version `` is no tag of an image => a tag is up to 128 letters"),
        ('image "nginx"; version "sha256:abc"', "version `sha256:abc` is no digest => a digest is `sha256:` and 64"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_an_error_with_the_rule(shop: Written, body: str, expected: str) -> None:
    told = shop(web(body)).headlines()

    expected = "the image is empty => name one" if "image ``" in expected else expected
    assert len(told) == 1
    assert told[0].partition("service `web`: ")[2].startswith(expected)


def test_an_image_that_differs_between_stages_is_told_by_validate(shop: Written) -> None:
    shop(
        """
        service "web" { image "nginx"; version "1.25" }
        stage "stg" { service "web" { version "1.26" } }
        stage "prd" { service "web" }
        """
    )

    assert shop.told("prd", validate=True).splitlines() == [
        "warning: service `web` is not the same image in all stages",
        "  stg  nginx:1.26   fleet.kdl:2:31",
        "  prd  nginx:1.25   fleet.kdl:1:32",
        "  fix: name one version for all; `flow promote --from stg --to prd` takes along what runs",
    ]
