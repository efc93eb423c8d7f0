# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a service's `kubernetes { … }`: names that cannot be, values that contradict each other. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.kubernetes import complaints, names
from fleetflow_tasks.runtimes.kubernetes.complaints import warned, wrong
from fleetflow_tasks.runtimes.kubernetes.manifests import Source
from fleetflow_tasks.runtimes.kubernetes.stopping import SLEEPS

_SURGE = re.compile(r"[1-9]\d{0,8}%?")
_NODE_PORTS = range(30000, 32768)  # where the cluster's `--service-node-port-range` says nothing else
_RESTRICTED_CAPABILITY = "NET_BIND_SERVICE"  # the only one that `restricted` lets a container have


def option_problems(made_from: Source) -> Iterator[Problem]:
    for rule in _RULES:
        yield from rule(made_from)


def _names(made_from: Source) -> Iterator[Problem]:
    service, options = made_from.service, made_from.options
    keys = (
        ("annotations", options.annotations),
        ("service_annotations", options.service_annotations),
        ("ingress_annotations", options.ingress_annotations),
        ("service_account", options.service_account.annotations),
        ("node_selector", options.node_selector),
    )
    for field, found in keys:
        for key in found:
            if not names.is_key(key):
                yield wrong(service, f"options.{field}.{key}", f"takes no `{key}` in `{field}`", complaints.KEY_RULE)
    objects = (
        ("service_account", (options.service_account.name,)),
        ("image_pull_secrets", options.image_pull_secrets),
        ("priority_class", (options.priority_class,)),
        ("storage_class", (options.storage_class,)),
        ("ingress_class", (options.ingress_class,)),
    )
    for field, called in objects:
        for name in called:
            if name and not names.is_subdomain(name):
                fix = names.fitting(name) or "a name of lower-case letters and digits"
                text = f"has no object called `{name}` for `{field}`"
                yield wrong(service, f"options.{field}", text, f"write `{fix}`")


def _values(made_from: Source) -> Iterator[Problem]:
    service, options = made_from.service, made_from.options
    for key, value in options.node_selector.items():
        if not names.is_label_value(value):
            text = f"takes no `node_selector` `{key}` with the value `{value}`"
            yield wrong(service, f"options.node_selector.{key}", text, complaints.VALUE_RULE)
    if options.max_surge and not _SURGE.fullmatch(options.max_surge):
        text = f"cannot have `{options.max_surge}` pods more during a rollout"
        yield wrong(service, "options.max_surge", text, 'write `max_surge 1` or `max_surge "25%"`')
    if options.node_port is not None and options.node_port not in _NODE_PORTS:
        text = f"opens `node_port` {options.node_port} only where the cluster's range was widened: it is 30000-32767"
        yield warned(service, "options.node_port", text, "take one of 30000 to 32767, or leave `node_port` out")
    if options.service_account.annotations and not options.service_account.create:
        text = "writes annotations only on a service account that it makes itself"
        yield wrong(service, "options.service_account", text, "say `service_account create=#true { … }`")
    for index, toleration in enumerate(options.tolerations):
        field = f"options.tolerations.{index}"
        if toleration.value and not toleration.key:
            text = f"cannot tolerate the value `{toleration.value}` of no taint"
            yield wrong(service, field, text, f'write `toleration "key" value="{toleration.value}"`')
        if toleration.seconds is not None and toleration.effect != "NoExecute":
            text = 'counts `seconds` of a toleration only with `effect="NoExecute"`'
            yield wrong(service, f"{field}.seconds", text, "leave `seconds` out, or say that effect")


def _rights(made_from: Source) -> Iterator[Problem]:
    """`restricted` beside what it forbids."""
    service, options = made_from.service, made_from.options
    asked = (
        ("privileged", options.privileged),
        ("run_as_user 0", options.run_as_user == 0),
        *((f'cap_add "{each}"', each != _RESTRICTED_CAPABILITY) for each in options.cap_add),
    )
    for what, said in asked if options.restricted else ():
        if said:
            field = f"options.{what.partition(' ')[0]}"
            yield wrong(service, field, f"cannot keep `restricted` and give `{what}`", "leave one of them out")
    if options.run_as_non_root and options.run_as_user == 0:
        yield wrong(service, "options.run_as_user", "cannot run as user 0 and not as root", "leave one of them out")


def _stops(made_from: Source) -> Iterator[Problem]:
    service, options, oldest = made_from.service, made_from.options, made_from.settings.version
    if not options.stop_delay:
        return
    if options.pre_stop:
        text = "waits before it stops as `pre_stop` says: `stop_delay` has no effect"
        yield warned(service, "options.stop_delay", text, "leave one of them out")
    elif oldest < SLEEPS:
        text = f"cannot wait before it stops on Kubernetes {oldest[0]}.{oldest[1]}, the stage's `version`"
        yield wrong(service, "options.stop_delay", text, 'say `pre_stop "sleep" "3"`, where the image has that command')


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (_names, _values, _rights, _stops)
