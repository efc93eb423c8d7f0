# SPDX-License-Identifier: Apache-2.0
"""The Redis that a request means, open for as long as a block runs. What needs its client is imported where it is used."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fleetflow_tasks.api.request import Request

if TYPE_CHECKING:
    from fleetflow_tasks.engine.settings import Place, Settings
    from fleetflow_tasks.engine.store import Store

Say = Callable[[str], None]


def settings_of(request: Request) -> "Settings":
    from fleetflow_tasks.engine.settings import from_environ

    return from_environ(request.environ)


@contextmanager
def opened(request: Request, *, say: Say = lambda text: None) -> Iterator["Store"]:
    """The store that the environment names, or the embedded one, alive while the block runs. No key is needed.

    say: is told when a Redis had to be started.
    """
    from fleetflow_tasks.engine.settings import place

    with store_of(place(request.environ), say) as store:
        yield store


@contextmanager
def store_of(place: "Place", say: Say = lambda text: None) -> Iterator["Store"]:
    from fleetflow_tasks.engine.embedded import redis_for
    from fleetflow_tasks.engine.store import Store

    with redis_for(place, say) as url:
        store = Store.connect(url)
        try:
            yield store
        finally:
            store.close()


def which_redis(request: Request) -> str | None:
    """For who finds nothing where something was expected; None: the Redis is the one that was named."""
    from fleetflow_tasks.engine.settings import place

    meant = place(request.environ)
    if meant.redis_url is not None:
        return None
    return f"this is the embedded Redis of {meant.state}; FLEETFLOW_REDIS_URL is not set"
