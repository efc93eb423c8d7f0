# SPDX-License-Identifier: Apache-2.0
"""`flow completion`: what makes a shell complete `flow` on TAB."""

import click

from fleetflow_tasks.cli.main import VARIABLE
from fleetflow_tasks.cli.shells import SHELLS


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options, stages, services, runs and files on TAB.

    \b
    bash  add to ~/.bashrc:   source <(flow completion bash)
    zsh   add to ~/.zshrc:    source <(flow completion zsh)
    fish  once:               flow completion fish > ~/.config/fish/completions/flow.fish

    In zsh that line stands behind `autoload -Uz compinit && compinit`. Names of stages and services are read from the
    files that are found from the working directory upwards.
    """
    root = ctx.find_root()
    click.echo(SHELLS[shell](root.command, {}, "flow", VARIABLE).source())
