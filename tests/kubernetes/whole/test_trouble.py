# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a cluster is told in one line with cause and fix, for each service what is wrong with it.

Most of it in one stage, as what takes half a minute to be called broken then takes it once.
"""

import pytest

from fleetflow_tasks.runtimes.kubernetes.kinds import SECRET
from tests.desk import BASE, Result
from tests.docker.registry import registry
from tests.kubernetes.conftest import in_turn
from tests.kubernetes.whole.fleet import FAILED, FIRST, QUOTA, Fleet, service

DATA = 'volumes { volume "rows" "/rows" size="1Mi" }'
NO_SCHEDULER = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)


def stage(address: str) -> str:
    return "".join(
        [
            service("fine"),
            service("crashes", "echo reading the settings; echo there are none; exit 3"),
            service("keyless", more='secrets { TOKEN ref="tokens/none" }'),
            service("secretless", more='secrets { TOKEN ref="nothing/token" }'),
            service("unplaced", more='resources { cpu "600"; memory "16Mi" }'),
            service("picky", more='kubernetes { node_selector { "disk" "fast" } }'),
            service("classless", more=f'{DATA}; kubernetes {{ storage_class "golden" }}'),
            service("wordless").replace('command "sh" "-c" "sleep 1000"', 'command "no-such-command"'),
            service("unpulled").replace(BASE, f"{address}/nobody/has-this:1"),
            service("after", more='depends_on "crashes" wait=#false'),
            f'service "fails" {{ image "{BASE}"; job #true; command "sh" "-c" "echo half done; exit 4" }}\n',
        ]
    )


@pytest.fixture(scope="module")
def printed(shared: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """When all of it was deployed at once."""
    with in_turn(), registry(tmp_path_factory.mktemp("registry")) as address:
        shared.make(SECRET, "tokens", stringData={"token": "a word"})
        result = shared.fails(stage(address))
    result.out = result.out.replace(address, "REGISTRY")
    return result


# What is wrong, the cluster's own words or the container's, and what to do.
TOLD = {
    "crashes": (
        "it crashes again and again (3 restarts): it ended with exit code 3",
        ["its last 2 lines:", "  reading the settings", "  there are none"],
        "",
    ),
    "keyless": (
        "secret `tokens` has no key `none`",
        ["the node says: couldn't find key none in Secret NS/tokens"],
        "add the key, or correct its name",
    ),
    "secretless": (
        "secret `nothing` does not exist in the namespace",
        ['the node says: secret "nothing" not found'],
        "make it, or correct its name",
    ),
    "unplaced": (
        "no node can take its pod (1 looked at): 1 Insufficient cpu; it asks for cpu 600",
        [f"the scheduler says: 0/1 nodes are available: 1 Insufficient cpu. {NO_SCHEDULER}"],
        "ask for less in `resources`, or add a node",
    ),
    "picky": (
        "no node can take its pod (1 looked at): 1 node(s) didn't match Pod's node affinity/selector",
        [
            f"the scheduler says: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {NO_SCHEDULER}"
        ],
        "correct `node_selector`, or label a node",
    ),
    "classless": (
        "volume `rows-classless-0` is not there: storage class `golden` does not exist",
        ['the cluster says: storageclass.storage.k8s.io "golden" not found'],
        "correct `storage_class`",
    ),
    "wordless": (
        "its command `no-such-command` does not exist in the image",
        [
            (
                "the node says: failed to create containerd task: failed to create shim task: OCI runtime create failed: "
                "runc create failed: unable to start container process: "
                'exec: "no-such-command": executable file not found in $PATH: unknown'
            )
        ],
        "check `command` and `entrypoint`",
    ),
    "unpulled": (
        "image `REGISTRY/nobody/has-this:1` does not exist on REGISTRY",
        [
            (
                'the answer: rpc error: code = NotFound desc = failed to pull and unpack image "REGISTRY/nobody/has-this:1": '
                'failed to resolve reference "REGISTRY/nobody/has-this:1": REGISTRY/nobody/has-this:1: not found'
            )
        ],
        "push it, or correct `image` and `version`",
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_a_service_that_does_not_become_ready_is_told_with_cause_and_fix(
    shared: Fleet, printed: Result, name: str
) -> None:
    why, causes, fix = TOLD[name]

    assert shared.told(printed, f"{name}:deploy") == [
        f"{name}:deploy {FAILED}: `{name}` did not become ready: {why}",
        *(f"  {cause}" for cause in causes),
        FIRST,
        *([f"  fix: {fix}"] if fix else []),
        f"  more: flow logs --stage=stg {name}",
    ]


def test_a_job_that_fails_is_told_with_its_last_line(shared: Fleet, printed: Result) -> None:
    assert shared.told(printed, "fails:deploy") == [
        f"fails:deploy {FAILED}: job `fails` failed: it ended with exit code 4",
        "  the cluster says: Job has reached the specified backoff limit",
        "  its last line:",
        "    half done",
        "  more: flow logs --stage=stg fails",
    ]


def test_what_is_well_is_deployed_and_what_needs_the_broken_is_left_out(shared: Fleet, printed: Result) -> None:
    assert shared.plain(printed.out)[-2:] == [
        "not done: after, because crashes:deploy failed",
        "failed in Ns: 1 service deployed, 9 failed, 1 skipped",
    ]
    assert len(shared.names("fine")) == 1
    assert shared.pods("after") == []


def test_a_quota_that_is_used_up_is_told_and_the_version_before_serves(fleet: Fleet) -> None:
    fleet.make(QUOTA, "small", spec={"hard": {"requests.memory": "40Mi"}})
    memory = 'resources { cpu "10m"; memory "%s" }'
    fleet.up(service("api", more=memory % "16Mi"))
    before = fleet.names("api")

    failed = fleet.fails(service("api", more=memory % "32Mi"))

    assert fleet.told(failed, "api:deploy") == [
        (
            f"api:deploy {FAILED}: `api` did not become ready: quota `small` is used up: "
            "it asks for requests.memory=32Mi, used are requests.memory=16Mi of requests.memory=40Mi"
        ),
        (
            '  the cluster says: pods "api-…" is forbidden: exceeded quota: small, '
            "requested: requests.memory=32Mi, used: requests.memory=16Mi, limited: requests.memory=40Mi"
        ),
        "  the version before goes on serving",
        "  fix: ask for less in `resources`, or raise the quota",
        "  more: flow logs --stage=stg api",
    ]
    assert fleet.names("api") == before
