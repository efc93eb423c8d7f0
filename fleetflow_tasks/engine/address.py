# SPDX-License-Identifier: Apache-2.0
"""Where Redis is, read once: what FLEETFLOW_REDIS_URL says, for our own client and for Celery's alike.

    redis://[user:password@]host[:6379][/0]              plain
    rediss://…                                           TLS, certificate and host name checked
    unix://[user:password@]/path/to/redis.sock[?db=0]    on this machine
    sentinel://host[:26379],host,host[/0]?master_name=…  the server that the Sentinels name; sentinels:// with TLS

redis-py and kombu read such a text each in its own way (kombu takes a bare rediss:// for leave not to look at the
certificate at all), so neither gets it: both are handed what was read here. An option that is not known here is
refused, because one of the two would understand it otherwise.

No text that comes out of this module, an error's included, holds any part of a password.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from fleetflow_tasks.config.model import Data, Secret

Scheme = Literal["redis", "rediss", "unix", "sentinel", "sentinels"]
Host = tuple[str, int]

FORMS: Final = (
    "redis://HOST:6379/0, rediss://… for TLS, unix:///path/to/redis.sock, or sentinel://HOST,HOST/0?master_name=NAME"
)

_PORTS: Final[Mapping[Scheme, int]] = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "sentinels": 26379}
_LOGIN: Final = ("username", "password", "db")
_TLS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_SENTINEL: Final = ("master_name", "sentinel_username", "sentinel_password")
_OPTIONS: Final[Mapping[Scheme, tuple[str, ...]]] = {
    "redis": _LOGIN,
    "rediss": (*_LOGIN, *_TLS),
    "unix": _LOGIN,
    "sentinel": (*_LOGIN, *_SENTINEL),
    "sentinels": (*_LOGIN, *_SENTINEL, *_TLS),
}


class Address(Data, frozen=True, kw_only=True):
    """hosts: of the server, or of the Sentinels; none for a unix socket, which has a path.

    tls: how the certificates are checked, in redis-py's words; empty: no TLS. It holds paths, and no secret.
    master_name: what the Sentinels call the server; empty where there are none.
    """

    scheme: Scheme
    hosts: tuple[Host, ...] = ()
    path: str = ""
    database: int = 0
    username: str | None = None
    password: Secret | None = None
    tls: Mapping[str, str | bool] = {}
    master_name: str = ""
    sentinel_username: str | None = None
    sentinel_password: Secret | None = None


def parsed(url: str) -> Address:
    """Raises ValueError with the reason, which holds nothing of a password, where *url* is no address."""
    scheme, parts = _split(url)
    options = _options(scheme, parts.query)
    login, _, where = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return Address(
        scheme=scheme,
        hosts=_hosts(scheme, where),
        path=_path(parts.path) if scheme == "unix" else "",
        database=_database(options.get("db") or ("" if scheme == "unix" else parts.path.strip("/"))),
        username=unquote(user) or options.get("username") or None,
        password=_secret(unquote(password) or options.get("password")),
        tls=_tls(options) if scheme in ("rediss", "sentinels") else {},
        master_name=_master_name(scheme, options),
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=_secret(options.get("sentinel_password")),
    )


def shown(url: str) -> str:
    """*url* without user, password and options; also where it is no address. A text that could hide one anywhere is cut."""
    scheme, colon, rest = url.partition("://")
    if not colon:
        return url.rpartition("@")[2]
    place = rest.partition("?")[0].partition("#")[0]
    netloc, slash, path = place.partition("/")
    if "@" in rest[len(netloc) :]:
        return f"{scheme}://[hidden]"
    return f"{scheme}://{netloc.rpartition('@')[2]}{slash}{path}"


def _split(url: str) -> tuple[Scheme, SplitResult]:
    scheme, colon, _ = url.partition("://")
    if not colon or scheme not in get_args(Scheme):
        raise ValueError(f"it begins with `{scheme}`" if colon else "it does not begin with redis:// or the like")
    try:
        parts = urlsplit(url)
    except ValueError as error:  # its text may hold all of the address
        raise ValueError("its host cannot be read") from error
    if "@" in parts.path + parts.query or parts.fragment:
        raise ValueError("a `/`, `?`, `#` or `@` inside a password has to be written %2F, %3F, %23 or %40")
    return cast("Scheme", scheme), parts


def _options(scheme: Scheme, query: str) -> Mapping[str, str]:
    found = dict(parse_qsl(query, keep_blank_values=True))
    for name in found:
        if name not in _OPTIONS[scheme]:
            raise ValueError(f"{scheme}:// has no option `{name}`: it has {', '.join(_OPTIONS[scheme])}")
    return found


def _hosts(scheme: Scheme, text: str) -> tuple[Host, ...]:
    if scheme == "unix":
        if text:
            raise ValueError("a unix socket has no host: its path begins with a third `/`")
        return ()
    hosts = tuple(_host(each, _PORTS[scheme]) for each in text.split(","))
    if len(hosts) > 1 and not scheme.startswith("sentinel"):
        raise ValueError("it names several hosts, which only sentinel:// can")
    return hosts


def _host(text: str, usual: int) -> Host:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port or usual
    except ValueError as error:  # its text may hold what was meant for a password
        raise ValueError("its port is no number from 1 to 65535") from error
    return parts.hostname or "localhost", port


def _path(path: str) -> str:
    if not path.strip("/"):
        raise ValueError("it names no socket")
    return unquote(path)


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"its database `{text}` is no number")
    return int(text or 0)


def _master_name(scheme: Scheme, options: Mapping[str, str]) -> str:
    name = options.get("master_name", "")
    if scheme.startswith("sentinel") and not name:
        raise ValueError("it does not say what the Sentinels call the server: ?master_name=NAME")
    return name


def _tls(options: Mapping[str, str]) -> Mapping[str, str | bool]:
    verify = _one_of(options, "ssl_cert_reqs", "required", "none") == "required"
    check = _one_of(options, "ssl_check_hostname", "true", "false") == "true"
    files = {name: options[name] for name in _TLS[:3] if options.get(name)}
    return {"ssl_cert_reqs": "required" if verify else "none", "ssl_check_hostname": verify and check, **files}


def _one_of(options: Mapping[str, str], name: str, usual: str, other: str) -> str:
    value = options.get(name, usual).lower()
    if value not in (usual, other):
        raise ValueError(f"`{name}` is `{usual}` or `{other}`, not `{value}`")
    return value


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None
