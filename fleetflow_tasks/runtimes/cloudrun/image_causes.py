# SPDX-License-Identifier: Apache-2.0
"""Causes that lie with the image: it is not there, may not be read, is not let run, or is made for another machine. Pure."""

import re

from fleetflow_tasks.runtimes.cloudrun import grants
from fleetflow_tasks.runtimes.cloudrun.diagnosis import Cause, Facts

_QUOTED = re.compile(r"(?:[Ii]mage '|read the image, )(?P<image>[^\s',]+)")


def missing(facts: Facts) -> Cause:
    image = named(facts)
    host = image.partition("/")[0]
    usual = "push it, or change `image` or `version`"
    odd = "Artifact Registry is called REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE there"
    return Cause(
        code="image-not-found",
        message=f"the image `{image}` does not exist, or cannot be seen",
        lines=facts.lines,
        fix=usual if host.endswith("-docker.pkg.dev") else f"{usual}; {odd}",
        field="image",
    )


def denied(facts: Facts) -> Cause:
    agent = grants.agent(facts.message)
    return Cause(
        code="image-denied",
        message=f"{f'`{agent}`' if agent else 'Cloud Run'} may not read the image `{named(facts)}`",
        lines=facts.lines,
        fix=grants.reader(named(facts), agent),
        field="image",
    )


def unauthorized(facts: Facts) -> Cause:
    return Cause(
        code="image-unauthorized",
        message=f"Binary Authorization does not let the image `{facts.image}` run",
        lines=facts.lines,
        fix="have the image attested, or the project's policy changed: `gcloud container binauthz policy export`",
        field="image",
    )


def unchecked(facts: Facts) -> Cause:
    return Cause(
        code="image-unchecked",
        message=f"Binary Authorization could not be asked about the image `{facts.image}`",
        lines=facts.lines,
        fix="see that the Binary Authorization API is enabled and its policy can be read",
        field="image",
    )


def of_another_platform(facts: Facts) -> Cause:
    return Cause(
        code="image-platform",
        message=f"the image `{named(facts)}` is not made for linux/amd64",
        lines=facts.lines,
        fix="build it for that platform: `docker build --platform=linux/amd64`",
        field="image",
    )


def named(facts: Facts) -> str:
    """The one that it speaks of."""
    found = _QUOTED.search(facts.message)
    return found["image"].rstrip(".") if found else facts.image
