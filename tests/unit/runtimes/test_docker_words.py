# SPDX-License-Identifier: Apache-2.0
"""What the Engine says, turned into what a person needs. No Engine."""

from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.config.model import RuntimeName, Secret, ServiceName, StageName
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.docker import explain
from fleetflow_tasks.runtimes.docker.client import parts, passes
from fleetflow_tasks.runtimes.docker.observe import Holder, State
from fleetflow_tasks.runtimes.docker.verdict import verdict
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

STAGE = StageName("stg")


def service(**fields: Any) -> ResolvedService:
    usual = {"name": ServiceName("api"), "runtime": RuntimeName("docker"), "image": "ghcr.io/shop/api:9"}
    return ResolvedService(**{**usual, **fields})


def state(**fields: Any) -> State:
    return State(**{"status": "running", "started": "t1", **fields})


# --- is it ready?


@pytest.mark.parametrize(
    ("seen", "up", "expected"),
    [
        (state(), 0.25, Waiting(text="running, watched for a second", soon=0.75)),
        (state(), 1.0, Ready(text="running")),
        (state(health="healthy"), 0.0, Ready(text="healthy")),
        (state(health="starting"), 9.0, Waiting(text="waiting for its health check")),
        (state(health="starting", failing=2), 9.0, Waiting(text="waiting for its health check (2 failed so far)")),
        (state(health="unhealthy", failing=1), 9.0, Broken(text="its health check failed once")),
        (state(health="unhealthy", failing=3), 9.0, Broken(text="its health check failed 3 times")),
        (state(status="exited", exit=3), 0.0, Broken(text="it ended with exit code 3")),
        (state(status="exited", exit=0, health="unhealthy"), 0.0, Broken(text="it ended with exit code 0")),
        (state(status="created"), 0.0, Broken(text="it was not started")),
        (state(status="created", error="no such device"), 0.0, Broken(text="it was not started: no such device")),
        (
            state(status="restarting", exit=4),
            0.0,
            Waiting(text="crashed (it ended with exit code 4), being restarted"),
        ),
        (
            state(restarts=5, exit=4),
            0.0,
            Broken(text="it crashes again and again (3 restarts): it ended with exit code 4"),
        ),
        (None, 0.0, Broken(text="somebody removed its container")),
    ],
)
def test_a_service_is_ready_when_its_check_says_so_or_when_it_has_lasted(
    seen: State | None, up: float, expected: Verdict
) -> None:
    assert verdict(seen, job=False, restarts=2, up=up) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (state(), Waiting(text="job is running")),
        (state(status="exited", exit=0), Ready(text="ended with exit code 0")),
        (state(status="exited", exit=1), Broken(text="it ended with exit code 1")),
        (state(status="exited", exit=0, error="half-way"), Broken(text="it ended with exit code 0")),
    ],
)
def test_a_job_is_ready_when_it_has_ended_well(seen: State, expected: Verdict) -> None:
    assert verdict(seen, job=True, restarts=0, up=0.0) == expected


# --- how it ended


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (state(exit=1), "it ended with exit code 1"),
        (state(exit=127), "it ended with exit code 127: the command was not found in the image"),
        (state(exit=139), "it ended with exit code 139: it crashed (SIGSEGV, a segmentation fault)"),
        (state(exit=137, out_of_memory=True, memory=64 * 2**20), "out of memory: its limit is 64 MiB (exit code 137)"),
        (state(exit=137, out_of_memory=True), "out of memory (exit code 137)"),
    ],
)
def test_an_exit_code_is_explained(seen: State, expected: str) -> None:
    assert explain.ending(seen) == expected


def lines(*expected: str) -> str:
    return "\n".join(expected)


def text(problem: Problem) -> str:
    return "\n".join([problem.message, *problem.cause, problem.fix])


def test_a_container_that_did_not_become_ready_shows_what_a_person_would_look_for() -> None:
    sick = state(health="unhealthy", error="odd", output="GET /health\nrefused")

    assert text(explain.unready(service(), sick, ["one", "two"], "its health check failed once", STAGE)) == lines(
        *[
            "`api` did not become ready: its health check failed once",
            "the Engine says: odd",
            "the health check's last output: GET /health · refused",
            "its last 2 lines:",
            "  one",
            "  two",
            "run the check by hand in the container, or give it more `start_period`",
        ]
    )


def test_one_line_of_output_is_called_one_line() -> None:
    assert explain.unready(service(), None, ["boom"], "why", STAGE).cause == ("its last line:", "  boom")


@pytest.mark.parametrize(
    ("seen", "fix"),
    [
        (None, ""),
        (state(status="exited", exit=1), ""),
        (state(status="exited", exit=127), "check `command` and `entrypoint`"),
        (state(exit=137, out_of_memory=True), "raise `memory_limit` in `resources`, or let it use less"),
    ],
)
def test_a_fix_is_named_where_one_is_known(seen: State | None, fix: str) -> None:
    problem = explain.unready(service(job=True), seen, (), "why", STAGE)

    assert (problem.message, problem.cause, problem.fix) == ("job `api` failed: why", ("it wrote nothing",), fix)
    assert problem.more == "flow logs --stage=stg api"


def test_secrets_that_an_application_printed_are_hidden_but_for_the_shortest() -> None:
    secrets = {"TOKEN": Secret("s3cret"), "ON": Secret("1")}
    problem = Problem(code="x", message="1 s3cret", cause=("token=s3cret", "1"))

    hidden = explain.masked(problem, service(secrets=secrets))

    assert (hidden.message, hidden.cause) == ("1 [hidden]", ("token=[hidden]", "1"))


# --- why it was not started


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (
            "invalid mount config for type bind: bind source path does not exist: /srv/x",
            "bind-missing",
            "`/srv/x` is not there to be mounted",
        ),
        (
            'exec: "nope": executable file not found in $PATH',
            "command-not-found",
            "its command does not exist in the image",
        ),
        (
            'exec: "/x": stat /x: no such file or directory',
            "command-not-found",
            "its command does not exist in the image",
        ),
        ('exec: "/x": permission denied', "command-not-executable", "its command is not executable"),
        ("mounting a to b: not a directory", "mount-kind", "a file is mounted on a folder, or a folder on a file"),
        ("error looking up logging plugin x", "log-driver", "the log driver is not known to this Engine"),
        ("write /x: no space left on device", "disk-full", "the Engine's disk is full"),
        ("network 1234 not found", "network-missing", "its network is gone"),
        (
            "image with platform linux/arm64 does not match the specified platform",
            "image-platform",
            "`ghcr.io/shop/api:9` is not made for this machine",
        ),
        ("something new", "not-started", "something new"),
    ],
)
def test_a_refusal_to_start_is_explained(answer: str, code: str, message: str) -> None:
    problem = explain.unstarted(service(), 400, answer)

    assert (problem.code, problem.message) == (code, f"`api` cannot be started: {message}")
    assert problem.cause == (f"the Engine says (400): {answer}",)


@pytest.mark.parametrize(
    ("image", "answer", "code", "message"),
    [
        (
            "ghcr.io/shop/api:9",
            "manifest for ghcr.io/shop/api:9 not found: manifest unknown",
            "image-not-found",
            "image `ghcr.io/shop/api:9` does not exist on ghcr.io",
        ),
        (
            "shop:9",
            "pull access denied for shop, repository does not exist or may require 'docker login'",
            "image-denied",
            "image `shop:9` does not exist on Docker Hub, or wants a login",
        ),
        ("r:5000/x", "unauthorized: access", "image-denied", "image `r:5000/x` cannot be pulled: r:5000 wants a login"),
        (
            "shop:9",
            "toomanyrequests: You have reached your pull rate limit",
            "image-rate-limit",
            "image `shop:9` cannot be pulled now: Docker Hub limits how often",
        ),
        (
            "shop:9",
            "no matching manifest for linux/arm64 in the manifest list entries",
            "image-platform",
            "image `shop:9` is not made for this machine",
        ),
        (
            "r:5000/x",
            "dial tcp: connection refused",
            "registry-unreachable",
            "image `r:5000/x` is not on this Engine, and r:5000 does not answer",
        ),
        ("No:Image", "manifest unknown", "image-not-found", "image `No:Image` does not exist on the registry"),
    ],
)
def test_a_missing_image_is_said_in_the_registrys_terms(image: str, answer: str, code: str, message: str) -> None:
    problem = explain.image_missing(service(image=image), answer)

    assert (problem.code, problem.message) == (code, message)


def test_problems_point_at_the_line_that_is_to_blame() -> None:
    node, ports = Place(file="f", line=1), Place(file="f", line=2)
    said = service(places={"": node, "ports": ports})

    assert explain.port_taken(said, 80, "container `x`").place == ports
    assert explain.image_never(said).place == node
    assert explain.port_taken(said, 80, "").cause == ("by something that this machine does not show",)


@pytest.mark.parametrize(
    ("answer", "port"),
    [
        ("driver failed: Bind for 0.0.0.0:8080 failed: port is already allocated", 8080),
        ("Error starting userland proxy: listen tcp4 0.0.0.0:53: bind: address already in use", 53),
        ("failed to bind host port 127.0.0.1:9000: bind: address already in use", 9000),
        ("something else", None),
    ],
)
def test_the_port_is_read_from_the_engines_words(answer: str, port: int | None) -> None:
    assert explain.taken_port(answer) == port


def test_foreign_things_are_named_with_what_is_known_of_them() -> None:
    holder = Holder(id="0123456789abcdef", name="x", image="nginx", created=1, owner="Docker Compose project `old`")

    assert explain.name_taken("x", holder, None).cause == (
        "container 0123456789ab, image nginx; it belongs to Docker Compose project `old`",
    )
    assert explain.name_taken("x", None, None).cause == ()
    assert explain.foreign("network", "n", "").cause == ("it has no label of ours",)
    assert explain.foreign("volume", "v", "stage `a`").cause == ("it belongs to stage `a`",)
    assert (
        explain.stale("x", 8, 7).message == "`x` was made by a newer run (generation 8); this one (7) must not touch it"
    )


def test_a_process_that_listens_is_found_by_its_socket(tmp_path: Path) -> None:
    net = tmp_path / "net"
    net.mkdir()
    row = "0: 00000000:1F90 00000000:0000 0A 0:0 00:0 0 0 0 4711 1"
    (net / "tcp").write_text(f"head\n{row}\n{row.replace('1F90', '0050')}\n")
    assert explain._process_on(8080, tmp_path) == "a process of another user"
    assert explain._process_on(9, tmp_path) == ""

    (tmp_path / "42" / "fd").mkdir(parents=True)
    (tmp_path / "42" / "fd" / "3").symlink_to("socket:[4711]")
    (tmp_path / "42" / "comm").write_text("nginx\n")
    (tmp_path / "43").mkdir()
    assert explain._process_on(8080, tmp_path) == "process `nginx` (42)"


# --- may it pass by itself?


@pytest.mark.parametrize(
    ("status", "said", "looking", "expected"),
    [
        (503, "", False, True),
        (429, "slow down", False, True),
        (500, "oci runtime create failed", False, False),
        (500, "oci runtime create failed", True, True),
        (500, "internal server error", False, True),
        (500, "rpc error: desc = transport is closing", False, True),
        (500, "port is already allocated", True, False),
        (409, "conflict", True, False),
    ],
)
def test_a_refusal_may_pass_or_not(status: int, said: str, looking: bool, expected: bool) -> None:
    assert passes(status, said, looking=looking) is expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("redis", ("redis", "latest")),
        ("r:5000/shop/api", ("r:5000/shop/api", "latest")),
        ("r:5000/shop/api:9", ("r:5000/shop/api", "9")),
        ("r:5000/shop/api@sha256:ab", ("r:5000/shop/api", "sha256:ab")),
        ("r:5000/shop/api:9@sha256:ab", ("r:5000/shop/api", "sha256:ab")),
    ],
)
def test_one_tag_or_one_digest_is_pulled(reference: str, expected: tuple[str, str]) -> None:
    assert parts(reference) == expected
