# SPDX-License-Identifier: Apache-2.0
"""How much cpu and memory an instance gets, and which pairs of them there are.

The platform knows limits alone: an instance gets what it is allowed to use, and pays for it. Amounts are never rounded to
what would fit: another amount than the text's is an error with the nearest that there is.
"""

from typing import Any

from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.cloudrun.form import said, yes
from fleetflow_tasks.runtimes.cloudrun.source import Source

MI = 1 << 20
GI = 1 << 30
USUAL_CPU = 1.0  # what an instance gets where nothing is said
USUAL_MEMORY = 512 * MI
LEAST_CPU = 0.08
LEAST_MEMORY = 128 * MI
GEN2_MEMORY = 512 * MI  # that the second generation needs

# Whole cpus -> least and most memory of an instance.
MEMORY = {
    1: (LEAST_MEMORY, 4 * GI),
    2: (LEAST_MEMORY, 8 * GI),
    4: (2 * GI, 16 * GI),
    6: (4 * GI, 24 * GI),
    8: (4 * GI, 32 * GI),
}
# The same of fractions: up to half a cpu, and above.
_HALF = 0.5
_BELOW_HALF, _ABOVE_HALF = 512 * MI, GI

_UNITS = (("Gi", GI), ("Mi", MI), ("Ki", 1 << 10), ("G", 10**9), ("M", 10**6), ("k", 10**3))


def cpu(service: ResolvedService) -> float | None:
    """Cores; None where the text says nothing."""
    return _first(service.resources.cpu_limit, service.resources.cpu)


def memory(service: ResolvedService) -> int | None:
    """Bytes; None where the text says nothing."""
    wanted = _first(service.resources.memory_limit, service.resources.memory)
    return None if wanted is None else int(wanted)


def resources(made_from: Source) -> dict[str, Any]:
    """Of a container. What is not said is left to the platform, but for when the cpu is there: once any of this is sent,
    silence would mean always. A job's cpu always is."""
    service, options = made_from.service, made_from.options
    cores, size = cpu(service), memory(service)
    limits = said(cpu=None if cores is None else cpu_text(cores), memory=None if size is None else bytes_text(size))
    if service.job:
        return said(limits=limits)
    return said(limits=limits, cpuIdle=not options.cpu_always, startupCpuBoost=yes(options.cpu_boost))


def most_memory(cores: float) -> int:
    """That an instance with so much cpu may have."""
    if cores < 1:
        return _ABOVE_HALF if cores >= _HALF else _BELOW_HALF
    return MEMORY[int(cores)][1]


def least_memory(cores: float) -> int:
    return LEAST_MEMORY if cores < 1 else MEMORY[int(cores)][0]


def cpu_text(cores: float) -> str:
    """`2`, or thousandths: `500m`."""
    return f"{cores:.0f}" if cores == int(cores) else f"{round(cores * 1000)}m"


def bytes_text(size: int) -> str:
    """In the largest unit that says it exactly."""
    unit, factor = next(((unit, factor) for unit, factor in _UNITS if size % factor == 0), ("", 1))
    return f"{size // factor}{unit}"


def _first(limit: float | None, asked: float | None) -> float | None:
    return asked if limit is None else limit
