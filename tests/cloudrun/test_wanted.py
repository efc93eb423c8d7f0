# SPDX-License-Identifier: Apache-2.0
"""What a revision and a task say -> the container that is run for them."""

import pytest

from fleetflow_tasks.testing.cloudrun.startup import Probe, probe
from fleetflow_tasks.testing.cloudrun.wanted import bytes_of, cores, of_revision, of_task, seconds

PLACE = "projects/shop/locations/europe-west1"


def secret(name: str, version: str) -> bytes:
    return f"{name}@{version}".encode()


def test_a_revision_becomes_the_container_that_requests_go_to() -> None:
    found = of_revision(
        {
            "name": f"{PLACE}/services/api/revisions/api-00001-abc",
            "service": "api",
            "containers": [
                {"image": "proxy"},
                {
                    "image": "shop/api:1",
                    "command": ["/bin/api"],
                    "args": ["-v"],
                    "env": [
                        {"name": "LOG", "value": "info"},
                        {"name": "EMPTY"},
                        {"name": "KEY", "valueSource": {"secretKeyRef": {"secret": "key", "version": "3"}}},
                    ],
                    "ports": [{"name": "http1", "containerPort": 9000}],
                    "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
                    "startupProbe": {"httpGet": {"path": "/up", "port": 9000}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "keys", "mountPath": "/keys"}],
                },
            ],
            "volumes": [
                {"name": "cache", "emptyDir": {"medium": "MEMORY"}},
                {"name": "keys", "secret": {"secret": "tls", "items": [{"path": "tls.pem", "version": "7"}]}},
                {"name": "unused", "gcs": {"bucket": "b"}},
            ],
        },
        secret,
    )

    assert (found.name, found.image, found.entrypoint, found.arguments) == (
        "api-00001-abc",
        "shop/api:1",
        ("/bin/api",),
        ("-v",),
    )
    assert found.environ == {
        "LOG": "info",
        "EMPTY": "",
        "KEY": "key@3",
        "PORT": "9000",
        "K_SERVICE": "api",
        "K_REVISION": "api-00001-abc",
        "K_CONFIGURATION": "api",
    }
    assert (found.port, found.cpu, found.memory) == (9000, 0.5, 256 * 1024**2)
    assert (found.folders, found.files) == (("/cache",), {"/keys/tls.pem": b"tls@7"})
    assert found.probe == Probe(path="/up", period=1, timeout=1, threshold=3)


def test_what_is_not_said_is_as_cloud_run_has_it() -> None:
    found = of_revision({"name": f"{PLACE}/services/api/revisions/api-1", "containers": [{"image": "a"}]}, secret)

    assert (found.port, found.environ["PORT"], found.cpu, found.memory) == (8080, "8080", 1.0, 512 * 1024**2)
    assert found.probe == Probe(period=240, timeout=240, threshold=1)


def test_a_task_knows_which_one_it_is() -> None:
    execution = f"{PLACE}/jobs/seed/executions/seed-x"
    task = {
        "name": f"{execution}/tasks/seed-x-2",
        "job": "seed",
        "execution": execution,
        "index": 2,
        "containers": [
            {
                "image": "seed:1",
                "volumeMounts": [{"name": "db", "mountPath": "/cloudsql"}, {"name": "k", "mountPath": "/k"}],
            }
        ],
        "volumes": [
            {"name": "db", "cloudSqlInstance": {"instances": ["i"]}},
            {"name": "k", "secret": {"secret": "key"}},
        ],
    }

    found = of_task(task, 1, secret)

    assert found.environ == {
        "CLOUD_RUN_JOB": "seed",
        "CLOUD_RUN_EXECUTION": "seed-x",
        "CLOUD_RUN_TASK_INDEX": "2",
        "CLOUD_RUN_TASK_ATTEMPT": "1",
    }
    assert (found.name, found.port, found.folders, found.files) == ("seed-x-2", 0, (), {"/k/key": b"key@latest"})


def test_quantities_are_read_as_kubernetes_writes_them() -> None:
    assert [bytes_of(each) for each in ("512Mi", "1Gi", "2G", "100")] == [536870912, 1073741824, 2 * 10**9, 100]
    assert [cores(each) for each in ("1", "1000m", "80m", "0.5")] == [1, 1, 0.08, 0.5]
    assert [seconds(each, 7) for each in ("300s", "0.500s", None, "")] == [300, 0.5, 7, 7]
    with pytest.raises(ValueError, match="no amount of memory: 3 apples"):
        bytes_of("3 apples")


def test_a_probe_that_says_little_is_as_kubernetes_has_it() -> None:
    found = probe({"httpGet": {"httpHeaders": [{"name": "X", "value": "y"}]}, "initialDelaySeconds": 2})

    assert found == Probe(path="/", headers={"X": "y"}, delay=2, period=10, timeout=1, threshold=3)
    assert probe({"tcpSocket": {"port": 80}, "timeoutSeconds": 5}) == Probe(period=10, timeout=5, threshold=3)
