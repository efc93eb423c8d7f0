# SPDX-License-Identifier: Apache-2.0
"""A Service or Job as the API has it (v2) -> the `service` node that would make it, and what that node could not take.

The counterpart of `desired`, read field by field: what nobody asks for here stays unread, and is told as a remark. What
says nothing new is left out (the platform's own startup probe); what the platform would choose and we would choose
otherwise is said (a job's three retries).
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping

from fleetflow_tasks.config.as_kdl import Node, Remark, Scalar, block, node, switch
from fleetflow_tasks.runtimes.cloudrun.amounts import cores, reference, size
from fleetflow_tasks.runtimes.cloudrun.crossing import main_of
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.knative import pass_over
from fleetflow_tasks.runtimes.cloudrun.knative_head import Kind, Whereabouts, place
from fleetflow_tasks.runtimes.cloudrun.mapping import Left, Path, Reading
from fleetflow_tasks.runtimes.cloudrun.names import AGAIN
from fleetflow_tasks.runtimes.cloudrun.shares import LATEST
from fleetflow_tasks.runtimes.cloudrun.spelling import UnfitError, number, text, texts, texts_by_name
from fleetflow_tasks.runtimes.cloudrun.translated_block import cloudrun
from fleetflow_tasks.runtimes.cloudrun.translated_volumes import Volumes, volumes

_OURS = "fleetflow-"  # labels that a deployment writes itself
_MOST = 100  # instances that the platform starts at most, where nothing is said


def translated(body: Json, kind: Kind, name: str, left: Iterable[Left] = ()) -> Node:
    """name: what to call the service. left: what was lost on the way to v2's form."""
    source = Reading(body)
    template: Path = ("template",) if kind == "service" else ("template", "template")
    where = place(str(body.get("name", "")))
    source.took(("name",))
    children = tuple(_children(source, template, kind, where))
    lost = tuple(_lost((*left, *_unread(source))))
    return block("service", *children, *lost, args=(name,))


def _children(source: Reading, template: Path, kind: Kind, where: Whereabouts) -> Iterator[Node | Remark]:
    main = main_of(containers := source.each((*template, "containers")))
    if main is not None and len(containers) == 1:
        main.took(("name",))  # it tells several apart
    mounted = volumes(source, template, main, where.project)
    if kind == "job":
        yield switch("job")
    if main is not None:
        yield from _container(main, where, mounted)
    if kind == "service":
        yield from _scaling(source)
    yield from _map("labels", _labels(source))
    if children := (*cloudrun(source, template, main, kind, where.project), *mounted.options):
        yield block("cloudrun", *children)


def _container(main: Reading, where: Whereabouts, mounted: Volumes) -> Iterator[Node]:
    if (image := main.value(("image",), text)) is not None:
        yield node("image", image)
    for port in main.each(("ports",))[:1]:
        if (inside := port.value(("containerPort",), number)) is not None:
            yield node("port", container=inside)
    plain, secrets = _variables(main, where)
    yield from _map("environment", plain)
    if secrets:
        yield block("secrets", *(node(name, ref=ref) for name, ref in secrets.items()))
    if mounted.own:
        yield block("volumes", *mounted.own)
    yield from _words("entrypoint", main.value(("command",), texts))
    yield from _words("command", main.value(("args",), texts))
    if amounts := _amounts(main):
        yield node("resources", **amounts)


def _variables(main: Reading, where: Whereabouts) -> tuple[dict[str, str], dict[str, str]]:
    """Plain ones, and those that Secret Manager knows."""
    plain: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for each in main.each(("env",)):
        name = each.value(("name",), text)
        secret = each.value(("valueSource", "secretKeyRef", "secret"), text)
        if name is None:
            continue
        if secret is not None:
            version = each.value(("valueSource", "secretKeyRef", "version"), text)
            secrets[name] = reference(secret, version or "latest", where.project)
        elif each.peek(("valueSource",)) is None:
            plain[name] = each.value(("value",), text) or ""
    return plain, secrets


def _words(name: str, found: list[str] | None) -> Iterator[Node]:
    """One text alone would be parted as a shell does."""
    if found:
        yield node(name, *(found if len(found) > 1 else [shlex.quote(found[0])]))


def _amounts(main: Reading) -> dict[str, Scalar]:
    limits = (("cpu", cores), ("memory", size))
    found = {name: main.value(("resources", "limits", name), spelt) for name, spelt in limits}
    return {name: value for name, value in found.items() if value is not None}


def _scaling(source: Reading) -> Iterator[Node | Remark]:
    """Said of the service, or of each revision: of the service here. The number that a person holds fixed is no range."""
    if source.value(("scaling", "scalingMode"), _automatic) is None and source.peek(("scaling", "scalingMode")):
        return
    least, inner_least = _bound(source, "minInstanceCount")
    most, inner_most = _bound(source, "maxInstanceCount")
    if least is None and most is None:
        return
    if inner_least or inner_most:
        yield Remark(text="the bounds of `scaling` were each revision's own; here they are the service's")
    yield node("scaling", min=least or 0, max=_MOST if most is None else most)


def _bound(source: Reading, name: str) -> tuple[int | None, bool]:
    """And whether it was a revision's. Where both say it, the revision's is left unread."""
    own = source.value(("scaling", name), number)
    if own is not None:
        if source.peek(("template", "scaling", name)) == own:
            source.took(("template", "scaling", name))
        return own, False
    inner = source.value(("template", "scaling", name), number)
    return inner, inner is not None


def _labels(source: Reading) -> dict[str, str]:
    """A service's labels are on its revisions too."""
    found = source.value(("labels",), texts_by_name) or {}
    inner = source.peek(("template", "labels"))
    for name, value in inner.items() if isinstance(inner, Mapping) else ():
        if found.get(name) == value:
            source.took(("template", "labels", name))
    return {name: value for name, value in found.items() if not name.startswith(_OURS)}


def _map(name: str, entries: Mapping[str, str]) -> Iterator[Node]:
    if entries:
        yield block(name, *(node(each, value) for each, value in entries.items()))


def _unread(source: Reading) -> Iterator[Left]:
    targets = source.each(("traffic",))
    if all(each.peek(("type",)) == LATEST and each.peek(("tag",)) is None for each in targets):
        source.took(("traffic",))  # all to the newest, as every deployment does it
    source.took(("template", "annotations", AGAIN))
    if source.peek(("launchStage",)) == "GA":
        source.took(("launchStage",))
    pass_over(source)
    return source.left()


def _lost(left: Iterable[Left]) -> Iterator[Remark]:
    for each in left:
        yield Remark(text=f"not carried over: {each.path} = {json.dumps(each.value, ensure_ascii=False)}")


def _automatic(value: object) -> str:
    if value != "AUTOMATIC":
        raise UnfitError(value)
    return "AUTOMATIC"
