# SPDX-License-Identifier: Apache-2.0
"""Which cluster answers: the uid of its namespace `kube-system`, which lives exactly as long as the cluster does.

An address says nothing: a cluster may be made anew behind it. But where the kubeconfig holds the cluster's own
authority, every connection has proved that the one who answers was certified by it: then the uid is asked for once,
and holds for as long as this client does. Where anybody's certificate will do, it is asked for each time. A role that
may not look at `kube-system` leaves the authority itself, as the next best thing: it is made with the cluster.
"""

import hashlib

from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.kinds import NAMESPACE
from fleetflow_tasks.runtimes.together import Together

_OLDEST = "kube-system"  # made by the API server itself, and never removed


class Identity:
    """Of one client's cluster. Safe for many threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: str | None = None
        self._together: Together[str] = Together()

    def __call__(self) -> str:
        """The uid, else `ca:…`; "" where there is neither. Raises KubernetesError where nobody answers."""
        told = self._told
        if told is None or not self._client.line.target.proved:
            told = self._together(self._asked)
        self._told = told
        return told

    def _asked(self) -> str:
        try:
            found = self._client.get(NAMESPACE, "", _OLDEST)
        except KubernetesError as error:
            if error.status != 403:
                raise
            return self._authority()
        return str(found["metadata"]["uid"]) if found else self._authority()

    def _authority(self) -> str:
        target = self._client.line.target
        return f"ca:{hashlib.sha256(target.authority).hexdigest()[:32]}" if target.proved else ""
