# SPDX-License-Identifier: Apache-2.0
"""What Redis says when something is wrong, in words: no answer, no password, too old, too full, too forgetful.

Beside the store the only module that knows the client's exceptions. An address is never shown with its password.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.errors import Bug, FleetFlowError, Problem, RefusedError, UnavailableError

FULL = 0.8  # of maxmemory; beyond it nothing new is begun, so that what runs can end


def shown_url(url: str) -> str:
    """An address without its password."""
    parts = urlsplit(url)
    at = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{at}{parts.path}" if parts.scheme else url.rpartition("@")[2]


def unfit(info: Mapping[str, object], shown: str) -> Iterator[Problem]:
    """Why this server cannot hold runs. `INFO` is asked, since managed servers refuse `CONFIG GET`."""
    if version(info) < (7, 0):
        yield Problem(
            code="redis-old",
            message=f"Redis at {shown} is version {info['redis_version']}, and FleetFlow needs 7.0",
            cause=("older ones cannot let a step finish when memory is full",),
            fix="use Redis 7.0 or later, or any Valkey",
        )
    if info.get("role") == "slave":
        yield _replica(shown)
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if info.get("maxmemory") and policy != "noeviction":
        yield Problem(
            code="redis-evicts",
            message=f"Redis at {shown} may throw runs away: its maxmemory-policy is {policy}",
            cause=("when memory is full it would drop keys of a run that is under way",),
            fix="CONFIG SET maxmemory-policy noeviction, or give FleetFlow a Redis of its own",
        )


def in_words(error: RedisError | OSError, shown: str) -> FleetFlowError:
    text = str(error)
    match error:
        case AuthenticationError():
            return UnavailableError(
                Problem(
                    code="redis-auth",
                    message=f"Redis at {shown} does not accept the password, or wants one",
                    cause=(text,),
                    fix="put user and password into the address: redis://user:password@host:6379/0",
                )
            )
        case NoPermissionError():
            return RefusedError(
                Problem(
                    code="redis-rights",
                    message=f"the Redis user at {shown} lacks rights that FleetFlow needs",
                    cause=(text,),
                    fix="give it those rights: ACL SETUSER its-name ~* &* +@all -@admin -@dangerous +info",
                )
            )
        case BusyLoadingError():
            return UnavailableError(
                Problem(
                    code="redis-loading",
                    message=f"Redis at {shown} is still loading its data",
                    cause=(text,),
                    fix="try again in a moment",
                )
            )
        case OutOfMemoryError():
            return UnavailableError(full(shown))
        case ReadOnlyError():
            return UnavailableError(_replica(shown))
        case ResponseError() if "#" in text and "unexpected symbol" in text:
            return UnavailableError(
                Problem(
                    code="redis-old",
                    message=f"Redis at {shown} is older than 7.0",
                    cause=(text,),
                    fix="use Redis 7.0 or later, or any Valkey",
                )
            )
        case ResponseError():
            return Bug(Problem(code="bug", message=f"Redis at {shown} refused a command of ours: {text}"))
        case _:
            return UnavailableError(
                Problem(
                    code="redis-unreachable",
                    message=f"Redis at {shown} does not answer",
                    cause=(text,),
                    fix="start it, or name another: FLEETFLOW_REDIS_URL=redis://host:6379/0",
                )
            )


def full(shown: str) -> Problem:
    return Problem(
        code="redis-full",
        message=f"Redis at {shown} is full: nothing new is begun, what runs can still end",
        cause=(f"over {FULL:.0%} of its maxmemory is used",),
        fix="raise maxmemory, or remove what else is stored there",
    )


def _replica(shown: str) -> Problem:
    return Problem(
        code="redis-replica",
        message=f"Redis at {shown} is a replica, and cannot be written to",
        fix="give the address of its primary",
    )


def no_address(shown: str, why: str) -> Problem:
    return Problem(
        code="redis-url",
        message=f"`{shown}` is no address of a Redis",
        cause=(why,),
        fix="write redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/redis.sock",
    )


def lost(run: RunId) -> Problem:
    """Of a run that was there a moment ago. What it has deployed is untouched; the next run finds it by its labels."""
    return Problem(
        code="run-lost",
        message=f"run `{run}` is not there any more",
        cause=("its Redis was emptied, or lost what it had not yet written",),
        fix="look at what is deployed with `flow ps`, then deploy again: what is right is left alone",
    )


def unknown(run: str) -> Problem:
    return Problem(
        code="run-not-found",
        message=f"there is no run `{run}`",
        cause=("runs are kept for 30 days, the last 50 of a stage",),
        fix="look at its id again; `flow watch` without one follows the newest",
    )


def version(info: Mapping[str, object]) -> tuple[int, int]:
    major, minor, *_ = str(info["redis_version"]).split(".")
    return int(major), int(minor)
