# SPDX-License-Identifier: Apache-2.0
"""Which cluster answers: the uid of its namespace `kube-system`, which lives exactly as long as the cluster does.

An address says nothing: a cluster may be made anew behind it. But where the kubeconfig holds the cluster's own
authority, every connection has proved that the one who answers was certified by it: then the uid is asked for once,
and holds for as long as this client does. Where anybody's certificate will do, it is asked for each time. A role that
may not look at `kube-system` leaves the authority itself, as the next best thing: it is made with the cluster.
"""

import hashlib
import threading

from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.kinds import NAMESPACE

_OLDEST = "kube-system"  # made by the API server itself, and never removed


class Identity:
    """Of one client's cluster. Safe for many threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: str | None = None
        self._asking = threading.Lock()

    def __call__(self) -> str:
        """The uid, else `ca:…`; "" where there is neither. Raises KubernetesError where nobody answers."""
        with self._asking:
            if self._told is None or not self._client.line.target.proved:
                self._told = self._asked()
            return self._told

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
