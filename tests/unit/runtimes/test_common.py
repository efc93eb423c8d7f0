# SPDX-License-Identifier: Apache-2.0
"""What all runtimes share: labels and names, waiting, the registry."""

import time
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint

import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.errors import FleetFlowError
from fleetflow_tasks.runtimes import labels, registry
from fleetflow_tasks.runtimes.labels import DASHED, Mark, read, selector, written
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting, wait
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.recording import RecordingRuntime

SHOP, LOCAL, API = ProjectName("shop"), StageName("local"), ServiceName("api")


def test_a_mark_is_read_as_it_was_written() -> None:
    mark = Mark(project=SHOP, stage=LOCAL, service=API, run="r1", generation=7, hash="v1:x")

    assert read(written(mark)) == mark
    assert read(written(mark, DASHED), DASHED) == mark
    assert written(mark)["fleetflow.generation"] == "7"


def test_what_is_empty_is_not_written() -> None:
    assert selector(SHOP, LOCAL) == {"fleetflow.project": "shop", "fleetflow.stage": "local"}
    assert selector(SHOP, LOCAL, API)["fleetflow.service"] == "api"


@pytest.mark.parametrize("found", [None, {}, {"fleetflow.project": "shop"}, {"fleetflow.stage": "x"}, {"project": "a"}])
def test_without_project_and_stage_it_is_not_ours(found: Mapping[str, str] | None) -> None:
    assert read(found) is None


@pytest.mark.parametrize("generation", ["", "x", "-1", "1.5", "٣"])
def test_labels_of_another_tool_are_let_be(generation: str) -> None:
    found = {**selector(SHOP, LOCAL), "fleetflow.generation": generation, "fleetflow.colour": "blue"}

    assert read(found) == Mark(project=SHOP, stage=LOCAL)


def test_names_follow_one_rule() -> None:
    assert labels.stage_name(SHOP, LOCAL) == "shop-local"
    assert labels.service_name(SHOP, LOCAL, API) == "shop-local-api"
    assert labels.volume_name(SHOP, LOCAL, "data") == "shop-local_data"


class Probe:
    def __init__(self, *verdicts: Verdict) -> None:
        self.left = list(verdicts)

    def __call__(self) -> Verdict:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def test_waiting_ends_with_the_first_verdict_that_is_one() -> None:
    attempt = Trial()
    later = time.monotonic() + 60

    ended = wait(
        Probe(Waiting(text="a", soon=0.0), Waiting(text="b", current=1, total=3), Ready(text="c")),
        attempt,
        deadline=later,
        every=0.01,
    )

    assert ended == Ready(text="c")
    assert attempt.reports == ["a", "b (1 of 3)"]
    assert wait(Probe(Broken(text="no")), attempt, deadline=later) == Broken(text="no")


def test_waiting_ends_at_its_deadline_with_what_was_seen_last() -> None:
    ended = wait(Probe(Waiting(text="1 of 3")), Trial(), deadline=time.monotonic() + 0.05, every=0.01)

    assert ended == Waiting(text="1 of 3")


class Unfit:
    protocol = 1

    def check(self) -> None: ...


class Stranger(RecordingRuntime):
    protocol = 99


nothing = "no class"


def others(*values: str) -> Iterator[EntryPoint]:
    for value in values:
        yield EntryPoint(name=value.partition("=")[0], value=value.partition("=")[2], group=registry.GROUP)


def refusal(name: str, *values: str) -> str:
    with pytest.raises(FleetFlowError) as failure:
        registry.find(RuntimeName(name), others=lambda: others(*values))
    problem = failure.value.problems[0]
    return f"{type(failure.value).__name__}: {problem.message} | {problem.fix}"


def test_a_built_in_runtime_is_found_without_looking_at_packages() -> None:
    def never() -> Iterator[EntryPoint]:
        raise AssertionError("entry points were read")

    assert registry.get(RuntimeName("docker"), {}, others=never).name == "docker"
    assert registry.get(RuntimeName("docker")).protocol == 1


def test_a_package_brings_a_runtime() -> None:
    found = registry.find(
        RuntimeName("nomad"), others=lambda: others("nomad=fleetflow_tasks.testing.recording:RecordingRuntime")
    )

    assert "RecordingRuntime" in str(found)


def test_an_unknown_name_is_answered_with_the_nearest_and_with_no_package_that_somebody_could_squat() -> None:
    assert refusal("doker") == (
        "PlanError: no runtime is called `doker`: did you mean `docker`? | "
        "name a known one, or install the package that brings it"
    )


def test_a_runtime_that_cannot_be_used_is_named_with_its_package() -> None:
    assert "Python module `no_such_module` is missing | run `pip install --force-reinstall no_such_module`" in refusal(
        "x", "x=no_such_module:X"
    )
    assert "it has no `fleetflow_tasks.testing:Nothing`" in refusal("x", "x=fleetflow_tasks.testing:Nothing")


def test_the_reader_of_files_gets_the_words_of_each_block() -> None:
    assert [row.name for row in registry.blocks()["docker"]][:2] == ["init", "stop_signal"]
    assert [row.name for row in registry.blocks()["cloudrun"]][:2] == ["public", "invoker"]


def test_packages_are_searched_for_a_name_of_theirs() -> None:
    with pytest.raises(FleetFlowError, match="no runtime is called `nobody`"):
        registry.get(RuntimeName("nobody"))


def test_a_class_is_checked_against_the_protocol() -> None:
    assert list(registry._lacks(RecordingRuntime)) == []
    assert list(registry._lacks(Stranger)) == ["it speaks protocol 99, this FleetFlow speaks 1"]
    assert list(registry._lacks(Unfit)) == [
        "it lacks `close`, `deploy`, `diff`, `identity`, `logs`, `prepare`, `remove`, `render`, `status`, `tidy`"
    ]
    assert list(registry._lacks(nothing)) == ["`'no class'` is no class"]


def test_a_runtime_whose_modules_are_missing_is_not_installed() -> None:
    assert refusal("x", "x=no_such_module:Runtime").startswith(
        "UnavailableError: the runtime `x` is not installed: Python module `no_such_module` is missing"
    )


def test_a_class_that_lacks_something_is_refused() -> None:
    assert refusal("x", "x=fleetflow_tasks.testing.trial:Trial").startswith(
        "UnavailableError: the runtime `x` of package `fleetflow_tasks.testing.trial` cannot be used: it speaks protocol None"
    )
