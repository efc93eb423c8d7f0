# SPDX-License-Identifier: Apache-2.0
"""`flow port-forward`: ports of this machine that lead to a running service, as long as the command runs."""

import threading

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import json_option, named_stage_options, pod_option, warn_along
from fleetflow_tasks.errors import EXIT_OK, Problem

HERE = "127.0.0.1"
_LARGEST = 65535


@click.command("port-forward")
@click.argument("service", shell_complete=completing.services)
@click.argument("ports", nargs=-1, metavar="[[LOCAL:]REMOTE]…")
@named_stage_options
@pod_option
@click.option(
    "--address", "addresses", multiple=True, default=(HERE,), metavar="IP", help="Listen on this one; may be repeated."
)
@json_option
def command(
    request: api.Request, service: str, ports: tuple[str, ...], pod: str, addresses: tuple[str, ...], as_json: bool
) -> int:
    """Carry ports of this machine to a running service until Ctrl-C.

    \b
      flow port-forward api 8080:80     127.0.0.1:8080 leads to port 80 of api
      flow port-forward api 80          the same port here
      flow port-forward api :80         a free one, which is said
      flow port-forward api             all that the service declares

    On Kubernetes each connection goes to the oldest pod that is ready, so one that ends is followed by the next; with
    --pod to that one alone. What is wrong with a connection is told and ends no other.
    """
    from fleetflow_tasks.view import forwarded

    def say(problem: Problem) -> None:
        warn_along((problem,), as_json=as_json)

    planned = api.plan(request, values=False)
    wanted = [parsed(each) for each in ports] or api.declared_ports(request, planned.plan, service)
    with api.forwarded(
        request, planned.plan, service, wanted, addresses=_numbers(addresses), say=say, instance=pod
    ) as listening:
        for each in listening:
            click.echo(forwarded.as_json(service, each) if as_json else forwarded.text(service, each))
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return EXIT_OK  # the way to end it, and no mishap
    return EXIT_OK


def _numbers(addresses: tuple[str, ...]) -> list[str]:
    return [HERE if address == "localhost" else address for address in addresses]


def parsed(text: str) -> "api.Forward":
    """`8080:80`, `80`, `:80`, `0:80`. Raises click.UsageError."""
    local, colon, remote = text.rpartition(":")
    numbers = (local or "0" if colon else remote, remote)
    if not all(number.isascii() and number.isdigit() and int(number) <= _LARGEST for number in numbers) or not int(
        remote
    ):
        raise click.UsageError(f"`{text}` is no port; write REMOTE, LOCAL:REMOTE or :REMOTE, such as 8080:80")
    return api.Forward(local=int(numbers[0]), remote=int(remote))
