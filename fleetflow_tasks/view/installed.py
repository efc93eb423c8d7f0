# SPDX-License-Identifier: Apache-2.0
"""What this FleetFlow is: the numbers that have to fit elsewhere, and which packages it found here."""

import platform
from collections.abc import Iterator, Sequence

from fleetflow_tasks import __version__
from fleetflow_tasks.plan.model import SCHEMA
from fleetflow_tasks.runtimes.base import PROTOCOL
from fleetflow_tasks.runtimes.installed import Extra, Package, Parts
from fleetflow_tasks.view.contract import VERSION
from fleetflow_tasks.view.ink import padded, paint
from fleetflow_tasks.view.jsonl import document


def text(parts: Parts, *, colour: bool = False) -> str:
    """A line for each extra; what is missing is told with the line that installs it."""
    rows = [("packages", _listed(parts.packages))] if parts.packages else []
    rows += [(extra.name, _extra(extra)) for extra in parts.extras]
    rows += [(runtime.name, _listed([runtime.package])) for runtime in parts.runtimes]
    rows += [("numbers", f"plan schema {SCHEMA}, runtime protocol {PROTOCOL}, JSON {VERSION}")]
    wide = max(len(name) for name, _ in rows)
    head = f"flow {__version__} on Python {platform.python_version()}, {platform.platform()}"
    return "\n".join([paint(head, "bold", on=colour), *(f"  {padded(name, wide)}  {what}" for name, what in rows)])


def as_json(parts: Parts) -> str:
    """One object: `{"v":1,"type":"version","version":"0.1.0",…,"extras":[…]}`."""
    return document(
        "version",
        {
            "version": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "plan": SCHEMA,
            "runtime": PROTOCOL,
            "json": VERSION,
            "packages": parts.packages,
            "extras": parts.extras,
            "runtimes": parts.runtimes,
        },
    )


def _extra(extra: Extra) -> str:
    return ", ".join(_parts(extra))


def _parts(extra: Extra) -> Iterator[str]:
    """What there is of it; of what is missing, the line that brings it."""
    there = [package for package in extra.packages if package.version is not None]
    if there:
        yield _listed(there)
    missing = [package.name for package in extra.packages if package.version is None]
    if missing:
        what = f"{', '.join(missing)} missing" if there else "not installed"
        yield f"{what}: pip install 'fleetflow[{extra.name}]'"


def _listed(packages: Sequence[Package]) -> str:
    return ", ".join(f"{package.name} {package.version}" for package in packages)
