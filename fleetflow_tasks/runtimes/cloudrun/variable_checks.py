# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a service's variables, secrets and labels. Pure.

A secret by value is refused although the platform would take it as a plain variable: whoever may look at the service, or
at any revision that it ever had, would read it.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.cloudrun import names
from fleetflow_tasks.runtimes.cloudrun.complaints import note, wrong
from fleetflow_tasks.runtimes.cloudrun.source import Source
from fleetflow_tasks.runtimes.cloudrun.variables import PORT, reference

_RESERVED = frozenset(
    {"K_SERVICE", "K_REVISION", "K_CONFIGURATION"}
    | {f"CLOUD_RUN_{each}" for each in ("JOB", "EXECUTION", "TASK_INDEX", "TASK_ATTEMPT", "TASK_COUNT")}
)
_NAME = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")
_LARGEST = 32 << 10  # bytes of a value
_MOST = 1000  # variables of a container
_KEY_RULE = f"a key is up to {names.LABEL} lower-case letters, digits, `_` and `-`, and begins with a letter"
_VALUE_RULE = f"a value is up to {names.LABEL} lower-case letters, digits, `_` and `-`"
_OURS = 5  # labels of ours on each object


def variable_problems(made_from: Source) -> Iterator[Problem]:
    for rule in _RULES:
        yield from rule(made_from)


def _variables(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    fields = dict.fromkeys((*service.secrets, *service.secret_refs), "secrets")
    fields |= dict.fromkeys(service.environment, "environment")
    for name, field in sorted(fields.items()):
        if name in _RESERVED:
            text = f"sets `{name}` itself, and lets nobody else"
            yield wrong(service, f"{field}.{name}", text, "call the variable otherwise")
        elif not _NAME.fullmatch(name):
            text = f"takes no variable called `{name}`"
            fix = "use letters, digits, `_`, `-` and `.`, a digit not in front"
            yield wrong(service, f"{field}.{name}", text, fix)
    if len(fields) > _MOST:
        yield wrong(service, "environment", f"takes {_MOST} variables; these are {len(fields)}", "put some into a file")


def _values(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for name, value in service.environment.items():
        size = len(value.encode())
        if size > _LARGEST:
            text = f"takes 32 KiB as a variable's value; that of `{name}` has {size:,} bytes"
            yield wrong(service, f"environment.{name}", text, "put it into the image, a bucket or a secret's file")


def _port(made_from: Source) -> Iterator[Problem]:
    service, port = made_from.service, made_from.port
    if service.job:
        return
    if PORT in (*service.secrets, *service.secret_refs):
        text = f"sets `{PORT}` itself, to the port of the service: it can be no secret"
        yield wrong(service, f"secrets.{PORT}", text, "leave it out, and say `port container=…`")
    said = service.environment.get(PORT)
    if said == str(port):
        yield note(service, f"environment.{PORT}", f"sets `{PORT}` itself, to {port} too: yours is left out")
    elif said is not None:
        text = f"sets `{PORT}` itself, to {port}: it cannot be `{said}`"
        fix = f"leave it out, or let requests go there: `port container={said}`"
        yield wrong(service, f"environment.{PORT}", text, fix if said.isdigit() else "leave it out")


def _secrets(made_from: Source) -> Iterator[Problem]:
    service, project = made_from.service, made_from.settings.project
    for name in service.secrets:
        secret = names.fitting(f"{made_from.plan.project}-{made_from.plan.stage}-{name}", 255)
        fix = (
            f"put it there, `gcloud secrets create {secret} --project={project or 'my-project'} --data-file=-`, "
            f'and write `{name} ref="{secret}"` in this stage'
        )
        text = f"takes secret `{name}` from Secret Manager alone, not by its value"
        cause = "by value it would stand in each revision, for all who may look at the service"
        yield wrong(service, f"secrets.{name}", text, fix, cause=cause)
    for name, ref in service.secret_refs.items():
        if reference(ref, project) is None:
            text = f"cannot read secret `{name}` from `{ref}`: that names no secret of Secret Manager"
            fix = f'write `{name} ref="projects/{project or "my-project"}/secrets/…/versions/latest"`'
            yield wrong(service, f"secrets.{name}", text, fix)


def _labels(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for key, value in service.labels.items():
        field = f"labels.{key}"
        if key.startswith(labels.DASHED):
            text = f"keeps `{labels.DASHED}…` for its own labels: `{key}`"
            yield wrong(service, field, text, "take another name")
        elif not names.is_label_key(key):
            fix = f"call it `{_fitting(key)}`, or say it in `cloudrun {{ annotations {{ … }} }}`"
            yield wrong(service, field, f"takes no label called `{key}`", fix, cause=_KEY_RULE)
        elif not names.is_label_value(value):
            fix = "write it so, or say it in `cloudrun { annotations { … } }`"
            yield wrong(service, field, f"takes no label `{key}` with the value `{value}`", fix, cause=_VALUE_RULE)
    if len(service.labels) > names.LABELS - _OURS:
        text = f"takes {names.LABELS} labels, of which {_OURS} are its own; these are {len(service.labels)}"
        yield wrong(service, "labels", text, "say some in `cloudrun { annotations { … } }`")


def _fitting(key: str) -> str:
    return names.fitting(key, names.LABEL) or "label"


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (_variables, _values, _port, _secrets, _labels)
