# SPDX-License-Identifier: Apache-2.0
"""Why an image could not be built or pushed, as a Problem. Pure: the builder's words and the build in, a Problem out."""

import os
import re
import shlex

from msgspec.structs import replace

from fleetflow_tasks.context.folder import IGNORE, ContextError, Source
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.image import is_pushable, parse
from fleetflow_tasks.plan.model import Plan, ResolvedBuild, ResolvedService
from fleetflow_tasks.runtimes import exits
from fleetflow_tasks.runtimes.docker.build_progress import Progress

_SYNTAX = re.compile(r"dockerfile parse error (?:on )?line (\d+): (.*)", re.DOTALL)
_MISSING = re.compile(r'"/?([^"]+)"(?:: not found| not found)|stat ([^:]+): (?:file does not exist|no such file)')
_WRAPPED = re.compile(r"^(?:failed to (?:solve(?: with frontend [\w.]+)?|create LLB definition|compute cache key): )+")


def failed(plan: Plan, service: ResolvedService, source: Source, progress: Progress) -> Problem:
    """After a build that ran."""
    error, place, more = _WRAPPED.sub("", progress.error), service.place("build"), ""
    said, lines = error.lower(), tuple[str, ...]()
    code, why, fix = "build-failed", _one_line(error), ""
    if (found := _SYNTAX.search(error)) is not None:
        code, why, place = "build-dockerfile", _one_line(found[2]), _line(plan, source, int(found[1]))
    elif progress.exit_code is not None:
        why, lines, more = exits.ended(progress.exit_code), progress.output, by_hand(service)
    elif (found := _MISSING.search(error)) is not None:
        code, (why, fix) = "build-missing-file", _missing(source, (found[1] or found[2]).strip("/"))
    elif "no space left on device" in said:
        code, why, fix = (
            "disk-full",
            "the Engine's disk is full",
            "make room: `docker builder prune`, `docker image prune`",
        )
    elif "no active session" in said:
        code, why = "build-base-login", "an image that it needs wants a login"
        fix = "fetch what its FROM names before: `docker pull`"
    step = f"{progress.failed}: " if progress.failed and progress.failed.number else ""
    return Problem(
        code=code,
        message=f"the image of `{service.name}` cannot be built: {step}{why}",
        cause=("its last output:", *(f"  {line}" for line in lines)) if lines else (),
        fix=fix,
        more=more,
        place=place,
    )


def _missing(source: Source, name: str) -> tuple[str, str]:
    folder = source.build.context
    if source.holds(name):
        return f"`{name}` is left out of the context", f"take it back in `{IGNORE}`: `!{name}`"
    return f"`{name}` is not in the context `{folder}`", f"correct the Dockerfile, or make `{name}` there first"


def base_missing(service: ResolvedService, problem: Problem) -> Problem:
    """problem: why an image that the Dockerfile names could not be pulled, told as if it were the service's own."""
    dockerfile = service.build.dockerfile if service.build else ""
    fix = problem.fix.replace("push it, or correct `image` and `version`", f"correct it in `{dockerfile}`")
    return replace(
        problem,
        message=f"the image of `{service.name}` cannot be built: it begins with {problem.message.replace('` ', '`, which ', 1)}",
        fix=fix.replace("correct `image` and `version`", f"correct it in `{dockerfile}`"),
        place=service.place("build.dockerfile"),
    )


def refused(service: ResolvedService, error: ContextError) -> Problem:
    """The files cannot be read, or are not those of the plan any more."""
    problem = error.problem
    return replace(
        problem,
        message=f"the image of `{service.name}` cannot be built: {problem.message}",
        place=service.place(f"build.{error.field}"),
    )


def elsewhere(plan: Plan, service: ResolvedService, why: str, *, outdated: bool, answer: str = "") -> Problem:
    """The image is not here as the plan means it, and neither are its files.

    outdated: there is one of that name, made of other files. answer: why it could not be pulled.
    """
    there = "is made of other files than the plan" if outdated else "is not on this Engine"
    push = f"`flow build {plan.stage} --push --only {service.name}` where the files are"
    named = is_pushable(parse(service.image))
    fix = f"{push}, then deploy again" if named else f"name a registry in `image`, {push}, then deploy again"
    return Problem(
        code="build-elsewhere",
        message=f"image `{service.image}` of `{service.name}` {there}, and it cannot be built here: {why}",
        cause=(f"nor can it be pulled: {answer}",) if answer else (),
        fix=fix,
        place=service.place("build"),
    )


def unpushable(service: ResolvedService) -> Problem:
    return Problem(
        code="push-where",
        message=f"image `{service.image}` of service `{service.name}` names no registry to push it to",
        fix=f'name one: `image "registry.example.org/{parse(service.image).path}"`',
        place=service.places.get("image") or service.place("build"),
    )


def unpushed(service: ResolvedService, answer: str) -> Problem:
    """answer: what the registry, or the Engine for it, said."""
    said, where = answer.lower(), parse(service.image).registry or "Docker Hub"
    code, why, fix = "push-failed", _one_line(answer), ""
    if "unauthorized" in said or "no basic auth" in said or "authentication required" in said:
        code, why, fix = "push-login", f"{where} wants a login", f"run `docker login {where}`"
    elif "denied" in said or "forbidden" in said or "insufficient_scope" in said:
        code, why = "push-denied", f"{where} does not let this login write there"
        fix = f"correct `image`, or log in as somebody who may: `docker login {where}`"
    elif "no such host" in said or "name resolution" in said:
        code, why, fix = "push-unreachable", f"there is no host `{where}`", "correct the registry in `image`"
    elif "server gave http response to https client" in said:
        code, why = "push-insecure", f"{where} speaks no TLS, and the Engine does not trust it without"
        fix = "add it to `insecure-registries` of the Engine's daemon.json"
    elif "dial tcp" in said or "timeout" in said:
        code, why, fix = "push-unreachable", f"{where} does not answer", "see that the registry can be reached"
    elif "name unknown" in said or "not found" in said:
        code, why, fix = "push-no-repository", f"{where} has no repository of that name", "make it there first"
    return Problem(
        code=code,
        message=f"image `{service.image}` of service `{service.name}` cannot be pushed: {why}",
        cause=(f"the answer: {_one_line(answer)}",) if why != _one_line(answer) else (),
        fix=fix,
        place=service.places.get("image") or service.place("build"),
    )


def by_hand(service: ResolvedService) -> str:
    """The same build as a command, which prints all that its steps do."""
    build = service.build
    assert build is not None, service.name  # noqa: S101
    words = ["docker", "build"]
    if build.dockerfile != ResolvedBuild().dockerfile:
        words += ["-f", f"{build.context.rstrip('/')}/{build.dockerfile}"]
    words += ["--target", build.target] if build.target else []
    words += ["--platform", build.platform] if build.platform else []
    words += [word for name, value in build.args.items() for word in ("--build-arg", f"{name}={value}")]
    return shlex.join([*words, build.context])


def _line(plan: Plan, source: Source, number: int) -> Place:
    lines = source.text.splitlines()
    text = lines[number - 1] if number <= len(lines) else ""
    length = len(text.split(maxsplit=1)[0]) if text.strip() else 1
    return Place(
        file=os.path.relpath(source.dockerfile, plan.root),
        line=number,
        column=len(text) - len(text.lstrip()) + 1,
        length=length,
        text=text,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
