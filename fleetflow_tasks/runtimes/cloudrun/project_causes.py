# SPDX-License-Identifier: Apache-2.0
"""Causes that lie with the project: what is around a container is not there, may not be used, or does not suffice. Pure."""

import re

from fleetflow_tasks.runtimes.cloudrun import grants
from fleetflow_tasks.runtimes.cloudrun.diagnosis import Cause, Facts

SECRET = re.compile(
    r"[Ss]ecret:? '?(?:projects/[^/\s]+/secrets/)?(?P<name>[\w-]+)(?:/versions/[\w-]+)?'? (?:was )?not found"
)


def secrets(facts: Facts) -> Cause:
    return no_secret(facts) if SECRET.search(facts.message) else secret_denied(facts)


def secret_denied(facts: Facts) -> Cause:
    """One failure may speak of many secrets, each of which wants its own line."""
    denied = grants.secrets(facts.message)
    names = [name for name, _ in denied]
    account = next((account for _, account in denied if account), facts.account)
    which = f"the secret{'s' * (len(names) > 1)} {', '.join(f'`{name}`' for name in names)}" if names else "its secrets"
    return Cause(
        code="secret-denied",
        message=f"{f'`{account}`' if account else 'its service account'} may not read {which}",
        lines=(*facts.lines, *(grants.accessor(name, account, facts.project) for name in names[1:])),
        fix=grants.accessor(names[0], account, facts.project) if names else grants.ACCESSOR_OF_ALL,
        field="secrets",
    )


def no_secret(facts: Facts) -> Cause:
    name = SECRET.findall(facts.message)[0]
    return Cause(
        code="secret-not-found",
        message=f"there is no secret `{name}`, or not this version of it",
        lines=facts.lines,
        fix=f"make it: `gcloud secrets versions add {name} --data-file=-`, or change its `ref`",
        field="secrets",
    )


def key_denied(facts: Facts) -> Cause:
    return Cause(
        code="key-denied",
        message="Cloud Run may not use the encryption key of this service",
        lines=facts.lines,
        fix=grants.encrypter(grants.agent(facts.message)),
    )


def no_network(facts: Facts) -> Cause:
    return Cause(
        code="network-not-found",
        message="the VPC network, subnet or connector that it wants does not exist in this region",
        lines=facts.lines,
        fix="correct `vpc`: `gcloud compute networks list` and `gcloud compute networks subnets list` show what is there",
        field="options",
    )


def too_many_revisions(facts: Facts) -> Cause:
    return Cause(
        code="too-many-revisions",
        message="too many revisions are kept by traffic and tags, so that a new one cannot be",
        lines=facts.lines,
        fix="take tags away: `gcloud run services update-traffic --clear-tags`",
    )


def quota(facts: Facts) -> Cause:
    return Cause(
        code="quota",
        message="the project's quota in this region does not allow for it",
        lines=facts.lines,
        fix="lower `max` in `scaling` or `resources`, or ask for more: https://console.cloud.google.com/iam-admin/quotas",
        field="scaling",
    )
