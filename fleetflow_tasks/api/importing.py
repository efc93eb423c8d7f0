# SPDX-License-Identifier: Apache-2.0
"""What a platform runs already, as KDL: the way into FleetFlow for what was deployed by other means."""

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.config.schema import RUNTIMES
from fleetflow_tasks.runtimes import registry


def imported(platform: str, text: str, *, source: str, stage: str = "") -> str:
    """KDL for all that *text* holds, which the tool of *platform* has printed.

    source: what the text is called in messages. stage: what to call the stage; "": as the objects' own labels say.
    Raises PlanError where nothing is imported from there, ConfigError where the text holds nothing of the platform.
    """
    names = {alias: name for name, aliases in RUNTIMES.items() for alias in (name, *aliases)}
    return registry.importer(RuntimeName(names.get(platform, platform)))(text, source=source, stage=stage)
