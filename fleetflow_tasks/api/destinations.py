# SPDX-License-Identifier: Apache-2.0
"""Where a stage goes, in one line, before anybody is asked: who deploys to the wrong cluster should see it first."""

from typing import cast

from fleetflow_tasks.api.request import Request, runtimes_of
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import Placed, Runtime


def destination(request: Request, made: Plan) -> str:
    """`shop/stg on kubernetes, context gke_stg, namespace stg`; several runtimes are joined by ` and on `."""
    runtimes = runtimes_of(request)
    places = " and on ".join(_place(runtimes(name), made) for name in made.runtimes)
    return f"{made.project}/{made.stage} on {places}"


def _place(runtime: Runtime, made: Plan) -> str:
    """Where a runtime says no more, its name."""
    return cast(Placed, runtime).place(made) if callable(getattr(runtime, "place", None)) else runtime.name
