# SPDX-License-Identifier: Apache-2.0
"""A user with a namespace of a real cluster: `flow` as a process, under the role that ops/kubernetes ships.

What `flow` may do is that role's; what a test does beside it, it does as the cluster's administrator.
"""

import re
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import msgspec

from fleetflow_tasks.runtimes.kubernetes.client import Json
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, DEPLOYMENT, MADE, NAMESPACE, POD, SERVICE, Kind, path
from fleetflow_tasks.testing import eventually
from tests.desk import BASE, Desk, Result
from tests.kubernetes.conftest import Cluster
from tests.kubernetes.roles import worker

SOON = 60.0  # seconds, on a machine that does much else
UP = 240.0  # the same for a whole deployment, in which some things are looked at in peace before they are called broken

QUOTA = Kind(name="ResourceQuota", plural="resourcequotas")

# Ready at once, and ended at once: tests wait for neither.
QUICK = 'healthcheck { test "CMD" "true"; interval 1 }; kubernetes { stop_grace 1 }'

# Behind a step that failed for a reason which does not pass by itself.
FAILED = "failed on kubernetes, not tried again"
FIRST = "  there is no version before: what was made stays for you to look at, and the next run mends it"

_OF_FILE = re.compile(r" +at \S+:\d+:\d+$| *\d* +\||started a Redis of its own")
_CHANGES = (  # what differs from run to run
    (r"(?<![\w-])(\d+m )?\d+(\.\d+)?s\b", "Ns"),
    (r"(pod )?(?<![\w-])([a-z][a-z0-9-]*?)(-[a-f0-9]{8,10})?-[bcdfghjklmnpqrstvwxz2456789]{5}\b", r"\1\2-…"),
)


class Fleet(Desk):
    """Of one project, whose stage `stg` has a namespace of its own."""

    def __init__(self, folder: Path, state: Path, cluster: Cluster, namespace: str = "") -> None:
        """namespace: one that is there already; else a new one is made."""
        super().__init__(folder, state)
        self.cluster = cluster
        self.namespace = namespace or cluster.made(f"{self.project}-stg")
        self.kubeconfig = folder.parent / "kubeconfig"
        account = worker(cluster, self.namespace, self.kubeconfig)
        self.environ |= {"KUBECONFIG": account["KUBECONFIG"], "FLEETFLOW_WAIT_IMAGE": BASE}

    # --- as a user

    def write(self, text: str, file: str = "fleet.kdl") -> Path:
        """*text*, with the stage around the services that it holds where it names no stage."""
        if file == "fleet.kdl" and 'stage "' not in text:
            names = re.findall(r'^service "([^"]+)"', text, re.MULTILINE)
            services = "; ".join(f'service "{name}"' for name in names)
            text += f'\nstage "stg" {{ runtime "kubernetes" {{ namespace "{self.namespace}" }}; {services} }}\n'
        return super().write(text, file)

    def up(self, text: str = "", *arguments: str) -> Result:
        """Deploy *text*, or what is written already; it ends well."""
        if text:
            self.write(text)
        result = self.flow("up", *arguments, timeout=UP)
        assert result.code == 0, result
        return result

    def fails(self, text: str, *arguments: str, code: int = 1, command: str = "up") -> Result:
        self.write(text)
        result = self.flow(command, *arguments, timeout=UP)
        assert result.code == code, result
        assert "Traceback" not in result.out + result.err, result
        return result

    # --- as the administrator

    def get(self, kind: Kind, name: str) -> Any:
        return self.cluster.client.get(kind, self.namespace, name)

    def all(self, kind: Kind, service: str = "") -> list[Json]:
        """Of this project alone."""
        labels = {"fleetflow.io/project": self.project, **({"fleetflow.io/service": service} if service else {})}
        return list(self.cluster.client.list(kind, self.namespace, labels).items)

    def made(self) -> list[str]:
        """`Kind name` of everything of this project that is there."""
        kinds = [kind for kind in MADE if kind != NAMESPACE]
        return sorted(f"{kind.name} {_name(each)}" for kind in kinds for each in self.all(kind))

    def pods(self, service: str) -> list[Any]:
        """Of those that are not on their way out, by name."""
        there = [pod for pod in self.all(POD, service) if "deletionTimestamp" not in pod["metadata"]]
        return sorted(there, key=_name)

    def names(self, service: str) -> list[str]:
        return [_name(pod) for pod in self.pods(service)]

    def make(self, kind: Kind, name: str, **fields: Any) -> Any:
        """In the namespace, by hand; without a label of ours."""
        manifest = {"apiVersion": kind.api, "kind": kind.name, "metadata": {"name": name}, **fields}
        return self.ask("POST", kind, "", "", manifest, manager="kubectl-create")

    def remove(self, kind: Kind, name: str) -> None:
        found = self.get(kind, name)
        self.cluster.client.delete(kind, self.namespace, name, uid=found["metadata"]["uid"], propagation="Background")

    def ask(
        self, method: str, kind: Kind, name: str, part: str, body: Mapping[str, Any], *, manager: str = "kubectl"
    ) -> Any:
        """Of a subresource, or as somebody else than our client is."""
        answer = self.cluster.client.line.ask(
            f"{method} {kind.name} {name} {part}",
            method,
            path(kind, self.namespace, name) + (f"/{part}" if part else ""),
            query=[("fieldManager", manager)],
            body=msgspec.json.encode(body),
            content="application/merge-patch+json" if method == "PATCH" else "application/json",
        )
        return msgspec.json.decode(answer)

    def log(self, pod: str, container: str = "") -> str:
        with self.cluster.client.pod_log(self.namespace, pod, container) as lines:
            return b"\n".join(lines).decode()

    def variables(self, service: str) -> dict[str, set[str]]:
        """What the pods of a service that run now have, looked up where it comes from."""
        found: dict[str, set[str]] = {}
        for pod in self.pods(service):
            for variable in pod["spec"]["containers"][0].get("env", ()):
                source = variable["valueFrom"]["configMapKeyRef"]
                value = self.get(CONFIG_MAP, source["name"])["data"][source["key"]]
                found.setdefault(variable["name"], set()).add(value)
        return found

    def replicas(self, service: str) -> int:
        return int(self.get(DEPLOYMENT, service)["spec"]["replicas"])

    def address(self, service: str) -> str:
        """Of its Service, which this machine reaches too."""
        spec = self.get(SERVICE, service)["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def page(self, service: str, where: str = "/", data: str | None = None) -> str:
        """The answer of one of its pods. Raises OSError where there is none."""
        body = None if data is None else data.encode()
        with urllib.request.urlopen(f"http://{self.address(service)}{where}", data=body, timeout=10) as answer:
            return str(answer.read().decode())

    # --- what it printed

    def told(self, result: Result, step: str) -> list[str]:
        """What stands of *step*'s failure at the end."""
        blocks = [block.splitlines() for block in re.split(r"\n\n", result.out)]
        lines = ((block, number, line) for block in blocks for number, line in enumerate(block))
        head = re.compile(rf"( *[\d.]+s  )?(?={re.escape(step)} failed on)")
        begins = [(block, number) for block, number, line in lines if head.match(line)]
        block, number = begins[-1] if begins else ([], 0)
        return self.plain(head.sub("", "\n".join(block[number:]), count=1))

    def said(self, result: Result) -> list[str]:
        """All of it, from a command that began no run."""
        return self.plain(result.out + result.err)

    def plain(self, text: str) -> list[str]:
        """Without lines of the user's file, and with what differs from run to run made equal: names, times, folders."""
        for ours, by in ((self.namespace, "NS"), (self.project, "PROJECT"), (str(self.folder.parent), "HOME")):
            text = text.replace(ours, by)
        for pattern, by in _CHANGES:
            text = re.sub(pattern, by, text)
        return [line for line in text.splitlines() if line and not _OF_FILE.match(line)]


class Visitors:
    """Somebody who asks again and again. answers: one each. turned_away: why, as often as there was none."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[str] = []
        self.turned_away: list[str] = []
        self._ended = threading.Event()

    def come(self) -> None:
        while not self._ended.wait(0.05):
            try:
                with urllib.request.urlopen(self.url, timeout=10) as answer:
                    self.answers.append(answer.read().decode())
            except (OSError, HTTPException) as error:
                self.turned_away.append(str(error))

    def seen(self, text: str) -> None:
        """Wait until one more is answered, with *text*."""
        before = len(self.answers)
        eventually(lambda: any(text in answer for answer in self.answers[before:]), SOON)

    def leave(self) -> None:
        self._ended.set()


@contextmanager
def visitors(url: str) -> Iterator[Visitors]:
    """While it lasts, they come."""
    made = Visitors(url)
    thread = threading.Thread(target=made.come, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.leave()
        thread.join()


def service(name: str, script: str = "sleep 1000", more: str = "") -> str:
    """One that runs *script* and is ready at once."""
    return f'service "{name}" {{ image "{BASE}"; command "sh" "-c" "{script}"; {QUICK}; {more} }}\n'


def _name(found: Json) -> str:
    return str(found["metadata"]["name"])
