# SPDX-License-Identifier: Apache-2.0
"""Who gets a service's requests: always said in full, in every update that is sent.

Normally all of them go to the newest revision that is ready; a revision that never becomes ready therefore gets none.
A gradual roll-out (`traffic 10`, `--canary 10`) names both revisions instead: the new one is made with no share and a
tag, so that it can be asked at an address of its own, and gets its share once it is ready and answers well. All that is
to be remembered until the next run stands on the service itself, in two annotations:

- `fleetflow.io/before`: a roll-out is under way, and this is the revision that served before, with the hashes of what it
  was made of, and the share that the new one is to get. Whoever deploys that content again (`flow rollback`) gets the
  revision itself back, in one call. Deploying the new content once more moves nothing: a share grows when somebody says
  so (`flow promote-traffic`), and not because a pipeline ran twice.
- `fleetflow.io/held`: the requests were given back to this revision, although a newer one is ready. The hash of the
  service is then that of the revision, so nothing is left to do, and the next new version is served like any other.

What is newest and ready is not always what was trusted: in both states it is the one that is on trial or was given up. A
new version is then made beside the shares as they are, and only when it is ready does it get all requests (`Way.then`).

How to use it: `way` says what to do, `first` makes the update of it; wait until the service is ready; where `Way.then` is
there, ask the revision at its address (`Way.check`, `canary(found).uri`), then send `second`, or `refused` if it was bad.
What failed before it was ready is put back as it was read: traffic and annotations with the rest.

Pure: it looks at a service as the API returns it (v2, JSON) and says what to send; it sends nothing.
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

from msgspec.structs import replace

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.canary import (
    BEFORE,
    HELD,
    TAG,
    Before,
    Canary,
    annotation,
    canary,
    held,
    serving,
)
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import HASH, TEMPLATE
from fleetflow_tasks.runtimes.cloudrun.shares import ALL, NEWEST, REVISION, Traffic, all_to, percent, plain, untagged

Kind = Literal["none", "straight", "gradual", "move", "back", "restate"]


class Wanted(Data, frozen=True, kw_only=True):
    """What a deployment wants of a service.

    name: of the service, the last part. template, hash: as `Desired` has them.
    share: percent of the requests for a new version; None: all, at once.
    said: the share is for the version on trial (`flow promote-traffic`); without, what is on trial keeps what it has.
    attempt: what tells this attempt from every other one; it goes into a revision's name.
    anew: another revision, though the content is the same; it gets what that one has. gone: the revision of before is not there, or not ready.
    """

    name: str
    template: str
    hash: str
    share: int | None = None
    said: bool = False
    attempt: str = ""
    anew: bool = False
    gone: bool = False


class Way(Data, frozen=True, kw_only=True):
    """How the requests get to what is wanted.

    kind: `none`: nothing to send for the traffic's sake. `straight`: a new version, all requests. `gradual`: a new version,
    a share. `move`: the shares alone. `back`: to the revision of before. `restate`: somebody else moved the requests.
    traffic: what an update says. then: what a second one says, once the version is ready; None: none is needed.
    keep: the template goes out as it was read, so no revision is made. revision: the new one's name; None: any.
    check: before `then` the revision is to be asked at its own address.
    marks, then_marks: the annotations that go with each; of `before` and `held`, one that is not among them is dropped.
    note: for people, "" where there is nothing to say.
    """

    kind: Kind
    traffic: Traffic = NEWEST
    then: Traffic | None = None
    keep: bool = False
    revision: str | None = None
    check: bool = False
    marks: Mapping[str, str] = {}
    then_marks: Mapping[str, str] = {}
    note: str = ""

    @property
    def goal(self) -> Traffic:
        """Where the requests go in the end."""
        return self.traffic if self.then is None else self.then

    @property
    def begins(self) -> bool:
        """Whether an update has to be sent before the one that says `then`."""
        return self.kind != "none" and not (self.kind == "move" and self.then is not None)


def way(wanted: Wanted, found: Json | None) -> Way:
    """From *found*, the service as it is (None: not there), to what is wanted."""
    if found is None:
        return _first(wanted)
    if wanted.gone:
        return Way(kind="straight")
    if wanted.anew:
        return _again(wanted, found)
    if _is_of(wanted, annotation(found, HASH), annotation(found, TEMPLATE)):
        return _same(wanted, found)
    if (trial := canary(found)) and _is_of(wanted, trial.before.hash, trial.before.template):
        return _back(trial.before)
    return _new(wanted, found)


def first(body: Json, way: Way, found: Json | None) -> Json:
    """The update that begins *way*. body: as desired, with all of our marks but those of the traffic."""
    template = found["template"] if way.keep and found is not None else _named(body["template"], way.revision)
    return _with({**body, "template": template}, way.traffic, way.marks)


def second(found: Json, way: Way) -> Json:
    """The update that ends *way*. found: the service as it is now, ready."""
    return _with(found, way.goal, way.then_marks)


def refused(found: Json) -> Json:
    """The update for a trial that is ready, but was found bad: all requests to the revision of before, and no tag.

    The newer revision stays to be looked at. Raises ValueError where no roll-out is under way.
    """
    trial = canary(found)
    if trial is None:
        raise ValueError("no roll-out is under way")
    before = trial.before
    return _with(
        found,
        all_to(before.revision),
        {HELD: before.revision, HASH: before.hash, TEMPLATE: before.template},
    )


def new_revision(service: str, template: str, attempt: str) -> str:
    """A revision's name. Another one for every attempt: what failed is not made again under the name that it had."""
    return f"{service}-{hashlib.sha256(f'{template} {attempt}'.encode()).hexdigest()[:8]}"


def _first(wanted: Wanted) -> Way:
    return Way(kind="straight", note="" if _share(wanted) == ALL else "all requests at once: nothing served before")


def _same(wanted: Wanted, found: Json) -> Way:
    """The content is there already; the requests may not be where they should."""
    trial = canary(found)
    if trial is None:
        return _restated(found)
    begun = trial.share == 0 < trial.before.goal  # somebody was killed between the two updates
    share = _share(wanted) if wanted.said else trial.before.goal if begun else trial.share
    if share == trial.share:
        return Way(kind="none", traffic=found["traffic"], keep=True, marks=trial.before.mark)
    goal, marks = _goal(trial.before, trial.new, share)
    if not begun or not trial.uri:
        return Way(kind="move", traffic=goal, keep=True, marks=marks)
    return _asked_first(Way(kind="move", traffic=goal, keep=True, marks=marks), found, trial)


def _asked_first(move: Way, found: Json, trial: Canary) -> Way:
    return replace(
        move, traffic=found["traffic"], marks=trial.before.mark, then=move.traffic, then_marks=move.marks, check=True
    )


def _restated(found: Json) -> Way:
    revision = held(found)
    traffic, marks = (all_to(revision), {HELD: revision}) if revision else (NEWEST, {})
    kind: Kind = "none" if plain(found.get("traffic") or NEWEST) == plain(traffic) else "restate"
    return Way(kind=kind, traffic=traffic, keep=True, marks=marks)


def _back(before: Before) -> Way:
    return Way(kind="back", traffic=all_to(before.revision), keep=True, marks={HELD: before.revision})


def _new(wanted: Wanted, found: Json) -> Way:
    before = _before(found)
    if not before.revision:
        return _first(wanted)
    return _at_once(found, before) if _share(wanted) == ALL else _gradual(wanted, before)


def _again(wanted: Wanted, found: Json) -> Way:
    """Another revision of what was deployed already: it gets what that one had."""
    trial = canary(found)
    if trial is None:
        return _new(replace(wanted, share=None), found)
    return _new(wanted if wanted.said else replace(wanted, share=trial.share or trial.before.goal), found)


def _at_once(found: Json, before: Before) -> Way:
    if canary(found) is None and not held(found):
        return Way(kind="straight")
    as_they_are = [untagged(each) for each in found.get("traffic", ()) if percent(each)]
    return Way(kind="straight", traffic=as_they_are, then=NEWEST, marks=before.to(ALL).mark)


def _gradual(wanted: Wanted, before: Before) -> Way:
    name = new_revision(wanted.name, wanted.template, wanted.attempt)
    goal, marks = _goal(before, name, _share(wanted))
    trial = {"type": REVISION, "revision": name, "percent": 0, "tag": TAG}
    return Way(
        kind="gradual",
        traffic=(*all_to(before.revision), trial),
        then=goal,
        revision=name,
        check=True,
        marks=before.to(_share(wanted)).mark,
        then_marks=marks,
    )


def _before(found: Json) -> Before:
    """What serves now. Its hashes are known unless the newest revision is none that serves."""
    if trial := canary(found):
        return trial.before
    known = held(found) or found.get("latestReadyRevision") == found.get("latestCreatedRevision")
    template, content = (annotation(found, TEMPLATE), annotation(found, HASH)) if known else ("", "")
    return Before(revision=serving(found), template=template, hash=content)


def _goal(before: Before, new: str, share: int) -> tuple[Traffic, Mapping[str, str]]:
    if share == ALL:
        return NEWEST, {}
    old = {"type": REVISION, "revision": before.revision, "percent": ALL - share}
    return (old, {"type": REVISION, "revision": new, "percent": share, "tag": TAG}), before.to(share).mark


def _share(wanted: Wanted) -> int:
    return ALL if wanted.share is None else wanted.share


def _is_of(wanted: Wanted, content: str, template: str) -> bool:
    """Whether it is the revision that *wanted* would make: what stands around a template makes none."""
    return wanted.hash == content or wanted.template == template


def _named(template: Json, revision: str | None) -> Json:
    return template if revision is None else {**template, "revision": revision}


def _with(body: Json, traffic: Traffic, marks: Mapping[str, str]) -> Json:
    others = {name: text for name, text in body.get("annotations", {}).items() if name not in {BEFORE, HELD}}
    return {**body, "traffic": list(traffic), "annotations": {**others, **marks}}
