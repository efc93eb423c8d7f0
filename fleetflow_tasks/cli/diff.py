# SPDX-License-Identifier: Apache-2.0
"""`flow diff`: what another deployment would change, field by field, and nothing of what it would not."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import (
    canary_option,
    colour,
    json_option,
    leave_options,
    names,
    no_deps_option,
    only_option,
    project_options,
    warn,
)

EXIT_DIFFERS = 1


@click.command("diff")
@project_options
@only_option
@no_deps_option
@leave_options
@canary_option
@json_option
def command(request: api.Request, only: tuple[str, ...], no_deps: bool, as_json: bool) -> int:
    """Show what would change, field by field, and change nothing.

    `flow plan` is the short form: a line per service, with what is unchanged, and exit code 0. `flow diff` says no more
    than what differs, each value in full below the one it takes the place of, and what is to be made anew as it would be
    sent. The exit code is 1 where anything differs, 0 where nothing does, and above 1 for errors, as of `kubectl diff`.
    Secrets are masked.
    """
    from fleetflow_tasks.view import diff

    planned = api.plan(request, only=names(only, no_deps=no_deps), with_dependencies=not no_deps)
    warn(planned.warnings)
    found = api.changes(request, planned.plan)
    if as_json:
        click.echo(diff.as_json(planned.plan, found, planned.warnings))
    else:
        texts = api.rendered(request, planned.plan)
        click.echo(diff.text(planned.plan, found, texts, colour=colour()))
    return EXIT_DIFFERS if any(change.kind != "none" for change in found.values()) else 0
