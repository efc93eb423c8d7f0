# SPDX-License-Identifier: Apache-2.0
"""What Redis says when something is wrong, in words: no answer, no password, too old, too full, too forgetful.

Beside the store and the client the only module that knows the client's exceptions. shown: an address as `address.shown`
gives it, without its password.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004  (the client's own; a socket's comes wrapped in it)
)
from redis.sentinel import MasterNotFoundError

from fleetflow_tasks.engine.address import FORMS
from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.errors import Bug, FleetFlowError, Problem, RefusedError, UnavailableError

T = TypeVar("T")

FULL = 0.8  # of maxmemory; beyond it nothing new is begun, so that what runs can end

RIGHTS = "redis-rights"  # the code of what a user of Redis may not do
OTHER = "name another: FLEETFLOW_REDIS_URL=redis://host:6379/0"
# How a server that wants TLS ends a conversation without it.
HUNG_UP = ("Connection reset by peer", "Connection closed by server", "Broken pipe")
# A script's own commands are refused in other words than ours.
NO_RIGHTS = ("user executing the script", "ACL failure in script")
# How a server and its Lua stumble over values that our scripts never write.
DAMAGED = ("WRONGTYPE", "user_script", "not an integer", "not a valid float", "not a float", "wrong kind of value")
NO_FILE = (
    "No such file",
    "Permission denied",
    "PEM lib",
    "no start line",
    "NO_CERTIFICATE_OR_CRL",
    "Is a directory",
    "KEY_VALUES_MISMATCH",
)
# How one that wants a certificate of ours says that it saw none: by an alert that a broken line may swallow.
NO_CERTIFICATE = (
    "CERTIFICATE_REQUIRED",
    "EOF occurred in violation of protocol",
    "HANDSHAKE_FAILURE",
    "BAD_CERTIFICATE",
)


class DamagedError(RefusedError):
    """What lies under our keys is not what our scripts write: somebody else wrote there. why: what was found."""

    def __init__(self, why: str) -> None:
        super().__init__(
            Problem(
                code="state-damaged",
                message="what lies in Redis under FleetFlow's keys is not what FleetFlow wrote there",
                cause=(why,),
                fix="find out who else writes to this Redis; what is deployed goes on, and a new stage name begins afresh",
            )
        )


def unfit(info: Mapping[str, object], shown: str) -> Iterator[Problem]:
    """Why this server cannot hold runs. `INFO` is asked, since managed servers refuse `CONFIG GET`."""
    if version(info) < (7, 0):
        yield _old(shown, f"version {info['redis_version']}", "older ones cannot let a step finish when memory is full")
    if info.get("cluster_enabled"):
        yield _cluster(shown)
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
            return UnavailableError(_login(shown, text))
        case NoPermissionError():
            return RefusedError(_rights(shown, text))
        case BusyLoadingError():
            return UnavailableError(_loading(shown, text))
        case OutOfMemoryError():
            return UnavailableError(full(shown))
        case ReadOnlyError():
            return UnavailableError(_replica(shown))
        case MasterNotFoundError():
            return UnavailableError(_no_master(shown, text))
        case ClusterError():
            return UnavailableError(_cluster(shown))
        case ResponseError():
            return _refused(shown, text)
        case _ if "://" in shown and shown.partition("://")[0].endswith("s"):
            return UnavailableError(_tls(shown, text, timed_out=isinstance(error, TimeoutError)))
        case _:
            return UnavailableError(_silent(shown, text))


def full(shown: str) -> Problem:
    return Problem(
        code="redis-full",
        message=f"Redis at {shown} is full: nothing new is begun, what runs can still end",
        cause=(f"over {FULL:.0%} of its maxmemory is used",),
        fix="raise maxmemory, or remove what else is stored there",
    )


def no_address(shown: str, why: str) -> Problem:
    return Problem(code="redis-url", message=f"`{shown}` is no address of a Redis", cause=(why,), fix=f"write {FORMS}")


def _login(shown: str, text: str) -> Problem:
    return Problem(
        code="redis-auth",
        message=f"Redis at {shown} does not accept the password, or wants one",
        cause=(text,),
        fix="put user and password into the address: redis://user:password@host:6379/0",
    )


def _rights(shown: str, text: str) -> Problem:
    return Problem(
        code=RIGHTS,
        message=f"the Redis user at {shown} lacks rights that FleetFlow needs",
        cause=(text,),
        fix="give it those that docs/security.md lists for workers, for submitters or for watchers (ACL SETUSER …)",
        more="redis-cli ACL LOG",
    )


def _loading(shown: str, text: str) -> Problem:
    return Problem(
        code="redis-loading",
        message=f"Redis at {shown} is still loading its data",
        cause=(text,),
        fix="try again in a moment",
    )


def _replica(shown: str) -> Problem:
    return Problem(
        code="redis-replica",
        message=f"Redis at {shown} is a replica, and cannot be written to",
        fix="give the address of its primary, or of the Sentinels that know it: sentinel://HOST,HOST/0?master_name=NAME",
    )


def _cluster(shown: str) -> Problem:
    return Problem(
        code="redis-cluster",
        message=f"Redis at {shown} is part of a Redis Cluster, which FleetFlow does not support",
        cause=("Celery, which carries its messages, does not either",),
        fix="give it a single Redis 7 or Valkey; for failover, one with Sentinels",
    )


def _no_master(shown: str, text: str) -> Problem:
    errors = text.partition(" : ")[2]  # redis-py's list of the Sentinels that did not answer, and why
    return Problem(
        code="redis-no-master",
        message=f"the Sentinels at {shown} name no Redis to write to",
        cause=("those that answer name none", *((f"others do not answer: {errors}",) if errors else ())),
        fix="wait for a failover to end; else look whether `master_name` is the name in their configuration, and who runs",
    )


def _refused(shown: str, text: str) -> FleetFlowError:
    if "#" in text and "unexpected symbol" in text:
        return UnavailableError(_old(shown, "older than 7.0", text))
    if any(sign in text for sign in NO_RIGHTS):
        return RefusedError(_rights(shown, text))
    if "not allowed in cluster mode" in text:
        return UnavailableError(_cluster(shown))
    if any(sign in text for sign in DAMAGED):
        return DamagedError(text)
    if "unknown command" in text or "DB index" in text:
        return UnavailableError(_unlike(shown, text))
    return Bug(Problem(code="bug", message=f"Redis at {shown} refused a command of ours: {text}"))


def _unlike(shown: str, text: str) -> Problem:
    return Problem(
        code="redis-unlike",
        message=f"what answers at {shown} lacks something that every Redis 7 and Valkey has",
        cause=(text,),
        fix="look at the address and its database number, and at what stands between here and Redis",
    )


def _old(shown: str, version: str, why: str) -> Problem:
    return Problem(
        code="redis-old",
        message=f"Redis at {shown} is {version}, and FleetFlow needs 7.0",
        cause=(why,),
        fix="use Redis 7.0 or later, or any Valkey",
    )


def _tls(shown: str, text: str, *, timed_out: bool) -> Problem:
    """Of an address with TLS that gave no answer, or the wrong one."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return _certificate(shown, text)
    if any(sign in text for sign in NO_FILE):
        return Problem(
            code="redis-certificate-file",
            message=f"a file that the address of Redis at {shown} names cannot be read as a certificate or key",
            cause=(text,),
            fix="look at the paths in it: ssl_ca_certs, ssl_certfile, ssl_keyfile",
        )
    if any(sign in text for sign in NO_CERTIFICATE):
        return Problem(
            code="redis-client-certificate",
            message=f"Redis at {shown} ended the TLS handshake: it wants a certificate of ours, or another one",
            cause=(text,),
            fix="name one that it trusts: rediss://host:6379/0?ssl_certfile=…&ssl_keyfile=…&ssl_ca_certs=…",
        )
    if timed_out or "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
        return Problem(
            code="redis-no-tls",
            message=f"Redis at {shown} does not answer in TLS",
            cause=(text,),
            fix="if it speaks none, say so: redis:// in place of rediss://; else look at host and port",
        )
    return _silent(shown, text)


def _certificate(shown: str, text: str) -> Problem:
    foreign = "mismatch" in text
    return Problem(
        code="redis-certificate",
        message=f"the certificate of Redis at {shown} is "
        + ("for another host" if foreign else "not signed by anybody known here, or is out of date"),
        cause=(text,),
        fix="use the host name that stands in the certificate"
        if foreign
        else "name the CA that signed it: rediss://host:6379/0?ssl_ca_certs=/path/to/ca.pem",
    )


def _silent(shown: str, text: str) -> Problem:
    maybe_tls = not shown.startswith("unix") and any(sign in text for sign in HUNG_UP)
    return Problem(
        code="redis-unreachable",
        message=f"Redis at {shown} does not answer",
        cause=(text,),
        fix=f"look whether it wants TLS, which is rediss://; else start it, or {OTHER}"
        if maybe_tls
        else f"start it, or {OTHER}",
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
        fix="look at its id again: `flow runs` lists them",
    )


def known(found: T | None, run: str) -> T:
    """*found*, which is what was asked of *run*. Raises RefusedError where that is nothing."""
    if found is None:
        raise RefusedError(unknown(run))
    return found


def version(info: Mapping[str, object]) -> tuple[int, int]:
    major, minor, *_ = str(info["redis_version"]).split(".")
    return int(major), int(minor)
