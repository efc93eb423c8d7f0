# SPDX-License-Identifier: Apache-2.0
"""Fields of a change, in the user's words."""

from typing import Any

from fleetflow_tasks.runtimes.cloudrun.differences import differences

Json = dict[str, Any]


def service(container: Json | None = None, template: Json | None = None, **around: Any) -> Json:
    return {"template": {"containers": [{"image": "api:1", **(container or {})}], **(template or {})}, **around}


def told(wanted: Json, found: Json, after: Json | None = None) -> list[str]:
    return [f"{each.field}: {each.old} -> {each.new}" for each in differences(wanted, found, after)]


def env(**values: str) -> Json:
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


def test_a_field_is_told_by_the_word_that_the_file_has_for_it() -> None:
    wanted = service(
        {"image": "api:2", "args": ["--all"], "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}},
        {"maxInstanceRequestConcurrency": 10, "serviceAccount": "api@p"},
        scaling={"minInstanceCount": 1},
        invokerIamDisabled=True,
        labels={"team": "core"},
    )

    assert told(wanted, service({"resources": {"limits": {"cpu": "1000m", "memory": "512Mi"}}})) == [
        "command: None -> --all",
        "concurrency: None -> 10",
        "image: api:1 -> api:2",
        "labels.team: None -> core",
        "public: None -> true",
        "resources.cpu: 1 -> 2",
        "resources.memory: 512Mi -> 1Gi",
        "scaling.min: None -> 1",
        "service_account: None -> api@p",
    ]


def test_the_same_in_other_words_is_no_difference() -> None:
    found = service({"resources": {"limits": {"cpu": "1000m"}, "cpuIdle": False}}, description="")

    assert told(service({"resources": {"limits": {"cpu": "1"}}}), found) == []


def test_a_cpu_that_is_always_there_is_what_the_file_says_of_it() -> None:
    wanted, found = service({"resources": {"cpuIdle": True}}), service({"resources": {"startupCpuBoost": True}})

    assert told(wanted, found) == []
    assert told(found, wanted) == ["cpu_always: None -> true", "cpu_boost: None -> true"]
    assert told(wanted, found, wanted) == ["cpu_always: true -> None", "cpu_boost: true -> None"]


def test_variables_are_told_one_by_one_and_secrets_by_their_name() -> None:
    secret = {"name": "KEY", "valueSource": {"secretKeyRef": {"secret": "key", "version": "3"}}}
    found = service(env(LOG="info", OLD="1"))

    assert told(service({"env": [{"name": "LOG", "value": "debug"}, secret]}), found) == [
        "environment.KEY: None -> secret key:3",
        "environment.LOG: info -> debug",
        "environment.OLD: 1 -> None",
    ]


def test_a_default_that_nobody_said_is_no_difference_unless_cloud_run_says_that_it_goes() -> None:
    found = service(template={"timeout": "60s", "revision": "api-1"})

    assert told(service(), found) == []
    assert told(service(), found, service(template={"timeout": "300s"})) == ["timeout: 60s -> 300s"]
    assert told(service(), found, service()) == ["timeout: 60s -> None"]


def test_our_own_marks_are_none_of_the_users_fields() -> None:
    wanted = service(labels={"fleetflow-run": "r2"}, annotations={"fleetflow.io/hash": "h2", "a/b": "c"})

    assert told(wanted, service(labels={"fleetflow-run": "r1"})) == ["annotations.a/b: None -> c"]


def test_what_is_google_s_form_is_told_as_one() -> None:
    wanted = service({"ports": [{"containerPort": 80}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]})

    assert [each.field for each in differences(wanted, service())] == ["ports", "volumes"]


def test_a_job_s_tasks_have_a_template_of_their_own() -> None:
    def job(image: str, tasks: int) -> Json:
        inner = {"containers": [{"image": image}], "maxRetries": 0}
        return {"template": {"taskCount": tasks, "template": inner}}

    assert told(job("seed:2", 3), job("seed:1", 1)) == ["image: seed:1 -> seed:2", "taskCount: 1 -> 3"]
