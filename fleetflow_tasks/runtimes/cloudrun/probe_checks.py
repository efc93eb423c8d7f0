# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the questions that the platform asks an instance: no commands, and within its limits. Pure."""

from collections.abc import Callable, Iterable, Iterator

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.cloudrun.complaints import BLOCK, warned, wrong
from fleetflow_tasks.runtimes.cloudrun.options import Probe
from fleetflow_tasks.runtimes.cloudrun.probes import STARTUP, allowed, startup_probe, whole
from fleetflow_tasks.runtimes.cloudrun.source import Source

_SWITCHED_OFF = "NONE"


def probe_problems(made_from: Source) -> Iterator[Problem]:
    for rule in _RULES:
        yield from rule(made_from)


def _healthcheck(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    if service.healthcheck is not None and service.healthcheck.test[:1] != (_SWITCHED_OFF,):
        text = "runs no command inside a container to ask how it is"
        asked = "" if service.job else ', and say `readiness path="/health"` or `cloudrun { liveness http="/health" }`'
        fix = f'switch it off in this stage, `healthcheck {{ test "NONE" }}`{asked}'
        yield wrong(service, "healthcheck", text, fix)


def _readiness(made_from: Source) -> Iterator[Problem]:
    service, readiness = made_from.service, made_from.service.readiness
    if readiness is None:
        return
    if service.job:
        text = "asks a job nothing: `readiness` has no effect"
        yield warned(service, "readiness", text, "leave `readiness` out")
    elif made_from.options.startup is not None:
        text = "asks at the start what `startup` says: `readiness` has no effect"
        yield warned(service, "readiness", text, "leave one of them out")
    elif (probe := startup_probe(made_from)) is not None and allowed(probe) > STARTUP:
        text = f"gives an instance {STARTUP} s to start, not {allowed(probe)}"
        yield wrong(service, "readiness", text, f"say `readiness timeout={STARTUP}`, or less")


def _startup(made_from: Source) -> Iterator[Problem]:
    probe = made_from.options.startup
    if probe is None or made_from.service.job:
        return
    yield from _probe(made_from, "startup", probe)
    if allowed(probe) > STARTUP:
        text = f"gives an instance {STARTUP} s to start: `interval` times `retries` of `startup` is {allowed(probe)}"
        fix = f"say `retries={max(1, STARTUP // whole(probe.interval))}`, or a shorter interval"
        yield wrong(made_from.service, f"{BLOCK}.startup", text, fix)


def _liveness(made_from: Source) -> Iterator[Problem]:
    probe = made_from.options.liveness
    if probe is None or made_from.service.job:
        return
    yield from _probe(made_from, "liveness", probe)
    if not probe.http and probe.grpc is None:
        text = "asks whether an instance lives by HTTP or gRPC, not by its port alone"
        yield wrong(made_from.service, f"{BLOCK}.liveness", text, 'say `liveness http="/health"`')


def _probe(made_from: Source, name: str, probe: Probe) -> Iterator[Problem]:
    service = made_from.service
    asked = [
        kind for kind, said in (("http", probe.http), ("tcp", probe.tcp), ("grpc", probe.grpc is not None)) if said
    ]
    if len(asked) > 1:
        text = f"asks one question as `{name}`, not {' and '.join(f'`{each}`' for each in asked)}"
        yield wrong(service, f"{BLOCK}.{name}", text, "keep one of them")
    if probe.http and not probe.http.startswith("/"):
        text = f"asks for a path as `{name}`, and `{probe.http}` is none"
        yield wrong(service, f"{BLOCK}.{name}.http", text, f'write `{name} http="/{probe.http}"`')
    for field in ("delay", "interval", "timeout"):
        if (duration := getattr(probe, field)) != int(duration):
            text = f"counts whole seconds: `{field}` of `{name}` is {duration:g}"
            yield wrong(service, f"{BLOCK}.{name}.{field}", text, f"write `{field}={whole(duration)}`")
    if whole(probe.timeout) > whole(probe.interval):
        text = f"waits no longer for an answer than until the next question: `timeout` of `{name}` is {probe.timeout:g}"
        yield wrong(
            service, f"{BLOCK}.{name}.timeout", text, f"say `interval={whole(probe.timeout)}`, or a shorter timeout"
        )


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (_healthcheck, _readiness, _startup, _liveness)
