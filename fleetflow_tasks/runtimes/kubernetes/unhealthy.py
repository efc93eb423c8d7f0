# SPDX-License-Identifier: Apache-2.0
"""How a check of the kubelet failed, in words. Pure.

A failing check is no error until the time is over: an application may take long to come up. It is told then.
"""

import re

from fleetflow_tasks.runtimes.kubernetes.diagnosis import one_line

_ENDING = frozenset({"Liveness", "Startup"})  # checks whose failure ends the container

_SAID = re.compile(
    r"(?P<kind>\w+) probe (?:(?P<failed>failed: )|errored and resulted in \w+ state: )(?P<words>.*)", re.DOTALL
)
_STATUS = re.compile(r"HTTP probe failed with statuscode: (\d+)")
_ADDRESS = re.compile(r'Get "https?://[^/"]*?(?P<port>:\d+)(?P<path>/[^"]*)?": ')
_DIAL = re.compile(r"dial tcp \S*:(?P<port>\d+)")
_LATE = ("deadline exceeded", "timeout", "timed out")


def ends(message: str) -> bool:
    """Whether such a failure ends the container, as often as it is allowed to happen.

    The kubelet counts no check that it could not make ("errored"): most often the container had just ended by itself.
    """
    found = _SAID.match(message)
    return found is not None and found["kind"] in _ENDING and found["failed"] is not None


def asks(message: str) -> bool:
    """Whether it asks a port, and runs no command."""
    return any(found.search(message) for found in (_STATUS, _ADDRESS, _DIAL))


def failure(message: str) -> str:
    """`GET :8080/health was refused`, from what the kubelet said; "" where a command failed without a word."""
    found = _SAID.match(message)
    words = found["words"] if found else message
    if status := _STATUS.search(words):
        return f"it answered {status[1]}"
    if "connection refused" in words:
        return f"{_asked(words)} was refused"
    if any(word in words.lower() for word in _LATE):
        return f"{_asked(words)} did not answer in time"
    return one_line(words)


def _asked(words: str) -> str:
    if address := _ADDRESS.search(words):
        return f"GET {address['port']}{address['path'] or '/'}"
    dialled = _DIAL.search(words)
    return f"port {dialled['port']}" if dialled else "it"
