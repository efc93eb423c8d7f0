# SPDX-License-Identifier: Apache-2.0
"""Causes that lie with the container: it does not listen, ends, needs more memory, or does not pass its checks. Pure."""

import re

from fleetflow_tasks.runtimes.cloudrun.diagnosis import Cause, Facts
from fleetflow_tasks.runtimes.exits import ended

EXIT = re.compile(r"exit(?:ed)?(?: with)?(?: (?:status|code))? ?\(?(-?\d+)\)?")


def not_listening(facts: Facts) -> Cause:
    port = facts.port
    if found := re.search(r"PORT=(\d+)", facts.message):
        port = int(found[1])
    return Cause(
        code="not-listening",
        message=f"its container did not start and listen on port {port} in time",
        lines=facts.lines,
        fix=f"see its log: it crashed, is slow to start, or does not listen on 0.0.0.0:{port} (127.0.0.1 is not enough)",
        field="ports",
    )


def crashed(facts: Facts) -> Cause:
    found = EXIT.search(facts.message)
    return Cause(
        code="crashed",
        message=f"its container did not stay up: {ended(int(found[1]))}" if found else "its container did not stay up",
        lines=facts.lines,
        fix="see its log for why it ended",
        field="image",
    )


def unstartable(facts: Facts) -> Cause:
    return Cause(
        code="command-not-found",
        message="its container cannot be started: the command is not there, or cannot be executed",
        lines=facts.lines,
        fix="see that `command` and `entrypoint` name a program of the image",
        field="command",
    )


def out_of_memory(facts: Facts) -> Cause:
    return Cause(
        code="out-of-memory",
        message="its container needs more memory than its limit",
        lines=facts.lines,
        fix="raise `memory` in `resources`",
        field="resources",
    )


def unhealthy(facts: Facts) -> Cause:
    return Cause(
        code="not-healthy",
        message="its container does not pass its startup check",
        lines=facts.lines,
        fix="see its log; if it is only slow, give `healthcheck` a longer `start_period` or more `retries`",
        field="healthcheck",
    )


def bad_path(facts: Facts) -> Cause:
    return Cause(
        code="check-path",
        message="the path of its health check is answered with an error (400 or more)",
        lines=facts.lines,
        fix="let the path answer with 200, or name another in `healthcheck`",
        field="healthcheck",
    )


def late(facts: Facts) -> Cause:
    return Cause(
        code="not-ready-in-time",
        message="it was not ready in the time that Cloud Run allows: a large image, or a slow start",
        lines=facts.lines,
        fix="make the image smaller or its start faster, or give `healthcheck` a longer `start_period`",
        field="healthcheck",
    )
