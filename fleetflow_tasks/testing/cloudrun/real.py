# SPDX-License-Identifier: Apache-2.0
"""The runner for images that a Docker Engine has: revisions become instances behind URLs, tasks become containers that end.

A revision is tried with one instance before it is called ready, as Cloud Run does; that instance takes the first requests.
Trying goes on in a thread of its own, and `look` only says how far it is.
"""

import threading
from collections.abc import Callable
from typing import Any

from fleetflow_tasks.testing.cloudrun import wanted
from fleetflow_tasks.testing.cloudrun.containers import Container, Containers, NotServingError, Wanted
from fleetflow_tasks.testing.cloudrun.front import Front, Revision
from fleetflow_tasks.testing.cloudrun.runner import Broken, Exited, Json, Phase, Say, Serving, Started, Starting
from fleetflow_tasks.testing.cloudrun.scaling import Pool
from fleetflow_tasks.testing.cloudrun.wanted import Secret
from fleetflow_tasks.testing.cloudrun.world import missing_image

IDLE = 15.0  # Google stops an idle instance within 15 minutes


class Real:
    """One Engine, and the front before its containers. Safe for many threads."""

    def __init__(self, engine: Any, front: Front, secret: Secret, *, idle: float = IDLE) -> None:
        """engine: docker's `APIClient`. idle: seconds without a request until an instance is stopped."""
        self._front = front
        self._containers = Containers(engine, front.outside)
        self._secret = secret
        self._idle = idle
        self._threads = Threads()

    def revision(self, revision: Json, say: Say) -> Started:
        asked = wanted.of_revision(revision, self._secret)
        if not self._containers.known(asked.image):
            return _Never(missing_image(asked.image))
        scaling = revision.get("scaling", {})
        pool = Pool(
            lambda: self._instance(asked, say),
            concurrency=int(revision.get("maxInstanceRequestConcurrency", 80)),
            least=int(scaling.get("minInstanceCount", 0)),
            most=int(scaling.get("maxInstanceCount", 100)),
            idle=self._idle,
        )
        name = str(revision["name"])
        self._front.add(name, Revision(pool=pool, timeout=wanted.seconds(revision.get("timeout"), 300.0)))
        return _Revision(pool, asked, lambda: self._front.remove(name), self._threads)

    def task(self, task: Json, attempt: int, say: Say) -> Started:
        asked = wanted.of_task(task, attempt, self._secret)
        if not self._containers.known(asked.image):
            return _Never(missing_image(asked.image))
        return _Task(lambda stopped: self._containers.ended(asked, _told(say), stopped), self._threads)

    def close(self) -> None:
        """Whoever waits for a container learns that it is gone, and ends."""
        self._containers.sweep()
        self._threads.join()
        self._containers.close()

    def _instance(self, asked: Wanted, say: Say) -> Container:
        return self._containers.serving(asked, _told(say))


class Threads:
    """That end by themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: list[threading.Thread] = []

    def begin(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        with self._lock:
            self._begun = [*(each for each in self._begun if each.is_alive()), thread]
            thread.start()

    def join(self) -> None:
        with self._lock:
            begun = list(self._begun)
        for thread in begun:
            thread.join()


class _Never:
    def __init__(self, why: Broken) -> None:
        self._why = why

    def look(self) -> Phase:
        return self._why

    def stop(self) -> None:
        """Nothing runs."""


class _Revision:
    def __init__(self, pool: Pool, asked: Wanted, gone: Callable[[], None], threads: Threads) -> None:
        self._pool = pool
        self._asked = asked
        self._gone = gone
        self._phase: Phase = Starting()
        self._threads = threads
        threads.begin(self._try, f"try {asked.name}")

    def look(self) -> Phase:
        return self._phase

    def stop(self) -> None:
        """Not at once: who says so holds the server's lock, and a container has ten seconds."""
        self._threads.begin(self._gone, f"stop {self._asked.name}")

    def _try(self) -> None:
        try:
            self._pool.warm()
        except NotServingError as error:
            self._phase = Broken(reason="HEALTH_CHECK_CONTAINER_ERROR", message=_unhealthy(self._asked, error))
        except Exception as error:  # noqa: BLE001  (the Engine's own refusals are told as Google tells its own)
            self._phase = Broken(reason="HEALTH_CHECK_CONTAINER_ERROR", message=str(error))
        else:
            self._phase = Serving()


class _Task:
    def __init__(self, run: Callable[[threading.Event], int], threads: Threads) -> None:
        self._run = run
        self._stopped = threading.Event()
        self._phase: Phase = Serving()
        threads.begin(self._carry_out, "task")

    def look(self) -> Phase:
        return self._phase

    def stop(self) -> None:
        self._stopped.set()

    def _carry_out(self) -> None:
        try:
            self._phase = Exited(code=self._run(self._stopped))
        except Exception as error:  # noqa: BLE001  (the Engine's own refusals are told as Google tells its own)
            self._phase = Broken(reason="CONTAINER_MISSING", message=str(error))


def _told(say: Say) -> Callable[[str, str], None]:
    return lambda _, text: say(text)


def _unhealthy(asked: Wanted, error: NotServingError) -> str:
    """cloud.google.com/run/docs/troubleshooting#container-failed-to-start."""
    if error.code is not None:
        return f"The container exited with an error. Container called exit({error.code})."
    return (
        "The user-provided container failed to start and listen on the port defined provided by the "
        f"PORT={asked.port} environment variable within the allocated timeout."
    )
