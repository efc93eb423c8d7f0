# SPDX-License-Identifier: Apache-2.0
"""The way to an API server through a proxy, for requests and for WebSockets; its name and password are told to it alone.

HTTP libraries take neither out of the proxy's address, and print the address in their errors. So they get it without,
and the login beside it.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.kubernetes.reach import Target, bare


def manager(target: Target, options: Mapping[str, Any]) -> Any:
    """A pool of urllib3's through *target*'s proxy. Raises UnavailableError where a module is missing for it."""
    import urllib3

    user, password = login(target.proxy)
    if target.proxy.startswith("socks"):
        return _socks(target)(bare(target.proxy), username=user or None, password=password or None, **options)
    both = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}
    return urllib3.ProxyManager(bare(target.proxy), proxy_headers=both, **options)


def of_websocket(proxy: str) -> Mapping[str, Any]:
    """websocket-client reads the environment itself, unless it is told."""
    if not proxy:
        return {"http_no_proxy": ["*"]}
    url, (user, password) = urlsplit(bare(proxy)), login(proxy)
    return {
        "http_proxy_host": url.hostname,
        "http_proxy_port": url.port,
        "http_proxy_auth": (user, password) if user else None,
        "proxy_type": url.scheme if url.scheme.startswith("socks") else "http",
    }


def login(url: str) -> tuple[str, str]:
    """(name, password) of a proxy's address; both may be "". Signs that an address cannot hold are written as `%40`."""
    user, _, password = url.rpartition("@")[0].rpartition("//")[2].partition(":")
    return unquote(user), unquote(password)


def _socks(target: Target) -> Any:
    if find_spec("socks") is None:
        raise UnavailableError(
            Problem(
                code="socks-not-installed",
                message=f"{target.server} cannot be reached through {bare(target.proxy)}: "
                "Python module `socks` is missing",
                cause=(f"the proxy comes with {target.origin}, or from the environment",),
                fix="run `pip install pysocks`",
            )
        )
    from urllib3.contrib.socks import SOCKSProxyManager

    return SOCKSProxyManager
