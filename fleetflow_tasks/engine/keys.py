# SPDX-License-Identifier: Apache-2.0
"""Every key that FleetFlow writes to Redis: its type, what it holds, how long it lives.

What belongs to a stage shares the hash tag `{project/stage}`, since one script must see a run end and the next begin.
T is `ff:{project/stage}`, R is `T:run:<run id>`. A run's keys have no TTL while it is queued or active; from its end on
they live 30 days, its answers an hour; sooner gone if 50 newer runs of the stage have ended. The stage's good run, the
one to roll back to, lives 400 days, and from when another takes its place as if it had ended then.

    T:stage             hash    generation, fence, active (run id), quiet (no run begins before), engine:<queue>,
                                good (the last run that deployed the whole stage and succeeded), undo (a failed run that is
                                to be rolled back before anything else begins)
    T:line              list    queued runs, the next one first
    T:runs              zset    run id -> submitted
    T:ended             zset    run id -> ended; at most 50, the good run not among them
    T:deadlines         zset    run id -> deadline; of those that have one, while queued or active
    T:answers           hash    of `expire`, `due` and `no_undo`: the last request and its answer
    T:key:<key>         string  idempotency key -> run id; lives as its run
    R                   hash    status, generation, reason, actor, note, left (steps not ended), failed, cancelled, because,
                                deadline, rollback, whole (deploy or teardown of all), adopt, undone (by which run),
                                waits (told that its rollback waits) …
    R:sealed            string  the plan, sealed
    R:order             string  step ids in the plan's order, JSON
    R:steps             hash    step -> its state, JSON
    R:events            stream  field `e`: the event, JSON; capped
    R:answers           hash    `submit`, `cancel`, `claim <step>`, `end <step>` -> request and answer
  and only while the run is not ended:
    R:after             hash    step -> steps that need it, JSON
    R:remaining         hash    step -> how many of its needs are not done
    R:ready:<queue>     zset    ready steps without a hint -> -rank
    R:hinted:<queue>    zset    ready steps with a hint out -> -rank; at most a window
    R:leases            zset    running step -> when its lease ends
    R:delayed           zset    delayed step -> when it is due

Outside any tag stand indexes, written before what they point to and swept when it is gone:

    ff:run:<run id>     string  project/stage; 60 days, twice a run's life after its end; a good run's 30 days longer than it
    ff:stages           zset    project/stage -> last submit; a day longer than its good run
    ff:active           zset    the same, until the reconciler finds nothing to do there
    ff:workers          zset    worker -> last seen; with :info (hash, JSON) and :queues (hash, queue -> last served)
    ff:reconciler       string  the worker that reconciles; a few seconds
    ff:mark             string  what a submitter writes last, to wait until it is on disk; a minute

Only the scripts compose T and R keys, this module those that Python reads itself. What an older FleetFlow wrote lacks some
of the fields of R; the scripts take that as the default.
"""

from typing import Final

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import RunId

STAGES: Final = "ff:stages"
ACTIVE: Final = "ff:active"
WORKERS: Final = "ff:workers"
RECONCILER: Final = "ff:reconciler"
MARK: Final = "ff:mark"

DAY: Final = 86_400  # seconds
INDEX_LIFE: Final = 60 * DAY  # of `ff:run:<id>`; a run's own keys live 30 days after its end
STAGE_LIFE: Final = 401 * DAY  # of a stage in `ff:stages`, a day longer than a good run
WORKER_LIFE: Final = 7 * DAY  # of a silent worker, so that "last seen 3 h ago" can be said


def stage_name(project: ProjectName, stage: StageName) -> str:
    """As the indexes hold it. Names have no slash."""
    return f"{project}/{stage}"


def split(name: str) -> tuple[ProjectName, StageName]:
    project, _, stage = name.partition("/")
    return ProjectName(project), StageName(stage)


def tag(name: str) -> str:
    return f"ff:{{{name}}}"


def index(run: RunId) -> str:
    return f"ff:run:{run}"


def part(name: str, run: RunId, what: str) -> str:
    return f"{tag(name)}:run:{run}:{what}"
