# SPDX-License-Identifier: Apache-2.0
"""What a builder says, read: its steps as they come, and why it failed. No Engine."""

import base64
from pathlib import Path

import pytest

from fleetflow_tasks.config.model import Build, ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.context.folder import ContextError, Source
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedBuild, ResolvedService
from fleetflow_tasks.runtimes.docker import build_explain as explain
from fleetflow_tasks.runtimes.docker.build_progress import LINES, Progress, step
from fleetflow_tasks.runtimes.docker.build_trace import Amount, Log, Vertex, read

PLACE = Place(file="fleet.kdl", line=2)


# --- BuildKit's own words, made as its encoder makes them


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


MOMENT = field(1, 1_700_000_000)


def vertex(vertex_id: str, name: str, *, begun: bool = True, done: bool = False, error: str = "") -> bytes:
    parts = [field(1, vertex_id), field(3, name)]
    parts += [field(5, MOMENT)] if begun else []
    parts += [field(6, MOMENT)] if done else []
    return field(1, b"".join([*parts, *([field(7, error)] if error else [])]))


def log(vertex_id: str, text: str) -> bytes:
    return field(3, field(1, vertex_id) + field(2, MOMENT) + field(3, 1) + field(4, text))


def amount(vertex_id: str, current: int, total: int) -> bytes:
    return field(2, field(1, "layer") + field(2, vertex_id) + field(4, current) + field(5, total))


def trace(*parts: bytes) -> dict[str, str]:
    return {"id": "moby.buildkit.trace", "aux": base64.b64encode(b"".join(parts)).decode()}


def test_a_trace_holds_steps_amounts_and_output() -> None:
    message = vertex("v1", "[1/2] FROM x", begun=False) + amount("v1", 3, 300) + log("v1", "hi\n") + field(9, 1)

    assert list(read(message)) == [
        Vertex(id="v1", name="[1/2] FROM x"),
        Amount(id="layer", vertex="v1", current=3, total=300),
        Log(vertex="v1", text="hi\n"),
    ]


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (vertex("v", "n", begun=False), "waiting"),
        (vertex("v", "n"), "running"),
        (vertex("v", "n", done=True), "done"),
        (vertex("v", "n", done=True, error="no"), "failed"),
    ],
)
def test_a_step_has_a_state(made: bytes, state: str) -> None:
    assert [each.state for each in read(made) if isinstance(each, Vertex)] == [state]


def test_fields_of_other_kinds_are_passed_over_and_what_is_cut_short_ends_there() -> None:
    eight, four = varint(20 << 3 | 1) + bytes(8), varint(21 << 3 | 5) + bytes(4)

    assert [each.id for each in read(eight + four + vertex("v", "n")) if isinstance(each, Vertex)] == ["v"]
    assert list(read(varint(22 << 3 | 3) + vertex("v", "n"))) == []
    assert list(read(b"\x80")) == []
    assert list(read(field(3, b""))) == [Log(vertex="", text="")]


def told(progress: Progress, *objects: object) -> list[str]:
    return [text for each in objects for text in progress(each)]


def test_each_step_is_told_once_when_it_begins_and_the_builders_own_are_not() -> None:
    progress = Progress()

    assert told(
        progress,
        trace(vertex("c", "[internal] load remote build context"), vertex("k", "copy /context /")),
        trace(vertex("a", "[prod 1/2] FROM x", begun=False)),
        trace(vertex("a", "[prod 1/2] FROM x"), amount("a", 3_000_000, 30_000_000), amount("a", 0, 0)),
        trace(vertex("a", "[prod 1/2] FROM x", done=True)),
        trace(vertex("b", "[prod 2/2] RUN  npm\n ci"), amount("a", 1, 2)),
        trace(vertex("b", "[prod 2/2] RUN  npm\n ci")),
        trace(vertex("e", "exporting to image")),
        {"id": "moby.image.id", "aux": {"ID": "sha256:1"}},
        {"stream": "Successfully tagged x:1\n"},
        {"id": "moby.buildkit.trace", "aux": "A"},
    ) == [
        "step 1/2 of prod: FROM x",
        "fetching 3 of 30 MB",
        "step 2/2 of prod: RUN npm ci",
        "exporting to image",
    ]
    assert progress.image == "sha256:1"


def test_a_failed_step_is_known_with_what_it_wrote_last() -> None:
    progress = Progress()
    told(
        progress,
        trace(vertex("a", "[1/2] FROM x"), vertex("b", "[2/2] RUN x")),
        trace(log("b", "\x1b[91mone\x1b[0m\n\ntwo\n"), log("a", "aside")),
        trace(log("b", "\n".join(str(number) for number in range(LINES - 1)))),
        trace(vertex("b", "[2/2] RUN x", error="exit code: 3")),
    )

    progress.end('process "/bin/sh -c x" did not complete successfully: exit code: 3')

    assert str(progress.failed) == "step 2/2: RUN x"
    assert progress.exit_code == 3
    assert progress.output == ("two", *(str(number) for number in range(LINES - 1)))


def test_the_lines_of_the_classic_builder_are_read_too() -> None:
    progress = Progress()

    assert told(
        progress,
        {"stream": "Step 1/2 : FROM x"},
        {"stream": "\n"},
        {"stream": " ---> fe5fc4639b9a\n"},
        {"stream": "STEP 2/2: RUN x"},
        {"stream": "hello\n"},
        {"stream": "Removing intermediate container 1\n"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "x"},
    ) == ["step 1/2: FROM x", "step 2/2: RUN x"]
    progress.end("The command '/bin/sh -c x' returned a non-zero code: 4")

    assert (str(progress.failed), progress.exit_code, progress.output) == ("step 2/2: RUN x", 4, ("hello",))


# --- why it failed


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/Dockerfile").write_text("FROM x\n  RUNN y\n\n")
    (tmp_path / "app/there").write_text("")
    return Source(tmp_path, Build(context="app"))


def service(image: str = "r.example.org/api:1", **build: object) -> ResolvedService:
    return ResolvedService(
        name=ServiceName("api"),
        runtime=RuntimeName("docker"),
        image=image,
        build=ResolvedBuild(**{"context": "app", **build}),  # type: ignore[arg-type]  # handed on as they are
        places={"build": PLACE, "": Place(file="fleet.kdl", line=1)},
    )


def plan(source: Source) -> Plan:
    return Plan(
        project=ProjectName("shop"),
        stage=StageName("stg"),
        root=str(source.folder.parent),
        services=(),
        steps=(),
    )


def explained(source: Source, error: str, *, failing: str = "") -> Problem:
    progress = Progress()
    if failing:
        progress(trace(vertex("a", failing, error="x"), log("a", "out\n")))
    progress.end(error)
    return explain.failed(plan(source), service(), source, progress)


def first(problem: Problem) -> tuple[str, str, str]:
    return problem.code, problem.message.removeprefix("the image of `api` cannot be built: "), problem.fix


def test_a_failed_command_is_told_with_its_output_and_how_to_see_more(source: Source) -> None:
    problem = explained(source, "executor failed running [/bin/sh -c x]: exit code: 1", failing="[2/2] RUN x")

    assert first(problem) == ("build-failed", "step 2/2: RUN x: it ended with exit code 1", "")
    assert problem.cause == ("its last output:", "  out")
    assert problem.more == "docker build app"
    assert problem.place == PLACE


@pytest.mark.parametrize("word", ["on ", ""])
def test_a_mistake_in_the_dockerfile_points_into_it(source: Source, word: str) -> None:
    error = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "

    problem = explained(source, f"{error}dockerfile parse error {word}line 2: unknown instruction: RUNN")

    assert first(problem) == ("build-dockerfile", "unknown instruction: RUNN", "")
    assert problem.place == Place(file="app/Dockerfile", line=2, column=3, length=4, text="  RUNN y")


@pytest.mark.parametrize("line", [3, 9])
def test_a_line_that_is_empty_or_not_there_is_pointed_at_all_the_same(source: Source, line: int) -> None:
    place = explained(source, f"dockerfile parse error on line {line}: x").place

    assert place == Place(file="app/Dockerfile", line=line)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            'failed to compute cache key: "/gone/x" not found: not found',
            (
                "build-missing-file",
                "`gone/x` is not in the context `app`",
                "correct the Dockerfile, or make `gone/x` there first",
            ),
        ),
        (
            'failed to solve: failed to compute cache key: failed to calculate checksum of ref a::b: "/there": not found',
            ("build-missing-file", "`there` is left out of the context", "take it back in `.dockerignore`: `!there`"),
        ),
        (
            "COPY failed: file not found in build context or excluded by .dockerignore: stat gone: file does not exist",
            (
                "build-missing-file",
                "`gone` is not in the context `app`",
                "correct the Dockerfile, or make `gone` there first",
            ),
        ),
        (
            "write /x: no space left on device",
            ("disk-full", "the Engine's disk is full", "make room: `docker builder prune`, `docker image prune`"),
        ),
        (
            "failed to solve: no active session for x",
            (
                "build-base-login",
                "an image that it needs wants a login",
                "fetch what its FROM names before: `docker pull`",
            ),
        ),
        ("failed to solve: it is\n Monday", ("build-failed", "it is Monday", "")),
    ],
)
def test_other_reasons_are_told_in_words(source: Source, error: str, expected: tuple[str, str, str]) -> None:
    assert first(explained(source, error)) == expected


def test_a_base_that_is_not_there_is_a_matter_of_the_dockerfile() -> None:
    missing = Problem(code="image-not-found", message="image `x:1` does not exist on Docker Hub")
    for fix in ("push it, or correct `image` and `version`", "correct `image` and `version`"):
        problem = explain.base_missing(service(), Problem(code=missing.code, message=missing.message, fix=fix))
        assert first(problem) == (
            "image-not-found",
            "it begins with image `x:1`, which does not exist on Docker Hub",
            "correct it in `Dockerfile`",
        )


def test_files_that_cannot_be_read_are_told_where_the_text_names_them() -> None:
    error = ContextError("context", Problem(code="build-changed", message="`x` changed while it was read", fix="f"))

    problem = explain.refused(service(), error)

    assert first(problem) == ("build-changed", "`x` changed while it was read", "f")
    assert problem.place == PLACE


@pytest.mark.parametrize(
    ("image", "outdated", "answer", "message", "cause", "fix"),
    [
        (
            "r.example.org/api:1",
            False,
            "manifest unknown",
            "image `r.example.org/api:1` of `api` is not on this Engine, and it cannot be built here: why",
            ("nor can it be pulled: manifest unknown",),
            "`flow build stg --push --only api` where the files are, then deploy again",
        ),
        (
            "shop-api:1",
            True,
            "",
            "image `shop-api:1` of `api` is made of other files than the plan, and it cannot be built here: why",
            (),
            "name a registry in `image`, `flow build stg --push --only api` where the files are, then deploy again",
        ),
    ],
)
def test_what_was_built_elsewhere_must_be_pushed(
    source: Source, image: str, outdated: bool, answer: str, message: str, cause: tuple[str, ...], fix: str
) -> None:
    problem = explain.elsewhere(plan(source), service(image), "why", outdated=outdated, answer=answer)

    assert (problem.message, problem.cause, problem.fix) == (message, cause, fix)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            "no basic auth credentials",
            ("push-login", "r.example.org wants a login", "run `docker login r.example.org`"),
        ),
        (
            "denied: requested access to the resource is denied",
            (
                "push-denied",
                "r.example.org does not let this login write there",
                "correct `image`, or log in as somebody who may: `docker login r.example.org`",
            ),
        ),
        (
            "dial tcp: lookup r.example.org: no such host",
            ("push-unreachable", "there is no host `r.example.org`", "correct the registry in `image`"),
        ),
        (
            "http: server gave HTTP response to HTTPS client",
            (
                "push-insecure",
                "r.example.org speaks no TLS, and the Engine does not trust it without",
                "add it to `insecure-registries` of the Engine's daemon.json",
            ),
        ),
        (
            "dial tcp 1.2.3.4:443: i/o timeout",
            ("push-unreachable", "r.example.org does not answer", "see that the registry can be reached"),
        ),
        (
            "name unknown: repository not found",
            ("push-no-repository", "r.example.org has no repository of that name", "make it there first"),
        ),
        ("it is\nMonday", ("push-failed", "it is Monday", "")),
    ],
)
def test_a_refused_push_is_told_with_what_to_do(answer: str, expected: tuple[str, str, str]) -> None:
    problem = explain.unpushed(service(), answer)

    head = "image `r.example.org/api:1` of service `api` cannot be pushed: "
    assert (problem.code, problem.message.removeprefix(head), problem.fix) == expected
    assert bool(problem.cause) == (expected[0] != "push-failed")


def test_an_image_without_a_registry_cannot_be_pushed() -> None:
    problem = explain.unpushable(service("shop-api:b1"))

    assert problem.message == "image `shop-api:b1` of service `api` names no registry to push it to"
    assert problem.fix == 'name one: `image "registry.example.org/shop-api"`'


def test_a_build_by_hand_is_the_same_build() -> None:
    made = service(dockerfile="ops/Api file", target="prod", platform="linux/arm64", args={"V": "a b"})

    assert explain.by_hand(made) == (
        "docker build -f 'app/ops/Api file' --target prod --platform linux/arm64 --build-arg 'V=a b' app"
    )


def test_a_step_without_a_number_is_its_name() -> None:
    assert str(step("exporting to  image")) == "exporting to image"
