# SPDX-License-Identifier: Apache-2.0
"""Images that are built here, and workers elsewhere: told before a run is submitted that cannot end well."""

import socket
from contextlib import closing
from pathlib import Path

from fleetflow_tasks.api.building import unpushed
from fleetflow_tasks.api.reading import plan
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.engine.model import WorkerId, WorkerInfo
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.model import QueueName


def told(folder: Path, url: str, *hosts: str, image: str = "") -> list[tuple[str, str, str]]:
    """What is told of a service that is built in *folder*, with workers on *hosts*."""
    (folder / "Dockerfile").write_text("FROM x\n")
    (folder / "fleet.kdl").write_text(f'project "shop"\nstage "local" {{ service "api" {{ build "."; {image} }} }}\n')
    environ = {"FLEETFLOW_REDIS_URL": url, "FLEETFLOW_KEY": "k" * 40, "DOCKER_HOST": "unix:///nowhere"}
    request = Request(directory=str(folder), environ=environ)
    with closing(Store.connect(url, client_name="ff-test")) as store:
        for host in hosts:
            queues = (QueueName("docker"),)
            store.beat(WorkerInfo(id=WorkerId(f"{host}:1:a"), host=host, pid=1, queues=queues, slots=8))
    found = unpushed(request, plan(request).plan, workers=True)
    return [(each.severity, each.message, each.fix) for each in found]


def test_files_of_this_machine_are_not_on_another(tmp_path: Path, url: str) -> None:
    assert told(tmp_path, url, "web1", "web2") == [
        (
            "warning",
            "service `api` is built from files of this machine, and its workers are on others",
            "name a registry in `image`, run `flow build local --push`, then submit",
        )
    ]


def test_a_worker_here_has_the_files(tmp_path: Path, url: str) -> None:
    assert told(tmp_path, url, "web1", socket.gethostname()) == []


def test_workers_that_nobody_knows_yet_are_not_said_to_be_elsewhere(tmp_path: Path, url: str) -> None:
    assert told(tmp_path, url) == []


def test_what_is_in_a_registry_as_far_as_can_be_seen_from_here_is_no_trouble(tmp_path: Path, url: str) -> None:
    assert told(tmp_path, url, "web1", image='image "r.example.org/api"') == []
