# SPDX-License-Identifier: Apache-2.0
"""Where Cloud Run is, and as whom we go there: what is found, and what each of them lacks. Nobody but the issuer of tokens
is asked.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.runtimes.cloudrun.access import connect, endpoint
from fleetflow_tasks.runtimes.cloudrun.credentials import Wallet, wallet

from .issuer import ACCOUNT, Issuer, issuer, token

REGION = "europe-west1"
URL = f"https://{REGION}-run.googleapis.com"
HOW_TO_LOG_IN = (
    "log in: `gcloud auth application-default login`; in CI, let GOOGLE_APPLICATION_CREDENTIALS name the file of a "
    "service account or of workload identity federation"
)
HERE = {"FLEETFLOW_CLOUDRUN_ENDPOINT": "http://127.0.0.1:1", "NO_GCE_CHECK": "true"}


@pytest.fixture
def tokens() -> Iterator[Issuer]:
    with issuer() as found:
        yield found


def said(environ: Mapping[str, str], **more: Any) -> list[str]:
    """Message, causes and fix of what a connection fails with."""
    with pytest.raises(UnavailableError) as failure:
        connect({**HERE, **environ}, REGION, **more).close()
    problem = failure.value.problems[0]
    return [problem.message, *problem.cause, problem.fix]


def told(lines: list[str], folder: Path) -> list[str]:
    return [line.replace(str(folder), "DIR") for line in lines]


def bearer(held: Wallet) -> str:
    return dict(held.metadata(URL))["authorization"]


# ---- where


def test_a_region_answers_for_itself() -> None:
    found = endpoint({}, REGION)

    assert (found.url, found.target, found.plain, found.roots) == (URL, f"{REGION}-run.googleapis.com:443", False, b"")


@pytest.mark.parametrize(
    ("said", "target", "plain"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://localhost:8080/", "localhost:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("https://run.corp.example", "run.corp.example:443", False),
        ("https://run.corp.example:8443", "run.corp.example:8443", False),
    ],
)
def test_an_own_endpoint_is_gone_to_instead(said: str, target: str, plain: bool) -> None:
    found = endpoint({"FLEETFLOW_CLOUDRUN_ENDPOINT": said}, REGION)

    assert (found.target, found.plain, found.origin) == (target, plain, "FLEETFLOW_CLOUDRUN_ENDPOINT")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("127.0.0.1:8080", "it does not begin with `https://`"),
        ("ftp://127.0.0.1", "it does not begin with `https://`"),
        ("https://", "it names no host"),
        ("https://a_b", "it names no host"),
        ("https://h:port", "port could not be cast to integer value as 'port'"),
        ("https://h/v2", "there is more in it than scheme, host and port"),
        ("https://me@h", "there is more in it than scheme, host and port"),
        ("http://10.0.0.1:80", "without TLS, everybody on the way to `10.0.0.1` could read our token"),
        ("http://run.corp.example", "without TLS, everybody on the way to `run.corp.example` could read our token"),
    ],
)
def test_an_endpoint_that_is_none_is_told_and_nothing_goes_there(said: str, why: str) -> None:
    with pytest.raises(UnavailableError) as failure:
        connect({"FLEETFLOW_CLOUDRUN_ENDPOINT": said}, REGION)

    problem = failure.value.problems[0]
    assert problem.message == f"`{said}` is no endpoint of Cloud Run: {why}"
    assert problem.cause == ("it comes from FLEETFLOW_CLOUDRUN_ENDPOINT",)
    assert problem.fix == (
        "write it as `https://HOST`, or `http://127.0.0.1:PORT` for one on this machine; or leave it unset"
    )


def test_authorities_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    problem = said({"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "none.pem")})

    assert told(problem, tmp_path) == [
        "the authorities to trust cannot be read from DIR/none.pem: No such file or directory",
        "it comes from GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        "let it name a file of certificates as PEM, or leave it unset",
    ]


# ---- as whom


def test_no_credentials_say_how_to_log_in(tmp_path: Path) -> None:
    usual = "DIR/.config/gcloud/application_default_credentials.json"

    problem = said({"HOME": str(tmp_path)})

    assert told(problem, tmp_path) == [
        "no credentials for Google Cloud are known",
        f"GOOGLE_APPLICATION_CREDENTIALS is not set, and there is no {usual}",
        "and no metadata server answers: this is no machine in Google's cloud",
        HOW_TO_LOG_IN,
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "File DIR/key.json was not found."),
        ("no json", "File DIR/key.json is not a valid json file."),
        ("{}", "The file DIR/key.json does not have a valid type. Type is None, expected one of "),
        ('{"type": "service_account"}', "Failed to load service account credentials from DIR/key.json"),
    ],
)
def test_a_file_that_holds_no_credentials_is_named(tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")

    problem = told(said({"GOOGLE_APPLICATION_CREDENTIALS": str(file)}), tmp_path)

    assert problem[0].startswith(f"the credentials file DIR/key.json cannot be used: {why}")
    assert problem[1:] == [
        "let GOOGLE_APPLICATION_CREDENTIALS name another file, or log in: `gcloud auth application-default login`"
    ]


def test_a_service_account_gets_its_token_once(tmp_path: Path, tokens: Issuer) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tokens.key(tmp_path / "key.json"))}

    with closing(wallet(environ)) as held, ThreadPoolExecutor(8) as people:
        passes = set(people.map(lambda _: bearer(held), range(32)))

    assert passes == {"Bearer token-1"}
    assert (tokens.asked, held.account) == (1, ACCOUNT)


def test_what_gcloud_wrote_is_found_where_gcloud_keeps_it(tmp_path: Path, tokens: Issuer) -> None:
    usual = tmp_path / ".config" / "gcloud"
    usual.mkdir(parents=True)
    tokens.key(usual / "application_default_credentials.json")
    tokens.key(tmp_path / "application_default_credentials.json")

    for environ in ({"HOME": str(tmp_path)}, {"CLOUDSDK_CONFIG": str(tmp_path), "HOME": "/nowhere"}):
        connect({**HERE, **environ}, REGION).close()

    assert tokens.asked == 2


def test_the_project_that_pays_goes_with_each_call(tmp_path: Path, tokens: Issuer) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tokens.key(tmp_path / "key.json"))}

    with closing(wallet({**environ, "GOOGLE_CLOUD_QUOTA_PROJECT": "payer"})) as held:
        passes = held.metadata(URL)

    assert dict(passes)["x-goog-user-project"] == "payer"


def test_a_refused_token_is_told_with_what_google_says(tmp_path: Path, tokens: Issuer) -> None:
    file = tokens.key(tmp_path / "key.json")
    tokens.answer = lambda _: (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})

    problem = said({"GOOGLE_APPLICATION_CREDENTIALS": str(file)})

    assert told(problem, tmp_path) == [
        "Google does not accept our credentials: invalid_grant: Invalid JWT Signature.",
        "they come from DIR/key.json (GOOGLE_APPLICATION_CREDENTIALS)",
        "they have expired, or were revoked or deleted",
        "log in anew: `gcloud auth application-default login`; or have a new key made for the service account",
    ]
    assert tokens.asked == 1


def test_one_refusal_is_enough_for_all_who_wait_for_it(tmp_path: Path, tokens: Issuer) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tokens.key(tmp_path / "key.json"))}
    tokens.answer = lambda _: (400, {"error": "invalid_grant", "error_description": "Account not found"})

    def refused(_: int) -> str:
        with pytest.raises(UnavailableError) as failure:
            held.metadata(URL)
        return failure.value.problems[0].message

    with closing(wallet(environ)) as held, ThreadPoolExecutor(16) as people:
        messages = list(people.map(refused, range(16)))

    assert set(messages) == {"Google does not accept our credentials: invalid_grant: Account not found"}
    assert tokens.asked < 16


def test_who_logs_in_anew_is_believed_by_a_worker_that_goes_on(tmp_path: Path, tokens: Issuer) -> None:
    file = tokens.key(tmp_path / "key.json")
    with closing(wallet({"GOOGLE_APPLICATION_CREDENTIALS": str(file)})) as held, issuer() as other:
        tokens.answer = lambda _: (400, {"error": "invalid_grant", "error_description": "Account not found"})
        other.key(file)

        with pytest.raises(UnavailableError):
            held.metadata(URL)

        assert (bearer(held), other.asked) == ("Bearer token-1", 1)


def test_who_takes_the_credentials_away_is_told_so_again_and_again(tmp_path: Path, tokens: Issuer) -> None:
    file = tokens.key(tmp_path / "key.json")
    tokens.answer = lambda _: (400, {"error": "invalid_grant", "error_description": "Account not found"})
    with closing(wallet({"GOOGLE_APPLICATION_CREDENTIALS": str(file)})) as held:
        file.unlink()

        for _ in range(2):
            with pytest.raises(UnavailableError) as failure:
                held.metadata(URL)
            assert failure.value.problems[0].code == "expired-credentials"


def test_an_issuer_that_cannot_be_reached_is_no_fault_of_the_credentials(tmp_path: Path, tokens: Issuer) -> None:
    file = tokens.key(tmp_path / "key.json", token_uri="http://127.0.0.1:1/token")

    problem = said({"GOOGLE_APPLICATION_CREDENTIALS": str(file)})

    assert told(problem, tmp_path) == [
        "the token for Google Cloud could not be had: Connection refused",
        "the credentials come from DIR/key.json (GOOGLE_APPLICATION_CREDENTIALS)",
        "see that the network lets us out (proxy, firewall), and try again",
    ]


def test_a_token_that_google_forgot_is_renewed(tmp_path: Path, tokens: Issuer) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tokens.key(tmp_path / "key.json"))}

    with closing(wallet(environ)) as held:
        first = held.metadata(URL)
        renewed = [held.renew(first, URL), held.renew(first, URL)]

        assert renewed == [True, True]
        assert (bearer(held), tokens.asked) == ("Bearer token-2", 2)


def test_a_machine_in_the_cloud_asks_its_metadata_server(tokens: Issuer) -> None:
    address = tokens.url.removeprefix("http://")
    tokens.answer = lambda asked: (200, {**token(asked)[1], "email": ACCOUNT, "scopes": [], "aliases": ["default"]})
    program = (
        "import os; from fleetflow_tasks.runtimes.cloudrun.credentials import wallet; "
        "held = wallet(os.environ); print(dict(held.metadata('https://h'))['authorization'][:13], held.origin); held.close()"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere", "GCE_METADATA_IP": address, "GCE_METADATA_HOST": address},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("Bearer token- the metadata server of this machine\n", "")
