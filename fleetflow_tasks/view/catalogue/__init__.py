# SPDX-License-Identifier: Apache-2.0
"""Every problem that FleetFlow can tell, by its code: what it means, how it reads, what helps.

The rows are for people who look a code up; nothing that deploys reads them. What keeps them true stands in
`tests/house/test_catalogue.py`: the codes are those of the source, an example is worded as the source words it, and each
code is expected by a test. `python -m fleetflow_tasks.view.catalogue` prints `docs/errors.md`.

    entry       the shape of a row
    files       what the text says and cannot be
    plans       each node is right, and together they make no plan
    docker, kubernetes, cloudrun
                what a platform cannot honour, and what it answers
    redis       the store and its workers
    runs        what a run, a stage or a plan does not allow
    commands    the command line itself
    page        the rows as a page
"""

from fleetflow_tasks.view.catalogue.cloudrun import CHAPTER as CLOUDRUN
from fleetflow_tasks.view.catalogue.commands import CHAPTER as COMMANDS
from fleetflow_tasks.view.catalogue.docker import CHAPTER as DOCKER
from fleetflow_tasks.view.catalogue.entry import Chapter
from fleetflow_tasks.view.catalogue.files import CHAPTER as FILES
from fleetflow_tasks.view.catalogue.kubernetes import CHAPTER as KUBERNETES
from fleetflow_tasks.view.catalogue.plans import CHAPTER as PLANS
from fleetflow_tasks.view.catalogue.redis import CHAPTER as REDIS
from fleetflow_tasks.view.catalogue.runs import CHAPTER as RUNS

CHAPTERS: tuple[Chapter, ...] = (
    FILES,
    PLANS,
    DOCKER,
    KUBERNETES,
    CLOUDRUN,
    REDIS,
    RUNS,
    COMMANDS,
)
