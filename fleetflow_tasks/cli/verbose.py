# SPDX-License-Identifier: Apache-2.0
"""`--verbose`: what is asked of Docker, Kubernetes, Cloud Run and Redis, and how long each answer took, on stderr.

One option for all commands that ask anybody, put on where the command is fetched. It listens to our own log, in which
there is never a secret; so it shows what the engine says besides, and for a worker it only makes its log tell more.

     0.312s  docker.asked method=GET path=/v1.47/containers/json status=200 took=0.004s
"""

import logging
import sys

import click

_OURS = "fleetflow_tasks"
_SILENT = frozenset({"completion", "config", "fmt", "graph", "import", "init", "render", "validate", "version"})
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def told(name: str, command: click.Command) -> click.Command:
    """*command*, with the option where it asks anybody for anything."""
    if name not in _SILENT and _OPTION not in command.params:
        command.params.append(_OPTION)
    return command


class ForPeople(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        words = [f"{name}={_said(value)}" for name, value in fields.items()]
        return " ".join([f"{record.relativeCreated / 1000:6.3f}s ", record.getMessage(), *words])


class _OnStderr(logging.Handler):
    """On whatever stderr is at that moment: a live tree has its own, which puts lines above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), file=sys.stderr)


def _said(value: object) -> str:
    return f"{value:.3f}s" if isinstance(value, float) else str(value)


def _listen(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value:
        return
    logger, before = logging.getLogger(_OURS), logging.getLogger(_OURS).level
    logger.setLevel(logging.DEBUG)
    ctx.call_on_close(lambda: logger.setLevel(before))
    if ctx.info_name != "worker":  # whose log goes to stderr already
        handler = _OnStderr()
        handler.setFormatter(ForPeople())
        logger.addHandler(handler)
        ctx.call_on_close(lambda: logger.removeHandler(handler))


_OPTION = click.Option(
    ["-v", "--verbose"],
    is_flag=True,
    expose_value=False,
    callback=_listen,
    help="Show on stderr what is asked of platforms and of Redis, and how long it took.",
)
