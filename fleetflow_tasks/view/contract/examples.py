# SPDX-License-Identifier: Apache-2.0
"""One object of each type, for the page: a shop whose `api` gets a new image. No command loads this."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from fleetflow_tasks.view.contract import TYPES, answers, parts, streams

_LEVEL = parts.Ingredient(name="LEVEL", source="--var")


def _setting(
    value: object, source: str, *, over: tuple[str, ...] = (), parts_: tuple[parts.Ingredient, ...] = ()
) -> parts.Setting:
    return parts.Setting(value=value, source=source, over=over, parts=parts_)


_RUN = parts.Run(
    run="01kpzv4e8q3n5s7t9w0x2y4z6b",
    project="shop",
    stage="stg",
    status="running",
    generation=12,
    actor="ann@laptop",
    note="git 1a2b3c4",
    submitted=1790000000.0,
    started=1790000000.5,
    ended=None,
    ahead=0,
    because=None,
    deadline=None,
    rollback=False,
    whole=True,
    problem=None,
)
_BEFORE = replace(
    _RUN,
    run="01kpx0c2d4f6g8h0j2k4m6n8p0",
    status="succeeded",
    generation=11,
    submitted=1789913600.0,
    started=1789913600.25,
    ended=1789913611.5,
)
_ENDED = replace(_RUN, status="succeeded", ended=1790000008.25)
_QUEUED = replace(_RUN, status="queued", started=None, ahead=1)
_MISSING = parts.Problem(
    code="image-not-found",
    message="the image does not exist",
    cause=("ghcr.io/shop/api:9: manifest unknown",),
    fix="push it, or change `version`",
    more="",
    place=parts.Place(file="fleet.kdl", line=4, column=5, length=11, text='    version "9"'),
    severity="error",
)
_FORGETS = parts.Problem(
    code="redis-forgets",
    message="Redis at redis://redis.internal:6379/0 keeps runs in memory alone",
    cause=("when it ends, every run and its history is gone; what is deployed goes on",),
    fix="set `appendonly yes` there, or give it a replica",
    more="",
    place=None,
    severity="warning",
)
_TYPO = parts.Problem(
    code="unknown-node",
    message="unknown node `enviroment` in service `api`",
    cause=(),
    fix="did you mean `environment`?",
    more="",
    place=parts.Place(file="fleet.kdl", line=12, column=9, length=10, text='        enviroment { LOG "info" }'),
    severity="error",
)
_STARTED = parts.Outcome(changed=True, text="started", facts={"image": "sha256:2c26b46b68ff"})
_STEP = parts.StepState(
    step="api:deploy",
    service="api",
    status="running",
    queue="docker",
    attempt=1,
    losses=0,
    releases=0,
    worker="web1:4242:k3x9",
    since=1790000002.0,
    started=1790000002.0,
    ended=None,
    due=None,
    outcome=None,
    problem=None,
)
_DONE = replace(_STEP, status="succeeded", since=1790000008.0, ended=1790000008.0, outcome=_STARTED)
_IMAGE = parts.FieldChange(field="image", old="ghcr.io/shop/api:8", new="ghcr.io/shop/api:9")
_CHANGE = parts.Change(
    step="api:deploy",
    service="api",
    kind="replace",
    cause="image changed",
    fields=(_IMAGE,),
    downtime="~1 s: published port",
)
_DIFFERENCE = parts.Difference(service="api", kind="changed", fields=(_IMAGE,))
_DIGEST = "ghcr.io/shop/api:9@sha256:2c26b46b68ff"
_API = parts.Service(
    service="api",
    state="running",
    runtime="docker",
    text="",
    image="ghcr.io/shop/api:9",
    digest=_DIGEST,
    ports=("127.0.0.1:8080->80/tcp",),
    since=1790000003.0,
    restarts=0,
    drift=False,
    run=_RUN.run,
)
_MAIL = replace(
    _API,
    service="mail",
    state="failed",
    text="exit code 1",
    image="ghcr.io/shop/mail:3",
    digest="ghcr.io/shop/mail:3@sha256:fcde2b2edba5",
    ports=(),
)
_EVENT: Mapping[str, Any] = {"run": _RUN.run, "id": "1790000002000-0", "at": 1790000002.0}

_ALL: tuple[msgspec.Struct, ...] = (
    answers.Problems(exit_code=3, problems=(_TYPO,)),
    answers.Validate(valid=False, stages=("local",), problems=(_TYPO,)),
    answers.Ps(project="shop", stage="stg", services=(_API, _MAIL), warnings=()),
    answers.Runs(runs=(_RUN, _BEFORE)),
    answers.Show(
        **asdict(_ENDED),
        undone_by=None,
        services=(parts.ShownService(service="api", image="ghcr.io/shop/api:9"),),
        steps=(parts.ShownStep(**asdict(_DONE), waited=0.25, ran=6.0, needs=("api:prepare",)),),
        closed=None,
        before=_BEFORE.run,
        differences=(_DIFFERENCE,),
    ),
    answers.QueueAnswer(
        now=1790000010.0,
        stages=(
            parts.StageWaits(
                project="shop",
                stage="stg",
                active=_RUN,
                done=1,
                total=3,
                behind=1,
                waits=(
                    parts.Waiting(
                        run=_RUN.run,
                        why="busy",
                        text="all 16 slots of queue `docker` are busy",
                        steps=("api:deploy",),
                        queue="docker",
                        since=1790000002.0,
                    ),
                ),
            ),
        ),
        queues=(parts.Queue(queue="docker", workers=1, slots=16, busy=16, ready=1, running=16, messages=1),),
    ),
    answers.Plan(project="shop", stage="stg", changes=(_CHANGE,), total={"replace": 1}, warnings=()),
    answers.Diff(project="shop", stage="stg", differs=True, changes=(_CHANGE,), warnings=()),
    answers.Graph(
        project="shop",
        stage="stg",
        steps=(
            parts.Step(
                step="api:deploy",
                service="api",
                action="deploy",
                runtime="docker",
                queue="docker",
                needs=(parts.Need(step="api:prepare", cause="declared"),),
                weight=1,
                timeout=300.0,
                retries=2,
            ),
        ),
        critical_path=("stage:prepare", "api:prepare", "api:deploy", "stage:prune"),
        warnings=(),
    ),
    answers.Config(
        project=_setting("shop", "fleet.kdl:1"),
        stage=_setting("stg", "stages/stg.kdl:1"),
        runtime={"name": _setting("docker", "default")},
        variables={"LEVEL": _setting("debug", "--var", over=("stages/stg.kdl:3",))},
        services={
            "api": {
                "image": _setting("ghcr.io/shop/api:9", "fleet.kdl:4"),
                "ports.0": _setting({"host": 8080, "container": 80, "protocol": "tcp"}, "fleet.kdl:5"),
                "environment.LOG": _setting("debug", "stages/stg.kdl:6", parts_=(_LEVEL,), over=("fleet.kdl:7",)),
            }
        },
        warnings=(),
    ),
    answers.Variables(
        project="shop",
        stage="stg",
        variables=(
            parts.Variable(
                name="LEVEL",
                value="debug",
                source="--var",
                over=("stages/stg.kdl:3",),
                parts=(),
                users=("service api at stages/stg.kdl:6", "every service, in its environment"),
            ),
        ),
        warnings=(),
    ),
    answers.Render(
        project="shop",
        stage="prd",
        files=(parts.File(runtime="kubernetes", name="api.yaml", text="apiVersion: apps/v1\n…"),),
        warnings=(),
    ),
    answers.Build(
        project="shop",
        stage="stg",
        images=(
            parts.Image(
                service="api",
                image="ghcr.io/shop/api:b5f2c9a41e07d",
                hash="5f2c9a41e07d",
                anew=True,
                digest="sha256:2c26b46b68ff",
            ),
        ),
        warnings=(),
    ),
    answers.Rendered(folder="manifests", changed=("api.yaml",), same=("db.yaml",), removed=(), warnings=()),
    answers.Import(platform="cloudrun", kdl='project "shop"\n…'),
    answers.Fmt(written=True, changed=("services/api.kdl",), same=("fleet.kdl",), problems=()),
    answers.Promotion(
        project="shop",
        source="stg",
        to="prd",
        images={"api": _DIGEST},
        runs=(_RUN.run,),
        changes=(_CHANGE,),
        total={"replace": 1},
        warnings=(),
    ),
    answers.RollbackPlan(to=_BEFORE, last=_ENDED, differences=(_DIFFERENCE,)),
    answers.RunAnswer(**asdict(_QUEUED), repeated=False, key=None, warnings=()),
    answers.Cancel(**asdict(replace(_RUN, status="ending")), running=("api:deploy",)),
    answers.Version(
        version="0.1.0",
        python="3.11.9",
        platform="Linux-6.8-x86_64-with-glibc2.39",
        plan=1,
        runtime=1,
        json=1,
        packages=(parts.Package(name="celery", version="5.7.0"),),
        extras=(parts.Extra(name="docker", installed=False, packages=(parts.Package(name="docker", version=None),)),),
        runtimes=(parts.ForeignRuntime(name="nomad", package=parts.Package(name="fleetflow-nomad", version="0.2.0")),),
    ),
    answers.Doctor(
        ok=True, checks=(parts.Check(name="persistence", text="none", verdict="warning", problems=(_FORGETS,)),)
    ),
    streams.Snapshot(**asdict(_RUN), steps=(_STEP,), last="1790000002000-0"),
    streams.End(**asdict(_ENDED), services={"ready": 3}),
    streams.Rollback(run=_RUN.run, by="01kpzv9a0b2c4d6e8f0g2h4j6k", to=_BEFORE.run),
    streams.Log(service="api", text="listening on :80", at=1790000003.5, stream="stdout", source=""),
    streams.Forward(service="api", address="127.0.0.1", port=8080, remote=80, to="container shop-stg-api"),
    streams.RunQueued(**_EVENT, ahead=1, actor="ann@laptop"),
    streams.RunStarted(**_EVENT, generation=12),
    streams.StepMoved(
        **_EVENT,
        step="api:deploy",
        status="failed",
        attempt=1,
        losses=0,
        releases=0,
        worker="web1:4242:k3x9",
        due=None,
        outcome=None,
        problem=_MISSING,
    ),
    streams.StepProgressed(**_EVENT, step="api:prepare", text="pulling ghcr.io/shop/api:9", current=12e6, total=40e6),
    streams.Noted(**_EVENT, step=None, problem=_FORGETS),
    streams.RunEnding(**_EVENT, reason="failed"),
    streams.RunEnded(**_EVENT, status="succeeded", problem=None),
)

EXAMPLES: Mapping[str, msgspec.Struct] = {
    kind: next(each for each in _ALL if type(each) is shape) for kind, shape in TYPES.items()
}
