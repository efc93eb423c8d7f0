# SPDX-License-Identifier: Apache-2.0
"""A folder is looked at, and becomes a project; what was there stays."""

import os
import subprocess
from pathlib import Path

import pytest

from fleetflow_tasks.api.beginning import begun
from fleetflow_tasks.api.replacing import put
from fleetflow_tasks.api.surrounding import Surroundings, surroundings
from fleetflow_tasks.config.starter import Start, starter
from fleetflow_tasks.errors import ConfigError, RefusedError

START = Start(project="shop")


def seen(folder: Path, **files: str) -> Surroundings:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return surroundings(folder, {})


def repository(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)


def refused(folder: Path, *, nested: bool = False) -> str:
    with pytest.raises(RefusedError) as caught:
        surroundings(folder, {}, nested=nested)
    return caught.value.problems[0].message


@pytest.mark.parametrize(
    ("files", "port", "why"),
    [
        ({"Dockerfile": "FROM a\nEXPOSE 1\nFROM b\n expose 9000/tcp\nEXPOSE $PORT\n"}, 9000, "which the Dockerfile exposes"),
        ({"Dockerfile": "EXPOSE 99999\n", "package__json": ""}, 3000, "usual with a package.json"),
        ({"pyproject__toml": "", "go__mod": ""}, 8000, "usual with a pyproject.toml"),
        ({"go__mod": ""}, 8080, "usual with a go.mod"),
        ({}, None, ""),
    ],
)  # fmt: skip
def test_the_port_is_guessed_from_what_is_there(tmp_path: Path, files: dict[str, str], port: int, why: str) -> None:
    found = seen(tmp_path, **files)

    assert (found.port, found.port_from) == (port, why)
    assert found.built == ("Dockerfile" in files)


@pytest.mark.parametrize(
    ("folder", "name"), [("My_Shop.v2", "my-shop-v2"), ("shop", "shop"), ("名前", "project"), ("-x-", "x")]
)
def test_the_name_is_the_folder_s_as_every_platform_takes_it(tmp_path: Path, folder: str, name: str) -> None:
    assert surroundings(tmp_path / folder, {}).project == name


def test_files_that_say_what_else_is_here_are_found(tmp_path: Path) -> None:
    found = seen(tmp_path, go__mod="", compose__yml="")

    assert (found.manifest, found.compose) == ("go.mod", "compose.yml")


def test_a_dockerfile_that_is_no_text_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"\xff\xfe")

    found = surroundings(tmp_path, {})

    assert (found.built, found.port) == (True, None)


@pytest.mark.parametrize("name", [".fleetflow/fleet.kdl", "fleet.kdl", "flow.kdl", "fleetflow.kdl"])
def test_a_project_that_is_there_is_never_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to("nowhere")

    assert refused(tmp_path, nested=True) == f"`{tmp_path / name}` is there already, and is left as it is"


def test_a_project_above_is_told_and_another_one_inside_it_has_to_be_wanted(tmp_path: Path) -> None:
    (tmp_path / "flow.kdl").touch()
    inside = tmp_path / "a" / "b"

    assert refused(inside) == f"this folder belongs to a project already: `{tmp_path / 'flow.kdl'}`"
    assert surroundings(inside, {}, nested=True).project == "b"


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    (tmp_path / ".fleetflow").symlink_to(".fleetflow")

    with pytest.raises(ConfigError, match="cannot be read"):
        surroundings(tmp_path / "new", {})


def test_git_is_told_to_leave_secrets_out_and_only_what_it_does_not_know_yet(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / ".gitignore").write_text("*.env\n", encoding="utf-8")
    (tmp_path / "sub" / ".gitignore").write_text("!.env.example\n", encoding="utf-8")

    outside = surroundings(tmp_path / "sub", {"FLEETFLOW_STATE_DIR": str(tmp_path)})
    inside = surroundings(tmp_path / "sub", {"FLEETFLOW_STATE_DIR": str(tmp_path / "sub" / "state")})

    assert outside.ignore == (".env.*",)
    assert inside.ignore == (".env.*", "/state/")


def test_where_there_is_no_git_to_ask_the_lines_of_the_file_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(".env\n", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert surroundings(tmp_path, {}).ignore == (".env.*", "!.env.example")


def test_without_a_repository_git_needs_to_know_nothing(tmp_path: Path) -> None:
    assert surroundings(tmp_path, {}).ignore == ()


def test_a_folder_is_made_and_gets_its_files(tmp_path: Path) -> None:
    written = begun(tmp_path / "a" / "b", START, ignore=(".env",))

    assert written == ("fleet.kdl", ".gitignore")
    assert (tmp_path / "a" / "b" / "fleet.kdl").read_text(encoding="utf-8") == starter(START)
    assert (tmp_path / "a" / "b" / ".gitignore").read_bytes() == b".env\n"


@pytest.mark.parametrize(("old", "new"), [(b"x", b"x\n.env\n"), (b"x\r\n", b"x\r\n.env\r\n"), (b"", b".env\n")])
def test_a_gitignore_goes_on_where_it_ended(tmp_path: Path, old: bytes, new: bytes) -> None:
    (tmp_path / ".gitignore").write_bytes(old)

    begun(tmp_path, START, ignore=(".env",))

    assert (tmp_path / ".gitignore").read_bytes() == new


def test_what_came_to_be_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text("mine", encoding="utf-8")

    with pytest.raises(RefusedError, match="is there already, and is left as it is"):
        begun(tmp_path, START)

    assert (tmp_path / "fleet.kdl").read_text(encoding="utf-8") == "mine"


def test_a_file_that_cannot_take_its_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()

    with pytest.raises(IsADirectoryError):
        put(tmp_path / "here", b"x")

    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_two_who_write_a_file_at_once_do_not_take_away_each_others_half(tmp_path: Path) -> None:
    other = tmp_path / f".fleet.kdl.{os.getpid()}"  # of a process that has the same number, in another container
    other.touch()

    put(tmp_path / "fleet.kdl", b"x")

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["fleet.kdl", other.name])


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / ".gitignore").mkdir()

    with pytest.raises(ConfigError, match=r"fleet.kdl` cannot be written: not a directory"):
        begun(tmp_path / "file" / "x", START)
    with pytest.raises(ConfigError, match=r".gitignore` cannot be written: is a directory"):
        begun(tmp_path, START, ignore=(".env",))
