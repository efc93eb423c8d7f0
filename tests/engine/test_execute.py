# SPDX-License-Identifier: Apache-2.0
"""One step, carried out in this process on a real store: how it can end, and what is written down about it."""

import base64
import json
import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import msgspec
import pytest
import redis

from fleetflow_tasks.config.model import RuntimeName, Secret, StageName
from fleetflow_tasks.engine.dispatch import ago, kept_safe, submit
from fleetflow_tasks.engine.execute import Opened, Plans, execute, once_each
from fleetflow_tasks.engine.hide import hider
from fleetflow_tasks.engine.lease import Leases
from fleetflow_tasks.engine.logs import JsonLines
from fleetflow_tasks.engine.model import Claim, Hint, Noted, RunId, StepState, WorkerId, WorkerInfo, new_run_id
from fleetflow_tasks.engine.pin import KEPT, Pins
from fleetflow_tasks.engine.retry import backoff, retry_in
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.engine.tidy import TIDY, follow_tidy
from fleetflow_tasks.errors import PlanError, Problem, RefusedError, UnavailableError
from fleetflow_tasks.plan.codec import Keys, parse_key, seal
from fleetflow_tasks.plan.model import SCHEMA, Plan, QueueName, Step, StepId
from fleetflow_tasks.runtimes.base import Attempt, DeployError, Outcome, Runtime, StaleError, Stopped
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour, RecordingRuntime
from tests.engine.conftest import BINARIES, Server, plan_of, running

KEYS = Keys(current=parse_key("a key of the tests, long enough to be one"))
DOCKER = QueueName("docker")
DOCKER_RUNTIME = RuntimeName("docker")
SOLO = plan_of("db:deploy")
SHOP = plan_of("db:deploy", "api:deploy <- db:deploy", "web:deploy <- db:deploy")


class Bed:
    def __init__(self, url: str, folder: Path, *, lease: float = 3.0) -> None:
        self.url = url
        self.store = Store.connect(url, client_name="ff-test", lease=lease)
        self.store.beat(WorkerInfo(id=WorkerId("w"), host="here", pid=1, queues=(DOCKER,), slots=8, keys=KEYS.ids))
        self.world = RecordingRuntime(folder)
        self.runtimes: Callable[[RuntimeName], Runtime] = lambda _: self.world
        self.leases = Leases(self.store, renew=0.2)
        self.leases.start()
        self.hints: list[str] = []

    def submit(self, plan: Plan = SHOP, *, adopt: bool = False) -> RunId:
        run = new_run_id()
        submit(plan, run=run, store=self.store, keys=KEYS, publish=lambda _: None, actor="tests", adopt=adopt)
        return run

    def publish(self, hint: Hint) -> None:
        self.hints.append(hint.step)

    def engine(self, identity: str) -> None:
        """Which one answers from now on; "": one that does not say."""
        (self.world.folder / "engine").write_text(identity, encoding="ascii")

    def ended(self, plan: Plan, *, adopt: bool = False) -> tuple[str, str]:
        """A run of one step, and what its problem was."""
        run = self.submit(plan, adopt=adopt)
        self.execute(run)
        stored = self.stored(run)
        return stored.status, stored.problem.message if stored.problem is not None else ""

    def execute(self, run: RunId, step: str = "db:deploy", pins: Pins | None = None) -> StepState | None:
        return execute(
            run,
            StepId(step),
            store=self.store,
            plans=Plans(self.store, KEYS),
            runtimes=self.runtimes,
            pins=pins or Pins(self.store),
            publish=self.publish,
            worker=WorkerId("w"),
            leases=self.leases,
        )

    def tidy(self, run: RunId, queue: str) -> None:
        plans = Plans(self.store, KEYS)
        follow_tidy(run, [QueueName(queue)], store=self.store, plans=plans, runtimes=self.runtimes)

    def tidied(self) -> list[str]:
        return [line.removeprefix("tidy ") for line in self.world.journal() if line.startswith("tidy ")]

    def stored(self, run: RunId, step: str = "db:deploy") -> StepState:
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return next(each for each in snapshot.steps if each.step == step)

    def close(self) -> None:
        self.leases.stop()
        self.store.close()


@pytest.fixture
def bed(redis_server: Server, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(redis_server.database(), tmp_path)) as bed:
        yield bed


def test_a_step_carried_out_hints_at_what_may_start_after_it(bed: Bed) -> None:
    run = bed.submit()

    state = bed.execute(run)

    assert state is not None
    assert (state.status, state.outcome and state.outcome.text) == ("succeeded", "made")
    assert sorted(bed.hints) == ["api:deploy", "web:deploy"]


def test_a_restart_is_asked_of_the_runtime_and_of_one_that_cannot_it_is_said_so(bed: Bed) -> None:
    plan = plan_of("db:restart", "api:restart <- db:restart")
    first = bed.execute(bed.submit(plan), "db:restart")

    bed.world.restart = None  # type: ignore[assignment, method-assign]  # as a runtime of another package has none
    second = bed.execute(bed.submit(plan_of("db:restart", stage="other")), "db:restart")

    assert (first and first.outcome and first.outcome.text) == "not there"
    assert bed.world.count("restarted", "db:restart") == 1
    assert second is not None
    assert second.status == "failed"
    assert second.problem is not None
    assert second.problem.message == "the runtime `recording` offers no way to restart what runs"


def test_what_is_told_is_what_is_stored(bed: Bed) -> None:
    for behaviour, status in (
        (Behaviour(), "succeeded"),
        (Behaviour(fail=-1, transient=False), "failed"),
        (Behaviour(fail=-1), "delayed"),
        (Behaviour(crash=True), "failed"),
    ):
        bed.world.behave(db__deploy=behaviour)
        run = bed.submit(plan_of("db:deploy", stage=f"{status}-{behaviour.crash}".lower()))

        told, stored = bed.execute(run), bed.stored(run)

        assert told is not None
        assert told.status == stored.status == status
        assert (told.attempt, told.fence, told.outcome, told.problem) == (
            stored.attempt,
            stored.fence,
            stored.outcome,
            stored.problem,
        )


def test_the_last_try_that_fails_is_told_as_failed(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=-1))
    run = bed.submit(plan_of("db:deploy retries=0"))

    state = bed.execute(run)

    assert state is not None
    assert state.status == bed.stored(run).status == "failed"


def test_a_hint_for_what_is_not_ready_taken_or_unknown_is_followed_nowhere(bed: Bed) -> None:
    run = bed.submit()

    assert bed.execute(run, "api:deploy") is None
    assert bed.execute(run, "nobody:deploy") is None
    assert bed.execute(new_run_id()) is None
    assert bed.execute(run) is not None
    assert bed.execute(run) is None
    assert bed.world.count("begin", "db:deploy") == 1


def test_two_that_follow_the_same_hint_do_the_step_once(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=0.3))
    run = bed.submit()
    threads = [threading.Thread(target=bed.execute, args=(run,)) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bed.world.count("begin", "db:deploy") == 1


def test_a_runtime_that_is_not_there_fails_the_step_in_its_words(bed: Bed) -> None:
    def missing(name: RuntimeName) -> Runtime:
        raise PlanError(Problem(code="unknown-runtime", message=f"no runtime is called `{name}`"))

    bed.runtimes = missing
    run = bed.submit()

    bed.execute(run)

    problem = bed.stored(run).problem
    assert problem is not None
    assert problem.message == "no runtime is called `docker`"


def test_the_step_that_ends_a_run_badly_hints_at_what_the_run_leaves_behind(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False))
    run = bed.submit()

    bed.execute(run)

    assert bed.hints == [TIDY]


def test_who_follows_that_hint_tidies_with_the_runtimes_that_it_serves(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False))
    run = bed.submit()
    bed.execute(run)

    bed.tidy(run, "docker.elsewhere")
    untouched = bed.tidied()
    bed.tidy(run, "docker")

    assert (untouched, bed.tidied()) == ([], [run])


def test_a_run_that_goes_on_went_well_or_is_unknown_is_left_as_it_is(bed: Bed) -> None:
    bed.world.behave(api__deploy=Behaviour(fail=-1, transient=False))
    run, well = bed.submit(), bed.submit(plan_of("db:deploy", stage="dev"))
    bed.execute(run)
    bed.execute(well)

    for each in (run, well, new_run_id()):
        bed.tidy(each, "docker")

    assert bed.tidied() == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ZeroDivisionError("nobody foresaw this"), "nobody foresaw this"),
        (DeployError(Problem(code="x", message="the Engine does not answer")), "the Engine does not answer"),
    ],
)
def test_a_runtime_that_cannot_tidy_stops_nobody(
    bed: Bed, tmp_path: Path, error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Untidy(RecordingRuntime):
        def tidy(self, plan: Plan, run: str) -> Outcome:
            raise error

    bed.runtimes = lambda _: Untidy(tmp_path)
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False))
    run = bed.submit()
    bed.execute(run)

    bed.tidy(run, "docker")

    assert [(record.message, vars(record)["problem"]) for record in caplog.records] == [("run.untidy", told)]


def test_the_traceback_of_a_runtime_that_cannot_tidy_holds_no_secret(
    bed: Bed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Untidy(RecordingRuntime):
        def tidy(self, plan: Plan, run: str) -> Outcome:
            raise RuntimeError("login with hunter2! failed")

    bed.runtimes = lambda _: Untidy(tmp_path)
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False))
    run = bed.submit(_with_secrets(SHOP))
    bed.execute(run)

    bed.tidy(run, "docker")

    record = next(record for record in caplog.records if record.message == "run.untidy")
    assert vars(record)["problem"] == "login with [hidden] failed"
    assert vars(record)["traceback"].endswith("RuntimeError: login with [hidden] failed\n")
    assert "hunter2" not in JsonLines().format(record)


def test_a_step_that_was_not_sealed_with_the_plan_is_refused_in_words(bed: Bed) -> None:
    run = new_run_id()
    bed.store.submit(run, plan_of("db:deploy", "zz:deploy"), seal(SOLO, KEYS, run), actor="tests")

    bed.execute(run, "zz:deploy")

    problem = bed.stored(run, "zz:deploy").problem
    assert problem is not None
    assert (problem.code, problem.cause[0]) == (
        "state-damaged",
        "step `zz:deploy`, which its run's plan does not hold",
    )
    assert bed.world.journal() == []


def test_a_plan_that_cannot_be_read_fails_the_step(bed: Bed) -> None:
    run = new_run_id()
    bed.store.submit(run, SHOP, b'{"schema": "one"}\nnothing', actor="tests")

    bed.execute(run)

    assert bed.stored(run).status == "failed"
    assert bed.stored(run).problem is not None


def test_a_hint_that_cannot_be_sent_takes_nothing_from_the_step(bed: Bed) -> None:
    def deaf(hint: Hint) -> None:
        raise UnavailableError(Problem(code="redis-away", message="no"))

    bed.publish = deaf  # type: ignore[method-assign]  # a queue that is away
    run = bed.submit()

    state = bed.execute(run)

    assert state is not None
    assert state.status == bed.stored(run).status == "succeeded"


def test_a_worker_that_leaves_gives_the_step_back(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    run = bed.submit(plan_of("db:deploy"))
    thread = threading.Thread(target=bed.execute, args=(run,))
    thread.start()
    eventually(lambda: bed.world.count("begin", "db:deploy") > 0)

    bed.leases.drain("waiting")
    thread.join(20)

    assert (bed.stored(run).status, bed.hints) == ("ready", ["db:deploy"])


def test_the_end_of_a_step_is_told_when_redis_is_back(tmp_path: Path) -> None:
    with running(BINARIES["redis"]()) as server, closing(Bed(f"unix://{server.socket}", tmp_path)) as bed:
        bed.world.behave(db__deploy=Behaviour(deaf=0.7))
        run = bed.submit(plan_of("db:deploy"))
        states: list[StepState | None] = []
        thread = threading.Thread(target=lambda: states.append(bed.execute(run)))
        thread.start()
        eventually(lambda: bed.world.count("begin", "db:deploy") > 0)

        os.kill(server.pid, signal.SIGSTOP)
        threading.Event().wait(1.5)
        os.kill(server.pid, signal.SIGCONT)
        thread.join(30)

        assert [state and state.status for state in states] == ["succeeded"]
        assert bed.stored(run).attempt == 1


def test_a_stage_stays_on_the_engine_that_it_was_first_deployed_to(bed: Bed) -> None:
    bed.engine("one")
    assert bed.ended(SOLO) == ("succeeded", "")
    bed.engine("two")

    assert bed.ended(SOLO) == (
        "failed",
        "stage `shop/local` is on another engine: `one`, and here is `two`",
    )
    assert bed.world.count("begin", "db:deploy") == 1
    bed.engine("one")
    assert bed.ended(SOLO) == ("succeeded", "")


def test_a_stage_is_taken_to_another_engine_by_who_says_so(bed: Bed) -> None:
    bed.engine("one")
    bed.ended(SOLO)
    bed.engine("two")

    assert bed.ended(SOLO, adopt=True) == ("succeeded", "")
    assert bed.ended(SOLO) == ("succeeded", "")
    bed.engine("one")
    assert bed.ended(SOLO)[0] == "failed"


def test_each_stage_and_each_queue_has_an_engine_of_its_own(bed: Bed) -> None:
    bed.engine("one")
    bed.ended(SOLO)
    bed.engine("two")

    assert bed.ended(plan_of("db:deploy", stage="dev")) == ("succeeded", "")
    elsewhere = msgspec.structs.replace(SOLO, options={"docker": {"host": "web2"}})
    assert bed.ended(elsewhere) == ("succeeded", "")


def test_an_engine_that_cannot_say_who_it_is_is_taken_as_it_is(bed: Bed) -> None:
    bed.engine("one")
    bed.ended(SOLO)
    bed.engine("")

    assert bed.ended(SOLO) == ("succeeded", "")


def test_another_engine_that_takes_the_place_of_the_first_amid_a_run_is_noticed(bed: Bed) -> None:
    bed.engine("one")
    run = bed.submit(plan_of("db:deploy retries=0", "api:deploy retries=0"))
    pins = Pins(bed.store)
    bed.execute(run, "db:deploy", pins)
    bed.engine("two")

    state = bed.execute(run, "api:deploy", pins)

    assert state is not None
    assert (state.status, state.problem and state.problem.code) == ("failed", "other-engine")


def test_an_engine_that_does_not_answer_is_asked_again_by_the_next_attempt(bed: Bed, tmp_path: Path) -> None:
    class Away(RecordingRuntime):
        answers = iter([False, True])

        def identity(self, plan: Plan) -> str:
            if not next(self.answers):
                raise UnavailableError(Problem(code="engine-away", message="the Engine does not answer"))
            return "one"

    bed.runtimes = once_each(lambda _: Away(tmp_path))
    run = bed.submit(SOLO)

    first = bed.execute(run)

    assert first is not None
    assert (first.status, first.problem and first.problem.message) == ("delayed", "the Engine does not answer")
    eventually(lambda: bed.store.due(SOLO.project, SOLO.stage).hints and bed.execute(run), within=30)
    assert bed.stored(run).status == "succeeded"


class Switch(RecordingRuntime):
    """Turns something off in the moment in which it is asked who it is."""

    def __init__(self, folder: Path, off: Callable[[], object]) -> None:
        super().__init__(folder)
        self._off = off

    def identity(self, plan: Plan) -> str:
        self._off()
        return "one"


def test_a_redis_that_is_away_when_the_engine_is_to_be_kept_costs_no_step(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running(BINARIES["redis"]()))
        bed = stack.enter_context(closing(Bed(server.database(), tmp_path, lease=60)))
        client = stack.enter_context(closing(redis.Redis(unix_socket_path=str(server.socket))))
        client.ping()  # it is connected while others find nobody
        hidden = server.socket.with_name("hidden")

        def away() -> None:
            server.socket.rename(hidden)
            client.client_kill_filter(_type="normal", skipme=True)
            threading.Timer(1.0, hidden.rename, [server.socket]).start()

        bed.runtimes = once_each(lambda _: Switch(tmp_path, away))
        run = bed.submit(plan_of("db:deploy retries=0"))

        state = bed.execute(run)

        assert state is not None
        assert (state.status, state.attempt) == ("succeeded", 1), state.problem
        assert client.select(1)
        assert client.hget("ff:{shop/local}:stage", "engine:docker") == b"one"


@pytest.mark.parametrize("kept", ["one", ""])
def test_a_full_redis_stops_no_step_whose_engine_is_known_or_not(tmp_path: Path, kept: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running(BINARIES["redis"]()))
        bed = stack.enter_context(closing(Bed(server.database(), tmp_path)))
        client = stack.enter_context(closing(redis.Redis(unix_socket_path=str(server.socket))))
        if kept:
            bed.store.pin_engine(SOLO.project, SOLO.stage, DOCKER, kept)
        bed.runtimes = once_each(lambda _: Switch(tmp_path, lambda: client.config_set("maxmemory", 1)))
        run = bed.submit(plan_of("db:deploy retries=0"))

        state = bed.execute(run)

        assert state is not None
        assert state.status == "succeeded", state.problem
        assert bed.store.pin_engine(SOLO.project, SOLO.stage, DOCKER, "two") == "one"


def test_who_has_a_plan_does_not_wait_for_one_that_is_being_fetched(tmp_path: Path) -> None:
    with running(BINARIES["redis"]()) as server, closing(Bed(server.database(), tmp_path)) as bed:
        kept, other = bed.submit(), bed.submit(plan_of("db:deploy", stage="dev"))
        plans = Plans(bed.store, KEYS)
        plans.opened(kept, SHOP.project, SHOP.stage)
        bed.store.run(other)
        found: list[Opened | None] = []
        fetching = threading.Thread(target=plans.opened, args=(other, SHOP.project, StageName("dev")), daemon=True)
        asking = threading.Thread(target=lambda: found.append(plans.opened(kept, SHOP.project, SHOP.stage)))
        os.kill(server.pid, signal.SIGSTOP)
        try:
            fetching.start()
            fetching.join(0.3)  # time to get there; it stays there until the server goes on, or for ten seconds

            asking.start()
            asking.join(4)
            answered = fetching.is_alive() and not asking.is_alive()
        finally:
            os.kill(server.pid, signal.SIGCONT)
        fetching.join()
        asking.join()

        assert answered
        assert [each and each.plan for each in found] == [SHOP]


def test_a_step_given_back_by_who_lost_it_is_told_as_lost(bed: Bed) -> None:
    class Slow(RecordingRuntime):
        def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
            later.expire(plan.project, plan.stage)
            again = bed.store.claim(run, step.id, worker=WorkerId("another"), nonce="another", schema=SCHEMA)
            assert isinstance(again, Claim)
            raise Stopped("draining")

    bed.runtimes = lambda _: Slow(bed.world.folder)
    run = bed.submit(SOLO)

    with closing(Store.connect(bed.url, client_name="ff-test", clock=lambda: bed.store.now() + 3600)) as later:
        assert bed.execute(run) is None

    assert (bed.stored(run).status, bed.stored(run).worker) == ("running", "another")


def test_an_engine_is_compared_anew_for_every_run(bed: Bed) -> None:
    bed.engine("one")
    pins = Pins(bed.store)

    for _ in range(KEPT + 1):
        pins.check(new_run_id(), SOLO, DOCKER_RUNTIME, bed.world.identity(SOLO))

    bed.engine("two")
    with pytest.raises(RefusedError):
        pins.check(new_run_id(), SOLO, DOCKER_RUNTIME, bed.world.identity(SOLO))


SECRETS = {"PASSWORD": Secret("hunter2!"), "PIN": Secret("7"), "KEY": Secret("-----BEGIN\nMIIEvgIBADANBg\n-----END")}


@pytest.mark.parametrize(
    "error",
    [
        DeployError(
            Problem(
                code="x",
                message="cannot log in with hunter2!",
                cause=("it printed 7 lines, and MIIEvgIBADANBg",),
                fix="not hunter2!",
                more="flow logs hunter2!",
            )
        ),
        UnavailableError(Problem(code="x", message="nobody answers hunter2!")),
        ZeroDivisionError("hunter2! divided by 7"),
    ],
)
def test_what_a_runtime_says_goes_nowhere_with_a_secret_in_it(
    bed: Bed, tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Talker(RecordingRuntime):
        def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
            attempt.report("logging in with hunter2!")
            raise error

    caplog.set_level(logging.DEBUG)
    bed.runtimes = lambda _: Talker(tmp_path)
    run = bed.submit(_with_secrets(plan_of("db:deploy retries=0")))

    bed.execute(run)

    told = "".join(
        [*map(str, bed.store.events(run)), str(bed.stored(run)), *(str(vars(each)) for each in caplog.records)]
    )
    assert "[hidden]" in told
    assert "hunter2" not in told
    assert "MIIEvgIBADANBg" not in told
    assert bed.stored(run).status == "failed"


def test_what_went_well_is_told_without_secrets_too(bed: Bed, tmp_path: Path) -> None:
    class Talker(RecordingRuntime):
        def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
            return Outcome(changed=True, text="started with hunter2!", facts={"at": "http://hunter2!@db", "port": "7"})

    bed.runtimes = lambda _: Talker(tmp_path)
    run = bed.submit(_with_secrets(plan_of("db:deploy")))

    bed.execute(run)

    outcome = Outcome(changed=True, text="started with [hidden]", facts={"at": "http://[hidden]@db", "port": "7"})
    assert bed.stored(run).outcome == outcome


WRITTEN: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "in a path": quote,
    "in an address": lambda value: quote(value, safe=""),
    "in an address, in lower case": lambda value: re.sub("%..", lambda code: code[0].lower(), quote(value, safe="")),
    "in a form": quote_plus,
    "in JSON": json.dumps,
    "in JSON, not only ASCII": lambda value: json.dumps({"password": value}, ensure_ascii=False),
    "in a dump": lambda value: repr({"password": value}),
    "in a dump of bytes": lambda value: repr(value.encode()),
    "in base64": lambda value: base64.b64encode(value.encode()).decode(),
    "in base64 for addresses": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "amid base64": lambda value: base64.b64encode(f"user:{value}:x".encode()).decode(),
    "amid base64, one further": lambda value: base64.b64encode(f"users:{value}:x".encode()).decode(),
    "amid base64, two further": lambda value: base64.b64encode(f"a user:{value}:x".encode()).decode(),
}


@pytest.mark.parametrize("secret", ["p@ss word/1", "pa'ss\\w\"ord", "caf\u00e9?~>>", "two\nlines of it"])
@pytest.mark.parametrize("way", WRITTEN)
def test_a_secret_is_hidden_in_whatever_form_it_is_written(way: str, secret: str) -> None:
    hide = hider(_with_secrets(SOLO, PASSWORD=secret))
    written = WRITTEN[way](secret)

    hidden = hide(f"before {written} after")

    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert "[hidden]" in hidden
    longest = max((secret[at : at + 5] for at in range(len(secret) - 4)), key=hidden.count)
    assert longest not in hidden
    assert len(hidden) - len("before  after") <= len("[hidden]") + 30, hidden


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("it was given geheim-ca…", "it was given [hidden]…"),
        ("it was given geheim-ca … of it", "it was given [hidden] … of it"),
        ("it said … nary and more", "it said … [hidden] and more"),
        ("geheim-c…canary", "[hidden]…[hidden]"),
        ('"data": "Z2VoZWltLWNh…', '"data": "[hidden]…'),
        ("geheim-canary…", "[hidden]…"),
        ("geheim-ca, it said…", "geheim-ca, it said…"),
        ("geh… ary…", "geh… ary…"),
        ("…", "…"),
    ],
)
def test_a_piece_of_a_secret_that_a_runtime_has_cut_is_hidden(said: str, shown: str) -> None:
    assert hider(_with_secrets(SOLO, PASSWORD="geheim-canary"))(said) == shown


def test_too_short_a_secret_stays_visible_and_spoils_no_text() -> None:
    hide = hider(_with_secrets(SOLO, PIN="123", FLAG="1"))

    assert hide("it printed 123 lines, and MTIz") == "it printed 123 lines, and MTIz"


def _with_secrets(plan: Plan, **secrets: str) -> Plan:
    given = {name: Secret(value) for name, value in secrets.items()} or SECRETS
    services = tuple(msgspec.structs.replace(service, secrets=given) for service in plan.services)
    return msgspec.structs.replace(plan, services=services)


def test_a_redis_that_writes_a_file_but_cannot_say_how_far_it_is_is_taken_at_its_word(tmp_path: Path) -> None:
    binary = BINARIES["redis"]()  # of 7.0 it cannot, of 7.2 it does
    with running(binary, "--appendonly", "yes") as server, closing(Bed(server.database(), tmp_path / "safe")) as bed:
        bed.submit()
        assert kept_safe(bed.store) is None
    with running(binary) as server, closing(Bed(server.database(), tmp_path / "unsafe")) as bed:
        bed.submit()
        assert kept_safe(bed.store) is not None


def test_who_submits_is_told_what_a_power_cut_would_cost(tmp_path: Path) -> None:
    safe = ("--appendonly", "yes", "--appendfsync", "everysec")
    with running(BINARIES["valkey"](), *safe) as server, closing(Bed(server.database(), tmp_path / "safe")) as bed:
        bed.submit()
        assert kept_safe(bed.store) is None
    with running(BINARIES["valkey"]()) as server, closing(Bed(server.database(), tmp_path / "unsafe")) as bed:
        bed.submit()
        noted = kept_safe(bed.store)
        os.kill(server.pid, signal.SIGKILL)
        away = kept_safe(bed.store)

    assert noted is not None
    assert away is not None
    assert (noted.code, noted.severity, noted.message) == (
        "not-durable",
        "note",
        "the run is stored, but it would be lost if its Redis lost power, or failed over, in this moment",
    )
    assert noted.fix == "switch on `appendonly yes` there, or give it a replica and `min-replicas-to-write 1`"
    assert away.cause[0].startswith("Redis at unix://")


def test_a_run_whose_first_steps_cannot_be_announced_is_stored_and_says_so(bed: Bed) -> None:
    def lost(_: Hint) -> None:
        raise UnavailableError(Problem(code="redis-unreachable", message="Redis does not answer"))

    run = new_run_id()
    submit(SHOP, run=run, store=bed.store, keys=KEYS, publish=lost, actor="tests")

    assert bed.stored(run).status == "ready"
    assert [event.problem.code for event in bed.store.events(run) if isinstance(event, Noted)] == ["hint-unsent"]


def test_an_instance_of_a_runtime_serves_all_threads(tmp_path: Path) -> None:
    made: list[str] = []

    def make(name: RuntimeName) -> Runtime:
        made.append(name)
        return RecordingRuntime(tmp_path)

    runtimes = once_each(make)
    threads = [threading.Thread(target=runtimes, args=(RuntimeName("docker"),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made == ["docker"]


def test_waits_double_up_to_a_minute_and_are_drawn_from_the_whole_span() -> None:
    failure = DeployError(Problem(code="x", message="x"), transient=True)
    waits = [retry_in(failure, attempt=4) for _ in range(300)]

    assert [backoff(attempt) for attempt in (1, 2, 3, 7, 50)] == [1, 2, 4, 60, 60]
    assert all(wait is not None and 0 <= wait <= 8 for wait in waits)
    assert max(wait or 0 for wait in waits) > 6
    assert min(wait or 0 for wait in waits) < 2


def test_what_the_platform_asked_for_is_a_floor() -> None:
    failure = DeployError(Problem(code="x", message="x"), transient=True, retry_after=20)

    assert all(20 <= (retry_in(failure, attempt=1) or 0) <= 22 for _ in range(50))


@pytest.mark.parametrize(
    "failure",
    [
        DeployError(Problem(code="x", message="x")),
        StaleError(Problem(code="x", message="x")),
        PlanError(Problem(code="x", message="x")),
        ZeroDivisionError(),
    ],
)
def test_what_will_not_pass_is_not_tried_again(failure: Exception) -> None:
    assert retry_in(failure, attempt=1) is None


def test_time_is_told_in_one_unit() -> None:
    assert [ago(seconds) for seconds in (7, 200, 3 * 3600, 5 * 86400)] == ["7 s", "3 min", "3 h", "5 days"]
