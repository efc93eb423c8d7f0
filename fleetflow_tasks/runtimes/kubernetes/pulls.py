# SPDX-License-Identifier: Apache-2.0
"""Why an image does not come: the registry's words, as containerd or CRI-O handed them on, in ours. Pure.

The kubelet tells one failure in two states that take turns: `ErrImagePull` holds the registry's words, and
`ImagePullBackOff` those of the failure before, but only since 1.32; earlier they stand in the event alone.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from fleetflow_tasks.plan.image import ImageError, parse
from fleetflow_tasks.runtimes.kubernetes.diagnosis import Diagnosis, graced, one_line
from fleetflow_tasks.runtimes.kubernetes.events import Event
from fleetflow_tasks.runtimes.kubernetes.podstate import Container

PULLS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed"})
TRIES = 3  # of a pull that may yet come: the registry was down, or limits how often
GRACE = 30.0  # seconds of the same

_NO_NAME = "has no name that an image can have"
_CORRECT = "correct `image` and `version`"
_NAMES = re.compile(r"\S*/\S*")  # an image may be called `denied` or `certificate`
_BACK_OFF = 'Back-off pulling image "'
_FINAL = frozenset({"image-name", "image-not-found", "image-denied", "image-platform", "image-signature"})


def unpulled(container: Container, events: Iterable[Event], *, since: datetime | None, now: datetime) -> Diagnosis:
    """events: of this container, "Failed to pull image …". since: from when it could have been pulled."""
    failures = [event for event in events if event.message.startswith("Failed to pull image")]
    words = _words(container.message) or next((_words(event.message) for event in failures), "")
    code, why, fix = _explained(container, words)
    found = Diagnosis(
        code=code,
        reason=container.reason,
        message=f"image `{container.image}` {why}",
        cause=(f"the answer: {one_line(words)}",) if words else (),
        fix=fix,
        field="image",
    )
    if code in _FINAL or sum(event.count for event in failures) >= TRIES:
        return graced(found, since=None, grace=0, now=now)
    begun = min((event.first for event in failures if event.first), default=since)
    return graced(found, since=begun, grace=GRACE, now=now)


def unnamed(container: Container) -> Diagnosis:
    """The node does not even ask for it."""
    return Diagnosis(
        code="image-name",
        reason=container.reason,
        message=f"image `{container.image}` {_NO_NAME}",
        cause=(f"the node says: {one_line(container.message)}",),
        fix=_CORRECT,
        field="image",
        fatal=True,
    )


def forbidden(container: Container) -> Diagnosis:
    return Diagnosis(
        code="image-not-found",
        reason=container.reason,
        message=f'image `{container.image}` is not on the node, and `pull "never"` forbids to fetch it',
        fix='load it there, or say `pull "missing"`',
        field="image",
        fatal=True,
    )


def _words(message: str) -> str:
    """The answer alone, without what the kubelet says around it."""
    if message.startswith((_BACK_OFF, 'Failed to pull image "')):
        return message.partition('": ')[2].removeprefix("ErrImagePull: ")
    return message


def _explained(container: Container, words: str) -> tuple[str, str, str]:
    """(code, what is with it, fix). The order matters: "no match for platform in manifest: not found"."""
    said, where = _NAMES.sub("", words).lower(), _registry(container.image)
    if "invalid reference format" in said:
        return "image-name", _NO_NAME, _CORRECT
    if container.reason == "SignatureValidationFailed":
        return "image-signature", "is refused: its signature is not valid", "push it signed as the node wants it"
    if "platform" in said and ("no match" in said or "no matching manifest" in said):
        return "image-platform", "is not made for the node's machine", "build it for the node's platform"
    if "no space left on device" in said:
        return "disk-full", "cannot be pulled: the node's disk is full", "make room on the node"
    return _of_registry(said, where) if words else ("image-not-pulled", f"cannot be pulled from {where}", _reach())


def _of_registry(said: str, where: str) -> tuple[str, str, str]:
    """What it answered, or did not; in that order."""
    if "toomanyrequests" in said or "too many requests" in said or "rate limit" in said:
        why = f"cannot be pulled now: {where} limits how often"
        return "image-rate-limit", why, "give the cluster a login, or wait"
    if "denied" in said or "insufficient_scope" in said:
        return "image-denied", f"does not exist on {where}, or wants a login", _login()
    if "unauthorized" in said or "forbidden" in said or "no basic auth" in said or "authentication required" in said:
        return "image-denied", f"cannot be pulled: {where} wants a login", _login()
    if "not found" in said or "manifest unknown" in said or "name unknown" in said:
        return "image-not-found", f"does not exist on {where}", f"push it, or {_CORRECT}"
    if "certificate" in said or "gave http response to https" in said:
        why = f"cannot be pulled: the node does not trust {where}"
        return "registry-untrusted", why, "give the node its certificate"
    return "registry-unreachable", f"cannot be pulled: {where} does not answer as it should", _reach()


def _login() -> str:
    return "correct `image` and `version`, or name a login in `image_pull_secrets`"


def _reach() -> str:
    return "see that the node can reach the registry"


def _registry(image: str) -> str:
    try:
        return parse(image).registry or "Docker Hub"
    except ImageError:
        return "the registry"
