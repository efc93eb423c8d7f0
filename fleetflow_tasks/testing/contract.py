# SPDX-License-Identifier: Apache-2.0
"""The rules that every runtime keeps, as a pytest suite against the real platform.

A runtime's test subclasses `RuntimeContract`, says how to make services on its platform and how to look at it from
outside, and inherits the tests. It also provides three fixtures, in the class or in a conftest:

    runtime      the runtime under test
    project      a project's name that nobody else uses; what bears it is removed afterwards
    mutations    a function: how many calls that change something the platform has had from `runtime` so far

What a hook tells must come from the platform itself, not from the runtime under test.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Literal

import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.plan.model import Action, Need, Plan, QueueName, ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import DeployError, Outcome, Runtime, StaleError, Stopped
from fleetflow_tasks.runtimes.restarting import restarted
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.trial import Trial

Content = Literal["one", "two", "three", "broken", "job", "other job"]
"""What a service is made of: three that become ready, one that never does, and jobs of two contents that end well."""

_NAPS = 5  # points of a deployment, evenly spread, at which a worker falls asleep
_ENOUGH = 60  # checkpoints of one deployment, more than any runtime has without being stopped


class RuntimeContract(ABC):
    """Every test runs on its own project, which the subclass removes afterwards.

    prepares: whether something can be added beside what serves. On Cloud Run nothing can: a revision is made by changing
    its service. Such a runtime's `prepare` changes nothing, and only asks.
    """

    prepares: ClassVar[bool] = True

    # --- what a subclass provides

    @abstractmethod
    def service(self, name: str, content: Content) -> ResolvedService:
        """A service called *name* made of *content*."""

    @abstractmethod
    def serving(self, plan: Plan, name: str) -> str:
        """Which object serves *name* now, as the platform tells: another text for each object, "" for none."""

    @abstractmethod
    def obstruct(self, plan: Plan, name: str) -> Callable[[], bool]:
        """Put a foreign object where *name* would be deployed. The answer tells whether it is there, untouched."""

    @abstractmethod
    def adopt(self, plan: Plan, name: str) -> None:
        """Make an object of *name* as an earlier tool did: with project, stage and service of ours, with labels that
        nobody knows, and without run, generation and hash."""

    def instance(self, plan: Plan, name: str) -> str:
        """What carries *name*'s requests now: as `serving`, where a restart makes another object, else more exactly."""
        return self.serving(plan, name)

    def elsewhere(self, runtime: Runtime) -> Runtime:
        """The same platform, as another worker reaches it; *runtime* itself where an instance holds nothing that two
        steps of one service could wait for."""
        return runtime

    # --- how the tests speak

    def plan(self, project: ProjectName, *services: ResolvedService, stage: str = "local") -> Plan:
        """A plan of the services, without dependencies between them."""
        runtime = self.service("x", "one").runtime
        steps = [_step(runtime, "stage:prepare", "prepare")]
        for service in services:
            steps.append(_step(runtime, f"{service.name}:prepare", "prepare", service.name))
            steps.append(_step(runtime, f"{service.name}:deploy", "deploy", service.name, f"{service.name}:prepare"))
        steps.append(_step(runtime, "stage:prune", "prune", None, *(f"{service.name}:deploy" for service in services)))
        ordered = tuple(sorted(services, key=lambda service: service.name))
        return Plan(project=project, stage=StageName(stage), root="/", services=ordered, steps=tuple(steps))

    def carry(self, runtime: Runtime, plan: Plan, generation: int = 1) -> list[Outcome]:
        return [done(runtime, plan, step, Trial(generation)) for step in plan.steps]

    # --- the rules

    def test_a_stage_that_is_deployed_serves(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"))
        assert {change.kind for change in runtime.diff(plan).values()} == {"create"}

        self.carry(runtime, plan)

        assert self.serving(plan, "api")
        assert [status.state for status in runtime.status(plan)] == ["running"]
        assert {change.kind for change in runtime.diff(plan).values()} == {"none"}

    def test_an_unchanged_stage_costs_no_mutating_call(
        self, runtime: Runtime, project: ProjectName, mutations: Callable[[], int]
    ) -> None:
        plan = self.plan(project, self.service("api", "one"), self.service("seed", "job"))
        self.carry(runtime, plan)
        before = mutations()

        outcomes = self.carry(runtime, plan, generation=2)

        assert [outcome.changed for outcome in outcomes] == [False] * len(plan.steps)
        assert mutations() == before

    def test_a_step_done_again_finds_the_work_done(
        self, runtime: Runtime, project: ProjectName, mutations: Callable[[], int]
    ) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.carry(runtime, plan)
        serving, before = self.serving(plan, "api"), mutations()

        for step in plan.steps:
            assert not done(runtime, plan, step, Trial(1)).changed

        assert (self.serving(plan, "api"), mutations()) == (serving, before)

    def test_a_changed_service_is_replaced(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.carry(runtime, plan)
        old = self.serving(plan, "api")
        changed = self.plan(project, self.service("api", "two"))
        assert runtime.diff(changed)[StepId("api:deploy")].kind == "replace"

        self.carry(runtime, changed, generation=2)

        assert self.serving(changed, "api") not in ("", old)
        assert {change.kind for change in runtime.diff(changed).values()} == {"none"}

    def test_a_foreign_object_is_named_and_not_touched(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"))
        untouched = self.obstruct(plan, "api")

        with pytest.raises(DeployError) as failure:
            self.carry(runtime, plan)

        assert not failure.value.transient
        assert "not ours" in failure.value.problem.message
        assert untouched()

    def test_what_a_newer_run_made_is_not_touched_by_an_older_one(
        self, runtime: Runtime, project: ProjectName, mutations: Callable[[], int]
    ) -> None:
        newer = self.plan(project, self.service("api", "two"))
        self.carry(runtime, newer, generation=8)
        older = self.plan(project, self.service("api", "one"))
        serving, before = self.serving(newer, "api"), mutations()

        for step in ("api:prepare", "api:deploy", "stage:prune"):
            with pytest.raises(StaleError):
                done(runtime, older, older.step(StepId(step)), Trial(7))

        assert (self.serving(newer, "api"), mutations()) == (serving, before)

    def test_a_new_version_that_fails_leaves_the_old_one_serving(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.carry(runtime, plan)
        old = self.serving(plan, "api")

        with pytest.raises(DeployError) as failure:
            self.carry(runtime, self.plan(project, self.service("api", "broken")), generation=2)

        assert self.serving(plan, "api") == old
        assert "the version before" in "\n".join(failure.value.problem.cause)
        # It may have been started again just now, and its check passes in a moment.
        eventually(lambda: {change.kind for change in runtime.diff(plan).values()} == {"none"})

    def test_one_run_after_a_failed_one_is_enough(self, runtime: Runtime, project: ProjectName) -> None:
        with pytest.raises(DeployError):
            self.carry(runtime, self.plan(project, self.service("api", "broken")))
        mended = self.plan(project, self.service("api", "one"))

        self.carry(runtime, mended, generation=2)

        assert self.serving(mended, "api")
        assert {change.kind for change in runtime.diff(mended).values()} == {"none"}

    def test_preparing_does_not_touch_what_serves(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.carry(runtime, plan)
        old = self.serving(plan, "api")
        changed = self.plan(project, self.service("api", "two"))

        outcome = done(runtime, changed, changed.step(StepId("api:prepare")), Trial(2))

        assert outcome.changed == self.prepares
        assert self.serving(plan, "api") == old

    def test_what_a_run_prepared_and_did_not_deploy_goes_when_it_is_tidied_and_nothing_else(
        self, runtime: Runtime, project: ProjectName, mutations: Callable[[], int]
    ) -> None:
        plan = self.plan(project, self.service("api", "one"), self.service("seed", "job"))
        self.carry(runtime, plan)
        old = [self.serving(plan, name) for name in ("api", "seed")]
        changed = self.plan(project, self.service("api", "two"), self.service("web", "one"))
        for step in ("api:prepare", "web:prepare"):
            done(runtime, changed, changed.step(StepId(step)), Trial(2, run="second"))
        before = mutations()
        for other in ("run-1", "third", ""):  # run-1 is what `carry` deployed
            assert not runtime.tidy(changed, other).changed
        assert mutations() == before

        runtime.tidy(changed, "second")

        assert {change.kind for change in runtime.diff(plan).values()} == {"none"}
        assert [self.serving(plan, name) for name in ("api", "seed")] == old
        assert not runtime.tidy(changed, "second").changed

    def test_a_restarted_service_is_the_same_and_runs_anew(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"), self.service("web", "one"))
        self.carry(runtime, plan)
        old, web = self.instance(plan, "api"), self.instance(plan, "web")
        step = _step(plan.steps[0].runtime, "api:restart", "restart", ServiceName("api"))

        assert done(runtime, plan, step, Trial(2, run="second")).changed

        assert self.instance(plan, "api") not in ("", old)
        assert self.instance(plan, "web") == web
        assert {change.kind for change in runtime.diff(plan).values()} == {"none"}
        assert {status.state for status in runtime.status(plan)} == {"running"}

    def test_a_restart_brings_no_other_content(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.carry(runtime, plan)
        old = self.instance(plan, "api")
        changed = self.plan(project, self.service("api", "two"))
        step = _step(plan.steps[0].runtime, "api:restart", "restart", ServiceName("api"))

        assert done(runtime, changed, step, Trial(2, run="second")).changed

        assert self.instance(plan, "api") not in ("", old)
        assert {change.kind for change in runtime.diff(plan).values()} == {"none"}
        assert runtime.diff(changed)[StepId("api:deploy")].kind == "replace"

    def test_a_restart_starts_nothing_that_does_not_run(
        self, runtime: Runtime, project: ProjectName, mutations: Callable[[], int]
    ) -> None:
        plan = self.plan(project, self.service("api", "one"))
        before = mutations()
        step = _step(plan.steps[0].runtime, "api:restart", "restart", ServiceName("api"))

        outcome = done(runtime, plan, step, Trial(1))

        assert (outcome.changed, mutations()) == (False, before)

    def test_a_restart_of_an_older_run_touches_nothing(
        self, runtime: Runtime, project: ProjectName, mutations: Callable[[], int]
    ) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.carry(runtime, plan, generation=8)
        instance, before = self.instance(plan, "api"), mutations()
        step = _step(plan.steps[0].runtime, "api:restart", "restart", ServiceName("api"))

        with pytest.raises(StaleError):
            done(runtime, plan, step, Trial(7, run="older"))

        assert (self.instance(plan, "api"), mutations()) == (instance, before)

    def test_a_restart_stopped_anywhere_is_brought_to_its_end_by_the_next_attempt(
        self, runtime: Runtime, project: ProjectName
    ) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.carry(runtime, plan)
        step = _step(plan.steps[0].runtime, "api:restart", "restart", ServiceName("api"))
        for stop_at in range(_ENOUGH):
            old, generation, run = self.instance(plan, "api"), 2 + stop_at, f"run-{2 + stop_at}"
            try:
                done(runtime, plan, step, Trial(generation, run=run, stop_at=stop_at))
            except Stopped:
                done(runtime, plan, step, Trial(generation, run=run, number=2))
                stopped = True
            else:
                stopped = False

            assert self.instance(plan, "api") not in ("", old), f"stopped at checkpoint {stop_at}"
            assert {change.kind for change in runtime.diff(plan).values()} == {"none"}, f"at checkpoint {stop_at}"
            if not stopped:
                return
        pytest.fail(f"one restart asked for {_ENOUGH} checkpoints")

    def test_removing_a_service_leaves_the_others(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"), self.service("web", "one"))
        self.carry(runtime, plan)
        web = self.serving(plan, "web")
        step = _step(plan.steps[0].runtime, "api:remove", "remove", ServiceName("api"))

        assert done(runtime, plan, step, Trial(2)).changed

        assert (self.serving(plan, "api"), self.serving(plan, "web")) == ("", web)
        assert not done(runtime, plan, step, Trial(2)).changed

    def test_pruning_takes_what_the_stage_no_longer_holds_and_nothing_else(
        self, runtime: Runtime, project: ProjectName
    ) -> None:
        both = self.plan(project, self.service("api", "one"), self.service("web", "one"))
        other = self.plan(project, self.service("web", "one"), stage="other")
        self.carry(runtime, both)
        self.carry(runtime, other)
        theirs = self.serving(other, "web")
        less = self.plan(project, self.service("api", "one"))
        assert runtime.diff(less)[StepId("web:remove")].kind == "remove"

        self.carry(runtime, less, generation=2)

        assert self.serving(both, "api")
        assert self.serving(both, "web") == ""
        assert self.serving(other, "web") == theirs

    def test_an_emptied_stage_leaves_nothing(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.carry(runtime, plan)
        empty = self.plan(project)

        done(runtime, empty, empty.step(StepId("stage:prune")), Trial(2))

        assert self.serving(plan, "api") == ""
        assert runtime.diff(empty) == {}

    def test_a_job_runs_once_for_a_content(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("seed", "job"))
        self.carry(runtime, plan)
        first = self.serving(plan, "seed")
        self.carry(runtime, plan, generation=2)
        assert self.serving(plan, "seed") == first
        changed = self.plan(project, self.service("seed", "other job"))
        assert runtime.diff(changed)[StepId("seed:deploy")].kind == "run"

        self.carry(runtime, changed, generation=3)

        assert self.serving(changed, "seed") != first

    def test_a_deployment_stopped_anywhere_is_brought_to_its_end_by_the_next_attempt(
        self, runtime: Runtime, project: ProjectName
    ) -> None:
        contents: tuple[Content, Content] = ("one", "two")
        self.carry(runtime, self.plan(project, self.service("api", contents[1])))
        for stop_at in range(_ENOUGH):
            plan = self.plan(project, self.service("api", contents[stop_at % 2]))
            generation = 2 + stop_at
            done(runtime, plan, plan.step(StepId("api:prepare")), Trial(generation))
            try:
                done(runtime, plan, plan.step(StepId("api:deploy")), Trial(generation, stop_at=stop_at))
            except Stopped:
                done(runtime, plan, plan.step(StepId("api:deploy")), Trial(generation))
                stopped = True
            else:
                stopped = False

            assert self.serving(plan, "api"), f"stopped at checkpoint {stop_at}"
            assert {change.kind for change in runtime.diff(plan).values()} == {"none"}, f"at checkpoint {stop_at}"
            if not stopped:
                return
        pytest.fail(f"one deployment asked for {_ENOUGH} checkpoints")

    def test_a_change_of_mind_after_a_stop_is_carried_out(self, runtime: Runtime, project: ProjectName) -> None:
        one, two = (self.plan(project, self.service("api", content)) for content in ("one", "two"))
        self.carry(runtime, one)
        for stop_at in range(3, _ENOUGH):
            trial = Trial(2 * stop_at, stop_at=stop_at)
            try:
                done(runtime, two, two.step(StepId("api:deploy")), trial)
            except Stopped:
                stopped = True
            else:
                stopped = False
            self.carry(runtime, one, generation=2 * stop_at + 1)

            assert self.serving(one, "api"), f"stopped at checkpoint {stop_at}"
            assert {change.kind for change in runtime.diff(one).values()} == {"none"}, f"at checkpoint {stop_at}"
            if not stopped:
                return
        pytest.fail(f"one deployment asked for {_ENOUGH} checkpoints")

    def test_a_worker_that_slept_while_a_newer_run_deployed_changes_nothing_more(
        self, runtime: Runtime, project: ProjectName, mutations: Callable[[], int]
    ) -> None:
        """It sleeps between being told that the step is its own and the call that it then makes: no lease helps there."""
        other, awake = self.elsewhere(runtime), Trial(2)
        plan = self.plan(project, self.service("api", "two"))
        contents: tuple[Content, Content] = ("one", "three")
        self.carry(runtime, self.plan(project, self.service("api", contents[1])))
        done(runtime, plan, plan.step(StepId("api:deploy")), awake)
        self.carry(runtime, self.plan(project, self.service("api", contents[1])), generation=3)
        for nap in range(_NAPS):
            newer, generation = self.plan(project, self.service("api", contents[nap % 2])), 4 + 2 * nap
            sleeps_at = nap * awake.checkpoints // _NAPS
            made: list[int] = []

            def deploy_newer(newer: Plan = newer, generation: int = generation + 1, made: list[int] = made) -> None:
                self.carry(other, newer, generation)
                made.append(mutations())

            done(runtime, plan, plan.step(StepId("api:prepare")), Trial(generation))
            sleepy = Trial(generation, meanwhile={sleeps_at: deploy_newer})
            with suppress(StaleError):
                done(runtime, plan, plan.step(StepId("api:deploy")), sleepy)

            if made:  # else it was done, this time, before it could fall asleep
                assert mutations() == made[0], f"slept at checkpoint {sleeps_at}"
                assert self.serving(newer, "api"), f"slept at checkpoint {sleeps_at}"
                assert {change.kind for change in runtime.diff(newer).values()} == {"none"}, f"at {sleeps_at}"

    def test_what_an_earlier_tool_made_is_adopted(self, runtime: Runtime, project: ProjectName) -> None:
        plan = self.plan(project, self.service("api", "one"))
        self.adopt(plan, "api")
        assert runtime.diff(plan)[StepId("api:deploy")].kind in {"replace", "update"}

        self.carry(runtime, plan)

        assert self.serving(plan, "api")
        assert {change.kind for change in runtime.diff(plan).values()} == {"none"}

    def test_what_would_be_sent_is_printed_alike_each_time(self, runtime: Runtime, project: ProjectName) -> None:
        services = (self.service("api", "one"), self.service("seed", "job"))

        files = runtime.render(self.plan(project, *services))

        assert files == runtime.render(self.plan(project, *reversed(services)))
        assert list(files) == sorted(files)
        assert {name.partition(".")[0] for name in files} >= {"api", "seed"}
        assert all(text.endswith("\n") for text in files.values())

    def test_it_says_which_platform_it_is(self, runtime: Runtime, project: ProjectName) -> None:
        plan, other = self.plan(project, self.service("api", "one")), self.plan(project, stage="other")

        assert runtime.identity(plan) == runtime.identity(other) == self.elsewhere(runtime).identity(plan)


def done(runtime: Runtime, plan: Plan, step: Step, attempt: Trial) -> Outcome:
    """Carry *step* out, as the engine would."""
    match step.action:
        case "prepare":
            return runtime.prepare(plan, step, attempt)
        case "deploy":
            return runtime.deploy(plan, step, attempt)
        case "restart":
            return restarted(runtime, plan, step, attempt)
        case "remove" | "prune":
            return runtime.remove(plan, step, attempt)


def _step(runtime: RuntimeName, name: str, action: Action, service: ServiceName | None = None, *needs: str) -> Step:
    return Step(
        id=StepId(name),
        action=action,
        runtime=runtime,
        queue=QueueName(runtime),
        service=service,
        needs=tuple(Need(step=StepId(need), cause="declared") for need in sorted(needs)),
    )
