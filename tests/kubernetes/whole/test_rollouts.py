# SPDX-License-Identifier: Apache-2.0
"""How a version follows upon another: its environment, how many pods it has, in which order they start, what stays."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, CONFIG_MAP, DEPLOYMENT, HPA, POD, SERVICE, STORAGE_CLASS
from fleetflow_tasks.testing import eventually
from tests.desk import BASE
from tests.kubernetes.whole.fleet import SOON, Fleet, service

PORT = "port container=8080"


def test_a_changed_variable_alone_replaces_the_pods_and_a_rollback_gives_them_the_old_value(fleet: Fleet) -> None:
    fleet.start("worker", "kubernetes").until("worker.ready")
    fleet.write(service("api", more=f'{PORT}; environment {{ COLOUR "red"; SIZE "1" }}'))
    submitted = fleet.flow("submit", "--wait")
    assert submitted.code == 0, submitted
    red, config, address = fleet.names("api"), fleet.all(CONFIG_MAP), fleet.get(SERVICE, "api")

    fleet.write(service("api", more=f'{PORT}; environment {{ COLOUR "blue"; SIZE "1" }}'))
    changed = fleet.flow("submit", "--wait")

    assert changed.code == 0, changed
    assert fleet.variables("api") == {"COLOUR": {"blue"}, "SIZE": {"1"}}
    blue = fleet.names("api")
    assert not set(red) & set(blue)
    assert fleet.get(CONFIG_MAP, config[0]["metadata"]["name"])["data"] == {"COLOUR": "red", "SIZE": "1"}
    assert fleet.get(SERVICE, "api")["metadata"]["resourceVersion"] == address["metadata"]["resourceVersion"]

    gone_back = fleet.flow("rollback", "--wait")

    assert gone_back.code == 0, gone_back
    assert fleet.variables("api") == {"COLOUR": {"red"}, "SIZE": {"1"}}
    assert not set(blue) & set(fleet.names("api"))


def test_an_autoscaler_and_a_deployment_do_not_fight_over_the_number_of_pods(fleet: Fleet) -> None:
    def api(copies: str, colour: str = "red") -> str:
        return service("api", more=f'{copies}; environment {{ COLOUR "{colour}" }}; resources {{ cpu "1m" }}')

    scaled = "scaling min=2 max=9"
    fleet.up(api("replicas 3"))

    fleet.up(api(scaled))
    assert (fleet.replicas("api"), len(fleet.all(HPA))) == (3, 1)

    # What its autoscaler does when the load grows; here no cluster measures any.
    body = {"spec": {"replicas": 5}}
    fleet.ask("PATCH", DEPLOYMENT, "api", "scale", body, manager="kube-controller-manager")
    same = fleet.up(api(scaled))
    assert "1 service unchanged" in same.out
    changed = fleet.up(api(scaled, "blue"))
    assert re.search(r"^succeeded in .*: 1 service deployed$", changed.out, re.MULTILINE), changed
    assert fleet.replicas("api") == 5
    assert fleet.variables("api") == {"COLOUR": {"blue"}}

    fleet.up(api("replicas 2", "blue"))
    assert (fleet.replicas("api"), fleet.all(HPA)) == (2, [])
    eventually(lambda: len(fleet.pods("api")) == 2, SOON)


def test_a_job_gates_what_depends_on_it(fleet: Fleet) -> None:
    data = 'volumes { volume "common" "/data" size="1Mi" }'
    job = f'service "migrate" {{ image "{BASE}"; job #true; command "sh" "-c" "sleep 2; touch /data/%s; exit %s"; {data} }}\n'
    api = service("api", "ls /data; sleep 1000", more=f'depends_on "migrate"; {data}')

    failed = fleet.fails(job % ("half", 1) + api)
    none = fleet.pods("api")
    done = fleet.up(job % ("whole", 0) + api)

    assert "not done: api, because migrate:deploy failed" in failed.out
    assert none == []
    assert fleet.log(fleet.names("api")[0]) == "half\nwhole", done


def test_pods_that_are_all_killed_start_again_in_the_order_of_what_they_depend_on(fleet: Fleet) -> None:
    answer = "exec httpd -f -p 8080 -h /"
    fleet.up(
        f'service "db" {{ image "{BASE}"; command "sh" "-c" "sleep 3; {answer}"; {PORT}; kubernetes {{ stop_grace 1 }}; '
        'healthcheck { test "CMD" "wget" "-q" "-O" "/dev/null" "http://127.0.0.1:8080/etc/passwd"; interval 1; start_period 60 } }\n'
        + service("api", answer, more=f'{PORT}; depends_on "db"; kubernetes {{ stop_grace 1 }}')
        + service("web", more='depends_on "api"')
    )
    before = [*fleet.names("db"), *fleet.names("api"), *fleet.names("web")]

    for pod in before[:2]:
        fleet.remove(POD, pod)
    # A Service sends to pods on their way out as long as it has no others: they are no start that could be waited for.
    eventually(lambda: not set(before[:2]) & {p["metadata"]["name"] for p in fleet.all(POD)}, SOON)
    fleet.remove(POD, before[2])

    def started() -> list[Any]:
        """When the containers of the pods that are there now began to run."""
        pods = [pod for name in ("db", "api", "web") for pod in fleet.pods(name)]
        states = [pod["status"].get("containerStatuses", [{}])[0].get("state", {}) for pod in pods]
        return [state["running"]["startedAt"] for state in states if "running" in state]

    eventually(lambda: len(started()) == 3 and not set(before) & {p["metadata"]["name"] for p in fleet.all(POD)}, SOON)
    db, api, web = started()
    assert db < api <= web
    assert fleet.log(fleet.names("api")[0], "wait-for-db").splitlines() == ["waiting for db:8080"]


def test_a_claim_keeps_its_data_across_down_and_up(fleet: Fleet) -> None:
    data = 'volumes { volume "%s" "/data" size="1Mi" }'
    note = "cat /data/notes; echo %s >>/data/notes; sleep 1000"

    def both(word: str) -> str:
        """One with a volume of its own, and two that share one."""
        own = service("db", note % word, more=data % "rows")
        return own + service("a", note % word, more=data % "common") + service("b", more=data % "common")

    fleet.up(both("first"))
    claims = {claim["metadata"]["name"]: claim["metadata"]["uid"] for claim in fleet.all(CLAIM)}

    assert fleet.flow("down").code == 0
    gone = fleet.made()
    fleet.up(both("second"))

    assert sorted(claims) == ["common", "rows-db-0"]
    assert gone == ["PersistentVolumeClaim common", "PersistentVolumeClaim rows-db-0"]
    assert {claim["metadata"]["name"]: claim["metadata"]["uid"] for claim in fleet.all(CLAIM)} == claims
    assert [fleet.log(fleet.names(name)[0]) for name in ("db", "a")] == ["first", "first"]
    assert fleet.flow("down", "--volumes", "--yes").code == 0
    assert fleet.made() == []


@pytest.fixture
def lazy(fleet: Fleet) -> Iterator[str]:
    """A storage class whose volumes are made only when a pod wants them."""
    made = fleet.make(
        STORAGE_CLASS,
        fleet.project,
        provisioner="kubernetes.io/host-path",
        volumeBindingMode="WaitForFirstConsumer",
    )
    yield fleet.project
    fleet.cluster.client.delete(STORAGE_CLASS, "", fleet.project, uid=made["metadata"]["uid"], propagation="Background")


def test_a_claim_that_waits_for_its_first_pod_is_not_waited_for(fleet: Fleet, lazy: str) -> None:
    def mounting(name: str, volume: str) -> str:
        data = f'volumes {{ volume "{volume}" "/data" size="1Mi" }}; kubernetes {{ storage_class "{lazy}" }}'
        return service(name, more=data)

    fleet.up(mounting("db", "rows") + mounting("a", "common") + mounting("b", "common"))

    claims = {claim["metadata"]["name"]: claim for claim in fleet.all(CLAIM)}
    assert {name: claim["status"]["phase"] for name, claim in claims.items()} == {
        "common": "Bound",
        "rows-db-0": "Bound",
    }
    assert {claim["spec"]["storageClassName"] for claim in claims.values()} == {lazy}
