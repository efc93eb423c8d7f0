# SPDX-License-Identifier: Apache-2.0
"""`--json` of every command, well and badly, through real runs and workers: each line is what the schema says, and no more."""

import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from fleetflow_tasks.cli.commands import COMMANDS
from fleetflow_tasks.testing.cloudrun import Server
from fleetflow_tasks.view.contract import VERSION
from fleetflow_tasks.view.contract.printed import PRINTED, RUN_LINES
from tests.desk import Desk, Running, state_folder
from tests.printed import Line, checked

from .stage import PROJECT, REGION

FLEET = """
variables {{ API "ready:1ms" }}
service "api" {{ image "scripted/{{{{ API }}}}"; port container=8080; retries 0; cloudrun {{ public #true }} }}
service "web" {{ image "scripted/ready:1ms"; port container=8080; depends_on "api" }}
stage "prd" {{
    runtime "cloudrun" {{ project "{project}"; region "{region}" }}
    service "api"; service "web"
}}
stage "dr" {{
    runtime "cloudrun" {{ project "{project}"; region "{region}" }}
    service "api"; service "web"
}}
"""
NOBODY = "unix:///nobody-listens.sock"


class Shop:
    """A user who reads what `flow` prints by a program that takes the schema at its word."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def told(self, command: str, *arguments: str, code: int = 0, cut_off: bool = False) -> list[Line]:
        """What `flow COMMAND … --json` prints, which ends with *code*. cut_off: where no Redis is."""
        words = (command, *arguments, "--json")
        done = self.desk.flow(*words, FLEETFLOW_REDIS_URL=NOBODY) if cut_off else self.desk.flow(*words)
        assert done.code == code, done
        return self.read(command, done.out)

    def read(self, command: str, out: str) -> list[Line]:
        lines = checked(out)
        assert {line["type"] for line in lines} <= {*PRINTED[command], "problems"}
        return lines

    def one(self, command: str, *arguments: str, code: int = 0, cut_off: bool = False) -> Line:
        """As `told`, of which there is one line."""
        (line,) = self.told(command, *arguments, code=code, cut_off=cut_off)
        return line

    def refused(self, command: str, *arguments: str, code: int, cut_off: bool = False) -> list[str]:
        """The codes of what is wrong, which is the last line, and says the exit code."""
        *_, last = self.told(command, *arguments, code=code, cut_off=cut_off)
        assert (last["type"], last["exit_code"]) == ("problems", code)
        return [problem["code"] for problem in last["problems"]]

    def run(self, command: str, *arguments: str, code: int = 0, cut_off: bool = False) -> Line:
        """The end of a run that was followed from its beginning."""
        first, *events, last = self.told(command, *arguments, code=code, cut_off=cut_off)
        assert (first["type"], last["type"]) == ("snapshot", "end")
        assert {line["run"] for line in (first, *events, last)} == {first["run"]}
        assert {line["type"] for line in events} <= set(RUN_LINES)
        assert events[-1]["type"] == "run.ended"
        return last

    def break_files(self) -> None:
        self.desk.write('service "api" { imagee "x:1" }\nstage "prd" { service "api"')

    def worker(self) -> Running:
        worker = self.desk.start("worker", "cloudrun")
        worker.until("worker.ready")
        return worker


@pytest.fixture
def shop(tmp_path: Path, server: Server) -> Iterator[Shop]:
    with state_folder() as state:
        desk = Desk(tmp_path, state)
        desk.environ |= server.environ()
        desk.write(FLEET.format(project=PROJECT, region=REGION))
        yield Shop(desk)
        desk.close()


def _up(shop: Shop) -> None:
    assert shop.run("up", "prd")["services"] == {"ready": 2}
    again = shop.one("up", "prd")
    failed = shop.run("up", "prd", "--var", "API=crash:3", code=1)
    shop.break_files()

    assert (again["type"], again["total"]) == ("plan", {"none": 2})
    assert (failed["status"], failed["services"]) == ("failed", {"failed": 1, "skipped": 1})
    assert shop.refused("up", "prd", code=3)


def _submit(shop: Shop) -> None:
    assert shop.refused("submit", "prd", "--no-wait", code=4) == ["no-worker"]
    shop.worker()

    handed = shop.one("submit", "prd", "--idempotency-key=1")
    ended = shop.run("watch", handed["run"])
    again = shop.one("submit", "prd", "--idempotency-key=1")

    assert (handed["status"], handed["repeated"]) == ("running", False)
    assert (ended["status"], again["run"], again["repeated"]) == ("succeeded", handed["run"], True)
    assert shop.refused("submit", "prd", code=4, cut_off=True)


def _watch(shop: Shop) -> None:
    shop.told("up", "prd")

    first, last = shop.told("watch")

    assert (first["type"], last["type"]) == ("snapshot", "end")
    assert shop.refused("watch", "nothing-like-it", code=5) == ["run-not-found"]


def _runs(shop: Shop) -> None:
    shop.told("up", "prd")

    (run,) = shop.one("runs")["runs"]

    assert (run["stage"], run["status"], run["problem"]) == ("prd", "succeeded", None)
    assert shop.refused("runs", code=4, cut_off=True)


def _show(shop: Shop) -> None:
    shop.told("up", "prd", "--var", "API=crash:3", code=1)

    told = shop.one("show")

    assert {step["step"]: step["status"] for step in told["steps"]}["api:deploy"] == "failed"
    assert [service["image"] for service in told["services"]] == ["scripted/crash:3", "scripted/ready:1ms"]
    assert shop.refused("show", "nothing-like-it", code=5) == ["run-not-found"]


def _queue(shop: Shop) -> None:
    shop.one("submit", "prd", "--wait-workers")

    (stage,) = shop.one("queue")["stages"]

    assert [each["why"] for each in stage["waits"]] == ["no-worker"]
    assert shop.refused("queue", code=4, cut_off=True)


def _cancel(shop: Shop) -> None:
    run = shop.one("submit", "prd", "--wait-workers")["run"]

    assert shop.one("cancel", run)["status"] == "cancelled"
    assert shop.refused("cancel", "xy", code=5)


def _retry(shop: Shop) -> None:
    shop.worker()
    run = shop.told("submit", "prd", "--wait", "--var", "API=crash:3", code=1)[-1]["run"]

    again = shop.run("retry", run, "--wait", code=1)

    assert again["because"] == {"kind": "retry", "run": run, "plan": run}
    assert shop.refused("retry", run, code=5)


def _rollback(shop: Shop) -> None:
    shop.told("up", "prd")
    shop.told("up", "prd", "--var", "API=ready:2ms")

    planned = shop.one("rollback", "--dry-run")
    first, *lines = shop.told("rollback")

    assert [each["fields"][0]["new"] for each in planned["differences"] if each["fields"]] == ["scripted/ready:1ms"]
    assert (first["type"], lines[-1]["type"], lines[-1]["because"]["kind"]) == ("rollback-plan", "end", "rollback")
    assert shop.refused("rollback", "shop/none", code=5)


def _promote(shop: Shop) -> None:
    shop.told("up", "prd", "--var", f"API=ready:1ms@sha256:{'ab' * 32}")
    shop.worker()

    planned = shop.one("promote", "--from=prd", "--to=dr", "--only=api", "--dry-run")
    first, second = shop.told("promote", "--from=prd", "--to=dr", "--only=api")

    assert (planned["from"], planned["to"], sorted(planned["images"])) == ("prd", "dr", ["api"])
    assert ([first["type"], second["type"]], second["because"]["kind"]) == (["promotion", "run"], "promote")
    assert shop.refused("promote", "--from=dr", "--to=dr", code=5) == ["promote-same"]


def _promote_traffic(shop: Shop) -> None:
    shop.told("up", "prd")
    shop.told("up", "prd", "--var", "API=ready:2ms", "--canary=10")

    planned = shop.one("promote-traffic", "--to=50", "--dry-run")
    first, *lines = shop.told("promote-traffic")

    assert planned["total"]["update"] == 1
    assert (first["type"], lines[0]["type"], lines[-1]["status"]) == ("plan", "snapshot", "succeeded")
    assert shop.refused("promote-traffic", code=5)


def _ps(shop: Shop) -> None:
    shop.told("up", "prd")

    told = shop.one("ps", "prd")

    assert [(each["service"], each["state"], each["drift"]) for each in told["services"]] == [
        ("api", "running", False),
        ("web", "running", False),
    ]
    assert shop.refused("ps", "nowhere", code=3)


def _logs(shop: Shop) -> None:
    shop.told("up", "prd")

    lines = shop.told("logs", "api", "-s", "prd")

    assert "started: scripted/ready:1ms" in [line["text"] for line in lines]
    assert shop.refused("logs", "nobody", "-s", "prd", code=3)


def _exec(shop: Shop) -> None:
    done = shop.desk.flow("exec", "api", "--json", "--", "true")

    assert [line["problems"][0]["code"] for line in shop.read("exec", done.out)] == ["usage"]


def _port_forward(shop: Shop) -> None:
    assert shop.refused("port-forward", "api", "http", "-s", "prd", code=2) == ["usage"]
    assert shop.refused("port-forward", "api", ":80", "-s", "prd", code=4)


def _down(shop: Shop) -> None:
    shop.told("up", "prd")

    assert shop.run("down", "prd")["services"] == {"removed": 2}
    assert shop.refused("down", "nowhere", code=3)


def _plan(shop: Shop) -> None:
    assert shop.one("plan", "prd")["total"] == {"create": 2}
    assert shop.one("plan", "prd", "--exit-code", code=1)["type"] == "plan"
    shop.desk.write(FLEET.format(project=PROJECT, region=REGION).replace('"prd" {', '"prd" { colour "red";', 1))

    assert [each["code"] for each in shop.one("plan", "prd")["warnings"]] == ["unknown-node"]
    assert shop.refused("plan", "prd", "--strict", code=3) == ["unknown-node"]


def _diff(shop: Shop) -> None:
    told = shop.one("diff", "prd", code=1)

    assert (told["differs"], [each["kind"] for each in told["changes"]]) == (True, ["create", "create"])
    assert shop.refused("diff", "nowhere", code=3)


def _render(shop: Shop) -> None:
    told = shop.one("render", "prd")
    wrote = shop.one("render", "prd", "-o", "out")

    assert {"api.yaml", "api.json"} <= {file["name"] for file in told["files"]}
    assert set(wrote["changed"]) == {file["name"] for file in told["files"]}
    assert shop.refused("render", "prd", "-o", "fleet.kdl", code=5) == ["render-no-folder"]


def _import(shop: Shop) -> None:
    (shop.desk.folder / "service.json").write_text(
        '{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "api"},'
        ' "spec": {"template": {"spec": {"containers": [{"image": "shop/api:1"}]}}}}'
    )

    told = shop.one("import", "cloudrun", "service.json")

    assert 'service "api"' in told["kdl"]
    assert shop.refused("import", "cloudrun", "none.json", code=3) == ["import-file"]


def _config(shop: Shop) -> None:
    told = shop.one("config", "prd")
    variables = shop.one("config", "prd", "--variables")

    assert told["services"]["api"]["image"]["value"] == "scripted/ready:1ms"
    assert [each["name"] for each in variables["variables"] if each["users"]] == ["API"]
    assert shop.refused("config", "nowhere", code=3)


def _build(shop: Shop) -> None:
    assert shop.refused("build", "prd", code=3) == ["build-nothing"]


def _fmt(shop: Shop) -> None:
    would = shop.one("fmt", "--check", code=1)
    written = shop.one("fmt")
    shop.break_files()
    wrong = shop.one("fmt", code=3)

    assert (would["written"], would["changed"]) == (False, ["fleet.kdl"])
    assert (written["written"], written["changed"]) == (True, ["fleet.kdl"])
    assert wrong["problems"][0]["severity"] == "error"
    assert shop.refused("fmt", "-", code=2) == ["usage"]


def _restart(shop: Shop) -> None:
    shop.told("up", "prd")

    assert shop.run("restart", "prd")["services"] == {"ready": 2}
    assert shop.refused("restart", "nowhere", code=3)


def _validate(shop: Shop) -> None:
    told = shop.one("validate")
    shop.break_files()
    wrong = shop.one("validate", code=3)

    assert (told["valid"], told["stages"], told["problems"]) == (True, ["prd", "dr"], [])
    assert (wrong["valid"], wrong["problems"][0]["place"]["file"]) == (False, "fleet.kdl")


def _graph(shop: Shop) -> None:
    told = shop.one("graph", "prd")
    shop.break_files()

    assert told["critical_path"][-2:] == ["web:deploy", "stage:prune"]
    assert shop.refused("graph", "prd", code=3)


def _doctor(shop: Shop) -> None:
    assert shop.one("doctor", "prd")["ok"] is True
    assert shop.one("doctor", "prd", code=4, cut_off=True)["ok"] is False


def _init(shop: Shop) -> None:
    assert shop.refused("init", "--no-input", code=2) == ["usage"]


def _completion(shop: Shop) -> None:
    assert shop.refused("completion", "bash", code=2) == ["usage"]


def _version(shop: Shop) -> None:
    assert shop.one("version")["json"] == VERSION


def _worker(shop: Shop) -> None:
    assert shop.refused("worker", "cloudrun", code=2) == ["usage"]


CASES: Mapping[str, Callable[[Shop], None]] = {
    "up": _up,
    "submit": _submit,
    "watch": _watch,
    "runs": _runs,
    "show": _show,
    "queue": _queue,
    "cancel": _cancel,
    "retry": _retry,
    "rollback": _rollback,
    "promote": _promote,
    "promote-traffic": _promote_traffic,
    "ps": _ps,
    "logs": _logs,
    "exec": _exec,
    "port-forward": _port_forward,
    "down": _down,
    "plan": _plan,
    "diff": _diff,
    "render": _render,
    "import": _import,
    "config": _config,
    "build": _build,
    "fmt": _fmt,
    "restart": _restart,
    "validate": _validate,
    "graph": _graph,
    "doctor": _doctor,
    "worker": _worker,
    "init": _init,
    "completion": _completion,
    "version": _version,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_what_is_published(shop: Shop, command: str) -> None:
    CASES[command](shop)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_line_that_is_wrong_is_told_as_json_too(shop: Shop, command: str) -> None:
    assert shop.refused(command, "--no-such-option", code=2) == ["usage"]


def test_a_run_that_is_rolled_back_is_followed_to_the_end_of_that(shop: Shop) -> None:
    shop.worker()
    good = shop.run("submit", "prd", "--wait")["run"]

    lines = shop.told("submit", "prd", "--wait", "--rollback", "--var", "API=crash:3", code=1)

    (told,) = (line for line in lines if line["type"] == "rollback")
    at = lines.index(told)
    assert (told["run"], told["to"], lines[at - 1]["status"]) == (lines[0]["run"], good, "failed")
    assert {line["run"] for line in lines[at + 1 :]} == {told["by"]}
    assert (lines[at + 1]["type"], lines[-1]["type"], lines[-1]["status"]) == ("snapshot", "end", "succeeded")


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_ends_with_a_whole_line_that_says_so(shop: Shop, by: signal.Signals, code: int) -> None:
    shop.worker()
    following = shop.desk.start("submit", "prd", "--wait", "--var", "API=slow:60s", "--json")
    following.until("step.moved.*api:deploy")

    following.process.send_signal(by)
    ended = following.wait()

    # stdout and stderr are one file here: what is for people is no JSON.
    *_, last = shop.read("submit", "\n".join(line for line in ended.out.splitlines() if line.startswith("{")))
    (problem,) = last["problems"]
    assert (ended.code, last["exit_code"], problem["code"]) == (code, code, "interrupted")
    assert problem["message"] == f"interrupted by {by.name}"
    assert "the run goes on" in problem["cause"][0]
