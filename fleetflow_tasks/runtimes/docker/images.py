# SPDX-License-Identifier: Apache-2.0
"""Images: which one a reference means here, and how it comes here.

At most four pulls at once for an Engine, so that they do not starve what is being started, and one for an image: the
others wait for it and find it there.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.image import is_id
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import Attempt, DeployError
from fleetflow_tasks.runtimes.docker import explain, observe
from fleetflow_tasks.runtimes.docker.client import Client, EngineError
from fleetflow_tasks.runtimes.docker.desired import Definition

AT_ONCE = 4
_NOT_FOUND = 404
_MB = 1_000_000  # as registries and `docker pull` count


class Found(Data, frozen=True, kw_only=True):
    """id: of the image. pulled: bytes that came, None where nothing was asked for. built: just now."""

    id: str
    pulled: int | None = None
    built: bool = False


class _Detail(msgspec.Struct):
    current: int = 0
    total: int = 0


class _Line(msgspec.Struct, rename="camel"):
    status: str = ""
    id: str = ""
    progress_detail: _Detail | None = None


class Images:
    """Of one Engine."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._known = threading.Lock()
        self._one: dict[str, threading.Lock] = {}

    def local(self, reference: str) -> str:
        """The id of the image that *reference* means now; "" where the Engine has none."""
        image = observe.image(self._client, reference)
        return image.id if image else ""

    def newest(self, desired: Definition) -> bool:
        """Whether the image here is the one that its registry holds now. Unknown counts as no."""
        image = observe.image(self._client, desired.image)
        try:
            published = msgspec.convert(self._client.published(desired.image), _Distribution)
        except EngineError:
            return False
        digest = published.descriptor.digest
        return image is not None and any(known.endswith("@" + digest) for known in image.digests)

    def is_published(self, reference: str) -> bool | None:
        """Whether its registry has it; None where that does not say."""
        try:
            self._client.published(reference)
        except EngineError as error:
            return False if error.status == _NOT_FOUND else None
        return True

    def present(self, service: ResolvedService, desired: Definition, attempt: Attempt, *, ask: bool) -> Found:
        """The image, pulled where it is not here, or where *ask* and the pull policy want it asked for again."""
        again = ask and desired.asks
        if not again:
            here = self.local(desired.image)
            if here:
                return Found(id=here)
        if is_id(desired.image):
            raise DeployError(explain.image_elsewhere(service))
        if desired.pull == "never":
            raise DeployError(explain.image_never(service))
        with self.turn(desired.image, attempt):
            here = "" if again else self.local(desired.image)
            if here:  # somebody else's pull brought it while we waited
                return Found(id=here)
            try:
                amount = self.pulled(desired.image, desired.platform, attempt)
            except EngineError as error:
                raise explained(error, explain.image_missing(service, error.answer)) from error
        return Found(id=self.local(desired.image), pulled=amount)

    def pulled(self, reference: str, platform: str, attempt: Attempt) -> int:
        """Pull it; the bytes that came. Raises EngineError."""
        layers: dict[str, _Detail] = {}
        attempt.report(f"pulling {reference}")
        for raw in self._client.pull(reference, platform, attempt.checkpoint):
            line = msgspec.convert(raw, _Line)
            if line.status == "Downloading" and line.progress_detail is not None:
                layers[line.id] = line.progress_detail
                current, total = _sums(layers)
                attempt.report(f"pulling {current / _MB:.0f} of {total / _MB:.0f} MB", current, total)
        return _sums(layers)[1]

    @contextmanager
    def turn(self, reference: str, attempt: Attempt) -> Iterator[None]:
        """Room for one who fetches or builds *reference*, alone."""
        with self._known:
            one = self._one.setdefault(reference, threading.Lock())
        _acquired(one, attempt, f"waiting for somebody else's {reference}")
        try:
            _acquired(self._room, attempt, f"waiting: {AT_ONCE} images are pulled or built already")
            try:
                yield
            finally:
                self._room.release()
        finally:
            one.release()


def explained(error: EngineError, problem: Problem) -> DeployError:
    """*problem* in the place of *error*, where the Engine answered; it knows what may pass."""
    if error.status == 0:
        return error
    return DeployError(problem, transient=error.transient, retry_after=error.retry_after)


def _acquired(lock: "threading.Lock | threading.BoundedSemaphore", attempt: Attempt, waiting: str) -> None:
    if lock.acquire(blocking=False):
        return
    attempt.report(waiting)
    while not lock.acquire(timeout=0.5):
        attempt.checkpoint()


class _Descriptor(msgspec.Struct):
    digest: str


class _Distribution(msgspec.Struct, rename="pascal"):
    descriptor: _Descriptor


def _sums(layers: dict[str, _Detail]) -> tuple[int, int]:
    return sum(each.current for each in layers.values()), sum(each.total for each in layers.values())
