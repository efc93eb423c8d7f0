# SPDX-License-Identifier: Apache-2.0
"""`python -m fleetflow_tasks.testing.cloudrun`: a server of its own process, until it is stopped.

It prints what leads there as lines for a shell, the endpoint last, and nothing after that: who reads them knows that it
listens. `--secret shop-key=KEY` gives the secret `shop-key` the value of this process's variable KEY.
"""

import argparse
import os
import shlex
import signal
import sys
import threading
from collections.abc import Mapping, Sequence

from fleetflow_tasks.testing.cloudrun.live import live

ENDPOINT = "FLEETFLOW_CLOUDRUN_ENDPOINT"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fleetflow_tasks.testing.cloudrun")
    parser.add_argument("--secret", action="append", default=[], metavar="NAME=VARIABLE", help="A secret's value.")
    given: Sequence[str] = parser.parse_args(arguments).secret
    stopped = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stopped.set())
    with live(os.environ, secrets=_secrets(given, os.environ)) as server:
        print(_lines(server.environ()), flush=True)  # noqa: T201  (it is the answer)
        stopped.wait()


def _secrets(given: Sequence[str], environ: Mapping[str, str]) -> dict[str, bytes]:
    pairs = [each.partition("=") for each in given]
    if unset := [variable for _, _, variable in pairs if variable not in environ]:
        sys.exit(f"not set: {', '.join(unset)}")
    return {name: environ[variable].encode() for name, _, variable in pairs}


def _lines(environ: Mapping[str, str]) -> str:
    names = sorted(environ, key=lambda name: (name == ENDPOINT, name))
    return "\n".join(f"export {name}={shlex.quote(environ[name])}" for name in names)


if __name__ == "__main__":
    main()
