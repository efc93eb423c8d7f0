# SPDX-License-Identifier: Apache-2.0
"""What this FleetFlow is made of: its own packages, its extras with theirs, and the runtimes that other packages bring.

All of it is read from what installers left behind (`importlib.metadata`), so nothing is imported and a package that is
broken is still named. Which package belongs to which extra stands in FleetFlow's own metadata; there is no second list.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.registry import BUILTIN, Installed, installed

OURS = "fleetflow"
_ALL = "all"  # the extra that is all others together

_REQUIREMENT = re.compile(r"""^([A-Za-z0-9._-]+)(?:.*;.*\bextra\s*==\s*["']([^"']+)["'])?""")


class Package(Data, frozen=True, kw_only=True):
    """version: None where it is not installed."""

    name: str
    version: str | None


class Extra(Data, frozen=True, kw_only=True):
    """What `pip install 'fleetflow[name]'` brings."""

    name: str
    packages: tuple[Package, ...]

    @property
    def installed(self) -> bool:
        return all(package.version is not None for package in self.packages)


class Foreign(Data, frozen=True, kw_only=True):
    """A runtime of another package."""

    name: str
    package: Package


class Parts(Data, frozen=True, kw_only=True):
    """packages: what every FleetFlow needs. extras, runtimes: by name."""

    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    runtimes: tuple[Foreign, ...]


def parts(*, others: Installed = installed, required: Iterable[str] | None = None) -> Parts:
    """required: lines as packages write them, `docker>=7.1; extra == "docker"`; None: our own, as installed."""
    wanted = list(_wanted(_ours() if required is None else required))
    extras = sorted({extra for _, extra in wanted if extra})
    return Parts(
        packages=_packages(name for name, extra in wanted if not extra),
        extras=tuple(
            Extra(name=each, packages=_packages(name for name, of in wanted if of == each)) for each in extras
        ),
        runtimes=tuple(_foreign(others)),
    )


def _ours() -> Sequence[str]:
    """Nothing, where FleetFlow runs from a folder that nobody installed."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        return requires(OURS) or ()
    except PackageNotFoundError:
        return ()


def _wanted(required: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Package and extra, "" for what is always needed."""
    for line in required:
        found = _REQUIREMENT.match(line)
        if found and found[2] != _ALL:
            yield found[1], found[2] or ""


def _packages(names: Iterable[str]) -> tuple[Package, ...]:
    return tuple(Package(name=name, version=_version(name)) for name in sorted(set(names)))


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _foreign(others: Installed) -> Iterator[Foreign]:
    for entry in sorted(others(), key=lambda entry: entry.name):
        if entry.name not in BUILTIN:
            name = entry.dist.name if entry.dist else entry.module
            yield Foreign(name=entry.name, package=Package(name=name, version=_version(name)))
