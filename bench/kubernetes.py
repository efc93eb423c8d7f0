# SPDX-License-Identifier: Apache-2.0
"""`flow up` beside kubectl and Helm: the same objects, the same cluster, the same run, turn by turn.

Fifty services, each a Deployment, a Service and a ConfigMap; the manifests that kubectl and Helm get are those that `flow
render` writes, so nobody deploys less than the others. Three things are timed: everything into a new namespace (`cold`),
nothing to do (`no-op`), one service changed (`one changed`). The tools take turns within a round, and the one that goes
first changes with the round. All wait until the new pods serve:

    flow       flow up
    kubectl    kubectl apply -f DIR, then kubectl rollout status of each Deployment
    helm       helm upgrade --install --wait, with a chart of the same manifests

The cluster is a control plane whose nodes are only played: each pod is ready half a second after it was given to one, so
what is measured is the tools and the control plane, not images and processes.

Then requests are counted, by a witness between each tool and the API server (`witness.py`) and not timed: those of a
service, cold; whether waiting longer asks more; and what one worker process needs for 100 and for 500 services at once.

    scripts/run --cluster plane .venv/bin/python bench/kubernetes.py [--quick] [--rounds N] [--services N] [--json FILE]
                                                                     [--only times|requests|worker]
"""

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # not the folder of this file, which would be taken for the package `kubernetes`

from bench.rig import Target, machine, processes, said, server, spread  # noqa: E402
from bench.witness import Asked, Cluster, Witness, witness  # noqa: E402
from fleetflow_tasks.engine.store import Store  # noqa: E402

FLOW = str(ROOT / ".venv" / "bin" / "flow")
TASKS = ("cold", "no-op", "one changed")
PEERS = ("kubectl", "helm")
SETTLE = 2.0  # seconds between two turns: controllers still tidy up after the one before
READY = "scripted/ready:500ms"  # a pod of it is ready half a second after it was given to a node
PATIENCE = 600  # seconds that anything here may take


# ---------------------------------------------------------------------------------------------------------- the services


class Fleet:
    """A project in a folder of its own, in a namespace that is new whenever it is moved."""

    def __init__(self, folder: Path, services: int, *, image: str = READY) -> None:
        folder.mkdir()
        self.folder = folder
        self.names = [f"s{number:03}" for number in range(services)]
        self.project = f"b{secrets.token_hex(3)}"
        self.image = image
        self.namespace = ""

    def move(self, namespace: str) -> None:
        self.namespace = namespace

    def write(self, turn: int) -> None:
        """Lay the file; another *turn* changes one service, the last."""
        lines = [f'project "{self.project}"']
        for name in self.names:
            lines += [
                f'service "{name}" {{',
                f'    image "{self.image}"',
                "    port container=8080",
                f'    environment {{ NAME "{name}"; TURN {turn if name == self.names[-1] else 0} }}',
                '    readiness path="/health"',
                "}",
            ]
        lines += ['stage "stg" {', f'    runtime "kubernetes" {{ namespace "{self.namespace}" }}']
        lines += [*(f'    service "{name}"' for name in self.names), "}"]
        (self.folder / "fleet.kdl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def render(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        _run([FLOW, "render", "--stage=stg", "-o", str(folder)], self.folder)
        (
            folder / "00-namespace.yaml"
        ).unlink()  # it is there already, for all; and Helm refuses one that it has not made


class Tool(Protocol):
    name: str
    fleet: Fleet

    def write(self, turn: int) -> None: ...

    def up(self, environ: Mapping[str, str] = {}) -> None: ...

    def version(self) -> str: ...


class Flow:
    name = "flow"

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.environ = {"FLEETFLOW_STATE_DIR": str(fleet.folder / "state")}

    def write(self, turn: int) -> None:
        self.fleet.write(turn)

    def up(self, environ: Mapping[str, str] = {}) -> None:
        _run([FLOW, "up", "--stage=stg"], self.fleet.folder, {**self.environ, **environ})

    def version(self) -> str:
        return "FleetFlow " + _output([FLOW, "--version"]).split()[-1]


class Kubectl:
    """`rollout status` of each Deployment in a process of its own, eight at a time: one for all of them by a selector
    holds itself back to some six questions a second, and one after the other takes twice as long."""

    name = "kubectl"

    def __init__(self, binary: str, fleet: Fleet) -> None:
        self.binary = binary
        self.fleet = fleet
        self.manifests = fleet.folder / "manifests"

    def write(self, turn: int) -> None:
        self.fleet.write(turn)
        self.fleet.render(self.manifests)

    def up(self, environ: Mapping[str, str] = {}) -> None:
        self._kubectl(environ, "apply", "-f", str(self.manifests))
        with ThreadPoolExecutor(max_workers=8) as pool:
            waiting = [
                pool.submit(self._kubectl, environ, "rollout", "status", f"deployment/{name}")
                for name in self.fleet.names
            ]
        for one in waiting:
            one.result()

    def version(self) -> str:
        told = json.loads(_output([self.binary, "version", "--client", "--output", "json"]))
        return f"kubectl {told['clientVersion']['gitVersion']}"

    def _kubectl(self, environ: Mapping[str, str], *arguments: str) -> None:
        kept = {"KUBECACHEDIR": str(self.fleet.folder / "cache")}
        _run([self.binary, "--namespace", self.fleet.namespace, *arguments], self.fleet.folder, {**kept, **environ})


class Helm:
    name = "helm"

    def __init__(self, binary: str, fleet: Fleet) -> None:
        self.binary = binary
        self.fleet = fleet
        self.chart = fleet.folder / "chart"
        places = {"HELM_CACHE_HOME": "cache", "HELM_CONFIG_HOME": "config", "HELM_DATA_HOME": "data"}
        self.environ = {name: str(fleet.folder / place) for name, place in places.items()}

    def write(self, turn: int) -> None:
        self.fleet.write(turn)
        self.fleet.render(self.chart / "templates")
        about = {"apiVersion": "v2", "name": "bench", "version": "1.0.0"}
        (self.chart / "Chart.yaml").write_text(json.dumps(about), encoding="utf-8")

    def up(self, environ: Mapping[str, str] = {}) -> None:
        asked = ["upgrade", "bench", str(self.chart), "--install", "--wait", "--namespace", self.fleet.namespace]
        _run([self.binary, *asked], self.fleet.folder, {**self.environ, **environ})

    def version(self) -> str:
        return "Helm " + _output([self.binary, "version", "--template", "{{.Version}}"])


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str] = {}) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        sys.exit(f"bench: `{' '.join(command)}` ended with {done.returncode}\n{done.stdout}{done.stderr}")


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def _seconds(task: Callable[[], None]) -> float:
    time.sleep(SETTLE)
    begun = time.monotonic()
    task()
    return time.monotonic() - begun


# --------------------------------------------------------------------------------------------------------- namespaces


@contextmanager
def namespaces(cluster: Cluster, count: int) -> Iterator[Sequence[str]]:
    """New ones, made before anything is timed; gone again, with all in them, before anything else is."""
    names = [f"bench-{secrets.token_hex(4)}" for _ in range(count)]
    try:
        for name in names:
            made, told = cluster.ask("POST", "/api/v1/namespaces", _namespace(name))
            assert made == 201, told
        yield names
    finally:
        for name in names:
            cluster.ask("DELETE", f"/api/v1/namespaces/{name}")
        for name in names:
            _await_gone(cluster, name)


def _namespace(name: str) -> Mapping[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _await_gone(cluster: Cluster, name: str) -> None:
    until = time.monotonic() + PATIENCE
    while cluster.ask("GET", f"/api/v1/namespaces/{name}")[0] != 404:
        assert time.monotonic() < until, f"namespace {name} does not go"
        time.sleep(0.5)


# -------------------------------------------------------------------------------------------------------------- times

Times = Mapping[str, Mapping[str, list[float]]]


def measured(cluster: Cluster, tools: Sequence[Tool], rounds: int) -> Times:
    """task -> tool -> seconds of each round."""
    times: Times = {task: {tool.name: [] for tool in tools} for task in TASKS}
    for number in range(rounds):
        order = [*tools[number % len(tools) :], *tools[: number % len(tools)]]
        with namespaces(cluster, len(tools)) as fresh:
            for tool, namespace in zip(tools, fresh, strict=True):
                tool.fleet.move(namespace)
                tool.write(2 * number)
            for task in TASKS:
                for tool in order:
                    if task == "one changed":
                        tool.write(2 * number + 1)
                    times[task][tool.name].append(_seconds(tool.up))
        print(f"bench: round {number + 1} of {rounds} done", file=sys.stderr)
    return times


def tell_times(times: Times, tools: Sequence[Tool]) -> None:
    medians = {task: {tool.name: statistics.median(times[task][tool.name]) for tool in tools} for task in TASKS}
    for task in TASKS:
        said(task, "  ".join(f"{tool.name} {medians[task][tool.name]:.2f} s" for tool in tools))
    if len(tools) > 1:
        said("cold, of the faster of both", "", _of(medians["cold"], PEERS, most=0.7))
        said("no-op, of helm upgrade", "", _of(medians["no-op"], ["helm"], most=0.5))
        said("one changed, of the faster of both", f"{_of(medians['one changed'], PEERS, most=1).value:.2f}")
    print(spread({f"{task}, {tool.name}": times[task][tool.name] for task in TASKS for tool in tools}))


def _of(medians: Mapping[str, float], peers: Sequence[str], *, most: float) -> Target:
    return Target(value=medians["flow"] / min(medians[peer] for peer in peers), most=most)


# ----------------------------------------------------------------------------------------------------------- requests


def count_requests(cluster: Cluster, seen: Witness, tools: Sequence[Tool]) -> None:
    for tool in tools:
        with namespaces(cluster, 1) as [namespace]:
            tool.fleet.move(namespace)
            tool.write(0)
            services = len(tool.fleet.names)
            _witnessed(tool, seen)
            _tell(f"requests of {tool.name}, cold", seen.taken(), services, most=8 if tool.name == "flow" else None)
            _witnessed(tool, seen)
            _tell(f"requests of {tool.name}, no-op", seen.taken(), services)


def _witnessed(tool: Tool, seen: Witness) -> None:
    tool.up({"KUBECONFIG": str(seen.kubeconfig)})


def _tell(what: str, asked: Sequence[Asked], services: int, *, most: float | None = None) -> None:
    each = len(asked) / services
    kinds = Counter(one.kind for one in asked)
    told = ", ".join(f"{kinds[kind]} {kind}{'es' if kind == 'watch' else 's'}" for kind in ("write", "read", "watch"))
    said(what, f"{each:.1f} each", f"{told}{f'   {Target(value=each, most=most)}' if most is not None else ''}")


def count_waiting(cluster: Cluster, seen: Witness, folder: Path) -> None:
    """The same fleet, whose pods take twelve seconds and then twice as long: whoever polls asks twice as often. Both are more
    than the ten after which FleetFlow looks at a stage anew before it tidies up: that is one look, however long it took."""
    counted = []
    for seconds in (12, 24):
        tool = Flow(Fleet(folder / f"waiting-{seconds}", 20, image=f"scripted/ready:{seconds}s"))
        with namespaces(cluster, 1) as [namespace]:
            tool.fleet.move(namespace)
            tool.write(0)
            _witnessed(tool, seen)
            counted.append(seen.taken())
    short, long = map(len, counted)
    said("requests for 20 services that take 12 s, and 24 s", f"{short}, {long}", Target(value=long / short, most=1.02))
    if long != short:
        more = Counter(each.sort for each in counted[1])
        more.subtract(each.sort for each in counted[0])
        print("".join(f"    {number:+d} {sort}\n" for sort, number in sorted(more.items()) if number), end="")


# --------------------------------------------------------------------------------------------------- many on one worker


def measure_worker(cluster: Cluster, seen: Witness, folder: Path, counts: Sequence[int]) -> None:
    """A fresh worker process for each count, with a slot for each service."""
    needed = [_carried_out(cluster, seen, folder / f"worker-{count}", count) for count in counts]
    for count, (asked, memory, seconds) in zip(counts, needed, strict=True):
        _tell(f"requests of one worker for {count} at once", asked, count, most=8)
        said(
            f"memory of one worker for {count} at once, each", f"{memory / count / 1024:.0f} KiB", f"in {seconds:.1f} s"
        )
    first, last = (needed[0], counts[0]), (needed[-1], counts[-1])
    requests = [len(asked) / count for (asked, _, _), count in (first, last)]
    memory_each = [memory / count for (_, memory, _), count in (first, last)]
    said("a service of many, of one of few: requests", "", Target(value=requests[1] / requests[0], most=1.1))
    said("a service of many, of one of few: memory", "", Target(value=memory_each[1] / memory_each[0], most=1.1))


def _carried_out(cluster: Cluster, seen: Witness, folder: Path, count: int) -> tuple[Sequence[Asked], int, float]:
    """(requests, bytes more than the worker had before, seconds)."""
    fleet = Fleet(folder, count)
    with server() as url, namespaces(cluster, 1) as [namespace]:
        fleet.move(namespace)
        fleet.write(0)
        environ = {"FLEETFLOW_REDIS_URL": url, "KUBECONFIG": str(seen.kubeconfig)}
        command = ["-m", "fleetflow_tasks", "worker", "kubernetes", "--concurrency", str(count)]
        with processes(command, environ=environ) as [worker]:
            _await(lambda: len(Store.connect(url, client_name="ff-bench").workers()) == 1)
            before = _resident(worker.pid, "VmRSS")
            begun = time.monotonic()
            _run([FLOW, "submit", "--stage=stg", "--wait"], folder, environ)
            taken = time.monotonic() - begun
            return seen.taken(), _resident(worker.pid, "VmHWM") - before, taken


def _await(there: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not there():
        assert time.monotonic() < until
        time.sleep(0.05)


def _resident(pid: int, what: str) -> int:
    """Bytes; VmHWM is the most there ever were."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} tells no {what}")


# --------------------------------------------------------------------------------------------------------------- main


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure `flow up` beside kubectl and Helm.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--quick", action="store_true", help="one round, fewer services: does it work, and roughly how fast"
    )
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--only", choices=("times", "requests", "worker"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time there")
    given = parser.parse_args()
    os.environ["KUBECONFIG"] = os.environ["FLEETFLOW_TEST_PLANE"]  # for every tool that is started
    cluster = Cluster(Path(os.environ["FLEETFLOW_TEST_PLANE"]))
    print(f"{machine()}\nKubernetes {cluster.ask('GET', '/version')[1]['gitVersion']}", flush=True)

    with tempfile.TemporaryDirectory(prefix="ff-bench-") as temporary:
        folder = Path(temporary)
        services = 10 if given.quick else given.services
        tools: list[Tool] = [Flow(Fleet(folder / "flow", services))]
        if not given.without_peers:
            tools.append(Kubectl(_peer("kubectl"), Fleet(folder / "kubectl", services)))
            tools.append(Helm(_peer("helm"), Fleet(folder / "helm", services)))
        print(", ".join(tool.version() for tool in tools))
        if given.only in {None, "times"}:
            rounds = 1 if given.quick else given.rounds
            print(f"{services} services, each a Deployment, a Service and a ConfigMap; medians of {rounds}")
            times = measured(cluster, tools, rounds)
            tell_times(times, tools)
            if given.json:
                given.json.write_text(json.dumps(times, indent=2) + "\n", encoding="utf-8")
        with witness(cluster, folder) as seen:
            if given.only in {None, "requests"}:
                count_requests(cluster, seen, tools)
                count_waiting(cluster, seen, folder)
            if given.only in {None, "worker"}:
                measure_worker(cluster, seen, folder, (20, 100) if given.quick else (100, 500))


def _peer(name: str) -> str:
    return _output_of_build([str(ROOT / "bench" / "peers" / name)])


def _output_of_build(command: Sequence[str]) -> str:
    """What it says on the way is shown: a build takes minutes."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=1800, check=True).stdout.strip()


if __name__ == "__main__":
    main()
