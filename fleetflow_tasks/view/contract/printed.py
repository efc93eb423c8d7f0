# SPDX-License-Identifier: Apache-2.0
"""Which command prints which types. All of them may print `problems` too; those that stand here with none take no `--json`."""

from collections.abc import Mapping

RUN_LINES = (
    "snapshot",
    "run.queued",
    "run.started",
    "step.moved",
    "step.progressed",
    "noted",
    "run.ending",
    "run.ended",
    "end",
    "rollback",
)

PRINTED: Mapping[str, tuple[str, ...]] = {
    "up": ("plan", *RUN_LINES),
    "submit": ("run", *RUN_LINES),
    "watch": RUN_LINES,
    "runs": ("runs",),
    "show": ("show",),
    "queue": ("queue",),
    "cancel": ("cancel", *RUN_LINES),
    "retry": ("run", *RUN_LINES),
    "rollback": ("rollback-plan", "run", *RUN_LINES),
    "promote": ("promotion", "run", *RUN_LINES),
    "promote-traffic": ("plan", "run", *RUN_LINES),
    "ps": ("ps",),
    "logs": ("log",),
    "exec": (),
    "port-forward": ("forward",),
    "restart": RUN_LINES,
    "down": RUN_LINES,
    "plan": ("plan",),
    "diff": ("diff",),
    "render": ("render", "rendered"),
    "import": ("import",),
    "config": ("config", "variables"),
    "validate": ("validate",),
    "build": ("build",),
    "fmt": ("fmt",),
    "graph": ("graph",),
    "doctor": ("doctor",),
    "completion": (),
    "worker": (),
    "init": (),
    "version": ("version",),
}
