# SPDX-License-Identifier: Apache-2.0
"""Containers that are only played: what one does is in its image's name, whatever stands before `scripted/` in it.

| `scripted/…` | as a revision | as a task |
|---|---|---|
| `ready:500ms` | serves after that | ends with 0 after that |
| `slow:20s` | the same; says that this is the point of it | the same |
| `never-listens` | fails once its startup probe's time is over | ends never |
| `never-listens:2s` | fails after that | ends never |
| `unhealthy` | fails its startup probe | ends with 1 |
| `crash:3` | exits at once: fails | exits with that at once |
| `job:3` | the same | the same |
| `job:3-after-2s` | exits after that: fails | exits with that after that |
| `flaky:2` | fails | ends with 1 so often, then with 0 |
| `hangs` | never comes up, nor fails | ends never |
| `not-found`, `denied` | no such image, or it may not be read | the same |
| `too-late` | PROGRESS_DEADLINE_EXCEEDED | the same |
| `unsettled` | serves, its operation ends well, and the service never becomes ready | ends with 0 |

Any other image serves at once, or ends with 0. Each writes a line to the log when it starts.
"""

import re
from collections.abc import Callable
from typing import Any

from .runner import Broken, Exited, Phase, Say, Serving, Started, Starting
from .world import World, missing_image

Json = dict[str, Any]

Now = Callable[[], float]
_FOREVER = 3600.0  # seconds between two looks at what never changes
_SCRIPT = re.compile(r"(?:^|/)scripted/([a-z-]+)(?::([A-Za-z0-9.-]+))?(?:@.*)?$")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0}


class Scripted:
    """now: the moment that is being played."""

    def __init__(self, now: Now) -> None:
        self._now = now

    def revision(self, revision: Json, say: Say) -> Started:
        name, argument = script(_image(revision))
        say(f"started: {_image(revision)}")
        if name in {"crash", "job"}:
            code, delay = _exit(argument)
            say(f"Container called exit({code}).")
            return _Played(self._now, delay, _deaf(revision))
        if name in {"ready", "slow"}:
            return _Played(self._now, duration(argument), Serving())
        if name == "never-listens":
            return _Played(self._now, duration(argument) if argument else _patience(revision), _deaf(revision))
        return _Played(self._now, 0.0, self._other(name, revision))

    def task(self, task: Json, attempt: int, say: Say) -> Started:
        name, argument = script(_image(task))
        say(f"started: {_image(task)}, attempt {attempt}")
        if name in {"crash", "job"}:
            code, delay = _exit(argument)
            return self._exits(code, delay)
        if name == "flaky":
            return self._exits(0 if attempt >= int(argument) else 1, 0.0)
        if name in {"never-listens", "hangs"}:
            return _Played(self._now, 0.0, Serving(again=_FOREVER))
        if name in {"not-found", "denied", "too-late"}:
            return _Played(self._now, 0.0, self._other(name, task))
        return self._exits(1 if name == "unhealthy" else 0, duration(argument) if name in {"ready", "slow"} else 0.0)

    def _exits(self, code: int, delay: float) -> Started:
        return _Played(self._now, delay, Exited(code=code), Serving(again=delay))

    def _other(self, name: str, body: Json) -> Phase:
        image = _image(body)
        match name:
            case "not-found":
                return missing_image(image)
            case "denied":
                world = World(denied_images={image})
                return world.objection(body, body["name"], "Revision") or Serving()
            case "unhealthy" | "flaky":
                return Broken(reason="HEALTH_CHECK_CONTAINER_ERROR", message=_UNHEALTHY)
            case "too-late":
                return Broken(reason="PROGRESS_DEADLINE_EXCEEDED", message=_LATE, at="ResourcesAvailable")
            case "hangs":
                return Starting(again=_FOREVER)
            case "unsettled":
                return Serving(settles=False)
            case _:
                return Serving()


_UNHEALTHY = (
    "The user-provided container failed the configured startup probe checks. Logs for this revision might contain more "
    "information."
)
_LATE = "Timed out waiting for completion."  # guess: `CommonReason.PROGRESS_DEADLINE_EXCEEDED`


class _Played:
    """until: what it is before *delay* seconds have gone by; Starting where not said."""

    def __init__(self, now: Now, delay: float, then: Phase, until: Phase | None = None) -> None:
        self._now = now
        self._at = now() + delay
        self._then = then
        self._until = until

    def look(self) -> Phase:
        left = self._at - self._now()
        if left <= 0:
            return self._then
        return Serving(again=left) if isinstance(self._until, Serving) else Starting(again=left)

    def stop(self) -> None:
        """Nothing runs."""


def script(image: str) -> tuple[str, str]:
    """Name and argument; both "" for an image that is not scripted."""
    found = _SCRIPT.search(image)
    return (found[1], found[2] or "") if found else ("", "")


def duration(said: str) -> float:
    """`500ms`, `2s`, `1m`; 0 for nothing."""
    found = _DURATION.fullmatch(said)
    return float(found[1]) * _UNIT[found[2]] if found else 0.0


def _exit(argument: str) -> tuple[int, float]:
    code, _, after = argument.partition("-after-")
    return int(code or "1"), duration(after)


def _image(body: Json) -> str:
    return str(body["containers"][0].get("image", ""))


def _port(revision: Json) -> int:
    return next((port["containerPort"] for each in revision["containers"] for port in each.get("ports", [])), 8080)


def _deaf(revision: Json) -> Broken:
    """As users quote it (tesseract #413); https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start."""
    return Broken(
        reason="HEALTH_CHECK_CONTAINER_ERROR",
        message="The user-provided container failed to start and listen on the port defined provided by the "
        f"PORT={_port(revision)} environment variable within the allocated timeout. This can happen when the container port "
        "is misconfigured or if the timeout is too short. The health check timeout can be extended. Logs for this revision "
        "might contain more information.",
    )


def _patience(revision: Json) -> float:
    probe: Json = next((each["startupProbe"] for each in revision["containers"] if "startupProbe" in each), {})
    return float(probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10))
