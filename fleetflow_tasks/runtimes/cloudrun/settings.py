# SPDX-License-Identifier: Apache-2.0
"""Where a stage's services live, and what one deployment was asked for: `plan.options["cloudrun"]`, typed.

The text's half (`runtime "cloudrun" { project …; region … }`, or the stage variables PROJECT and REGION) says where; the
command's half (`--canary`, `flow promote-traffic`) says what holds this once. Both travel as texts in the plan, so that whichever worker carries
a step out does the same. `check` says what cannot be; here what is not understood reads as not said.
"""

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.plan.model import Plan


class Settings(Data, frozen=True, kw_only=True):
    """project: of Google Cloud, by id or number. region: `europe-west1`. Either is "" where the stage does not say it.

    canary: percent of the requests that a new revision gets in this one deployment; None: what the text says.
    promote: that share is for revisions that are on trial already.
    """

    project: str = ""
    region: str = ""
    canary: int | None = None
    promote: bool = False


def settings(plan: Plan) -> Settings:
    said = plan.options.get("cloudrun", {})
    return Settings(
        project=said.get("project", ""),
        region=said.get("region", ""),
        canary=percent(said.get("canary", "")),
        promote=said.get("promote", "") == "yes",
    )


def percent(said: str) -> int | None:
    """0 to 100; None where the text is no such number."""
    number = int(said) if said.isascii() and said.isdigit() and len(said) <= len("100") else None
    return number if number is not None and number <= 100 else None


def parent(where: Settings) -> str:
    """What a region's services and jobs are listed under."""
    return f"projects/{where.project}/locations/{where.region}"
