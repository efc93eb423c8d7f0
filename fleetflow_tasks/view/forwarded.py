# SPDX-License-Identifier: Apache-2.0
"""`flow port-forward`: one line for each port that listens here, and where it leads."""

from typing import Protocol

from fleetflow_tasks.view.ink import clean
from fleetflow_tasks.view.jsonl import document


class Forwarded(Protocol):
    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def remote(self) -> int: ...
    @property
    def to(self) -> str: ...


def text(service: str, port: Forwarded) -> str:
    """`127.0.0.1:8080 -> api:80 (pod api-6c9f7-x2kqp)`."""
    host = f"[{port.address}]" if ":" in port.address else port.address
    return clean(f"{host}:{port.port} -> {service}:{port.remote} ({port.to})")


def as_json(service: str, port: Forwarded) -> str:
    """One object: `{"v":1,"type":"forward","service":"api","address":"127.0.0.1","port":8080,"remote":80,"to":"pod …"}`."""
    fields = {"address": port.address, "port": port.port, "remote": port.remote, "to": port.to}
    return document("forward", {"service": service, **fields})
