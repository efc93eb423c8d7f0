# SPDX-License-Identifier: Apache-2.0
"""`flow build`: the images of a stage, built on this machine, and pushed where they are wanted elsewhere."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option, names, project_options, quiet_option, say, warn


@click.command("build")
@project_options
@click.option("--only", multiple=True, metavar="SERVICE[,…]", help="Only the images of these services.")
@click.option("--push", is_flag=True, help="Push them to the registries that their names name.")
@click.option("--pull", is_flag=True, help="Ask for what they begin with again, and build them again.")
@click.option("--no-cache", is_flag=True, help="Build each step anew, also of images that are there.")
@json_option
@quiet_option
def command(
    request: api.Request, only: tuple[str, ...], push: bool, pull: bool, no_cache: bool, as_json: bool, quiet: bool
) -> None:
    """Build the images of a stage with the Docker Engine of this machine.

    An image that is there, made of the same files, is left as it is. Where a stage is deployed by others, workers or a
    cluster, --push puts its images where they can get them.
    """
    from fleetflow_tasks.view import built

    lines = built.Lines()

    def report(service: str, text: str) -> None:
        if not (quiet or as_json) and (line := lines(service, text)):
            say(line)

    made = api.built(request, only=names(only), push=push, pull=pull, cache=not no_cache, report=report)
    warn(made.warnings)
    if as_json:
        click.echo(built.as_json(made.plan, made.images, made.warnings))
    else:
        click.echo(built.table(made.images))
