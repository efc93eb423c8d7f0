# SPDX-License-Identifier: Apache-2.0
"""The line: what goes over it, what is asked again and what is not, and how what went wrong is told."""

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from google.cloud import run_v2
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # Google ships no types for it

from fleetflow_tasks.runtimes.cloudrun.access import connect
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError, Failure
from fleetflow_tasks.runtimes.cloudrun.quota import Quota

from .issuer import Issuer, issuer
from .peer import Peer, Said, peer

PLACE = "projects/shop/locations/europe-west1"
API = f"{PLACE}/services/api"
SEED = f"{PLACE}/jobs/seed"
FOUND = Said(message=run_v2.Service(name=API))


class Desk:
    """A peer, an issuer, and a key for both."""

    def __init__(self, there: Peer, tokens: Issuer, folder: Path) -> None:
        self.peer = there
        self.tokens = tokens
        self.key = tokens.key(folder / "key.json")
        self.sent: list[tuple[str, str]] = []

    @contextmanager
    def client(self, **more: Any) -> Iterator[Client]:
        environ = {**self.peer.environ(self.key), **more.pop("environ", {})}
        client = connect(environ, "europe-west1", lambda *sent: self.sent.append(sent), **more)
        with closing(client):
            yield client

    def methods(self) -> list[str]:
        return [asked.method.rpartition("/")[2] for asked in self.peer.asked]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with peer() as there, issuer() as tokens:
        yield Desk(there, tokens, tmp_path)


def failure(ask: Any) -> CloudRunError:
    with pytest.raises(CloudRunError) as found:
        ask()
    return found.value


# ---- what goes over it


def test_a_call_carries_token_region_and_a_time_shorter_than_a_lease(desk: Desk) -> None:
    desk.peer.answer = lambda _: FOUND

    with desk.client() as client:
        found = client.service(API)

    asked = desk.peer.asked[0]
    assert found == {"name": API}
    assert asked.metadata["authorization"] == "Bearer token-1"
    assert asked.metadata["x-goog-request-params"] == "location=europe-west1"
    assert asked.metadata["user-agent"].startswith("fleetflow ")
    assert 0 < asked.left < 16
    assert desk.sent == [("GetService", API)]


def test_json_is_the_form_of_googles_rest_api(desk: Desk) -> None:
    template = run_v2.TaskTemplate(max_retries=0, timeout=dt.timedelta(minutes=10))
    job = run_v2.Job(name=SEED, generation=7, launch_stage="GA", template={"template": template, "task_count": 1})
    desk.peer.answer = lambda _: Said(message=job)

    with desk.client() as client:
        found = client.job(SEED)

    assert found == {
        "name": SEED,
        "generation": "7",
        "launchStage": "GA",
        "template": {"taskCount": 1, "template": {"maxRetries": 0, "timeout": "600s"}},
    }


def test_a_list_is_read_to_its_last_page(desk: Desk) -> None:
    pages = {1: ("api", "2"), 2: ("web", "3"), 3: ("db", "")}
    desk.peer.answer = lambda number: Said(
        message=run_v2.ListServicesResponse(services=[{"name": pages[number][0]}], next_page_token=pages[number][1])
    )

    with desk.client() as client:
        found = client.services(PLACE)

    assert [service["name"] for service in found] == ["api", "web", "db"]
    assert desk.methods() == ["ListServices"] * 3


def test_who_wants_few_revisions_pays_for_one_page(desk: Desk) -> None:
    page = run_v2.ListRevisionsResponse(revisions=[{"name": "api-2"}, {"name": "api-1"}], next_page_token="more")
    desk.peer.answer = lambda _: Said(message=page)

    with desk.client() as client:
        found = client.revisions(API, at_most=2)

    assert ([revision["name"] for revision in found], desk.methods()) == (["api-2", "api-1"], ["ListRevisions"])


def test_an_operation_that_ended_badly_is_an_answer_and_no_failure_of_the_call(desk: Desk) -> None:
    said = operations_pb2.Operation(name=f"{PLACE}/operations/1", done=True)
    said.error.code = 13
    said.error.message = "Revision 'api-2' is not ready and cannot serve traffic."
    said.metadata.Pack(run_v2.Service.pb(run_v2.Service(name=API)))
    desk.peer.answer = lambda _: Said(message=said)

    with desk.client() as client:
        found = client.operation(f"{PLACE}/operations/1")

    assert found is not None
    assert found.error == Failure(code="INTERNAL", message="Revision 'api-2' is not ready and cannot serve traffic.")
    assert (found.done, found.response, found.metadata) == (True, None, {"name": API})
    assert len(desk.peer.asked) == 1


def test_what_has_no_form_in_the_api_is_not_sent(desk: Desk) -> None:
    with desk.client() as client:
        error = failure(lambda: client.create_service(PLACE, "api", {"labls": {}}))

    assert error.problem.message == (
        f"Cloud Run has no form for what `{API}` should be: Failed to parse service field: Message type "
        '"google.cloud.run.v2.Service" has no field named "labls" at "CreateServiceRequest.service".'
    )
    assert (error.code, error.transient, desk.peer.asked) == ("INVALID_ARGUMENT", False, [])


# ---- what is asked again


def test_a_server_that_is_not_itself_for_a_moment_is_asked_again(desk: Desk) -> None:
    desk.peer.answer = lambda number: FOUND if number == 3 else Said(code="UNAVAILABLE", text="restarting")

    with desk.client() as client:
        found = client.service(API)

    assert (found, len(desk.peer.asked), len(desk.sent)) == ({"name": API}, 3, 3)


def test_too_many_requests_are_waited_out_as_long_as_google_says(desk: Desk) -> None:
    wait = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=200_000_000))
    full = Said(code="RESOURCE_EXHAUSTED", text="Quota exceeded", details=(wait,))
    desk.peer.answer = lambda number: FOUND if number == 2 else full

    with desk.client() as client:
        found = client.service(API)

    assert (found, len(desk.peer.asked)) == ({"name": API}, 2)


def test_who_should_wait_longer_than_a_call_may_take_is_told_how_long(desk: Desk) -> None:
    details = (
        error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=40)),
        error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED", metadata={"quota_limit_value": "180"}),
        error_details_pb2.QuotaFailure(violations=[{"subject": "project:shop", "description": "writes per minute"}]),
    )
    desk.peer.answer = lambda _: Said(code="RESOURCE_EXHAUSTED", text="Quota exceeded", details=details)

    with desk.client() as client:
        error = failure(lambda: client.service(API))

    assert error.problem.message == "Cloud Run did not show service `api`: Quota exceeded"
    assert (error.transient, error.retry_after, error.reason) == (True, 40.0, "RATE_LIMIT_EXCEEDED")
    assert error.facts == {"quota_limit_value": "180"}
    assert error.details == ("project:shop: writes per minute",)
    assert len(desk.peer.asked) == 1


def test_a_job_is_not_run_a_second_time_where_the_first_may_have_been_heard(desk: Desk) -> None:
    desk.peer.answer = lambda _: Said(code="UNAVAILABLE", text="who knows")

    with desk.client() as client:
        error = failure(lambda: client.run_job(SEED))

    assert (error.code, error.transient, desk.methods()) == ("UNAVAILABLE", True, ["RunJob"])


@pytest.mark.parametrize(
    ("code", "transient"),
    [
        ("ABORTED", True),
        ("ALREADY_EXISTS", False),
        ("FAILED_PRECONDITION", False),
        ("INTERNAL", False),
        ("INVALID_ARGUMENT", False),
        ("PERMISSION_DENIED", False),
        ("UNKNOWN", False),
    ],
)
def test_other_answers_stand(desk: Desk, code: str, transient: bool) -> None:
    desk.peer.answer = lambda _: Said(code=code, text="so it is")

    with desk.client() as client:
        error = failure(lambda: client.update_service({"name": API}, etag="abc"))

    assert error.problem.message == "Cloud Run did not update service `api`: so it is"
    assert (error.code, error.transient, error.answered, len(desk.peer.asked)) == (code, transient, True, 1)


def test_what_is_not_there_is_no_failure_of_looking_and_of_removing(desk: Desk) -> None:
    desk.peer.answer = lambda _: Said(code="NOT_FOUND", text="no such thing")

    with desk.client() as client:
        found = [client.service(API), client.delete_service(API), client.operation("o"), client.revision(f"{API}/r/a")]

    assert found == [None] * 4


def test_what_is_wrong_in_particular_comes_with_the_answer(desk: Desk) -> None:
    wrong = error_details_pb2.BadRequest(
        field_violations=[{"field": "template.containers[0].env", "description": "reserved env names: PORT"}]
    )
    desk.peer.answer = lambda _: Said(code="INVALID_ARGUMENT", text="violation", details=(wrong,))

    with desk.client() as client:
        error = failure(lambda: client.create_service(PLACE, "api", {}))

    assert error.details == ("template.containers[0].env: reserved env names: PORT",)


def test_a_token_that_was_revoked_is_replaced_once(desk: Desk) -> None:
    desk.peer.answer = lambda number: FOUND if number == 2 else Said(code="UNAUTHENTICATED", text="unknown token")

    with desk.client() as client:
        found = client.service(API)

    assert found == {"name": API}
    assert [asked.metadata["authorization"] for asked in desk.peer.asked] == ["Bearer token-1", "Bearer token-2"]


def test_who_is_not_known_at_all_is_not_asked_for_ever(desk: Desk) -> None:
    desk.peer.answer = lambda _: Said(code="UNAUTHENTICATED", text="unknown token")

    with desk.client() as client:
        error = failure(lambda: client.service(API))

    assert (error.code, error.transient, len(desk.peer.asked)) == ("UNAUTHENTICATED", False, 2)


# ---- quota


def test_requests_that_google_would_refuse_are_not_sent(desk: Desk) -> None:
    desk.peer.answer = lambda _: FOUND
    quota = Quota(reads=2)  # so the third has to wait for a minute

    with desk.client(quota=quota) as client:
        client.service(API)
        client.service(API)
        error = failure(lambda: client.service(API))

    assert error.problem.message == (
        "Cloud Run was not asked to show service `api`: we have used up what Google allows of such requests in a minute"
    )
    assert (error.transient, error.answered, len(desk.peer.asked)) == (True, False, 2)
    assert error.retry_after is not None


# ---- the line itself


def test_a_connection_that_came_back_is_used_again(desk: Desk) -> None:
    desk.peer.answer = lambda _: FOUND

    with desk.client() as client:
        client.service(API)
        desk.peer.stop()
        desk.peer.start()
        found = client.service(API)

    assert found == {"name": API}


def test_nobody_there_is_told_at_once_and_passes(desk: Desk) -> None:
    nowhere = {"FLEETFLOW_CLOUDRUN_ENDPOINT": "http://127.0.0.1:1"}

    with desk.client(environ=nowhere) as client:
        error = failure(lambda: client.services(PLACE))

    assert error.problem.message == (
        "Cloud Run at http://127.0.0.1:1 did not answer while asked to list services of `projects/shop/locations/"
        "europe-west1`: connection refused"
    )
    assert (error.code, error.answered, error.transient, len(desk.sent)) == ("UNAVAILABLE", False, True, 1)


def test_an_answer_that_does_not_come_is_given_up_in_time(desk: Desk) -> None:
    given_up = threading.Event()

    def slow(_: int) -> Said:
        given_up.wait(60)
        return FOUND

    desk.peer.answer = slow

    with desk.client(timeout=0.3) as client:
        error = failure(lambda: client.service(API))
        given_up.set()

    assert error.problem.message.endswith("did not answer while asked to show service `api`: no answer came in time")
    assert (error.code, error.answered, error.transient, len(desk.sent)) == ("DEADLINE_EXCEEDED", False, True, 1)


@pytest.mark.parametrize(
    ("name", "trusted", "words"),
    [
        ("127.0.0.1", True, ""),
        ("127.0.0.1", False, "its certificate is not trusted: self signed certificate"),
        ("10.1.2.3", True, "its certificate is for another name"),
    ],
)
def test_a_certificate_has_to_be_the_right_one(
    desk: Desk, tmp_path: Path, name: str, trusted: bool, words: str
) -> None:
    certificate, key = _certificate(name)
    (tmp_path / "roots.pem").write_bytes(certificate)
    desk.peer.stop()
    desk.peer.start(grpc.ssl_server_credentials([(key, certificate)]))
    desk.peer.answer = lambda _: FOUND
    environ = {"FLEETFLOW_CLOUDRUN_ENDPOINT": f"https://127.0.0.1:{desk.peer.port}"}
    environ |= {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "roots.pem")} if trusted else {}

    with desk.client(environ=environ) as client:
        if not words:
            assert client.service(API) == {"name": API}
            return
        error = failure(lambda: client.service(API))

    assert error.problem.message.endswith(f"did not answer while asked to show service `api`: {words}")
    assert (error.reason, error.transient) == ("Certificate", False)


def _certificate(name: str) -> tuple[bytes, bytes]:
    """(certificate, key) as PEM, for an address, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloudrun")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), private
