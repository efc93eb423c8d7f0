# SPDX-License-Identifier: Apache-2.0
"""A revision asked before its first visitor: what counts as well, what cannot be asked, and with whose token."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fleetflow_tasks.config.model import Readiness, ServiceName
from fleetflow_tasks.runtimes.base import Stopped
from fleetflow_tasks.runtimes.cloudrun.canary import Before, Canary
from fleetflow_tasks.runtimes.cloudrun.credentials import wallet
from fleetflow_tasks.runtimes.cloudrun.trial import Question, asked, bad
from fleetflow_tasks.runtimes.ready import Broken, Ready
from fleetflow_tasks.testing.trial import Trial

from .issuer import Answer, issuer

AUDIENCE = "https://api.run.example"


class Revision:
    """answers: the statuses that it gives, one after the other; the last one again and again. asked: paths and tokens."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.answers = [200]
        self.asked: list[str] = []

    def answered(self, path: str, token: str) -> int:
        self.asked.append(f"{path} {token}".rstrip())
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def question(self, *, checked: bool = False, inside: bool = False, timeout: float = 0.0) -> Question:
        readiness = Readiness(path="/health", timeout=timeout, interval=0.01)
        return Question(uri=f"{self.url}/", audience=AUDIENCE, readiness=readiness, checked=checked, inside=inside)


@pytest.fixture
def revision() -> Iterator[Revision]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(there.answered(self.path, self.headers.get("Authorization", "")))
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the library's)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there = Revision(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield there
        server.shutdown()
        thread.join()


def no_token(audience: str) -> str:
    return ""


def a_token(audience: str) -> str:
    return f"for {audience}"


@pytest.mark.parametrize("status", [200, 204, 301])
def test_an_answer_is_a_good_one_and_is_not_followed_elsewhere(revision: Revision, status: int) -> None:
    revision.answers = [status]

    assert asked(revision.question(), Trial(), no_token) == Ready(text="it answers")
    assert revision.asked == ["/health"]


def test_it_is_asked_again_until_its_time_is_over(revision: Revision) -> None:
    revision.answers = [503, 404, 200]
    attempt = Trial()

    assert asked(revision.question(timeout=60), attempt, no_token) == Ready(text="it answers")
    assert attempt.reports == [
        "asking the new revision for /health: it answered 503",
        "asking the new revision for /health: it answered 404",
    ]


def test_one_that_does_not_come_to_answer_well_is_broken(revision: Revision) -> None:
    revision.answers = [500]

    assert asked(revision.question(), Trial(), no_token) == Broken(text="it answered 500")


def test_one_that_is_not_there_at_all_is_told_in_the_system_s_words() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as gone:
        url = f"http://127.0.0.1:{gone.server_port}"

    found = asked(Question(uri=url, audience=url, readiness=Readiness(timeout=0)), Trial(), no_token)

    assert found == Broken(text="connection refused")


def test_who_is_wanted_elsewhere_asks_no_more(revision: Revision) -> None:
    revision.answers = [500]

    with pytest.raises(Stopped):
        asked(revision.question(timeout=60), Trial(stop_at=2), no_token)


def test_a_service_that_checks_its_callers_is_shown_a_token_for_itself(revision: Revision) -> None:
    assert asked(revision.question(checked=True), Trial(), a_token) == Ready(text="it answers")
    assert revision.asked == [f"/health Bearer for {AUDIENCE}"]


@pytest.mark.parametrize("status", [401, 403])
def test_not_to_be_let_in_says_nothing_about_the_version(revision: Revision, status: int) -> None:
    revision.answers = [status]

    assert asked(revision.question(checked=True), Trial(), a_token) == Ready(
        text=f"ready; it was not asked before its first requests: our account is not let in (it answered {status})"
    )
    assert asked(revision.question(), Trial(), a_token) == Broken(text=f"it answered {status}")


def test_what_cannot_be_asked_is_not_asked_and_it_is_said(revision: Revision) -> None:
    inside = asked(revision.question(inside=True), Trial(), a_token)
    unknown = asked(revision.question(checked=True), Trial(), no_token)

    assert [inside.text, unknown.text] == [
        "ready; it was not asked before its first requests: only a private network reaches it",
        "ready; it was not asked before its first requests: it checks its callers, and our login makes no token",
    ]
    assert revision.asked == []


def test_a_failed_trial_says_what_was_asked_and_who_serves() -> None:
    trial = Canary(before=Before(revision="api-00001"), new="api-5f2c", share=0, uri="https://next---api.run.example")

    problem = bad(ServiceName("api"), trial, Readiness(path="/health"), "it answered 500")

    assert [problem.message, *problem.cause, problem.fix] == [
        "service `api`: the new revision api-5f2c does not answer well, so no request goes to it",
        "`/health` at https://next---api.run.example: it answered 500",
        "revision api-00001 goes on serving all requests",
        "mend it and deploy again; until then the revision is there to be looked at",
    ]


# ---- the token


def jwt(claims: Mapping[str, object]) -> str:
    """Signed by nobody: who gets it does not look."""
    parts = (json.dumps(each).encode() for each in ({"alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts), "xxxx"])


def test_an_account_makes_a_token_of_identity(tmp_path: Path) -> None:
    token = jwt({"aud": AUDIENCE, "iat": 1, "exp": 4102444800})
    with issuer() as tokens:
        tokens.answer = lambda _: (200, {"id_token": token})
        key = tokens.key(tmp_path / "key.json")

        with closing(wallet({"GOOGLE_APPLICATION_CREDENTIALS": str(key)})) as held:
            assert held.identity_token(AUDIENCE) == token


def test_an_issuer_that_makes_none_is_no_failure(tmp_path: Path) -> None:
    refusal: Answer = (400, {"error": "invalid_grant", "error_description": "no such audience"})
    with issuer() as tokens:
        tokens.answer = lambda _: refusal
        key = tokens.key(tmp_path / "key.json")

        with closing(wallet({"GOOGLE_APPLICATION_CREDENTIALS": str(key)})) as held:
            assert held.identity_token(AUDIENCE) == ""


def test_a_lender_that_cannot_be_reached_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    lender = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com"
    with issuer() as tokens:
        lent = tmp_path / "lent.json"
        told = {
            "type": "impersonated_service_account",
            "source_credentials": json.loads(tokens.key(tmp_path / "key.json").read_text(encoding="utf-8")),
            "service_account_impersonation_url": f"{lender}:generateAccessToken",
        }
        lent.write_text(json.dumps(told), encoding="utf-8")

        with closing(wallet({"GOOGLE_APPLICATION_CREDENTIALS": str(lent)})) as held:
            assert held.identity_token(AUDIENCE) == ""


def test_a_person_s_login_makes_none(tmp_path: Path) -> None:
    login = tmp_path / "login.json"
    told = {"type": "authorized_user", "client_id": "x", "client_secret": "y", "refresh_token": "z"}
    login.write_text(json.dumps(told), encoding="utf-8")

    with closing(wallet({"GOOGLE_APPLICATION_CREDENTIALS": str(login)})) as held:
        assert held.identity_token(AUDIENCE) == ""
