# SPDX-License-Identifier: Apache-2.0
"""Which Engine answers at an address: asked once, for as long as it is certainly the same one.

An address says nothing: behind a socket's path or a host's name another Engine may answer tomorrow, and connections
are opened anew without a word. But none outlives the process at its other end. So a stream is opened on which nothing
is ever written (the events of a label that nobody has), and then the Engine is asked for its id. As long as that
stream stands, the answer holds; to see that it does costs no request. When it has ended, both are done again.
"""

import select
import threading
from typing import Any

from fleetflow_tasks.runtimes.docker.client import Client, EngineError


class Identity:
    """Of one Engine. Safe for many threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told = ""
        self._silence: Any = None
        self._asking = threading.Lock()

    def __call__(self) -> str:
        """The Engine's id; "" where whoever guards it forbids the question. Raises EngineError where none answers."""
        with self._asking:
            if not _stands(self._silence):
                self._forget()
                self._silence = self._heard()
                self._told = self._asked()
            return self._told

    def close(self) -> None:
        with self._asking:
            self._forget()

    def _heard(self) -> Any:
        """The stream; None where it is forbidden, and the id is then asked for each time."""
        try:
            return self._client.silence()
        except EngineError as error:
            if not _forbidden(error):
                raise
            return None

    def _asked(self) -> str:
        try:
            return self._client.identity()
        except EngineError as error:
            if not _forbidden(error):
                raise
            return ""

    def _forget(self) -> None:
        if self._silence is not None:
            self._silence.close()
        self._silence = None


def _stands(stream: Any) -> bool:
    """Nothing is ever written on it, so what can be read is its end."""
    if stream is None:
        return False
    look = select.poll()
    look.register(stream.raw.fileno(), select.POLLIN)
    return not look.poll(0)


def _forbidden(error: EngineError) -> bool:
    """A proxy in front of a socket may let only some questions through."""
    return error.status in {401, 403, 404, 405}
