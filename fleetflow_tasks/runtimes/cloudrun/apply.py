# SPDX-License-Identifier: Apache-2.0
"""Creates, updates and deletes: the only room that does, but for `iam`, which opens a service to its callers.

Before each change it is asked whether the step is still ours; what is changed is sent with the etag that it was looked at
with. Who sleeps between the look and the change, while a newer run deploys, is told ABORTED and changes nothing. That is
an answer here, None, and no failure: whoever asked looks again and decides again. So is ALREADY_EXISTS: somebody was
faster, or it is our own work, of which the reply was lost.

Where the quota of writes is used up, it is waited for as long as the step has time: a refusal changed nothing.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from fleetflow_tasks import __version__
from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError, Operation
from fleetflow_tasks.runtimes.cloudrun.decide import CLIENT
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.reading import last, text

TRIES = 5  # looks at one object that others change all the time
PAUSE = 5.0  # seconds that a quota is left alone, where it does not say itself how long

Answer = TypeVar("Answer")


class Hands:
    """Of one attempt."""

    def __init__(self, client: Client, attempt: Attempt) -> None:
        self._client = client
        self._attempt = attempt

    def create(self, name: str, body: Json) -> Operation | None:
        """None: there is one already. name: full."""
        job = "/jobs/" in name
        parent, _, _ = name.rpartition("/jobs/" if job else "/services/")
        create = self._client.create_job if job else self._client.create_service
        return self._unless("ALREADY_EXISTS", lambda: create(parent, last(name), _signed(body, name)))

    def update(self, name: str, body: Json, etag: str) -> Operation | None:
        """None: it is another one than was looked at."""
        update = self._client.update_job if "/jobs/" in name else self._client.update_service
        return self._unless("ABORTED", lambda: update(_signed(body, name), etag=etag))

    def delete(self, found: Json) -> Operation | None:
        """As it was looked at; None: it is gone, or another one by now."""
        name, etag = found["name"], text(found, "etag")
        remove = self._client.delete_job if "/jobs/" in name else self._client.delete_service
        return self._unless("ABORTED", lambda: remove(name, etag=etag))

    def _unless(self, code: str, call: Callable[[], Answer]) -> Answer | None:
        try:
            return self._patiently(call)
        except CloudRunError as error:
            if error.code != code:
                raise
            return None

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        while True:
            try:
                return call()
            except CloudRunError as error:
                pause = error.retry_after or PAUSE
                if error.code != "RESOURCE_EXHAUSTED" or time.monotonic() + pause > self._attempt.deadline:
                    raise
                self._attempt.report("waiting for the project's quota of changes")
                self._attempt.sleep(pause)


def _signed(body: Json, name: str) -> Json:
    """What is put back as it was read keeps who wrote it."""
    return {"client": CLIENT, "clientVersion": __version__, **body, "name": name}
