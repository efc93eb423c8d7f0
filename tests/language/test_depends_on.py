# SPDX-License-Identifier: Apache-2.0
"""The language, 6: depends_on, and how definitions merge."""

import pytest

from .conftest import Written, lines

OTHERS = """
service "checked" { image "a:1"; healthcheck { test "true" } }
service "ready" { image "a:1"; port 80; readiness path="/" }
service "plain" { image "a:1"; port 81 }
service "migrate" { image "a:1"; job #true }
service "once" { image "a:1"; restart "no" }
service "absent" { image "a:1" }
stage "local" {
    service "web"; service "checked"; service "ready"; service "plain"; service "migrate"; service "once"
}
"""


def web(body: str) -> str:
    return f'service "web" {{ image "web:1"; {body} }}{OTHERS}'


def waits(shop: Written, body: str) -> dict[str, str]:
    return {each.service: each.condition for each in shop(web(body)).service("web").depends_on}


def test_the_default_is_healthy_where_there_is_a_check_completed_for_a_job_else_started(shop: Written) -> None:
    assert waits(shop, 'depends_on "checked" "ready" "plain" "migrate" "once"') == {
        "checked": "healthy",
        "migrate": "completed",
        "once": "completed",
        "plain": "started",
        "ready": "healthy",
    }


def test_a_condition_may_be_said_for_each(shop: Written) -> None:
    body = (
        'depends_on { service "checked" condition="started"; service "migrate" condition="completed"; service "ready" }'
    )

    assert waits(shop, body) == {"checked": "started", "migrate": "completed", "ready": "healthy"}


def test_wait_false_goes_without_the_wait_of_a_later_restart(shop: Written) -> None:
    shop(web('depends_on { service "plain" wait=#false; service "ready" }'))

    assert {each.service: each.wait for each in shop.service("web").depends_on} == {"plain": False, "ready": True}


def test_it_is_the_order_of_the_plan(shop: Written) -> None:
    shop(
        """
        service "web" { image "web:1"; depends_on "db" "migrate" }
        service "migrate" { image "web:1"; job #true; depends_on "db" }
        service "db" { image "postgres:16"; healthcheck { test "pg_isready" } }
        stage "local" { service "web"; service "migrate"; service "db" }
        """
    )

    assert [" ".join(line.split()) for line in shop.steps() if "deploy" in line.partition(" ")[0]] == [
        "db:deploy <- db:prepare (declared)",
        "migrate:deploy <- db:deploy, migrate:prepare (waits for healthy db)",
        "web:deploy <- db:deploy, migrate:deploy, web:prepare (waits for healthy db; waits for completed migrate)",
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            'depends_on "chekced"',
            "service `web` depends on `chekced`, which is no service of this project => did you mean `checked`?",
        ),
        (
            'depends_on "absent"',
            ("service `web` depends on `absent`, which stage `local` does not hold"
            ' => add `service "absent"` to stage `local`, or mark the dependency `required=false`'),
        ),
        (
            'depends_on { service "plain" condition="healthy" }',
            ("warning: service `web` waits for healthy `plain`, which declares no check"
            ' => give `plain` a `healthcheck` or `readiness`, or wait with `condition="started"`'),
        ),
        (
            'depends_on { service "plain" condition="completed" }',
            ("service `web` waits until `plain` has completed, which is no job"
            ' => mark `plain` with `job #true`, or wait with `condition="started"`'),
        ),
        (
            'depends_on { service "plain" condition="done" }',
            '`condition` cannot be `"done"` => known are `completed`, `healthy`, `started`',
        ),
    ],
)  # fmt: skip
def test_errors_before_anything_is_touched(shop: Written, body: str, expected: str) -> None:
    told = shop(web(body)).headlines()

    assert [line.partition(": ")[2] for line in told] == [expected]


def test_an_optional_one_may_be_missing(shop: Written) -> None:
    assert waits(shop, 'depends_on { service "absent" required=#false; service "plain" }') == {"plain": "started"}


def test_a_cycle_is_printed_as_a_path_with_the_place_of_each_word(shop: Written) -> None:
    shop(
        """
        service "api" { image "api:1"; depends_on "web" }
        service "web" { image "web:1"; depends_on "api" }
        stage "local" { service "api"; service "web" }
        """
    )

    assert shop.told() == lines("""
        stage `local`: services wait for each other: api -> web -> api
          api depends on web   fleet.kdl:1:43
          web depends on api   fleet.kdl:2:43
          fix: remove one of the two, or mark it `required=false`
    """)


def test_an_optional_one_gives_way_in_a_cycle(shop: Written) -> None:
    shop(
        """
        service "api" { image "api:1"; depends_on "web" }
        service "web" { image "web:1"; depends_on { service "api" required=#false } }
        stage "local" { service "api"; service "web" }
        """
    )

    assert [each.service for each in shop.service("api").depends_on] == ["web"]
    assert shop.service("web").depends_on == ()


# --- merging

FULL = """
service "web" {
    image "web:1"
    restart "always"
    port 80
    volume "data" "/data"
    command "serve"
    depends_on "db"
    environment { A 1; B 1 }
    labels { a 1 }
    resources { cpu 1; memory "1Gi" }
    healthcheck { test "true"; interval 5 }
}
service "db" { image "db:1" }
"""


def merged(body: str) -> str:
    return f'{FULL}stage "local" {{ service "web" {{ {body} }}; service "db" }}'


def test_scalars_and_lists_of_a_later_definition_replace(shop: Written) -> None:
    shop(merged('restart "no"; port 90; port 91; volume "other" "/other"; command "a" "b"'))

    service = shop.service("web")

    assert service.restart == "no"
    assert [port.host for port in service.ports] == [90, 91]
    assert [volume.source for volume in service.volumes] == ["other"]
    assert service.command == ("a", "b")


def test_maps_and_blocks_merge_per_key(shop: Written) -> None:
    shop(merged("environment { B 2; C 2 }; labels { b 2 }; resources { cpu 2 }; healthcheck { interval 9 }"))

    service = shop.service("web")

    assert service.environment == {"A": "1", "B": "2", "C": "2"}
    assert service.labels == {"a": "1", "b": "2"}
    assert (service.resources.cpu, service.resources.memory) == (2.0, 1024**3)
    assert service.healthcheck is not None
    assert (service.healthcheck.test, service.healthcheck.interval) == (("CMD-SHELL", "true"), 9.0)


def test_stages_of_one_name_merge(shop: Written) -> None:
    shop(
        """
        service "web" { image "web:1"; environment { A 1 } }
        service "db" { image "db:1" }
        stage "local" { variables { X 1; Y 1 }; service "web" { environment { B 1 } } }
        stage "local" { variables { Y 2 }; service "db"; service "web" { environment { C 1 } } }
        """
    )

    assert [service.name for service in shop.plan().plan.services] == ["db", "web"]
    assert shop.service("web").environment == {"A": "1", "B": "1", "C": "1", "X": "1", "Y": "2"}


@pytest.mark.parametrize(
    ("node", "field"),
    [
        ("depends_on", "depends_on"),
        ("ports", "ports"),
        ("volumes", "volumes"),
        ("command", "command"),
        ("environment", "environment"),
        ("labels", "labels"),
        ("healthcheck", "healthcheck"),
    ],
)
def test_an_empty_node_takes_back_what_an_earlier_definition_said(shop: Written, node: str, field: str) -> None:
    assert getattr(shop(merged("")).service("web"), field)
    assert not getattr(shop(merged(node)).service("web"), field)


def test_so_it_does_for_entrypoints_secrets_ingress_scaling_and_resources(shop: Written) -> None:
    definition = """
    service "web" {
        image "web:1"; port 80; entrypoint "a"; env_file "web.env"; secrets { KEY file="key" }
        ingress host="shop.example.org"; scaling min=2; resources cpu=1; docker { init #true }
    }
    """
    shop(
        f'{definition}\nstage "local" {{ service "web" {{ entrypoint; env_file; secrets; ingress; scaling; resources; docker }} }}'
    )
    shop.files({"web.env": "A=1", "key": "x"})

    service = shop.service("web")

    assert (service.entrypoint, service.environment, service.secrets, service.ingress) == (None, {}, {}, ())
    assert (service.scaling, service.resources.cpu, service.options) == (None, None, {})


@pytest.mark.parametrize("node", ["environment { }", "environment { {% if false %}A 2{% endif %} }", "labels { }"])
def test_an_empty_block_adds_nothing_and_takes_nothing_back(shop: Written, node: str) -> None:
    service = shop(merged(node)).service("web")

    assert (service.environment, service.labels) == ({"A": "1", "B": "1"}, {"a": "1"})
