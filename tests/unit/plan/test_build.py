# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.config.model import (
    Condition,
    Dependency,
    Healthcheck,
    Project,
    ProjectName,
    Readiness,
    RuntimeChoice,
    RuntimeName,
    Secret,
    SecretSource,
    Service,
    ServiceName,
    Stage,
    StageName,
    Volume,
)
from fleetflow_tasks.errors import Place, PlanError, Problem
from fleetflow_tasks.plan.build import build, teardown
from fleetflow_tasks.plan.describe import describe
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.plan.resolve import CLOUDRUN, DOCKER, KUBERNETES
from fleetflow_tasks.view.problems import render, render_all

STG = StageName("stg")


def service(name: str, *depends_on: Dependency, image: str | None = "x:1", **fields: Any) -> Service:
    return Service(name=ServiceName(name), image=image, depends_on=depends_on, **fields)


def on(name: str, condition: Condition | None = None, *, required: bool = True, wait: bool = True) -> Dependency:
    return Dependency(service=ServiceName(name), condition=condition, required=required, wait=wait)


def project(*services: Service, runtime: str = "docker", **stage: Any) -> Project:
    choice = RuntimeChoice(name=RuntimeName(runtime), options=stage.pop("options", {}))
    stages = (Stage(name=STG, runtime=choice, services=services, **stage),)
    return Project(name=ProjectName("shop"), root="/srv/shop", stages=stages)


def place(file: str, line: int, column: int = 5) -> Place:
    return Place(file=file, line=line, column=column)


def problems(*services: Service, **fields: Any) -> tuple[Problem, ...]:
    with pytest.raises(PlanError) as caught:
        build(project(*services, **fields), STG)
    return caught.value.problems


def test_a_job_holds_back_its_dependants_until_it_has_ended_well() -> None:
    plan = build(project(service("migrate", job=True), service("api", on("migrate"))), STG)

    assert describe(plan) == [
        "stage:prepare   <- -                           (declared)",
        "migrate:prepare <- stage:prepare               (network)",
        "api:prepare     <- stage:prepare               (network)",
        "migrate:deploy  <- migrate:prepare             (declared)",
        "api:deploy      <- api:prepare, migrate:deploy (waits for completed migrate)",
        "stage:prune     <- api:deploy, migrate:deploy  (all deployed)",
    ]


def test_a_stage_over_several_runtimes_prepares_and_prunes_each() -> None:
    plan = build(project(service("db"), service("edge", on("db"), runtime=RuntimeName("k8s"))), STG)

    assert describe(plan) == [
        "stage:prepare.docker     <- -                        (declared)",
        "stage:prepare.kubernetes <- -                        (declared)",
        "db:prepare               <- stage:prepare.docker     (network)",
        "edge:prepare             <- stage:prepare.kubernetes (network)",
        "db:deploy                <- db:prepare               (declared)",
        "edge:deploy              <- db:deploy, edge:prepare  (waits for started db)",
        "stage:prune.docker       <- db:deploy, edge:deploy   (all deployed)",
        "stage:prune.kubernetes   <- db:deploy, edge:deploy   (all deployed)",
    ]


def test_a_stage_without_services_is_still_prepared_and_pruned() -> None:
    plan = build(project(), STG)

    assert describe(plan) == [
        "stage:prepare <- - (declared)",
        "stage:prune   <- - (declared)",
    ]


def test_only_takes_what_it_needs_with_it_and_prunes_nothing() -> None:
    shop = project(service("db"), service("api", on("db")), service("web", on("api")), service("mail"))

    plan = build(shop, STG, only=[ServiceName("api")])

    assert [step.id for step in plan.steps] == [
        "stage:prepare", "db:prepare", "api:prepare", "db:deploy", "api:deploy",
    ]  # fmt: skip
    assert [each.name for each in plan.services] == ["api", "db", "mail", "web"]


def test_a_step_weighs_as_many_steps_as_must_still_come_behind_it() -> None:
    plan = build(project(service("db"), service("api", on("db"))), STG)

    assert {step.id: step.weight for step in plan.steps} == {
        "stage:prepare": 4,
        "db:prepare": 3,
        "api:prepare": 2,
        "db:deploy": 2,
        "api:deploy": 1,
        "stage:prune": 0,
    }


def test_a_deployment_takes_as_long_and_is_tried_as_often_as_its_service_says() -> None:
    plan = build(project(service("db", timeout=42.0, retries=5)), STG)

    assert [(step.id, step.timeout, step.retries) for step in plan.steps] == [
        ("stage:prepare", 60.0, 2),
        ("db:prepare", 600.0, 5),
        ("db:deploy", 42.0, 5),
        ("stage:prune", 300.0, 2),
    ]


def test_steps_of_a_named_docker_host_go_to_that_hosts_queue() -> None:
    shop = project(
        service("db"), service("edge", runtime=RuntimeName("cloudrun")), options={"host": "web1", "region": "r"}
    )

    plan = build(shop, STG)

    assert {step.queue for step in plan.steps} == {"docker.web1", "cloudrun"}
    assert plan.options == {"docker": {"host": "web1"}, "cloudrun": {"region": "r"}}


def test_the_runtime_asked_for_replaces_the_stages_own_but_not_a_services() -> None:
    shop = project(
        service("db"),
        service("edge", runtime=RuntimeName("cloud-run")),
        runtime="kubernetes",
        options={"namespace": "stg", "color": "red"},
    )

    plan = build(shop, STG, runtime=RuntimeName("docker"))

    assert {each.name: each.runtime for each in plan.services} == {"db": "docker", "edge": "cloudrun"}
    assert plan.options == {"docker": {"color": "red"}, "cloudrun": {"color": "red"}}


def test_a_service_that_names_no_runtime_has_it_from_where_its_stage_does() -> None:
    stage, own = place("fleet.kdl", 3), place("db.kdl", 7)
    services = (service("api"), service("db", runtime=RuntimeName("docker"), places={"runtime": own}))
    choice = RuntimeChoice(name=RuntimeName("docker"), place=stage)
    stages = (Stage(name=STG, runtime=choice, services=services),)

    made = build(Project(name=ProjectName("shop"), root="/srv/shop", stages=stages), STG)

    assert [each.places["runtime"] for each in made.services] == [stage, own]


def test_a_runtime_of_another_package_is_known_where_it_is_named() -> None:
    plan = build(project(service("db"), runtime="nomad"), STG, known=["nomad"])

    assert plan.runtimes == ("nomad",)
    assert plan.step(StepId("db:deploy")).queue == "nomad"


def test_an_unknown_runtime_is_told_with_the_nearest_known_one() -> None:
    wrong = service("db", runtime=RuntimeName("nomda"), places={"runtime": place("a.kdl", 3)})

    with pytest.raises(PlanError) as caught:
        build(project(wrong, runtime="dokcer"), STG, known=["nomad"])

    assert [render(problem) for problem in caught.value.problems] == [
        "unknown runtime `dokcer`\n  did you mean `docker`?",
        "a.kdl:3:5: unknown runtime `nomda`\n  did you mean `nomad`?",
    ]


def test_an_unknown_stage_is_told_with_those_there_are() -> None:
    with pytest.raises(PlanError) as caught:
        build(project(), StageName("prd"))
    with pytest.raises(PlanError) as none:
        build(Project(name=ProjectName("shop"), root="/", stages=()), StageName("prd"))

    assert render(caught.value.problems[0]) == "project `shop` has no stage `prd`\n  fix: known is only `stg`"
    assert render(none.value.problems[0]) == 'project `shop` has no stage `prd`\n  fix: write `stage "prd" { … }`'


def test_a_service_called_stage_would_take_the_stages_own_steps() -> None:
    found = problems(service("stage", places={"": place("a.kdl", 1, 1)}))

    assert render_all(found).splitlines()[0] == (
        "a.kdl:1:1: no service can be called `stage`: `stage:prepare` and `stage:prune` are the stage's own steps"
    )


def test_only_without_dependencies_takes_them_to_be_up() -> None:
    shop = project(service("db"), service("migrate", on("db"), job=True), service("api", on("db"), on("migrate")))

    plan = build(shop, STG, only=[ServiceName("api"), ServiceName("migrate")], with_dependencies=False)

    assert describe(plan) == [
        "stage:prepare   <- -                           (declared)",
        "migrate:prepare <- stage:prepare               (network)",
        "api:prepare     <- stage:prepare               (network)",
        "migrate:deploy  <- migrate:prepare             (declared)",
        "api:deploy      <- api:prepare, migrate:deploy (waits for completed migrate)",
    ]
    assert [each.name for each in plan.services] == ["api", "db", "migrate"]


def test_without_dependencies_means_nothing_where_the_whole_stage_is_meant() -> None:
    shop = project(service("db"), service("api", on("db")))

    assert build(shop, STG, with_dependencies=False) == build(shop, STG)


def test_images_from_elsewhere_count_instead_of_what_the_text_says() -> None:
    exact = f"ghcr.io/shop/api:1@sha256:{'a' * 64}"
    shop = project(service("db"), service("api", image="NOT AN IMAGE"))

    plan = build(shop, STG, images={ServiceName("api"): exact})

    assert [each.image for each in plan.services] == [exact, "x:1"]


def test_only_names_a_service_that_the_stage_does_not_hold() -> None:
    with pytest.raises(PlanError) as caught:
        build(project(service("api")), STG, only=[ServiceName("apo"), ServiceName("api")])

    assert render_all(caught.value.problems) == "stage `stg` holds no service `apo`\n  did you mean `api`?"


def test_a_circle_is_told_as_a_path_with_the_place_of_each_end() -> None:
    found = problems(
        service("api", on("web"), places={"depends_on.web": place("services/api.kdl", 7)}),
        service("web", on("api"), places={"depends_on": place("services/web.kdl", 4)}),
    )

    assert render_all(found) == (
        "stage `stg`: services wait for each other: api -> web -> api\n"
        "  api depends on web   services/api.kdl:7:5\n"
        "  web depends on api   services/web.kdl:4:5\n"
        "  fix: remove one of the two, or mark it `required=false`"
    )


def test_every_circle_is_told_at_once_and_one_without_place_too() -> None:
    found = problems(
        service("self", on("self")),
        service("long-one", on("b")),
        service("b", on("c"), places={"": place("b.kdl", 1)}),
        service("c", on("long-one")),
    )

    assert render_all(found) == (
        "stage `stg`: a service waits for itself: self -> self\n"
        "  self depends on self\n"
        "  fix: remove it\n"
        "\n"
        "stage `stg`: services wait for each other: long-one -> b -> c -> long-one\n"
        "  long-one depends on b\n"
        "  b depends on c          b.kdl:1:5\n"
        "  c depends on long-one\n"
        "  fix: remove one of them, or mark it `required=false`\n"
        "\n"
        "2 errors"
    )


def test_an_optional_dependency_gives_way_in_a_circle() -> None:
    plan = build(project(service("api", on("web", required=False)), service("web", on("api"))), STG)

    assert [step.id for step in plan.steps if step.action == "deploy"] == ["api:deploy", "web:deploy"]


def test_an_optional_dependency_is_kept_where_it_closes_no_circle() -> None:
    plan = build(
        project(
            service("api", on("web", required=False), on("db", required=False)),
            service("web", on("api")),
            service("db"),
        ),
        STG,
    )

    assert [each.service for each in plan.service(ServiceName("api")).depends_on] == ["db"]


def test_an_optional_dependency_that_the_stage_lacks_is_dropped() -> None:
    plan = build(project(service("api", on("mail", required=False))), STG)

    assert plan.service(ServiceName("api")).depends_on == ()


def test_all_that_is_wrong_with_dependencies_is_told_at_once() -> None:
    other = Stage(
        name=StageName("local"), runtime=RuntimeChoice(name=RuntimeName("docker")), services=(service("vault"),)
    )
    shop = project(
        service("api", on("vault"), on("postgre"), places={"depends_on": place("a.kdl", 3)}), service("postgres")
    )
    shop = Project(name=shop.name, root=shop.root, stages=(*shop.stages, other))

    with pytest.raises(PlanError) as caught:
        build(shop, STG)

    assert render_all(caught.value.problems) == (
        "a.kdl:3:5: service `api` depends on `vault`, which stage `stg` does not hold\n"
        '  fix: add `service "vault"` to stage `stg`, or mark the dependency `required=false`\n'
        "\n"
        "a.kdl:3:5: service `api` depends on `postgre`, which is no service of this project\n"
        "  did you mean `postgres`?\n"
        "\n"
        "2 errors"
    )


@pytest.mark.parametrize(
    ("other", "said", "expected"),
    [
        (service("db"), None, "started"),
        (service("db", job=True), None, "completed"),
        (service("db", healthcheck=Healthcheck(test=("CMD", "true"))), None, "healthy"),
        (service("db", healthcheck=Healthcheck(test=("NONE",))), None, "started"),
        (service("db", readiness=Readiness(port=80)), None, "healthy"),
        (service("db", readiness=Readiness(port=80)), "started", "started"),
    ],
)
def test_one_waits_for_what_the_other_can_show(other: Service, said: Condition | None, expected: str) -> None:
    plan = build(project(other, service("api", on("db", said))), STG)

    assert [each.condition for each in plan.service(ServiceName("api")).depends_on] == [expected]


def test_a_dependency_that_is_not_waited_for_later_is_so_in_the_plan_too() -> None:
    plan = build(project(service("db"), service("log"), service("api", on("db"), on("log", wait=False))), STG)

    assert [each.wait for each in plan.service(ServiceName("api")).depends_on] == [True, False]


def test_a_services_environment_lies_over_the_stages_variables() -> None:
    plan = build(
        project(service("api", environment={"LOG": "debug", "A": "1"}), variables={"LOG": "info", "DEBUG": "no"}), STG
    )

    api = plan.service(ServiceName("api"))
    assert list(api.environment.items()) == [("A", "1"), ("DEBUG", "no"), ("LOG", "debug")]
    assert api.env_from_stage == ("DEBUG",)


def test_bind_sources_become_absolute_and_other_volumes_stay() -> None:
    volumes = ("./data", "../shared/x", "/etc/x/", "~/cache", "~", "pgdata", "gs://bucket", "")
    shop = project(service("api", volumes=tuple(Volume(source=source, target="/d") for source in volumes)))

    plan = build(shop, STG, home="/home/ann")

    assert [volume.source for volume in plan.service(ServiceName("api")).volumes] == [
        "/srv/shop/data", "/srv/shared/x", "/etc/x", "/home/ann/cache", "/home/ann", "pgdata", "gs://bucket", "",
    ]  # fmt: skip


def test_a_home_that_nobody_knows_is_an_error() -> None:
    found = problems(service("api", volumes=(Volume(source="~/x", target="/d"), Volume(source="~bob/x", target="/e"))))

    assert [problem.message for problem in found] == [
        "service `api`: whose home `~/x` means is not known here",
        "service `api`: whose home `~bob/x` means is not known here",
    ]


def test_secrets_are_values_or_references_and_never_missing() -> None:
    secrets = {
        "A": SecretSource(kind="env", name="A", value=Secret("geheim")),
        "B": SecretSource(kind="ref", name="projects/p/secrets/b"),
    }
    plan = build(project(service("api", secrets=secrets)), STG)

    api = plan.service(ServiceName("api"))
    assert (api.secrets, api.secret_refs) == ({"A": Secret("geheim")}, {"B": "projects/p/secrets/b"})

    missing = {
        "C": SecretSource(kind="env", name="PG_PASSWORD"),
        "D": SecretSource(kind="file", name="secrets/d"),
    }
    found = problems(service("api", secrets=missing, places={"secrets.C": place("a.kdl", 2)}))

    assert render_all(found) == (
        "a.kdl:2:5: secret `C` of service `api` has no value: the variable `PG_PASSWORD` is not there\n"
        "  fix: set `PG_PASSWORD` before you call `flow`\n"
        "\n"
        "secret `D` of service `api` has no value: the file `secrets/d` is not there\n"
        "  fix: write `secrets/d`\n"
        "\n"
        "2 errors"
    )
    looked_at = build(project(service("api", secrets={**secrets, **missing})), STG, values=False)
    assert looked_at.service(ServiceName("api")).secrets == {"A": Secret("geheim")}


def test_an_image_that_is_none_is_told_at_its_place() -> None:
    found = problems(service("api", image="Shop/api:1", places={"image": place("a.kdl", 2)}))

    assert render_all(found) == (
        "a.kdl:2:5: service `api`: image `Shop/api:1` holds capital letters\n"
        "  fix: image names are lower case: `shop/api:1`"
    )


def test_a_service_gets_the_options_of_its_own_runtime_as_they_come_out_of_a_plan() -> None:
    options = {"docker": {"ulimits": ("a", "b")}, "kubernetes": {"x": 1}}

    plan = build(project(service("api", options=options)), STG)

    assert plan.service(ServiceName("api")).options == {"ulimits": ["a", "b"]}


def test_down_is_the_same_graph_turned_round() -> None:
    shop = project(service("db"), service("api", on("db")), service("web", on("api"), on("db")))

    plan = teardown(shop, STG, services=[ServiceName(name) for name in ("db", "web", "api", "old")])

    assert describe(plan) == [
        "old:remove  <- -                                             (declared)",
        "web:remove  <- -                                             (declared)",
        "api:remove  <- web:remove                                    (web depends on it)",
        "db:remove   <- api:remove, web:remove                        (api depends on it; web depends on it)",
        "stage:prune <- api:remove, db:remove, old:remove, web:remove (all removed)",
    ]
    assert plan.services == ()


def test_what_is_not_there_is_not_removed() -> None:
    shop = project(service("db"), service("edge", on("db"), on("gone"), runtime=RuntimeName("cloudrun")))

    plan = teardown(shop, STG, services=[ServiceName("edge")])

    assert describe(plan) == [
        "edge:remove          <- -           (declared)",
        "stage:prune.cloudrun <- edge:remove (all removed)",
        "stage:prune.docker   <- edge:remove (all removed)",
    ]
    assert [step.queue for step in plan.steps] == ["cloudrun", "cloudrun", "docker"]


def test_a_service_is_removed_where_it_is_and_not_where_the_text_has_it_by_now() -> None:
    shop = project(service("api"), service("moved"), service("split"), service("edge", runtime=CLOUDRUN))
    there = {"api": {DOCKER}, "moved": {CLOUDRUN}, "split": {DOCKER, CLOUDRUN}, "old": {KUBERNETES}}
    found = {ServiceName(name): places for name, places in there.items()}

    plan = teardown(shop, STG, services=list(found), found=found)

    assert {str(step.service): step.runtime for step in plan.steps if step.service} == {
        "api": "docker",
        "moved": "cloudrun",
        "split": "docker",
        "old": "kubernetes",
    }
    assert plan.runtimes == ("cloudrun", "docker", "kubernetes")


def test_a_stage_with_a_circle_can_still_be_taken_down() -> None:
    shop = project(service("api", on("web")), service("web", on("api")), service("db", on("db")))

    plan = teardown(shop, STG, services=[ServiceName("api"), ServiceName("web"), ServiceName("db")])

    assert [step.id for step in plan.steps] == ["api:remove", "db:remove", "web:remove", "stage:prune"]


def test_a_stage_with_an_unknown_runtime_cannot_be_taken_down() -> None:
    with pytest.raises(PlanError, match="unknown runtime `dokcer`"):
        teardown(project(runtime="dokcer"), STG, services=())


def test_the_same_text_gives_the_same_bytes_in_every_process() -> None:
    program = (
        "import msgspec, sys; sys.path.insert(0, sys.argv[1]);"
        "from test_build import STG, on, project, service;"
        "from fleetflow_tasks.plan.build import build;"
        "from fleetflow_tasks.plan.codec import Keys, content_hash, parse_key, seal;"
        "names = [chr(97 + n) for n in range(20)];"
        "parts = [service(n, *map(on, names[:i]), environment={m: m for m in names}) for i, n in enumerate(names)];"
        "plan = build(project(*parts, variables={m.upper(): m for m in names}), STG, only={'t', 'k', 'a'});"
        "blob = seal(plan, Keys(current=parse_key('k' * 32)), 'run');"
        "import hashlib; print(hashlib.sha256(blob).hexdigest(), content_hash(plan))"
    )
    folder = str(Path(__file__).parent)

    answers = {
        subprocess.run(
            [sys.executable, "-c", program, folder],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }

    assert len(answers) == 1


def test_a_plan_knows_its_parts_by_name() -> None:
    plan: Plan = build(project(service("db")), STG)

    assert plan.service_of(plan.step(StepId("db:deploy"))) is plan.service(ServiceName("db"))
