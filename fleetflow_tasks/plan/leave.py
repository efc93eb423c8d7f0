# SPDX-License-Identifier: Apache-2.0
"""What one deployment was given leave for on the command line: it travels in the plan, and no further.

`--force-conflicts`, `--replace db`, `--canary 10` and `down --volumes` stand in a plan's options, so that whichever worker carries a
step out may do it. They are no settings of the stage: who goes back to such a plan later, or compares it with another,
has asked for nothing of the kind, and a rollback must not remove a claim because somebody once allowed it.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.plan.resolve import CLOUDRUN

Options = Mapping[str, Mapping[str, str]]

LEAVES = frozenset({"canary", "force_conflicts", "promote", "replace", "volumes"})


def given(plan: Plan, runtime: RuntimeName, **leaves: str) -> Plan:
    """*plan* with *leaves* among its options of *runtime*; those without a word are left out."""
    said = {name: word for name, word in leaves.items() if word}
    if not said:
        return plan
    return replace(plan, options={**plan.options, runtime: {**plan.options.get(runtime, {}), **said}})


def settled(options: Options) -> Options:
    """The options that the stage has by its text."""
    kept = {
        runtime: {name: word for name, word in said.items() if name not in LEAVES} for runtime, said in options.items()
    }
    return {runtime: said for runtime, said in kept.items() if said}


def without(plan: Plan) -> Plan:
    """*plan* as it would be if nothing had been allowed with it."""
    return replace(plan, options=settled(plan.options))


def at_once(plan: Plan) -> Plan:
    """*plan* with no new version that gets a part of the requests alone, whatever the text says: who goes back is in a hurry."""
    return given(plan, CLOUDRUN, canary="100") if CLOUDRUN in plan.runtimes else plan
