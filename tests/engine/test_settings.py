# SPDX-License-Identifier: Apache-2.0
"""What the environment says about Redis, keys and the state folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from fleetflow_tasks.engine.address import shown
from fleetflow_tasks.engine.app import app, broker_url
from fleetflow_tasks.engine.settings import from_environ, is_private, state_folder
from fleetflow_tasks.errors import ConfigError, FleetFlowError, RefusedError, UnavailableError
from fleetflow_tasks.plan.codec import parse_key

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef0123456789abcdef"
OLD = "fedcba9876543210fedcba9876543210"


def test_nothing_said_means_an_embedded_redis_and_a_key_of_our_own(tmp_path: Path) -> None:
    settings = from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path / "state")})

    assert settings.redis_url is None
    assert settings.keys.previous is None
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "key").stat().st_mode & 0o777 == 0o600


def test_the_key_made_is_the_key_found(tmp_path: Path) -> None:
    environ = {"FLEETFLOW_STATE_DIR": str(tmp_path)}

    assert from_environ(environ).keys == from_environ(environ).keys
    assert sorted(file.name for file in tmp_path.iterdir()) == ["key"]


def test_processes_that_begin_together_get_the_same_key(tmp_path: Path) -> None:
    code = (
        "import os; from fleetflow_tasks.engine.settings import from_environ;"
        "print(from_environ(os.environ).keys.current.id)"
    )
    environ = {"FLEETFLOW_STATE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]

    assert len({process.communicate()[0] for process in processes}) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    environ = {"FLEETFLOW_STATE_DIR": str(tmp_path)}
    from_environ(environ)
    (tmp_path / "key").chmod(0o644)

    with pytest.raises(RefusedError) as refused:
        from_environ(environ)

    problem = refused.value.problems[0]
    assert (problem.code, problem.fix) == ("key-readable", f"chmod 600 {tmp_path / 'key'}")


def test_two_keys_are_taken_while_they_change(tmp_path: Path) -> None:
    keys = from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path), "FLEETFLOW_KEY": f"{KEY}, {OLD}"}).keys

    assert (keys.current, keys.previous) == (parse_key(KEY), parse_key(OLD))
    assert list(tmp_path.iterdir()) == []


def test_no_key_is_shown(tmp_path: Path) -> None:
    settings = from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path), "FLEETFLOW_KEY": KEY})

    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    "url", ["redis://redis.example.org:6379/0", "rediss://10.0.0.7/1", "redis://u:p@[2001:db8::1]"]
)
def test_a_redis_that_others_reach_needs_a_key(url: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path), "FLEETFLOW_REDIS_URL": url})

    problem = refused.value.problems[0]
    assert problem.message.startswith("FLEETFLOW_KEY is not set, and the Redis on `")
    assert "openssl rand" in problem.fix
    told = {"FLEETFLOW_STATE_DIR": str(tmp_path), "FLEETFLOW_REDIS_URL": url, "FLEETFLOW_KEY": KEY}
    assert from_environ(told).redis_url == url


@pytest.mark.parametrize(
    "url", [None, "redis://localhost", "redis://127.0.0.1:7000/3", "redis://:p@[::1]:6379", "unix:///run/r.sock?db=2"]
)
def test_a_redis_on_this_machine_needs_none(url: str | None) -> None:
    assert is_private(url)


@pytest.mark.parametrize("url", ["localhost:6379", "http://redis", "redis://host:port"])
def test_what_is_no_address_is_said_to_be_none(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path), "FLEETFLOW_REDIS_URL": url})

    assert refused.value.problems[0].message.startswith("FLEETFLOW_REDIS_URL is no address of a Redis: ")


def test_more_than_two_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path), "FLEETFLOW_KEY": f"{KEY},{OLD},{KEY}"})

    assert refused.value.problems[0].message == "FLEETFLOW_KEY holds 3 keys, and two are the most"


@pytest.mark.parametrize(("content", "why"), [(b"\xff\xfe\x00", "it is not text"), (b"", "the key has 0 characters")])
def test_a_key_file_without_a_key_is_named(content: bytes, why: str, tmp_path: Path) -> None:
    environ = {"FLEETFLOW_STATE_DIR": str(tmp_path)}
    from_environ(environ)
    (tmp_path / "key").write_bytes(content)

    with pytest.raises(RefusedError) as refused:
        from_environ(environ)

    problem = refused.value.problems[0]
    assert (problem.code, problem.message) == ("key-file", f"the key file `{tmp_path / 'key'}` holds no key")
    assert problem.cause[0].startswith(why)


def test_a_key_that_cannot_be_read_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir(mode=0o700)

    with pytest.raises(UnavailableError) as refused:
        from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path)})

    assert refused.value.problems[0].message == f"the state folder cannot be used: `{tmp_path / 'key'}`: Is a directory"


def test_a_folder_in_which_no_key_can_be_made_is_said_in_words() -> None:
    with pytest.raises(UnavailableError) as refused:
        from_environ({"FLEETFLOW_STATE_DIR": "/proc/self/fd"})

    problem = refused.value.problems[0]
    assert problem.message.startswith("the state folder cannot be used: `/proc/self/fd/key`: ")
    assert "FLEETFLOW_STATE_DIR" in problem.fix


def test_a_home_that_cannot_be_found_is_said_in_words() -> None:
    with pytest.raises(UnavailableError) as refused:
        state_folder({"FLEETFLOW_STATE_DIR": "~nosuch-user/x"})

    assert "FLEETFLOW_STATE_DIR" in refused.value.problems[0].fix


def test_a_short_key_is_refused_with_the_way_to_a_long_one(tmp_path: Path) -> None:
    with pytest.raises(FleetFlowError) as refused:
        from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path), "FLEETFLOW_KEY": "secret"})

    assert "openssl rand" in refused.value.problems[0].fix


def test_the_state_folder_is_where_people_expect_it(tmp_path: Path) -> None:
    assert state_folder({"FLEETFLOW_STATE_DIR": "/a/b", "XDG_STATE_HOME": "/x"}) == Path("/a/b")
    assert state_folder({"XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/x/fleetflow")
    assert state_folder({"HOME": "/h"}) == Path("/h/.local/state/fleetflow")


def test_celery_gets_the_same_redis_in_its_own_spelling() -> None:
    assert broker_url("redis://u:p@host:6379/2") == "redis://u:p@host:6379/2"
    assert broker_url("rediss://host?ssl_ca_certs=/ca.pem") == "rediss://host:6379/0"
    assert broker_url("redis://:p%2Fq@[::1]/1") == "redis://:p%2Fq@[::1]:6379/1"
    assert broker_url("unix:///run/redis.sock") == "redis+socket:///run/redis.sock?virtual_host=0"
    assert broker_url("unix://u:p@/run/redis.sock?db=3") == "redis+socket://u:p@/run/redis.sock?virtual_host=3"
    assert broker_url("sentinel://:p@a,b:1/4?master_name=m") == "sentinel://:p@a:26379/4;sentinel://:p@b:1/4"


def test_celery_looks_at_certificates_wherever_there_is_tls() -> None:
    ssl = [app(url, ()).conf.broker_use_ssl for url in ("redis://a", "rediss://a", "rediss://a?ssl_cert_reqs=none")]

    assert ssl == [
        False,
        {"ssl_cert_reqs": "required", "ssl_check_hostname": True},
        {"ssl_cert_reqs": "none", "ssl_check_hostname": False},
    ]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://:s3cr3t@host", "it begins with `mysql`"),
        ("s3cr3t", "it does not begin with redis:// or the like"),
        ("redis://:s3/cr3t@host", "a `/`, `?`, `#` or `@` inside a password has to be written %2F, %3F, %23 or %40"),
        ("redis://:s3#cr3t@host", "a `/`, `?`, `#` or `@` inside a password has to be written %2F, %3F, %23 or %40"),
        ("redis://:s3?cr3t@host", "a `/`, `?`, `#` or `@` inside a password has to be written %2F, %3F, %23 or %40"),
        ("redis://[s3cr3t", "its host cannot be read"),
        ("redis://host:s3cr3t", "its port is no number from 1 to 65535"),
        ("redis://host/x", "its database `x` is no number"),
        ("redis://a,b/0", "it names several hosts, which only sentinel:// can"),
        ("redis://host?foo=s3cr3t", "redis:// has no option `foo`: it has username, password, db"),
        ("redis://host?ssl_ca_certs=x", "redis:// has no option `ssl_ca_certs`: it has username, password, db"),
        ("rediss://host?ssl_cert_reqs=maybe", "`ssl_cert_reqs` is `required` or `none`, not `maybe`"),
        ("unix://", "it names no socket"),
        ("unix://host/redis.sock", "a unix socket has no host: its path begins with a third `/`"),
        ("sentinel://a,b/0", "it does not say what the Sentinels call the server: ?master_name=NAME"),
    ],
)
def test_why_an_address_is_none_is_said_without_what_may_be_a_password(url: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path), "FLEETFLOW_REDIS_URL": url})

    assert refused.value.problems[0].message == f"FLEETFLOW_REDIS_URL is no address of a Redis: {why}"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("redis://u:s3cr3t@host:6379/0?db=1", "redis://host:6379/0"),
        ("redis://:s3/cr3t@host", "redis://[hidden]"),
        ("redis://:s3#cr3t@host", "redis://[hidden]"),
        ("redis://:s3?cr3t@host", "redis://[hidden]"),
        ("u:s3cr3t@host", "host"),
        ("sentinel://:s3cr3t@a,b/0?master_name=m", "sentinel://a,b/0"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, seen: str) -> None:
    assert shown(url) == seen


def test_the_settings_print_no_password(tmp_path: Path) -> None:
    told = {
        "FLEETFLOW_STATE_DIR": str(tmp_path),
        "FLEETFLOW_REDIS_URL": "redis://:s3cr3t@localhost",
        "FLEETFLOW_KEY": KEY,
    }

    assert "s3cr3t" not in repr(from_environ(told))


def test_sentinels_are_for_several_machines_and_want_a_key() -> None:
    assert not is_private("sentinel://localhost/0?master_name=m")


def test_a_state_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)

    with pytest.raises(RefusedError) as refused:
        from_environ({"FLEETFLOW_STATE_DIR": str(tmp_path / "state")})

    assert refused.value.problems[0].code == "state-folder-shared"
