# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a service's `cloudrun { … }`: names that cannot be, values that contradict each other. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.cloudrun import names
from fleetflow_tasks.runtimes.cloudrun.complaints import BLOCK, note, warned, wrong
from fleetflow_tasks.runtimes.cloudrun.desired import dependants
from fleetflow_tasks.runtimes.cloudrun.options import Options, read
from fleetflow_tasks.runtimes.cloudrun.source import Source

_ACCOUNT = re.compile(r"[^@\s:/]+@[^@\s:/]+\.[^@\s:/]+")
_MEMBER = re.compile(
    r"(?:user|group|serviceAccount):[^@\s:]+@[^@\s:]+|domain:[^@\s:]+\.[^@\s:]+|allAuthenticatedUsers|principal(?:Set)?://\S+"
)
_CONNECTOR = re.compile(r"(?:projects/[^/]+/locations/[^/]+/connectors/)?[a-z][-a-z0-9]*")
_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
_ANNOTATION = re.compile(r"(?:[a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_EVERYBODY = "allUsers"
_INVOKERS = f"{BLOCK}.invokers"
_DESCRIPTION = 512  # characters
_REQUEST = 3600  # seconds that one request may take at most
_OWN_ACCOUNT = "name@project.iam.gserviceaccount.com"

# What means something for a service alone, and how the text says it.
_SERVICES: tuple[tuple[str, Callable[[Options], object]], ...] = (
    ("public", lambda options: options.public),
    ("invoker", lambda options: options.invokers),
    ("ingress", lambda options: options.ingress != "all"),
    ("concurrency", lambda options: options.concurrency is not None),
    ("cpu_always", lambda options: options.cpu_always),
    ("cpu_boost", lambda options: options.cpu_boost),
    ("session_affinity", lambda options: options.session_affinity),
    ("protocol", lambda options: options.protocol),
    ("traffic", lambda options: options.traffic is not None),
    ("startup", lambda options: options.startup is not None),
    ("liveness", lambda options: options.liveness is not None),
)
_JOBS: tuple[tuple[str, Callable[[Options], object]], ...] = (
    ("tasks", lambda options: options.tasks is not None),
    ("parallelism", lambda options: options.parallelism is not None),
    ("max_retries", lambda options: options.max_retries),
)


def block_problems(made_from: Source) -> Iterator[Problem]:
    for rule in _RULES:
        yield from rule(made_from)


def _kind(made_from: Source) -> Iterator[Problem]:
    service, options = made_from.service, made_from.options
    kind, others = ("a job", _SERVICES) if service.job else ("a service that is no job", _JOBS)
    for name, said in others:
        if said(options):
            fix = "leave it out" if service.job else "leave it out, or mark the service with `job #true`"
            yield wrong(service, f"{BLOCK}.{name}", f"has no `{name}` for {kind}", fix)
    if not service.job and (options.timeout or 0) > _REQUEST:
        text = f"lets a request take {_REQUEST} s at most, not {options.timeout:g}"
        yield wrong(service, f"{BLOCK}.timeout", text, f"say `timeout {_REQUEST}`, or less")


def _callers(made_from: Source) -> Iterator[Problem]:
    service, options = made_from.service, made_from.options
    for member in options.invokers:
        if member == _EVERYBODY:
            yield wrong(service, _INVOKERS, f"takes `{member}` as no invoker", "say `public #true`")
        elif not _MEMBER.fullmatch(member):
            kind = "serviceAccount" if member.endswith(".gserviceaccount.com") else "user"
            fix = f'write whose it is: `invoker "{kind}:{member}"`' if _ACCOUNT.fullmatch(member) else _MEMBERS
            yield wrong(service, _INVOKERS, f"knows nobody called `{member}`", fix)
    if options.public and options.invokers:
        text = "lets anybody call a `public` service: `invoker` has no effect"
        yield warned(service, _INVOKERS, text, "leave one of them out")


_MEMBERS = "write `user:…`, `group:…`, `serviceAccount:…` with an address, or `domain:…`"


def _private(made_from: Source) -> Iterator[Problem]:
    """Whom we can let in is only who has a name."""
    service = made_from.service
    if made_from.options.public or service.job:
        return
    for other in dependants(made_from):
        if not read(other.options).service_account:
            text = f"lets `{other.name}` call `{service.name}` only if the account that it runs as may: it names none"
            fix = f'say `cloudrun {{ service_account "{_OWN_ACCOUNT}" }}` for `{other.name}`, or `public #true` here'
            yield note(service, "", text, fix)


def _names(made_from: Source) -> Iterator[Problem]:
    service, options = made_from.service, made_from.options
    if options.service_account and not _ACCOUNT.fullmatch(options.service_account):
        text = f"has no service account called `{options.service_account}`"
        yield wrong(service, f"{BLOCK}.service_account", text, f'write its address: `service_account "{_OWN_ACCOUNT}"`')
    if options.encryption_key and not _KEY.fullmatch(options.encryption_key):
        text = f"has no key called `{options.encryption_key}`"
        yield wrong(service, f"{BLOCK}.encryption_key", text, "write `projects/…/locations/…/keyRings/…/cryptoKeys/…`")
    if len(options.description) > _DESCRIPTION:
        text = f"takes a description of {_DESCRIPTION} characters; this one has {len(options.description)}"
        yield wrong(service, f"{BLOCK}.description", text, "shorten it")


def _vpc(made_from: Source) -> Iterator[Problem]:
    service, vpc = made_from.service, made_from.options.vpc
    if vpc is None:
        return
    if vpc.connector and (vpc.network or vpc.subnet or vpc.tags):
        text = "takes one way into a private network: a connector, or `network` with `subnet` and `tags`"
        yield wrong(service, f"{BLOCK}.vpc.connector", text, "leave `connector` out")
    elif vpc.connector and not _CONNECTOR.fullmatch(vpc.connector):
        text = f"has no connector called `{vpc.connector}`"
        yield wrong(service, f"{BLOCK}.vpc.connector", text, "write its name, or `projects/…/locations/…/connectors/…`")
    elif not vpc.connector and not vpc.network and not vpc.subnet:
        text = "cannot tell into which private network `vpc` leads"
        yield wrong(service, f"{BLOCK}.vpc", text, 'say `vpc network="default"`')


def _annotations(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for key in made_from.options.annotations:
        field = f"{BLOCK}.annotations.{key}"
        if key.startswith(labels.SLASHED):
            text = f"keeps `{labels.SLASHED}…` for its own annotations: `{key}`"
            yield wrong(service, field, text, "take another prefix")
        elif names.is_foreign(key):
            text = f"takes no annotation `{key}`: what it means has a word of its own in the block"
            yield wrong(service, field, text, "leave it out, and say it with that word")
        elif not _ANNOTATION.fullmatch(key):
            text = f"takes no annotation called `{key}`"
            fix = "use up to 63 letters, digits, `-`, `_` and `.`, before them a domain and `/` if need be"
            yield wrong(service, field, text, fix)


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (_kind, _callers, _private, _names, _vpc, _annotations)
