# SPDX-License-Identifier: Apache-2.0
"""What is asked of a stage, run after run: a plan, how it is submitted, and what is done to it later.

All of it is drawn from the seed and the stage, run ids too, so the same seed asks for the same again. When it is asked
follows from how far the stage has come, and is another each time.
"""

import random
from collections.abc import Iterator, Sequence

import msgspec

from fleetflow_tasks.config.model import Data, ProjectName, RuntimeName, Secret, ServiceName, StageName
from fleetflow_tasks.engine.model import Conflict, RunId
from fleetflow_tasks.plan.model import Action, Need, Plan, QueueName, ResolvedService, Step, StepId

PROJECT = ProjectName("soak")
QUEUES = (QueueName("docker"), QueueName("docker.b"))
CANARY = "nobody-but-a-worker-may-read-this"  # a secret in every plan
SMALLEST, LARGEST = 5, 200  # steps
SKEW = 1.7  # how much more often small plans come than in a draw that is even in the logarithm: they make many runs


class Order(Data, frozen=True, kw_only=True):
    """together: how many runs the stage may have under way and in line when this one comes.

    cancel: seconds after its submit; now: without waiting for what runs. timeout: seconds. hinted: its submitter lives
    on after storing it. again: if it fails, what it did not do is asked for once more.
    """

    run: RunId
    plan: Plan
    together: int
    conflict: Conflict = "wait"
    fail_fast: bool = False
    rollback: bool = False
    cancel: float | None = None
    now: bool = False
    timeout: float | None = None
    hinted: bool = True
    again: bool = False


def orders(seed: str, number: int) -> Iterator[Order]:
    """Those of stage *number*, without end."""
    rng = random.Random(f"{seed} stage {number}")
    count = 0
    while True:
        yield _order(rng, number, count)
        count += 1


def stage_name(number: int) -> StageName:
    return StageName(f"p{number:02}")


def _order(rng: random.Random, number: int, count: int) -> Order:
    return Order(
        run=RunId(f"{count:012}{number:04}{rng.randrange(10**10):010}"),
        plan=plan(rng, number),
        together=rng.choices([1, 2, 3], weights=[5, 3, 2])[0],
        conflict="supersede" if rng.random() < 0.06 else "wait",
        fail_fast=rng.random() < 0.2,
        rollback=rng.random() < 0.1,
        cancel=round(rng.uniform(0, 4), 2) if rng.random() < 0.1 else None,
        now=rng.random() < 0.4,
        timeout=round(rng.uniform(0.5, 6), 2) if rng.random() < 0.03 else None,
        hinted=rng.random() >= 0.05,
        again=rng.random() < 0.4,
    )


def plan(rng: random.Random, number: int) -> Plan:
    """A stage of services, prepared and deployed, that need some of those before them."""
    size = round(SMALLEST * (LARGEST / SMALLEST) ** (rng.random() ** SKEW))
    services = [ServiceName(f"{stage_name(number)}-{index}") for index in range(max(1, (size - 2) // 2))]
    steps = [_stage_step("prepare")]
    for index, service in enumerate(services):
        nearest = services[max(0, index - 12) : index]
        needed = rng.sample(nearest, k=min(len(nearest), rng.choice([0, 0, 1, 1, 2, 3])))
        steps += _service_steps(rng, service, needed)
    while len(steps) < size - 1:
        steps.append(_step(rng, StepId(f"{services[0]}-{len(steps)}:prepare"), "prepare", services[0], ()))
    steps.append(_stage_step("prune", [step.id for step in steps if step.action == "deploy"]))
    return Plan(
        project=PROJECT,
        stage=stage_name(number),
        root="/srv/soak",
        services=tuple(_service(service) for service in services),
        steps=_weighed(steps),
    )


def _service(name: ServiceName) -> ResolvedService:
    return ResolvedService(
        name=name,
        runtime=RuntimeName("docker"),
        image="soak/service:1",
        environment={"PASSWORD": CANARY},
        secrets={"TOKEN": Secret(CANARY)},
    )


def _service_steps(rng: random.Random, service: ServiceName, needed: list[ServiceName]) -> list[Step]:
    prepare = StepId(f"{service}:prepare")
    needs = [StepId("stage:prepare"), prepare, *(StepId(f"{other}:deploy") for other in needed)]
    return [
        _step(rng, prepare, "prepare", service, ()),
        _step(rng, StepId(f"{service}:deploy"), "deploy", service, sorted(needs)),
    ]


def _step(rng: random.Random, step: StepId, action: Action, service: ServiceName, needs: Sequence[StepId]) -> Step:
    return Step(
        id=step,
        action=action,
        runtime=RuntimeName("docker"),
        queue=rng.choice(QUEUES),
        service=service,
        needs=tuple(Need(step=need, cause="declared") for need in needs),
        retries=rng.randint(0, 3),
    )


def _stage_step(action: Action, needs: Sequence[StepId] = ()) -> Step:
    return Step(
        id=StepId(f"stage:{action}"),
        action=action,
        runtime=RuntimeName("docker"),
        queue=QUEUES[0],
        needs=tuple(Need(step=need, cause="declared") for need in sorted(needs)),
    )


def _weighed(steps: list[Step]) -> tuple[Step, ...]:
    """Each with the length of the longest way from it to the end."""
    after: dict[StepId, int] = {}
    weighed: list[Step] = []
    for step in reversed(steps):
        weight = 1 + after.get(step.id, 0)
        for need in step.needs:
            after[need.step] = max(after.get(need.step, 0), weight)
        weighed.append(msgspec.structs.replace(step, weight=weight))
    return tuple(reversed(weighed))
