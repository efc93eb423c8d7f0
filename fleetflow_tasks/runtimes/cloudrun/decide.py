# SPDX-License-Identifier: Apache-2.0
"""What has to be done to a service, from what it should be and what it is. Pure; each decision has its cause.

Hashes decide, and not a comparison of fields: Cloud Run fills in defaults and writes amounts in its own words, and what
it makes of them may change any day. What somebody else changed since is seen by who wrote last (`client`, which gcloud,
the console and Terraform set to their own names), and by where the requests go (`traffic`).

A service that is as it should be, and is not ready, is a change: it is waited for, and one that failed is tried anew. Its
failure may have been mended outside (a secret was granted, an image pushed), and Cloud Run makes no revision of a
template that has not changed; so the new one bears a mark.
"""

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.base import Change, FieldChange
from fleetflow_tasks.runtimes.cloudrun import causes
from fleetflow_tasks.runtimes.cloudrun.canary import annotation
from fleetflow_tasks.runtimes.cloudrun.conditions import judged
from fleetflow_tasks.runtimes.cloudrun.desired import Desired
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import HASH, TEMPLATE, mark
from fleetflow_tasks.runtimes.cloudrun.reading import last, text
from fleetflow_tasks.runtimes.cloudrun.shares import shares
from fleetflow_tasks.runtimes.cloudrun.traffic import Wanted, Way, way
from fleetflow_tasks.runtimes.labels import Mark
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict

CLIENT = "fleetflow"  # what we say that we are, with each object that we write


class Decision(Data, frozen=True, kw_only=True):
    """change: as it is told. way: how the requests get there. anew: a new revision of the same content.

    writes: whether an update has to be sent; without, it is only waited for.
    """

    change: Change
    way: Way
    anew: bool = False
    writes: bool = True


def decide(
    wanted: Desired, found: Json | None, *, attempt: str = "", said: bool = False, gone: bool = False
) -> Decision:
    """found: the service as it is, ours; None: not there. attempt, said, gone: as `traffic.Wanted` has them."""
    verdict = judged(found) if found is not None and _is_same(wanted, found) else None
    anew = isinstance(verdict, Broken)
    request = Wanted(
        name=last(wanted.name),
        template=wanted.template,
        hash=wanted.hash,
        share=wanted.share,
        said=said,
        attempt=attempt,
        anew=anew,
        gone=gone,
    )
    chosen = way(request, found)
    if found is None:
        return Decision(change=Change(kind="create", cause=chosen.note), way=chosen)
    if chosen.keep and chosen.kind != "back" and outside(found):  # what would be kept is not what our marks say
        return _set_right(found, chosen, way(msgspec.structs.replace(request, anew=True), found))
    change = _change(wanted, found, chosen, verdict)
    return Decision(change=change, way=chosen, anew=anew, writes=verdict is None or anew or chosen.begins)


def foreign(wanted: Desired, found: Json, *, project: str, stage: str) -> bool:
    """Whether the object of our name is somebody else's. A name can be taken by anybody."""
    theirs = mark(found)
    return theirs is None or (theirs.project, theirs.stage, theirs.service) != (project, stage, wanted.service)


def newer(found: Json | None, generation: int) -> Mark | None:
    """The mark of *found* where a newer run has made it."""
    theirs = mark(found) if found is not None else None
    return theirs if theirs is not None and theirs.generation > generation else None


def outside(found: Json) -> str:
    """Who wrote it last, if it was not us: `gcloud`; "" where it was.

    What gcloud made of a file of ours (`flow render`) bears no generation, and is as it should be.
    """
    theirs, by = mark(found), text(found, "client")
    if by == CLIENT or theirs is None or not theirs.generation:
        return ""
    return by or "somebody"


def _is_same(wanted: Desired, found: Json) -> bool:
    return annotation(found, HASH) == wanted.hash


def _change(wanted: Desired, found: Json, chosen: Way, verdict: Verdict | None) -> Change:
    if isinstance(verdict, Broken):
        return Change(kind="start", cause=f"it failed: {causes.cause(found).message}")
    if chosen.kind == "back":
        return _requests(found, chosen, f"the requests go back to revision {chosen.traffic[0]['revision']}")
    if not _is_same(wanted, found):
        return _changed(wanted, found, chosen)
    if chosen.kind == "move":
        return _requests(found, chosen, f"the requests go to {shares(chosen.goal) or 'the newest'}")
    if chosen.kind == "restate":
        return _requests(found, chosen, _moved(found))
    return Change(kind="none") if isinstance(verdict, Ready) else Change(kind="start", cause=_waiting(verdict))


def _requests(found: Json, chosen: Way, cause: str) -> Change:
    """Nothing but where they go; `api.traffic` knows such a change by its one field."""
    old, new = (shares(each) or "100 % the newest" for each in (found.get("traffic", ()), chosen.goal))
    return Change(kind="update", cause=cause, fields=(FieldChange(field="traffic", old=old, new=new),))


def _set_right(found: Json, chosen: Way, again: Way) -> Decision:
    """Its hashes say what it was made from, and no longer what it is: so its template is sent too.

    again: the way of a revision that is made anew; none is made where the template is what it was.
    """
    cause = _moved(found) if chosen.kind == "restate" else f"changed outside, by `{outside(found)}`"
    return Decision(change=Change(kind="replace", cause=cause), way=again)


def _moved(found: Json) -> str:
    return f"somebody moved the requests: {shares(found['traffic'])}"


def _changed(wanted: Desired, found: Json, chosen: Way) -> Change:
    before = annotation(found, TEMPLATE)
    if before == wanted.template:
        return Change(kind="update", cause="configuration changed")
    if not before:
        return Change(kind="replace", cause="it was made by an earlier tool")
    old, new = _image(found), _image(wanted.body)
    cause = "configuration changed" if old == new else f"image changed: {old} -> {new}"
    share = f"; it gets {wanted.share} % of the requests" if chosen.kind == "gradual" else ""
    return Change(kind="replace", cause=cause + share)


def _waiting(verdict: Verdict | None) -> str:
    return f"not ready yet: {verdict.text}" if verdict is not None else ""


def _image(body: Json) -> str:
    return text(body, "template", "containers", 0, "image")
