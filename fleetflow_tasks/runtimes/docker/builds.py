# SPDX-License-Identifier: Apache-2.0
"""Images that are built: whether the one that a plan means is here, and how it comes to be.

A label on the image holds the hash of what it was made of. So nobody takes an image for what it is not, whatever its
tag says, and whoever built it, here, by hand or in CI: what bears the hash is what the plan means. Where the files of
that hash are at hand, it is built; elsewhere it is pulled, and looked at in the same way.

BuildKit builds it, asked over the Engine's plain `/build` with the context as the request's body. It would ask its
client for logins; as nobody answers there, the images that a Dockerfile begins with are pulled before, as any image is.
"""

import json
from pathlib import Path

import msgspec
from msgspec.structs import replace

from fleetflow_tasks.context.content import same, sent
from fleetflow_tasks.context.folder import ContextError, Source
from fleetflow_tasks.plan.image import is_pushable, parse
from fleetflow_tasks.plan.model import Plan, ResolvedBuild, ResolvedService
from fleetflow_tasks.runtimes.base import Attempt, DeployError
from fleetflow_tasks.runtimes.docker import build_explain as explain
from fleetflow_tasks.runtimes.docker import observe
from fleetflow_tasks.runtimes.docker.build_progress import Progress
from fleetflow_tasks.runtimes.docker.client import Client, EngineError, passes
from fleetflow_tasks.runtimes.docker.desired import BUILD, Definition
from fleetflow_tasks.runtimes.docker.explain import image_missing
from fleetflow_tasks.runtimes.docker.images import Found, Images, explained

BUILDKIT = "2"  # as the Engine numbers its builders


class Builds:
    """On one Engine."""

    def __init__(self, client: Client, images: Images) -> None:
        self._client = client
        self._images = images

    def local(self, desired: Definition) -> str:
        """The id of the image that the plan means; "" where it is not here, or what is here is made of other files."""
        image = observe.image(self._client, desired.image)
        return image.id if image is not None and image.labels.get(BUILD) == desired.build else ""

    def present(self, plan: Plan, service: ResolvedService, desired: Definition, attempt: Attempt) -> Found:
        """The image, built or pulled where it is not here. Raises DeployError."""
        if here := self.local(desired):
            return Found(id=here)
        with self._images.turn(desired.image, attempt):
            if here := self.local(desired):  # somebody else built it while we waited
                return Found(id=here)
            attempt.report("reading the files to build from")
            source, why = same(Path(plan.root), _build(service), desired.build)
            if source is not None:
                return self._built(plan, service, desired, source, attempt)
            return self._fetched(plan, service, desired, why, attempt)

    def anew(
        self,
        plan: Plan,
        service: ResolvedService,
        desired: Definition,
        attempt: Attempt,
        *,
        pull: bool,
        cache: bool,
    ) -> Found:
        """Built whether it is here or not. Raises DeployError."""
        with self._images.turn(desired.image, attempt):
            try:
                source = Source(Path(plan.root), _build(service))
            except ContextError as error:
                raise DeployError(explain.refused(service, error)) from error
            return self._built(plan, service, desired, source, attempt, pull=pull, cache=cache)

    def push(self, service: ResolvedService, attempt: Attempt) -> str:
        """The digest under which its registry knows it now. Raises DeployError."""
        if not is_pushable(parse(service.image)):
            raise DeployError(explain.unpushable(service))
        digest = ""
        attempt.report(f"pushing {service.image}")
        try:
            for told in self._client.push(service.image, attempt.checkpoint):
                line = msgspec.convert(told, _Pushed)
                digest = line.aux.digest if line.aux is not None else digest
                if line.detail is not None and line.detail.total:
                    attempt.report(f"pushing {line.detail.current / 1e6:.0f} of {line.detail.total / 1e6:.0f} MB")
        except EngineError as error:
            raise explained(error, explain.unpushed(service, error.answer)) from error
        return digest

    def _built(
        self,
        plan: Plan,
        service: ResolvedService,
        desired: Definition,
        source: Source,
        attempt: Attempt,
        *,
        pull: bool = False,
        cache: bool = True,
    ) -> Found:
        self._pull_bases(service, desired, source, attempt, again=pull or desired.pull == "always")
        progress = Progress()
        attempt.report("sending the files to the builder")
        try:
            parameters = _parameters(service, desired, source, cache=cache)
            for told in self._client.build(sent(source, desired.build), parameters, attempt.checkpoint):
                for text in progress(told):
                    attempt.report(text)
        except ContextError as error:
            raise DeployError(explain.refused(service, error)) from error
        except EngineError as error:
            if error.status == 0:
                raise
            progress.end(error.answer)
            problem = explain.failed(plan, service, source, progress)
            passing = progress.exit_code is None and passes(500, progress.error.lower())
            raise DeployError(problem, transient=passing) from error
        return Found(id=self.local(desired) or progress.image, built=True)

    def _pull_bases(
        self, service: ResolvedService, desired: Definition, source: Source, attempt: Attempt, *, again: bool
    ) -> None:
        for reference in source.images():
            if not again and self._images.local(reference):
                continue
            try:
                self._images.pulled(reference, desired.platform, attempt)
            except EngineError as error:
                why = image_missing(replace(service, image=reference), error.answer)
                raise explained(error, explain.base_missing(service, why)) from error

    def _fetched(self, plan: Plan, service: ResolvedService, desired: Definition, why: str, attempt: Attempt) -> Found:
        """What was built elsewhere and pushed. An image of that name that is here already is not what is meant."""
        outdated = bool(self._images.local(desired.image))
        if desired.pull == "never":
            raise DeployError(explain.elsewhere(plan, service, why, outdated=outdated))
        try:
            amount = self._images.pulled(desired.image, desired.platform, attempt)
        except EngineError as error:
            problem = explain.elsewhere(plan, service, why, outdated=outdated, answer=error.answer)
            raise explained(error, problem) from error
        here = self.local(desired)
        if not here:
            raise DeployError(explain.elsewhere(plan, service, why, outdated=True))
        return Found(id=here, pulled=amount)


class _Detail(msgspec.Struct):
    current: int = 0
    total: int = 0


class _Manifest(msgspec.Struct, rename="pascal"):
    digest: str = ""


class _Pushed(msgspec.Struct):
    detail: _Detail | None = msgspec.field(name="progressDetail", default=None)
    aux: _Manifest | None = None


def _build(service: ResolvedService) -> ResolvedBuild:
    assert service.build is not None, service.name  # noqa: S101
    return service.build


def _parameters(service: ResolvedService, desired: Definition, source: Source, *, cache: bool) -> dict[str, str]:
    """Of the request, as the Engine spells them. What is not said is left out."""
    build = _build(service)
    said = {
        "version": BUILDKIT,
        "t": desired.image,
        "dockerfile": source.sent_as,
        "target": build.target,
        "buildargs": json.dumps(dict(build.args)) if build.args else "",
        "labels": json.dumps({BUILD: desired.build}),
        "platform": build.platform,
        "nocache": "" if cache else "1",
    }
    return {name: value for name, value in said.items() if value}
