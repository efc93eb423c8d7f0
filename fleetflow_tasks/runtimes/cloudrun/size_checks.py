# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the cpu and memory of an instance. The pairs are the platform's; nothing is rounded to fit. Pure."""

from collections.abc import Callable, Iterable, Iterator

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.cloudrun import sizes
from fleetflow_tasks.runtimes.cloudrun.complaints import BLOCK, note, wrong
from fleetflow_tasks.runtimes.cloudrun.sizes import MEMORY, bytes_text, cpu_text
from fleetflow_tasks.runtimes.cloudrun.source import Source
from fleetflow_tasks.runtimes.cloudrun.storage import needs_gen2

_WHOLE = ", ".join(map(str, MEMORY))


def size_problems(made_from: Source) -> Iterator[Problem]:
    unfit = list(_cpu(made_from))
    yield from unfit
    for rule in _RULES if not unfit else ():
        yield from rule(made_from)
    yield from _asked(made_from)


def _cpu(made_from: Source) -> Iterator[Problem]:
    """That there is such a cpu at all; without it nothing else can be said."""
    service, cores = made_from.service, sizes.cpu(made_from.service)
    if cores is None or cores in MEMORY:
        return
    if cores > 1 or service.job:
        more = next((each for each in MEMORY if each > cores), 8)
        kind = "a job" if service.job else "an instance"
        text = f"gives {kind} {_WHOLE} cpu{'' if service.job else ', or less than one'}, not {_cores(cores)}"
        yield wrong(service, "resources", text, f'say `resources {{ cpu "{more}" }}`')
    elif cores < sizes.LEAST_CPU:
        text = f"gives an instance {sizes.LEAST_CPU} cpu at least, not {_cores(cores)}"
        yield wrong(service, "resources", text, f'say `resources {{ cpu "{cpu_text(sizes.LEAST_CPU)}" }}`')
    elif round(cores, 3) != cores:
        text = f"counts cpu in thousandths: {_cores(cores)} is none"
        yield wrong(service, "resources", text, f'say `resources {{ cpu "{cpu_text(cores)}" }}`')


def _memory(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    cores, size = _sizes(made_from)
    least, most = sizes.least_memory(cores), sizes.most_memory(cores)
    if size > most:
        text = (
            f"gives an instance with {_cores(cores)} cpu {bytes_text(most)} of memory at most, not {bytes_text(size)}"
        )
        yield wrong(service, "resources", text, _more_cpu(size))
    elif size < least:
        text = (
            f"gives an instance with {_cores(cores)} cpu {bytes_text(least)} of memory at least, not {bytes_text(size)}"
        )
        yield wrong(service, "resources", text, f'say `resources {{ memory "{bytes_text(least)}" }}`')


def _more_cpu(size: int) -> str:
    enough = next((cores for cores in (0.5, *MEMORY) if sizes.most_memory(cores) >= size), None)
    if enough is None:
        return "32Gi is the most, with 8 cpu: split the service, or run it on another runtime"
    return f'say `resources {{ cpu "{cpu_text(enough)}" }}`, or less memory'


def _fraction(made_from: Source) -> Iterator[Problem]:
    """What less than one cpu rules out."""
    service, options = made_from.service, made_from.options
    cores, _ = _sizes(made_from)
    generation = "the buckets or NFS that it mounts" if needs_gen2(made_from) else '`execution_environment "gen2"`'
    asked = (
        (f"`concurrency {options.concurrency}`", (options.concurrency or 1) > 1),
        ("`cpu_always`", options.cpu_always),
        (generation, needs_gen2(made_from) or options.execution_environment == "gen2"),
    )
    for what, said in asked if cores < 1 else ():
        if said:
            text = f"allows {what} only with a whole cpu, not with {_cores(cores)}"
            yield wrong(service, BLOCK, text, 'say `resources { cpu "1" }`, or leave it out')


def _generation(made_from: Source) -> Iterator[Problem]:
    service, options = made_from.service, made_from.options
    cores, size = _sizes(made_from)
    if needs_gen2(made_from) and options.execution_environment == "gen1":
        text = 'mounts buckets and NFS only in `execution_environment "gen2"`'
        yield wrong(service, f"{BLOCK}.execution_environment", text, "leave `execution_environment` out")
    second = options.execution_environment == "gen2" or (needs_gen2(made_from) and not options.execution_environment)
    if second and cores >= 1 and sizes.least_memory(cores) <= size < sizes.GEN2_MEMORY:
        text = f"gives an instance of the second generation 512Mi of memory at least, not {bytes_text(size)}"
        yield wrong(service, "resources", text, 'say `resources { memory "512Mi" }`')


def _asked(made_from: Source) -> Iterator[Problem]:
    """The platform has limits alone."""
    service, found = made_from.service, made_from.service.resources
    for name, asked, limit in (("cpu", found.cpu, found.cpu_limit), ("memory", found.memory, found.memory_limit)):
        if asked is not None and limit not in (None, asked):
            text = f"gives an instance what `{name}_limit` says, all of it: `{name}` has no effect"
            yield note(service, "resources", text)


def _sizes(made_from: Source) -> tuple[float, int]:
    """Cpu and memory, where nothing is said the platform's usual."""
    cores, size = sizes.cpu(made_from.service), sizes.memory(made_from.service)
    return sizes.USUAL_CPU if cores is None else cores, sizes.USUAL_MEMORY if size is None else size


def _cores(cores: float) -> str:
    return f"{cores:g}"


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (_memory, _fraction, _generation)
