# SPDX-License-Identifier: Apache-2.0
"""TLS: a CA of the test's own, for the store and for Celery alike, and what is said where the two ends do not fit."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis
from kombu.exceptions import OperationalError

from fleetflow_tasks.engine.app import app
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import QueueName
from tests.engine.compat.conftest import Listener, Papers, listening
from tests.engine.conftest import BINARIES, plan_of
from tests.engine.test_workers import Bed

ONE = plan_of("db:deploy")


@pytest.fixture
def secured(papers: Papers) -> Iterator[Callable[..., Listener]]:
    """A server that speaks TLS alone. clients: whether it wants a certificate of theirs."""
    with ExitStack() as stack:

        def start(*, clients: str = "no", binary: str = "redis") -> Listener:
            options = (
                *("--tls-cert-file", papers.server_pem, "--tls-key-file", papers.server_key),
                *("--tls-ca-cert-file", papers.ca_pem, "--tls-auth-clients", clients, "--save", ""),
            )
            ping = _pinger(papers)
            return stack.enter_context(listening(BINARIES[binary](), *options, ping=ping, port_option="--tls-port"))

        yield start


def _pinger(papers: Papers) -> Callable[[int], "redis.Redis"]:
    return lambda port: redis.Redis(
        host="localhost",
        port=port,
        protocol=2,
        ssl=True,
        ssl_ca_certs=papers.ca_pem,
        ssl_certfile=papers.client_pem,
        ssl_keyfile=papers.client_key,
    )


def trouble(url: str) -> Problem:
    with closing(Store.connect(url)) as store, pytest.raises(UnavailableError) as raised:
        store.check()
    return raised.value.problems[0]


def test_a_run_goes_through_tls_from_end_to_end(
    secured: Callable[..., Listener], papers: Papers, tmp_path: Path
) -> None:
    url = secured().url("rediss", "localhost", f"?ssl_ca_certs={papers.ca_pem}")

    with closing(Bed(url, tmp_path)) as bed:
        bed.worker()

        assert bed.ended(bed.submit(ONE)) == "succeeded", bed.logs()


def test_a_server_that_wants_to_know_who_calls_is_shown_a_certificate(
    secured: Callable[..., Listener], papers: Papers, tmp_path: Path
) -> None:
    server = secured(clients="yes")
    options = f"?ssl_ca_certs={papers.ca_pem}&ssl_certfile={papers.client_pem}&ssl_keyfile={papers.client_key}"

    with closing(Bed(server.url("rediss", "localhost", options), tmp_path)) as bed:
        bed.worker()

        assert bed.ended(bed.submit(ONE)) == "succeeded", bed.logs()
    without = trouble(server.url("rediss", "localhost", f"?ssl_ca_certs={papers.ca_pem}"))
    assert without.code == "redis-client-certificate"
    assert "ssl_certfile" in without.fix


def test_a_certificate_of_a_foreign_ca_is_refused_in_words(secured: Callable[..., Listener]) -> None:
    url = secured().url("rediss", "localhost")

    problem = trouble(url)

    assert (problem.code, "not signed by anybody known here" in problem.message) == ("redis-certificate", True)
    assert "ssl_ca_certs" in problem.fix


def test_a_certificate_for_another_host_is_refused_in_words(secured: Callable[..., Listener], papers: Papers) -> None:
    problem = trouble(secured().url("rediss", "127.0.0.1", f"?ssl_ca_certs={papers.ca_pem}"))

    assert problem.message.endswith("is for another host")
    assert problem.fix == "use the host name that stands in the certificate"


def test_who_does_not_want_a_certificate_checked_has_to_say_so(secured: Callable[..., Listener]) -> None:
    url = secured().url("rediss", "127.0.0.1", "?ssl_cert_reqs=none")

    with closing(Store.connect(url)) as store:
        store.check()


def test_celery_looks_at_the_certificate_too(secured: Callable[..., Listener], papers: Papers) -> None:
    server = secured()
    trusted = server.url("rediss", "localhost", f"?ssl_ca_certs={papers.ca_pem}")
    foreign = server.url("rediss", "localhost")
    unsaid = server.url("rediss", "127.0.0.1", f"?ssl_ca_certs={papers.ca_pem}")

    assert [_celery_reaches(url) for url in (trusted, foreign, unsaid)] == [True, False, False]


def _celery_reaches(url: str) -> bool:
    celery = app(url, (QueueName("docker"),))
    with celery.connection_for_read() as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=10)
        except OperationalError as error:
            assert "CERTIFICATE_VERIFY_FAILED" in str(error)  # noqa: PT017  (that it cannot be reached is an answer)
            return False
    return True


def test_tls_where_none_is_spoken_is_said(redis_listener: Listener) -> None:
    problem = trouble(redis_listener.url("rediss", "localhost"))

    assert (problem.code, problem.fix.startswith("if it speaks none")) == ("redis-no-tls", True)


def test_no_tls_where_it_is_expected_is_said(secured: Callable[..., Listener]) -> None:
    problem = trouble(secured().url("redis", "localhost"))

    assert (problem.code, problem.fix.startswith("look whether it wants TLS")) == ("redis-unreachable", True)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_holds_none_is_said(
    content: str | None, secured: Callable[..., Listener], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)

    problem = trouble(secured().url("rediss", "localhost", f"?ssl_ca_certs={tmp_path}/ca.pem"))

    assert (problem.code, "ssl_ca_certs" in problem.fix) == ("redis-certificate-file", True)


@pytest.fixture
def redis_listener() -> Iterator[Listener]:
    with listening(BINARIES["redis"](), "--save", "") as server:
        yield server
