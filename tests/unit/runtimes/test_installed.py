# SPDX-License-Identifier: Apache-2.0
"""What is installed is read from metadata, extras and other packages' runtimes included."""

from importlib.metadata import EntryPoint, version

from fleetflow_tasks.runtimes.installed import Extra, Foreign, Package, parts

REQUIRED = (
    "celery>=5.7",
    "docker>=7.1; extra == 'docker'",
    'docker>=7.1; extra == "all"',
    "nowhere-to-be-found>=1 ; extra == 'odd'",
    "docker; python_version > '3' and extra == 'odd'",
)


def test_packages_are_told_by_the_extra_that_brings_them() -> None:
    found = parts(required=REQUIRED, others=lambda: ())

    docker = Package(name="docker", version=version("docker"))
    missing = Package(name="nowhere-to-be-found", version=None)
    assert found.packages == (Package(name="celery", version=version("celery")),)
    assert found.extras == (Extra(name="docker", packages=(docker,)), Extra(name="odd", packages=(docker, missing)))
    assert [extra.installed for extra in found.extras] == [True, False]


def test_our_own_metadata_names_an_extra_for_each_runtime() -> None:
    assert {"cloudrun", "docker", "kubernetes"} <= {extra.name for extra in parts(others=lambda: ()).extras}


def test_runtimes_of_other_packages_are_told_and_one_that_has_our_name_is_none() -> None:
    entries = [
        EntryPoint(name="nomad", value="fleetflow_nomad:Nomad", group="fleetflow.runtimes"),
        EntryPoint(name="docker", value="elsewhere:Docker", group="fleetflow.runtimes"),
    ]

    found = parts(required=(), others=lambda: entries)

    assert found.runtimes == (Foreign(name="nomad", package=Package(name="fleetflow_nomad", version=None)),)
