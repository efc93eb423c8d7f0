# SPDX-License-Identifier: Apache-2.0
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.config.model import (
    Healthcheck,
    Ingress,
    Port,
    ProjectName,
    Readiness,
    Resources,
    RuntimeName,
    Scaling,
    Secret,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.errors import Place, RefusedError
from fleetflow_tasks.plan import codec
from fleetflow_tasks.plan.model import (
    Need,
    Plan,
    QueueName,
    ResolvedDependency,
    ResolvedService,
    Step,
    StepId,
)
from fleetflow_tasks.view.problems import render

KEY = codec.parse_key("k" * 32)
KEYS = codec.Keys(current=KEY)
OTHER = codec.parse_key("o" * 32)
PROJECT, STAGE = ProjectName("shop"), StageName("stg")

SERVICE = ResolvedService(
    name=ServiceName("api"),
    runtime=RuntimeName("docker"),
    image="shop/api:9",
    ports=(Port(container=80, host=8080), Port(container=53, protocol="udp", host_ip="127.0.0.1")),
    environment={"LOG": "info"},
    secrets={"TOKEN": Secret("geheim-canary")},
    secret_refs={"DB": "projects/p"},
    volumes=(Volume(source="/data", target="/d", read_only=True, size=10),),
    command=("serve", "--now"),
    entrypoint=(),
    depends_on=(
        ResolvedDependency(service=ServiceName("db"), condition="healthy"),
        ResolvedDependency(service=ServiceName("log"), condition="started", wait=False),
    ),
    healthcheck=Healthcheck(test=("CMD", "true"), interval=2.0),
    readiness=Readiness(path="/h", port=80),
    restart="always",
    replicas=2,
    resources=Resources(cpu=0.5, memory=1),
    scaling=Scaling(min=1, max=3, cpu=70),
    labels={"team": "core"},
    ingress=(Ingress(host="shop.example.org"),),
    options={"nested": {"list": [1, 2.5, None, True, "x"]}},
    env_from_stage=("LOG",),
    places={"image": Place(file="fleet.kdl", line=3, text="image …")},
)
DEPLOY = Step(
    id=StepId("api:deploy"),
    action="deploy",
    runtime=RuntimeName("docker"),
    queue=QueueName("docker"),
    service=ServiceName("api"),
    needs=(Need(step=StepId("db:deploy"), cause="waits for healthy db"),),
    weight=3,
)
PLAN = Plan(
    project=PROJECT,
    stage=STAGE,
    root="/srv/shop",
    services=(SERVICE,),
    steps=(DEPLOY,),
    options={"docker": {"host": "web1"}},
)
BLOB = codec.seal(PLAN, KEYS, "run-1")


def opened(blob: bytes, keys: codec.Keys = KEYS, run: str = "run-1", stage: str = STAGE) -> Plan:
    return codec.unseal(blob, keys, run=run, project=PROJECT, stage=StageName(stage))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(RefusedError) as caught:
        call()
    return render(caught.value.problems[0])


def with_service(**changes: Any) -> Plan:
    return msgspec.structs.replace(PLAN, services=(msgspec.structs.replace(SERVICE, **changes),))


def test_a_plan_comes_out_as_it_went_in() -> None:
    assert opened(BLOB) == PLAN


text = st.text(max_size=20)
names = st.builds(ServiceName, text)
services = st.builds(
    ResolvedService,
    name=names,
    runtime=st.builds(RuntimeName, text),
    image=text,
    ports=st.lists(st.builds(Port, container=st.integers(0, 65535), host_ip=text), max_size=2).map(tuple),
    environment=st.dictionaries(text, text, max_size=3),
    secrets=st.dictionaries(text, st.builds(Secret, text), max_size=3),
    command=st.none() | st.lists(text, max_size=3).map(tuple),
    timeout=st.floats(0, 1e6),
    options=st.dictionaries(text, st.none() | st.booleans() | st.integers(-9, 9) | text, max_size=3),
)
plans = st.builds(
    Plan,
    project=st.just(PROJECT),
    stage=st.just(STAGE),
    root=text,
    services=st.lists(services, max_size=3).map(tuple),
    steps=st.just((DEPLOY,)),
)


@given(plans)
def test_any_plan_comes_out_as_it_went_in_and_has_one_form(plan: Plan) -> None:
    blob = codec.seal(plan, KEYS, "run-1")

    assert opened(blob) == plan
    assert codec.seal(opened(blob), KEYS, "run-1") == blob


@given(st.integers(0, len(BLOB) - 1), st.integers(1, 255))
def test_a_plan_with_any_byte_changed_is_refused(index: int, flip: int) -> None:
    altered = BLOB[:index] + bytes([BLOB[index] ^ flip]) + BLOB[index + 1 :]

    refusal(lambda: opened(altered))


@pytest.mark.parametrize("flip", [1, 4, 32, 128])
def test_no_byte_can_be_changed_unseen(flip: int) -> None:
    for index in range(len(BLOB)):
        altered = BLOB[:index] + bytes([BLOB[index] ^ flip]) + BLOB[index + 1 :]
        with pytest.raises(RefusedError):
            opened(altered)


def test_a_plan_that_is_cut_short_is_refused() -> None:
    for length in range(len(BLOB)):
        with pytest.raises(RefusedError):
            opened(BLOB[:length])


@given(st.binary(max_size=200))
def test_what_is_no_plan_is_refused(blob: bytes) -> None:
    refusal(lambda: opened(blob))
    refusal(lambda: codec.readable(blob))


def test_a_changed_plan_is_told_with_what_to_do() -> None:
    assert refusal(lambda: opened(BLOB[:-1] + b"?")) == (
        "the plan of run run-1 was altered after it was sealed\n"
        "  fix: submit it again, and find out who else can write to this Redis"
    )


def test_what_is_no_plan_at_all_is_told_so() -> None:
    assert refusal(lambda: opened(b"{}")).splitlines()[0] == "what should be a plan is none, or is not sealed"


def test_a_header_too_deep_to_read_is_refused() -> None:
    assert "is none" in refusal(lambda: opened(b'{"x":' + b"[" * 100_000 + b"\n"))


def test_a_plan_of_another_run_or_stage_is_refused() -> None:
    assert refusal(lambda: opened(BLOB, run="run-2")).splitlines()[0] == (
        "the plan of run run-2 of shop/stg was sealed for run run-1 of shop/stg"
    )
    assert "was sealed for run run-1 of shop/stg" in refusal(lambda: opened(BLOB, stage="prd"))


def test_a_plan_of_another_key_is_refused_with_the_ids_of_both() -> None:
    keys = codec.Keys(current=OTHER)

    assert refusal(lambda: opened(BLOB, keys)) == (
        "the plan of run run-1 was sealed with another key\n"
        f"  it names key {KEY.id}, this process has {OTHER.id}\n"
        "  fix: give submitter and workers the same `FLEETFLOW_KEY`; while it changes, `new,old`"
    )


def test_while_keys_change_the_previous_one_opens_and_the_current_one_seals() -> None:
    keys = codec.Keys(current=OTHER, previous=KEY)

    assert opened(BLOB, keys) == PLAN
    assert codec.header(codec.seal(PLAN, keys, "run-1")).key == OTHER.id


def test_keys_are_known_by_ids_that_say_nothing_of_them() -> None:
    assert KEYS.ids == (KEY.id,)
    assert codec.Keys(current=OTHER, previous=KEY).ids == (OTHER.id, KEY.id)
    assert KEY.id != OTHER.id
    assert len(KEY.id) == 8


def test_a_newer_schema_is_recognised_before_anything_is_opened() -> None:
    newer = b'{"schema":2,"whatever":[1,2]}\n\x00not for us'

    with pytest.raises(codec.NewerSchemaError) as caught:
        opened(newer)

    assert caught.value.schema == 2
    assert render(caught.value.problems[0]) == (
        "the plan has schema 2, this FleetFlow knows up to 1\n"
        "  fix: bring this worker to the version of the one who submitted"
    )


def test_steps_and_names_can_be_read_without_a_key_and_values_cannot() -> None:
    readable = codec.readable(BLOB)

    assert readable == codec.Readable(services=(ServiceName("api"),), steps=(DEPLOY,))
    assert codec.header(BLOB) == codec.Header(
        schema=1, run="run-1", project=PROJECT, stage=STAGE, key=KEY.id, clear=codec.header(BLOB).clear
    )
    parts = BLOB + zlib.decompress(BLOB.partition(b"\n")[2][: codec.header(BLOB).clear])
    for value in (b"geheim-canary", b"shop/api:9", b"/srv/shop", b"LOG", b"web1"):
        assert value not in parts


def test_a_readable_part_that_swells_to_gigabytes_is_refused() -> None:
    bomb = zlib.compress(b"0" * (64 * 2**20 + 1))
    head = msgspec.json.encode(msgspec.structs.replace(codec.header(BLOB), clear=len(bomb)))

    refusal(lambda: codec.readable(head + b"\n" + bomb))


def test_a_short_key_is_refused_with_the_way_to_a_good_one() -> None:
    assert refusal(lambda: codec.parse_key(" hunter2 ")) == (
        "the key has 7 characters, at least 32 are needed\n"
        "  fix: make one with `openssl rand -base64 32`, and give it to submitter and workers as `FLEETFLOW_KEY`"
    )


def test_space_around_a_key_does_not_count() -> None:
    assert codec.parse_key(f" {'k' * 32}\n") == KEY
    assert hash(codec.parse_key("k" * 32)) == hash(KEY)
    assert KEY not in (OTHER, "k" * 32)


def test_a_key_does_not_show_itself() -> None:
    assert repr(codec.Keys(current=KEY)) == "Keys(current=KeyMaterial([hidden]), previous=None)"
    assert "k" * 8 not in KEY.id


def test_purposes_have_keys_of_their_own() -> None:
    assert len({KEY.derived("sealing"), KEY.derived("nonce"), OTHER.derived("sealing")}) == 3


def test_another_run_or_plan_has_another_nonce() -> None:
    def nonce(plan: Plan, run: str) -> bytes:
        blob = codec.seal(plan, KEYS, run)
        start = blob.index(b"\n") + 1 + codec.header(blob).clear
        return blob[start : start + 12]

    assert len({nonce(PLAN, "run-1"), nonce(PLAN, "run-2"), nonce(with_service(image="x:2"), "run-1")}) == 3


def test_only_secrets_of_known_kind_are_sealed() -> None:
    with pytest.raises(TypeError, match="object in a plan"):
        codec.seal(with_service(options={"x": object()}), KEYS, "run-1")


def test_the_content_hash_does_not_follow_lines_and_folders() -> None:
    moved = with_service(places={}, env_from_stage=())

    assert codec.content_hash(msgspec.structs.replace(moved, root="/elsewhere")) == codec.content_hash(PLAN)


@pytest.mark.parametrize(
    "changes", [{"image": "x:2"}, {"secrets": {"TOKEN": Secret("other")}}, {"secrets": {}}, {"environment": {}}]
)
def test_the_content_hash_follows_everything_else(changes: dict[str, Any]) -> None:
    assert codec.content_hash(with_service(**changes)) != codec.content_hash(PLAN)
