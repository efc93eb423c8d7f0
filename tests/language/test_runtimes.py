# SPDX-License-Identifier: Apache-2.0
"""The language, 7: what each runtime makes of it, as far as the text alone can tell."""

import pytest

from fleetflow_tasks.plan.check import LOCAL

from .conftest import Written

WHERE = {
    "docker": 'runtime "docker"',
    "kubernetes": 'runtime "kubernetes"',
    "cloudrun": 'runtime "cloudrun" project="shop-prd" region="europe-west1"',
}


def web(body: str, runtime: str = "docker", stage: str = LOCAL, name: str = "web") -> str:
    """One service whose body begins in line 2, column 5."""
    return f'service "{name}" {{\n    {body}\n}}\nstage "{stage}" {{ {WHERE[runtime]}; service "{name}" }}'


def errors(shop: Written, stage: str = LOCAL) -> list[str]:
    return [line for line in shop.headlines(stage) if "warning: " not in line]


# --- names


@pytest.mark.parametrize("runtime", ["kubernetes", "cloudrun"])
@pytest.mark.parametrize(
    ("name", "fits"), [("My-Api", "my-api"), ("my_api", "my-api"), ("my.api", "my-api"), ("9lives", "lives")]
)
def test_a_name_that_does_not_fit_its_runtime_is_an_error_with_the_name_that_would(
    shop: Written, runtime: str, name: str, fits: str
) -> None:
    shop(web('image "web:1"; port 80', runtime, name=name))

    assert errors(shop) == [f"fleet.kdl:1:1: service name `{name}` does not fit on {runtime} => call it `{fits}`"]


@pytest.mark.parametrize("name", ["my_api", "my.api", "my-api", "a"])
def test_a_docker_only_name_may_hold_underscores_and_dots(shop: Written, name: str) -> None:
    assert errors(shop(web('image "web:1"', name=name))) == []


@pytest.mark.parametrize(("name", "fits"), [("My_Api", "my_api"), ("9lives", "lives")])
def test_it_too_is_lower_case_and_begins_with_a_letter(shop: Written, name: str, fits: str) -> None:
    shop(web('image "web:1"', name=name))

    assert errors(shop) == [f"fleet.kdl:1:1: service name `{name}` does not fit on docker => call it `{fits}`"]


@pytest.mark.parametrize(
    ("runtime", "body", "longest"),
    [
        ("docker", "", 63),
        ("kubernetes", "", 63),
        ("kubernetes", '; volume "data" "/data" size="1Gi"', 52),
        ("cloudrun", "", 49 - len("shop-local-")),
    ],
)
def test_a_name_has_its_longest_on_each_runtime(shop: Written, runtime: str, body: str, longest: int) -> None:
    assert errors(shop(web(f'image "web:1"; port 80{body}', runtime, name="a" * longest))) == []

    told = errors(shop(web(f'image "web:1"; port 80{body}', runtime, name="a" * (longest + 1))))

    assert len(told) == 1
    assert f"`{'a' * longest}`" in told[0].partition(" => ")[2]


# --- what a runtime reserves


def test_port_in_the_environment_on_cloud_run_is_dropped_with_a_note_where_it_equals_port(shop: Written) -> None:
    shop(web('image "web:1"; port 8080; environment PORT=8080', "cloudrun"))

    assert "note: service `web`: runtime `cloudrun` sets `PORT` itself" in shop.told()


def test_else_it_is_an_error(shop: Written) -> None:
    shop(web('image "web:1"; port 8080; environment PORT=80', "cloudrun"))

    assert errors(shop) == [
        (
            "fleet.kdl:2:48: service `web`: runtime `cloudrun` sets `PORT` itself, to 8080: it cannot be `80`"
            " => leave it out, or let requests go there: `port container=80`"
        )
    ]


# --- jobs


@pytest.mark.parametrize(("said", "rerun"), [("", "changed"), ('; rerun "always"', "always")])
def test_a_job_runs_once_per_content_or_in_every_deployment(shop: Written, said: str, rerun: str) -> None:
    assert shop(web(f'image "web:1"; job #true{said}')).service("web").rerun == rerun


# --- what a runtime cannot honour


@pytest.mark.parametrize(
    ("runtime", "body", "expected"),
    [
        ("docker", "replicas 2", "cannot run 2 replicas: one container is one service"),
        ("docker", "scaling min=1 max=3", "cannot scale by itself"),
        ("docker", 'ingress host="shop.example.org"', "has no ingress"),
        ("docker", 'volume "gs://bucket" "/data"', "cannot mount the bucket `gs://bucket`"),
        ("docker", 'secrets { KEY ref="a/b" }', "cannot read secret `KEY` from `a/b`"),
        ("kubernetes", 'volume "./data" "/data"', "cannot mount the host's path `/shop/data`: pods move between hosts"),
        ("kubernetes", 'volume "gs://bucket" "/data"', "cannot mount the bucket `gs://bucket`"),
        ("cloudrun", 'volume "./data" "/data"', "cannot mount the host's path `/shop/data`"),
        ("cloudrun", 'volume "data" "/data"', "has no disk for the volume `data`"),
        ("cloudrun", "port 81", "sends requests to one port, and the service has 2: 80, 81"),
        ("cloudrun", 'healthcheck { test "true" }', "runs no command inside a container to ask how it is"),
    ],
)
def test_a_feature_that_a_runtime_cannot_honour_is_an_error_naming_feature_service_and_runtime(
    shop: Written, runtime: str, body: str, expected: str
) -> None:
    shop(web(f'image "web:1"; port 80\n    {body}', runtime))

    told = shop.told().splitlines()[0]

    assert told.startswith("fleet.kdl:")
    assert f"service `web`: runtime `{runtime}` {expected}" in told


# --- what validate warns of


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        ('image "web:1"; port 80; volume "gs://bucket" "/data"', "keeps what is in `/data` in the bucket `bucket`"),
        ('image "postgres:16"; port 5432', "keeps nothing that `postgres` writes"),
    ],
)
def test_validate_warns_of_state_on_a_stateless_runtime(shop: Written, body: str, warning: str) -> None:
    shop(web(body, "cloudrun", "prd"))

    assert f"warning: service `web`: runtime `cloudrun` {warning}" in shop.told("prd", validate=True)


@pytest.mark.parametrize(("stage", "warned"), [("local", False), ("prd", True)])
def test_validate_warns_of_a_floating_latest_on_any_stage_but_local(shop: Written, stage: str, *, warned: bool) -> None:
    shop(web('image "web"', stage=stage))

    told = shop.told(stage, validate=True)

    assert ("warning: service `web`: image `web:latest` may be another one tomorrow" in told) is warned


def test_validate_warns_of_a_service_whose_image_differs_between_stages(shop: Written) -> None:
    shop(
        'service "web" { image "web:1" }\nstage "stg" { service "web" { image "web:2" } }\nstage "prd" { service "web" }'
    )

    assert "warning: service `web` is not the same image in all stages" in shop.told("prd", validate=True)
    assert shop.told("prd") == ""
