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
from fleetflow_tasks.plan.image import is_id
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import Attempt, DeployError
from fleetflow_tasks.runtimes.docker import explain, observe
from fleetflow_tasks.runtimes.docker.client import Client, EngineError
from fleetflow_tasks.runtimes.docker.desired import Definition

AT_ONCE = 4
_MB = 1_000_000  # as registries and `docker pull` count


class Found(Data, frozen=True, kw_only=True):
    """id: of the image. pulled: bytes that came, None where nothing was asked for."""

    id: str
    pulled: int | None = None


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
        with self._turn(desired.image, attempt):
            here = "" if again else self.local(desired.image)
            if here:  # somebody else's pull brought it while we waited
                return Found(id=here)
            amount = self._pull(service, desired, attempt)
        return Found(id=self.local(desired.image), pulled=amount)

    def _pull(self, service: ResolvedService, desired: Definition, attempt: Attempt) -> int:
        layers: dict[str, _Detail] = {}
        attempt.report(f"pulling {desired.image}")
        try:
            for raw in self._client.pull(desired.image, desired.platform, attempt.checkpoint):
                line = msgspec.convert(raw, _Line)
                if line.status == "Downloading" and line.progress_detail is not None:
                    layers[line.id] = line.progress_detail
                    current, total = _sums(layers)
                    attempt.report(f"pulling {current / _MB:.0f} of {total / _MB:.0f} MB", current, total)
        except EngineError as error:
            if error.status == 0:
                raise
            problem = explain.image_missing(service, error.answer)
            raise DeployError(problem, transient=error.transient, retry_after=error.retry_after) from error
        return _sums(layers)[1]

    @contextmanager
    def _turn(self, reference: str, attempt: Attempt) -> Iterator[None]:
        with self._known:
            one = self._one.setdefault(reference, threading.Lock())
        attempt.report(f"waiting for the pull of {reference}")
        while not one.acquire(timeout=0.5):
            attempt.checkpoint()
        try:
            while not self._room.acquire(timeout=0.5):
                attempt.checkpoint()
            try:
                yield
            finally:
                self._room.release()
        finally:
            one.release()


class _Descriptor(msgspec.Struct):
    digest: str


class _Distribution(msgspec.Struct, rename="pascal"):
    descriptor: _Descriptor


def _sums(layers: dict[str, _Detail]) -> tuple[int, int]:
    return sum(each.current for each in layers.values()), sum(each.total for each in layers.values())
