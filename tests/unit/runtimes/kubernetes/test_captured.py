# SPDX-License-Identifier: Apache-2.0
"""What a real Kubernetes 1.34 said of services that cannot become ready, half a minute after they were applied."""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleetflow_tasks.runtimes.kubernetes.diagnose import diagnosed, stuck
from fleetflow_tasks.runtimes.kubernetes.done import judged

CAPTURED = msgspec.json.decode((Path(__file__).parent / "captured.json").read_bytes())
NOW = datetime.fromisoformat(CAPTURED["now"])
CASES: dict[str, Any] = CAPTURED["cases"]

EXPECTED = {
    "badname": "Broken: image `UPPER/x:1` has no name that an image can have",
    "big": "Broken: no node can take its pod (1 looked at): 1 Insufficient cpu; it asks for cpu 100",
    "bindfile": "Broken: volume `d` cannot be mounted: hostPath type check failed: /nowhere is not a directory",
    "crash": "Broken: it crashes again and again (4 restarts): it ended with exit code 3",
    "ends": "Broken: it ends by itself, with exit code 0",
    "good": "Ready: 1 pod ready",
    "job-bad": "Broken: it ended with exit code 4",
    "job-good": "Ready: ended with exit code 0",
    "job-late": "Broken: it was ended: it ran longer than 5 s",
    "never": 'Broken: image `fleetflow/nope:2` is not on the node, and `pull "never"` forbids to fetch it',
    "noaccount": "Broken: service account `gone` does not exist",
    "noclaim": "Broken: no node can take its pod (1 looked at): volume `nothere` does not exist",
    "noclass": "Broken: volume `data` is not there: storage class `fast` does not exist",
    "nocommand": "Broken: its command `nope` does not exist in the image",
    "noimage": "Broken: image `fleetflow/nope:1` cannot be pulled: Docker Hub does not answer as it should",
    "nokey": "Broken: secret `some` has no key `K`",
    "nomount": "Broken: config map `gone` does not exist in the namespace",
    "nosecret": "Broken: secret `gone` does not exist in the namespace",
    "oom": "Broken: out of memory: its limit is 16 MiB (exit code 137)",
    "overdue": "Broken: its health check fails",
    "psa": "Broken: the namespace allows only `restricted` pods: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
    "quota": "Broken: quota `few` is used up: it asks for pods=1, used are pods=0 of pods=0",
    "quotaset": "Broken: quota `few` is used up: it asks for pods=1, used are pods=0 of pods=0",
    "root": "Broken: its image would run as root, which `run_as_non_root` forbids",
    "set": "Broken: it crashes again and again (4 restarts): it ended with exit code 1",
    "sick": "Waiting: 0 of 1 pods ready; its health check fails: GET :8080/health was refused",
    "startup": "Broken: its health check fails, so it is ended and started again: nope",
    "tainted": "Broken: no node can take its pod (1 looked at): 1 node(s) didn't match Pod's node affinity/selector",
    "waits": "Waiting: 0 of 2 pods ready; pod waits-764db995dd-2ghqs: waiting for postgres:5432",
}


def said(name: str) -> str:
    case = CASES[name]
    verdict = judged(template="v1-aaaa", now=NOW, **case)
    return f"{type(verdict).__name__}: {verdict.text}"


def test_every_case_is_judged() -> None:
    assert EXPECTED.keys() == CASES.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_cluster_is_understood(name: str) -> None:
    assert said(name) == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(CASES))
def test_what_is_broken_has_a_cause_that_a_person_can_read(name: str) -> None:
    case = CASES[name]

    found = diagnosed(template="v1-aaaa", now=NOW, **case)

    verdict = said(name)
    assert (found is not None and found.message in verdict) or not verdict.startswith("Broken")


def test_pods_that_the_kubelet_holds_back_are_known() -> None:
    held = {name for name, case in CASES.items() if stuck(case["pods"])}

    assert held >= {"noimage", "badname", "never", "nosecret", "nokey", "crash", "set", "oom"}
    assert not held & {"good", "waits", "sick", "big", "quota", "job-good"}
