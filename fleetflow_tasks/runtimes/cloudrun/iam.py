# SPDX-License-Identifier: Apache-2.0
"""Who may call a service: the members of its role `roles/run.invoker`, of which we touch none but those we let in.

Anybody may call a service that is `public`, in one of two ways. The usual one is that the call is not checked at all
(`invokerIamDisabled`, on the service itself): it works under an organization policy that forbids `allUsers` in policies,
and adds nothing that would have to be taken away. Where another policy forbids that (`run.managed.requireInvokerIam`),
`allUsers` is let in like any other caller.

A policy belongs to everybody who manages the project. So it is read, changed and set with the etag that it was read with,
and where somebody else was first (ABORTED) all of that again. Other roles, bindings with conditions and members that were
there before are not ours: whom we let in stands in an annotation of the service, `fleetflow.io/invokers`. It is written
before the policy is, so that a worker that dies in between leaves nobody let in whom the next one would not know.
"""

from collections.abc import Collection, Iterable, Sequence

from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError
from fleetflow_tasks.runtimes.cloudrun.desired import Desired
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import INVOKERS
from fleetflow_tasks.runtimes.cloudrun.reading import items, text

ROLE = "roles/run.invoker"
EVERYBODY = "allUsers"
TRIES = 5  # of one change against others who change the same policy

_CLOSED = ("requireInvokerIam", "invoker_iam_disabled", "invokerIamDisabled", "invoker IAM check")


# --- pure


def remembered(service: Json | None) -> tuple[str, ...]:
    """The members whom we let in, as the live service says; nobody where there is none."""
    said = text(service, "annotations", INVOKERS)
    return tuple(member for member in said.split(",") if member)


def wanted(desired: Desired, *, by_policy: bool = False) -> tuple[str, ...]:
    """by_policy: a public service is opened in its policy, since `invokerIamDisabled` was refused."""
    return tuple(sorted({*desired.invokers, EVERYBODY})) if desired.public and by_policy else desired.invokers


def ours(policy: Json | None, members: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    """Of *members* those that are ours to take away again: who was there already, and not by us, is not.

    policy: None of a service that is not there yet. before: whom we had let in.
    """
    foreign = set(callers(policy or {})) - set(before)
    return tuple(sorted(set(members) - foreign))


def callers(policy: Json) -> tuple[str, ...]:
    """Who may call it, always: a binding with a condition lets in whom the condition says."""
    return tuple(member for each in items(policy, "bindings") if _plain(each) for member in items(each, "members"))


def changed(policy: Json, add: Iterable[str], drop: Iterable[str]) -> Json | None:
    """The policy with these let in and those not; None where nothing would change."""
    gone, new = set(drop), [each for each in dict.fromkeys(add) if each not in callers(policy)]
    bindings = [_without(each, gone) for each in items(policy, "bindings")]
    here = next((index for index, each in enumerate(bindings) if _plain(each)), None)
    if new and here is None:
        bindings.append({"role": ROLE, "members": new})
    elif new and here is not None:
        bindings[here] = {**bindings[here], "members": [*items(bindings[here], "members"), *new]}
    kept = [each for each in bindings if items(each, "members")]
    return None if kept == list(items(policy, "bindings")) else {**policy, "bindings": kept}


def refuses_unchecked(error: CloudRunError) -> bool:
    """Whether it was `invokerIamDisabled` that was refused, so that the policy has to do it."""
    said = " ".join((error.answer, *error.details))
    refused = error.code in {"FAILED_PRECONDITION", "INVALID_ARGUMENT", "PERMISSION_DENIED"}
    return refused and any(word in said for word in _CLOSED)


def checked(body: Json) -> Json:
    """The service's body with its calls checked again."""
    return {name: value for name, value in body.items() if name != "invokerIamDisabled"}


def _without(binding: Json, gone: Collection[str]) -> Json:
    if not _plain(binding):
        return binding
    return {**binding, "members": [each for each in items(binding, "members") if each not in gone]}


def _plain(binding: Json) -> bool:
    return text(binding, "role") == ROLE and not binding.get("condition")


# --- and what calls


def policy(client: Client, name: str, members: Sequence[str], before: Sequence[str]) -> Json | None:
    """The service's policy, where it must be known to tell which of *members* are ours; else None, and nothing is asked."""
    return client.policy(name) if set(members) - set(before) else None


def let_in(client: Client, name: str, add: Sequence[str], drop: Sequence[str], attempt: Attempt) -> bool:
    """Let these call the service *name*, and those not any more. False: nothing was to be done.

    drop: ours alone. Raises CloudRunError.
    """
    return bool(add or drop) and _let_in(client, name, add, set(drop) - set(add), attempt, TRIES)


def _let_in(client: Client, name: str, add: Sequence[str], drop: Collection[str], attempt: Attempt, tries: int) -> bool:
    attempt.checkpoint()
    new = changed(client.policy(name), add, drop)
    if new is None:
        return False
    try:
        attempt.checkpoint()
        client.set_policy(name, new)
    except CloudRunError as error:
        if error.code != "ABORTED" or tries == 1:
            raise
        return _let_in(client, name, add, drop, attempt, tries - 1)
    return True
