# SPDX-License-Identifier: Apache-2.0
"""CPU and memory, and which of them go together.

https://cloud.google.com/run/docs/configuring/services/cpu and …/memory-limits: below 1 CPU steps of 0.001 from 0.08, above it
1, 2, 4, 6, 8; each with its least and most memory; below 1 CPU concurrency 1, first generation, request-based billing. Jobs:
https://cloud.google.com/run/docs/configuring/jobs/cpu. The texts are guesses.
"""

import re
from typing import Any

from .violations import Violations

Json = dict[str, Any]

MI = 1024**2
GI = 1024**3
_UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "Ki": 1024, "Mi": MI, "Gi": GI}
_WHOLE = (1.0, 2.0, 4.0, 6.0, 8.0)
_LEAST = {4.0: 2 * GI, 6.0: 4 * GI, 8.0: 4 * GI}
_MOST = {1.0: 4 * GI, 2.0: 8 * GI, 4.0: 16 * GI, 6.0: 24 * GI, 8.0: 32 * GI}
_KNOWN = ("cpu", "memory", "nvidia.com/gpu")


def cpus(said: str) -> float | None:
    """None: it is no quantity of CPU."""
    found = re.fullmatch(r"([0-9]+)m|([0-9]+(?:\.[0-9]{1,3})?)", said)
    if found is None:
        return None
    return int(found[1]) / 1000 if found[1] else float(found[2])


def size(said: str) -> int | None:
    """Bytes; None: it is no quantity of memory."""
    found = re.fullmatch(r"([0-9]+)([kMG]|Ki|Mi|Gi)?", said)
    return int(found[1]) * _UNITS[found[2] or ""] if found else None


def checked(template: Json, container: Json, field: str, found: Violations, *, job: bool) -> None:
    """container: with its defaults. field: of its limits."""
    limits = container["resources"]["limits"]
    for key in sorted(set(limits) - set(_KNOWN)):
        found.say(field, f"only cpu, memory and nvidia.com/gpu are supported, not '{key}'.")
    cpu, memory = cpus(limits["cpu"]), size(limits["memory"])
    if cpu is None or (cpu >= 1 and cpu not in _WHOLE):
        found.say(f"{field}.cpu", f"Invalid value '{limits['cpu']}': supported are 0.08 to 1, 2, 4, 6 and 8.")
    elif memory is None:
        found.say(f"{field}.memory", f"Invalid value '{limits['memory']}'.")
    else:
        _together(cpu, memory, template, field, found)
        _below_one(cpu, template, container, field, found, job=job)


def _together(cpu: float, memory: int, template: Json, field: str, found: Violations) -> None:
    most = _most(cpu)
    least = max(_LEAST.get(cpu, 0), _floor(template))
    if memory > most:
        text = f"Invalid value: for {cpu:g} CPU, memory must be at most {most // MI} MiB; it is {memory // MI} MiB."
        found.say(f"{field}.memory", text)
    elif memory < least:
        text = f"Invalid value: for {cpu:g} CPU, memory must be at least {least // MI} MiB; it is {memory // MI} MiB."
        found.say(f"{field}.memory", text)


def _most(cpu: float) -> int:
    """ "More than 512 MiB needs 0.5 CPU at least, more than 1 GiB needs 1 CPU"."""
    if cpu < 0.5:
        return 512 * MI
    return GI if cpu < 1 else _MOST[cpu]


def _floor(template: Json) -> int:
    """The second generation needs 512 MiB; https://cloud.google.com/run/docs/configuring/services/memory-limits."""
    return 512 * MI if template.get("executionEnvironment") == "EXECUTION_ENVIRONMENT_GEN2" else 128 * MI


def _below_one(cpu: float, template: Json, container: Json, field: str, found: Violations, *, job: bool) -> None:
    if cpu >= 1:
        return
    if job or cpu < 0.08:
        found.say(f"{field}.cpu", f"Invalid value: {cpu:g} CPU is less than the minimum of {1 if job else 0.08:g}.")
        return
    concurrency = template.get("maxInstanceRequestConcurrency", 1)
    found.say_if(concurrency > 1, f"{field}.cpu", "with less than 1 CPU, the concurrency must be 1.")
    always = not container["resources"].get("cpuIdle", False)
    found.say_if(always, f"{field}.cpu", "with less than 1 CPU, CPU must be allocated during requests only.")
    second = template.get("executionEnvironment") == "EXECUTION_ENVIRONMENT_GEN2"
    found.say_if(
        second, f"{field}.cpu", "with less than 1 CPU, the execution environment must be the first generation."
    )
