# SPDX-License-Identifier: Apache-2.0
import platform

from fleetflow_tasks import __version__
from fleetflow_tasks.runtimes.installed import Extra, Foreign, Package, Parts
from fleetflow_tasks.view import installed
from tests.printed import checked

CELERY = Package(name="celery", version="5.7.0")
DOCKER = Package(name="docker", version="7.1.0")
PARTS = Parts(
    packages=(CELERY,),
    extras=(
        Extra(name="docker", packages=(DOCKER,)),
        Extra(name="kubernetes", packages=(Package(name="kubernetes", version=None),)),
        Extra(name="odd", packages=(DOCKER, Package(name="pyyaml", version=None))),
    ),
    runtimes=(Foreign(name="nomad", package=Package(name="fleetflow-nomad", version="0.2")),),
)


def test_what_is_missing_is_told_with_what_installs_it() -> None:
    head, *lines = installed.text(PARTS).splitlines()

    assert head == f"flow {__version__} on Python {platform.python_version()}, {platform.platform()}"
    assert lines == [
        "  packages    celery 5.7.0",
        "  docker      docker 7.1.0",
        "  kubernetes  not installed: pip install 'fleetflow[kubernetes]'",
        "  odd         docker 7.1.0, pyyaml missing: pip install 'fleetflow[odd]'",
        "  nomad       fleetflow-nomad 0.2",
        "  numbers     plan schema 1, runtime protocol 1, JSON 1",
    ]


def test_from_a_folder_that_nobody_installed_only_the_numbers_are_known() -> None:
    nothing = Parts(packages=(), extras=(), runtimes=())

    assert installed.text(nothing, colour=True).splitlines()[1:] == [
        "  numbers  plan schema 1, runtime protocol 1, JSON 1"
    ]
    assert installed.text(nothing, colour=True).startswith("\x1b[1mflow ")


def test_as_json_every_package_has_its_version_or_none() -> None:
    (told,) = checked(installed.as_json(PARTS))

    assert (told["type"], told["version"], told["plan"]) == ("version", __version__, 1)
    assert [(extra["name"], extra["installed"]) for extra in told["extras"]] == [
        ("docker", True),
        ("kubernetes", False),
        ("odd", False),
    ]
    assert told["extras"][1]["packages"] == [{"name": "kubernetes", "version": None}]
    assert told["runtimes"] == [{"name": "nomad", "package": {"name": "fleetflow-nomad", "version": "0.2"}}]
