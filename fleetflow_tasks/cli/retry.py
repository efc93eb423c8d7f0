# SPDX-License-Identifier: Apache-2.0
"""`flow retry`: what a run did not do, once more."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import (
    adopt_option,
    fail_fast_option,
    here,
    json_option,
    quiet_option,
    run_argument,
    timeout_option,
    wait_option,
    wait_workers_option,
)


@click.command("retry")
@run_argument
@wait_option
@fail_fast_option
@timeout_option
@wait_workers_option
@adopt_option
@json_option
@quiet_option
def command(
    run: str,
    wait: bool,
    fail_fast: bool,
    timeout: float | None,
    wait_workers: bool,
    adopt: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Do again what a run did not: its failed, skipped and cancelled steps. What it did is kept.

    RUN is its id, or its last letters, at least 4; it must be the newest run of its stage. The plan is the run's own, so no
    file is read: to deploy what the files say now, use `flow submit`.
    """
    from fleetflow_tasks.cli.follow import told_or_followed

    with api.retried(
        here(), run, fail_fast=fail_fast, wait_workers=wait_workers, timeout=timeout, adopt=adopt
    ) as following:
        return told_or_followed(following, wait=wait, as_json=as_json, quiet=quiet)
