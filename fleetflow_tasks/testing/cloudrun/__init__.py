# SPDX-License-Identifier: Apache-2.0
"""A Cloud Run to test against: a gRPC server that answers google-cloud-run's own clients, from memory.

    with Server() as server:
        environ = {**os.environ, **server.environ()}

No emulator of Cloud Run's Admin API exists. This one keeps services, revisions, jobs, executions, tasks, operations, policies
and log lines, moves them on a clock that a test may move, refuses what the real one refuses, and goes wrong when told so.
What it does is taken from the docstrings of `google.cloud.run_v2.types`, which are the API's documentation, from
https://cloud.google.com/run/docs and from what users quote of the real one; each place says from where, and what is guessed
says "guess". What only Google can prove stands in docs/cloudrun.md.

The map, from outside to inside:

`server` ports and credentials · `handler` gRPC · `http` POST /token · `certificate` TLS · `api` every call: token, API,
permission, quota, function, trace · `accounts`, `jwt`, `roles` who may what · `faults` what goes wrong on purpose ·
`refused` errors

`rest` what `gcloud run` asks, over `http`: `rest_calls` turns it into calls of `api`, `rest_status` the answers into Knative's form

`services`, `revisions`, `reconcile` · `jobs`, `executions`, `running`, `overrides` · `operations` · `policies` · `entries` and
`filters` logs · `paging`, `masks`, `names`, `conditions` what they share

`template`, `workload`, `capacity`, `probing`, `volumes`, `metadata`, `split`, `violations` what may be asked at all

`state` what is remembered · `clock` when things happen · `world` the Google project around it · `runner` the seam behind which
containers live · `scripted` those that are only played

`__main__` for people · `live` a server whose URLs answer · `real` runs images that a Docker Engine has, with `containers`,
`startup` probes, `wanted` (what a template says) · `front` URLs and proxy, `routing` where a request goes and who may send it, `scaling` instances, `played` those
without a container
"""

from .accounts import OWNER
from .clock import Moved, Real
from .refused import Refused
from .server import PROJECT, REGION, Server

__all__ = ["OWNER", "PROJECT", "REGION", "Moved", "Real", "Refused", "Server"]
