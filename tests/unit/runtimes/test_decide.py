# SPDX-License-Identifier: Apache-2.0
"""Decisions, as they print themselves. No Engine."""

from typing import Any

import msgspec
import pytest

from fleetflow_tasks.config.model import (
    Port,
    ProjectName,
    Readiness,
    Resources,
    RuntimeName,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.docker.decide import (
    AwaitEnd,
    Decision,
    Limit,
    Signal,
    decide,
    newer,
    prepared,
    removed,
    said,
    superfluous,
    unfit,
    unstarted,
)
from fleetflow_tasks.runtimes.docker.desired import Definition, definition, hashed
from fleetflow_tasks.runtimes.docker.observe import Container, Mount
from fleetflow_tasks.runtimes.labels import Mark

IMAGE = "sha256:1"
NETWORK = {"shop-local": "n1"}


def wanted(**fields: Any) -> Definition:
    service = ResolvedService(name=ServiceName("api"), runtime=RuntimeName("docker"), image="api:1", **fields)
    plan = Plan(project=ProjectName("shop"), stage=StageName("local"), root="/shop", services=(service,), steps=())
    return definition(plan, service)


def container(desired: Definition, suffix: str = "", **fields: Any) -> Container:
    """One that fits *desired* and runs well, where *fields* do not say otherwise."""
    content = fields.pop("hash", hashed(desired, IMAGE))
    mark = Mark(
        project=ProjectName("shop"),
        stage=StageName("local"),
        service=fields.pop("service", desired.service),
        run=fields.pop("run", "r1"),
        generation=fields.pop("generation", 1),
        hash=content,
    )
    usual: dict[str, Any] = {
        "id": f"id{suffix}",
        "name": fields.pop("name", desired.name + suffix),
        "state": "running",
        "reference": desired.image,
        "shown": desired.image,
        "image": IMAGE,
        "networks": NETWORK,
        "text": "Up 5 minutes",
    }
    return Container(mark=mark, **{**usual, **fields})


def told(desired: Definition, *containers: Container, **more: str) -> str:
    return decide(desired, IMAGE, containers, **more).describe()


def lines(*expected: str) -> str:
    return "\n".join(expected)


START = ("  start shop-local-api", "  wait until shop-local-api is ready")
RENAMES = (
    "  rename shop-local-api to shop-local-api.prev",
    "  rename shop-local-api.next to shop-local-api",
    "  remove shop-local-api.prev",
)


def test_what_is_not_there_is_created() -> None:
    assert told(wanted()) == lines("create: not there", "  create shop-local-api", *START)
    assert told(wanted(job=True)).startswith("run: not there")


def test_what_runs_and_fits_is_let_be() -> None:
    desired = wanted()

    assert told(desired, container(desired)) == "none"
    assert told(desired, container(desired, health="healthy")) == "none"


def test_what_has_just_started_is_looked_at_and_not_touched() -> None:
    desired = wanted()

    just = told(desired, container(desired, text="Up 1 second"))
    assert just == lines("none", "  wait until shop-local-api is ready")
    asked = wanted(readiness=Readiness(), ports=(Port(container=80),))
    assert told(asked, container(asked)) == lines("none", "  wait until shop-local-api is ready")
    starting = told(desired, container(desired, health="starting"))
    assert starting == lines("start: still starting", "  wait until shop-local-api is ready")


def test_what_is_stopped_and_fits_is_started_with_its_policy() -> None:
    desired = wanted()

    stopped = container(desired, state="exited", exit=137, restart="always")
    assert told(desired, stopped, network="n1") == lines(
        "start: stopped (exit code 137)", "  set the restart policy of shop-local-api to always", *START
    )
    assert told(desired, container(desired, state="created")) == lines("create: prepared, not started yet", *START)


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"health": "unhealthy"}, "unhealthy"),
        ({"state": "paused"}, "it is paused"),
        ({"state": "restarting"}, "it is restarting"),
    ],
)
def test_what_runs_badly_is_started_again(fields: dict[str, Any], cause: str) -> None:
    desired = wanted()

    described = told(desired, container(desired, **fields))

    assert described == lines(f"start: {cause}", "  stop shop-local-api within 10 s", *START)


def test_what_takes_long_to_stop_is_waited_for_outside_of_a_call() -> None:
    desired = wanted()
    slow = container(desired, health="unhealthy", grace=60.0, signal="SIGQUIT")

    assert told(desired, slow) == lines(
        "start: unhealthy",
        "  send SIGQUIT to shop-local-api",
        "  wait until shop-local-api has ended, at most 60 s",
        "  stop shop-local-api within 0 s",
        *START,
    )


def test_other_limits_are_set_in_place() -> None:
    desired = wanted(resources=Resources(memory_limit=64, cpu_limit=1.0))

    same = container(desired, limits={"Memory": 64, "NanoCpus": 1_000_000_000})
    assert told(desired, same) == "none"
    less = container(desired, limits={"Memory": 32, "NanoCpus": 1_000_000_000})
    assert told(desired, less) == lines("update: limits changed", "  set limits of shop-local-api: Memory=64")


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"hash": ""}, "made by another tool, now adopted"),
        ({"hash": "v1:old", "reference": "api:0"}, "image changed: api:0 -> api:1"),
        ({"hash": "v1:old", "image": "sha256:0"}, "image changed: `api:1` is another one now"),
        ({"hash": "v1:old"}, "configuration changed"),
        ({"networks": {}}, "not on network `shop-local`"),
        ({"state": "dead"}, "the container is dead"),
    ],
)
def test_what_does_not_fit_is_replaced_with_a_cause(fields: dict[str, Any], cause: str) -> None:
    desired = wanted()

    assert told(desired, container(desired, **fields)).splitlines()[0] == f"replace: {cause}"


def test_a_stopped_one_whose_network_is_another_is_replaced() -> None:
    desired = wanted()
    stopped = container(desired, state="exited", exit=0)

    assert unfit(desired, IMAGE, stopped, network="n2") == "network `shop-local` was made anew"
    assert unfit(desired, IMAGE, stopped, network="n1") == ""
    assert unfit(desired, IMAGE, container(desired, state="created", networks={"shop-local": ""}), network="n2") == ""


def test_two_that_share_nothing_run_side_by_side_until_the_new_one_is_ready() -> None:
    desired = wanted()
    decision = decide(desired, IMAGE, [container(desired, hash="v1:old", address="10.0.8.5")])

    assert decision.describe() == lines(
        "replace: configuration changed",
        "  create shop-local-api.next, not in DNS yet",
        "  start shop-local-api.next",
        "  wait until shop-local-api.next is ready",
        "  give shop-local-api.next its place in DNS as `api`",
        "  take shop-local-api out of DNS as `api`",
        "  let shop-local-api end what it began, 1.5 s",
        "  stop shop-local-api within 10 s",
        *RENAMES,
        "  or else give shop-local-api its place in DNS as `api`",
        "  or else remove shop-local-api.next",
    )
    assert (decision.change.downtime, decision.serving) == ("none", "shop-local-api")


def test_an_old_one_that_would_lose_its_connections_or_has_none_is_not_withdrawn() -> None:
    desired = wanted()

    assert "out of DNS" not in told(desired, container(desired, hash="v1:old"))
    crashing = container(desired, hash="v1:old", address="10.0.8.5", state="restarting")
    assert "out of DNS" not in told(desired, crashing)


def test_an_old_one_that_stops_at_once_is_not_waited_for() -> None:
    desired = wanted()

    described = told(desired, container(desired, hash="v1:old", address="10.0.8.5", grace=0.0))

    assert "  take shop-local-api out of DNS as `api`\n  stop shop-local-api within 0 s" in described


def test_two_that_share_a_port_run_one_after_the_other() -> None:
    desired = wanted(ports=(Port(container=80, host=8080),))
    decision = decide(desired, IMAGE, [container(desired, hash="v1:old", ports=("8080/tcp",), restart="always")])

    assert decision.describe() == lines(
        "replace: configuration changed",
        "  create shop-local-api.next",
        "  set the restart policy of shop-local-api to no",
        "  stop shop-local-api within 10 s",
        "  start shop-local-api.next",
        "  wait until shop-local-api.next is ready",
        *RENAMES,
        "  or else set the restart policy of shop-local-api to always",
        "  or else remove shop-local-api.next",
        "  or else start shop-local-api",
    )
    assert decision.change.downtime == "~1 s: published port"


def downtime(desired: Definition, **fields: Any) -> str:
    return decide(desired, IMAGE, [container(desired, hash="v1:old", **fields)]).change.downtime


def test_downtime_names_what_is_shared() -> None:
    chosen = wanted(ports=(Port(container=80),))
    assert downtime(chosen, chosen={"80/tcp": 11000}, ports=("11000/tcp",)) == "~1 s: published port"
    assert downtime(chosen) == "none"

    data = wanted(volumes=(Volume(source="data", target="/data"),))
    written = Mount(source="shop-local_data", target="/data", writable=True)
    assert downtime(data, mounts=(written,)) == "~1 s: volume `shop-local_data`"
    assert downtime(data, mounts=(msgspec.structs.replace(written, writable=False),)) == "none"
    assert downtime(data, mounts=(written,), state="exited", exit=1) == "none"


def test_a_restart_policy_that_is_off_need_not_be_put_off() -> None:
    desired = wanted(ports=(Port(container=80, host=8080),))

    described = told(desired, container(desired, hash="v1:old", ports=("8080/tcp",)))

    assert "restart policy" not in described


def test_what_goes_with_an_anonymous_volume_is_said() -> None:
    desired = wanted()
    mount = Mount(source="a" * 64, target="/data", writable=True, anonymous=True)

    head = told(desired, container(desired, hash="v1:old", mounts=(mount,))).splitlines()[0]

    assert head == "replace: configuration changed; what the old one kept at /data (anonymous volume) goes with it"


def test_a_prepared_container_is_used() -> None:
    desired = wanted()

    described = told(
        desired, container(desired, hash="v1:old"), container(desired, ".next", state="created", apart=True)
    )

    assert "create" not in described
    assert "out of DNS" not in described
    assert "  start shop-local-api.next" in described


def test_a_prepared_container_of_another_content_is_replaced_itself() -> None:
    desired = wanted()

    described = told(
        desired, container(desired, hash="v1:old"), container(desired, ".next", hash="v1:other", state="created")
    )

    assert described.splitlines()[1:3] == [
        "  remove shop-local-api.next",
        "  create shop-local-api.next, not in DNS yet",
    ]


def test_a_prepared_container_is_in_dns_or_not_as_its_use_needs_it() -> None:
    beside = wanted()
    prepared_for_a_swap = told(
        beside, container(beside, hash="v1:old"), container(beside, ".next", state="created", apart=False)
    )
    assert prepared_for_a_swap.splitlines()[1:3] == [
        "  take shop-local-api.next out of DNS as `api`",
        "  start shop-local-api.next",
    ]

    swapped = wanted(ports=(Port(container=80, host=8080),))
    old = container(swapped, hash="v1:old", ports=("8080/tcp",))
    prepared_for_an_overlap = told(swapped, old, container(swapped, ".next", state="created", apart=True))
    assert prepared_for_an_overlap.splitlines()[1:4] == [
        "  give shop-local-api.next its place in DNS as `api`",
        "  stop shop-local-api within 10 s",
        "  start shop-local-api.next",
    ]
    assert "DNS" not in told(swapped, old, container(swapped, ".next", state="created"))


def test_one_that_never_ran_is_replaced_without_being_put_back() -> None:
    desired = wanted()
    decision = decide(desired, IMAGE, [container(desired, hash="v1:old", state="created")])

    assert [said(operation) for operation in decision.undo] == ["remove shop-local-api.next"]
    assert decision.serving == ""


# --- where an interrupted replacement stands


def test_interrupted_while_the_new_one_starts_it_is_waited_for() -> None:
    desired = wanted(ports=(Port(container=80, host=8080),))
    old = container(desired, hash="v1:old", state="exited", exit=0, ports=("8080/tcp",))

    assert told(desired, old, container(desired, ".next")) == lines(
        "replace: configuration changed",
        "  wait until shop-local-api.next is ready",
        *RENAMES,
        "  or else give shop-local-api its place in DNS as `api`",
        "  or else remove shop-local-api.next",
        "  or else start shop-local-api",
    )


def test_interrupted_while_the_new_one_is_introduced_it_is_introduced_again() -> None:
    desired = wanted()
    old = container(desired, hash="v1:old", address="10.0.8.5")

    assert told(desired, old, container(desired, ".next", apart=True)).splitlines()[1:4] == [
        "  wait until shop-local-api.next is ready",
        "  give shop-local-api.next its place in DNS as `api`",
        "  take shop-local-api out of DNS as `api`",
    ]


def test_interrupted_and_crashed_since_the_old_one_serves_again_while_the_new_one_starts_again() -> None:
    desired = wanted()
    crashed = container(desired, ".next", state="exited", exit=1, apart=True)

    assert told(desired, container(desired, hash="v1:old"), crashed).splitlines()[1:5] == [
        "  give shop-local-api its place in DNS as `api`",
        "  take shop-local-api.next out of DNS as `api`",
        "  start shop-local-api.next",
        "  wait until shop-local-api.next is ready",
    ]


def test_interrupted_and_changed_since_the_old_one_serves_again_before_the_new_one_goes() -> None:
    desired = wanted()
    other = container(desired, ".next", hash="v1:other", apart=True)

    assert told(desired, container(desired, hash="v1:old"), other).splitlines()[1:5] == [
        "  give shop-local-api its place in DNS as `api`",
        "  stop shop-local-api.next within 10 s",
        "  remove shop-local-api.next",
        "  create shop-local-api.next, not in DNS yet",
    ]


def test_interrupted_after_the_first_rename_the_new_one_takes_the_name() -> None:
    desired = wanted()

    assert told(
        desired, container(desired, ".prev", hash="v1:old", state="exited"), container(desired, ".next")
    ) == lines(
        "update: an interrupted replacement is brought to its end",
        "  rename shop-local-api.next to shop-local-api",
        "  give shop-local-api its place in DNS as `api`",
        "  remove shop-local-api.prev",
    )


def test_interrupted_after_the_second_rename_the_old_one_goes() -> None:
    desired = wanted()

    assert told(desired, container(desired), container(desired, ".prev", hash="v1:old", state="exited")) == lines(
        "update: an interrupted replacement is brought to its end", "  remove shop-local-api.prev"
    )


def test_interrupted_after_the_second_rename_and_changed_since_the_name_is_free_again() -> None:
    desired = wanted()
    replaced = container(desired, ".prev", hash="v1:older", state="exited")

    described = told(desired, container(desired, hash="v1:old"), replaced)

    assert described.splitlines()[:3] == [
        "replace: configuration changed",
        "  remove shop-local-api.prev",
        "  create shop-local-api.next, not in DNS yet",
    ]


def test_only_the_old_one_is_left_under_its_other_name() -> None:
    desired = wanted()

    assert told(
        desired, container(desired, ".prev", created=1), container(desired, name="odd", state="exited")
    ) == lines(
        "update: an interrupted replacement is brought to its end",
        "  rename shop-local-api.prev to shop-local-api",
        "  give shop-local-api its place in DNS as `api`",
        "  remove odd",
    )


def test_when_the_old_version_is_wanted_again_the_new_one_goes_and_the_policy_comes_back() -> None:
    desired = wanted()
    other = container(desired, ".next", hash="v1:other")

    assert told(desired, container(desired, state="exited", exit=0, restart="always"), other) == lines(
        "start: stopped (exit code 0)",
        "  give shop-local-api its place in DNS as `api`",
        "  stop shop-local-api.next within 10 s",
        "  remove shop-local-api.next",
        "  set the restart policy of shop-local-api to always",
        *START,
    )
    assert told(desired, container(desired, restart="always"), other) == lines(
        "update: an interrupted replacement is tidied up",
        "  give shop-local-api its place in DNS as `api`",
        "  stop shop-local-api.next within 10 s",
        "  remove shop-local-api.next",
        "  set the restart policy of shop-local-api to always",
    )
    unstarted = msgspec.structs.replace(other, state="created")
    assert told(desired, container(desired), unstarted) == lines(
        "update: an interrupted replacement is tidied up", "  remove shop-local-api.next"
    )


# --- jobs


def test_a_job_that_ended_well_is_done() -> None:
    desired = wanted(job=True)

    assert told(desired, container(desired, state="exited", exit=0)) == "none"


def test_a_job_on_its_way_is_waited_for_and_a_prepared_one_started() -> None:
    desired = wanted(job=True)

    assert told(desired, container(desired)) == lines("run: still running", "  wait until shop-local-api is ready")
    assert told(desired, container(desired, state="created")) == lines("run: prepared, not started yet", *START)


def test_a_job_that_failed_runs_again_and_its_output_stays() -> None:
    desired = wanted(job=True)
    decision = decide(desired, IMAGE, [container(desired, state="exited", exit=3)])

    assert decision.describe() == lines(
        "run: it ended with exit code 3",
        "  create shop-local-api.next",
        "  start shop-local-api.next",
        "  wait until shop-local-api.next is ready",
        *RENAMES,
    )
    assert decision.serving == ""


def test_a_job_that_ended_before_the_renames_is_not_run_twice() -> None:
    desired = wanted(job=True)

    described = told(
        desired,
        container(desired, hash="v1:old", state="exited", exit=0),
        container(desired, ".next", state="exited", exit=0),
    )

    assert "start" not in described


def test_a_job_that_always_runs_does_so_once_in_a_run() -> None:
    desired = wanted(job=True, rerun="always")
    ended = container(desired, state="exited", exit=0, run="r1")

    assert told(desired, ended, run="r1") == "none"
    assert told(desired, ended, run="r2").splitlines()[0] == 'run: rerun "always"'


def test_a_job_has_no_place_in_dns_to_take_or_leave() -> None:
    desired = wanted(job=True)
    started = container(desired, ".next", hash="v1:other")

    assert "DNS" not in told(desired, container(desired, hash="v1:old"), started)
    assert "DNS" not in told(desired, container(desired, state="exited", exit=0), started)
    assert "DNS" not in told(desired, container(desired, ".prev", hash="v1:old"), started)


# --- preparing, removing, guarding


def test_preparing_only_adds() -> None:
    desired = wanted()

    def operations(*containers: Container) -> list[str]:
        return [said(operation) for operation in prepared(desired, IMAGE, containers, run="r1")]

    assert operations() == ["create shop-local-api"]
    assert operations(container(desired)) == []
    assert operations(container(desired, hash="v1:old")) == ["create shop-local-api.next, not in DNS yet"]
    assert operations(container(desired, hash="v1:old", state="exited")) == ["create shop-local-api.next"]
    assert operations(container(desired, hash="v1:old"), container(desired, ".next", state="created")) == []
    stale = container(desired, ".next", hash="v1:other", state="created")
    assert operations(container(desired, hash="v1:old"), stale) == [
        "remove shop-local-api.next",
        "create shop-local-api.next, not in DNS yet",
    ]
    assert operations(container(desired, hash="v1:old"), msgspec.structs.replace(stale, state="running")) == []
    assert operations(container(desired, ".next", hash="v1:old")) == []


def test_removing_stops_what_runs() -> None:
    desired = wanted()

    operations = removed([container(desired), container(desired, ".next", state="exited")])

    assert [said(operation) for operation in operations] == [
        "stop shop-local-api within 10 s",
        "remove shop-local-api",
        "remove shop-local-api.next",
    ]


def test_superfluous_is_what_the_plan_does_not_hold_and_what_was_left_over() -> None:
    desired = wanted()
    web = container(desired, name="shop-local-web", service=ServiceName("web"))
    left = container(desired, ".next", state="exited")

    assert superfluous([desired.service], [container(desired), left, web]) == (left, web)
    assert superfluous([desired.service], [left]) == ()


def test_what_a_run_prepared_and_did_not_start_is_found_and_nothing_else() -> None:
    desired = wanted()
    first = container(desired, state="created", run="r2")
    following = container(desired, ".next", state="created", run="r2")
    others = [
        container(desired, run="r2"),
        container(desired, state="exited", exit=0, run="r2"),
        container(desired, ".next", state="created", run="r1"),
    ]

    assert unstarted("r2", [first, *others, following]) == (first, following)
    assert unstarted("r3", [first, *others]) == ()


def test_what_a_newer_run_made_is_found() -> None:
    desired = wanted()
    late = container(desired, generation=8)

    assert newer([container(desired), late], 7) is late
    assert newer([late], 8) is None


def test_operations_print_themselves() -> None:
    assert said(Signal(name="a", signal="SIGQUIT")) == "send SIGQUIT to a"
    assert said(AwaitEnd(name="a", seconds=2.5)) == "wait until a has ended, at most 2.5 s"
    assert said(Limit(name="a", limits={"NanoCpus": 2, "Memory": 1})) == "set limits of a: Memory=1, NanoCpus=2"
    assert Decision(change=decide(wanted(), IMAGE, []).change).describe() == "create: not there"
