# SPDX-License-Identifier: Apache-2.0
"""What happens to files: all of a project, each by itself, and nothing of them is lost but their old form."""

import os
from pathlib import Path

import pytest

from fleetflow_tasks.api.formatting import FormattedFile, Formatting, _write, formatted_files, formatted_text
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.errors import Bug, ConfigError, Problem

UGLY, FINE = "a  1\n", "a 1\n"


def done(folder: Path, *names: str, write: bool = True, **environ: str) -> Formatting:
    return formatted_files(Request(directory=str(folder), environ=environ), names, write=write)


def wrong(found: Formatting) -> list[str]:
    return [problem.message for problem in found.error.problems] if found.error else []


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*.kdl")}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    files = {
        "fleet.kdl": 'project  "shop"\ninclude "more/*.kdl"\n',
        "fleet.stg.kdl": UGLY,
        "services/api.kdl": UGLY,
        "more/x.kdl": FINE,
        "not-of-it.kdl": UGLY,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_all_files_of_a_project_are_formatted_and_no_others(shop: Path) -> None:
    found = done(shop / "services", write=True)

    assert [file.name for file in found.changed] == ["../fleet.kdl", "api.kdl", "../fleet.stg.kdl"]
    assert [file.name for file in found.files if not file.changed] == ["../more/x.kdl"]
    assert texts(shop) == {
        "fleet.kdl": 'project "shop"\ninclude "more/*.kdl"\n',
        "fleet.stg.kdl": FINE,
        "services/api.kdl": FINE,
        "more/x.kdl": FINE,
        "not-of-it.kdl": UGLY,
    }


def test_a_project_may_be_named_by_its_folder_and_by_the_environment(shop: Path) -> None:
    by_folder = done(Path("/"), str(shop), write=False)
    by_environ = done(Path("/"), write=False, FLEETFLOW_FILE=str(shop / "fleet.kdl"))

    assert len(by_folder.changed) == len(by_environ.changed) == 3
    assert texts(shop)["fleet.stg.kdl"] == UGLY


def test_a_named_file_is_done_alone_and_once(shop: Path) -> None:
    (shop / "link.kdl").symlink_to("not-of-it.kdl")

    found = done(shop, "not-of-it.kdl", "./not-of-it.kdl", "link.kdl")

    assert [file.name for file in found.files] == ["not-of-it.kdl"]
    assert texts(shop)["fleet.stg.kdl"] == UGLY


def test_what_cannot_be_read_is_told_and_the_others_are_done(shop: Path) -> None:
    (shop / "fleet.kdl").write_text('include "gone.kdl"\ninclude "services/api.kdl"\nb  2\n', encoding="utf-8")
    (shop / "fleet.stg.kdl").write_text('a "1\n', encoding="utf-8")

    found = done(shop)

    assert wrong(found) == ["this string is never closed", "`gone.kdl` cannot be read: no such file or directory"]
    assert isinstance(found.error, ConfigError)
    assert [file.name for file in found.changed] == ["fleet.kdl", "services/api.kdl"]
    assert texts(shop)["fleet.stg.kdl"] == 'a "1\n'


def test_a_named_file_that_is_not_there_keeps_nobody_from_the_others(shop: Path) -> None:
    found = done(shop, "gone.kdl", "not-of-it.kdl")

    assert wrong(found) == [f"there is no file `gone.kdl`, looked for from {shop}"]
    assert texts(shop)["not-of-it.kdl"] == FINE


def test_one_mistake_of_ours_weighs_more_than_many_in_files() -> None:
    first, second = Problem(code="syntax", message="a"), Problem(code="format-bug", message="b")

    found = Formatting(errors=(ConfigError(first), Bug(second), ConfigError(first)))

    assert isinstance(found.error, Bug)
    assert wrong(found) == ["a", "b"]
    assert Formatting().error is None


def test_a_template_that_is_left_alone_is_a_warning(tmp_path: Path) -> None:
    text = "{% if X %}\na {\n{% else %}\nb {\n{% endif %}\n}\n"
    (tmp_path / "f.kdl").write_text(text, encoding="utf-8")

    found = done(tmp_path, "f.kdl")

    assert [problem.code for problem in found.warnings] == ["unformatted"]
    assert (found.error, found.changed) == (None, ())


def test_mode_link_line_breaks_and_byte_order_mark_stay(tmp_path: Path) -> None:
    real = tmp_path / "real.txt"
    real.write_bytes(b'\xef\xbb\xbfa  1\r\nb """\r\n  c\r\n  """')
    real.chmod(0o640)
    (tmp_path / "f.kdl").symlink_to("real.txt")

    done(tmp_path, "f.kdl")

    assert real.read_bytes() == b'\xef\xbb\xbfa 1\r\nb """\r\n  c\r\n  """\r\n'
    assert real.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "f.kdl").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.kdl", "real.txt"]


def test_what_is_formatted_is_not_touched(shop: Path) -> None:
    os.utime(shop / "more" / "x.kdl", (1, 1))
    before = (shop / "more" / "x.kdl").stat()

    done(shop)

    after = (shop / "more" / "x.kdl").stat()
    assert (after.st_ino, after.st_mtime) == (before.st_ino, before.st_mtime)


def test_a_file_that_changed_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "f.kdl").write_text("b 2\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"`f.kdl` cannot be written: it has changed meanwhile"):
        _write(tmp_path / "f.kdl", FormattedFile(name="f.kdl", old=UGLY, new=FINE))

    assert texts(tmp_path) == {"f.kdl": "b 2\n"}


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`f.kdl` cannot be written: no such file or directory"):
        _write(tmp_path / "f.kdl", FormattedFile(name="f.kdl", old=UGLY, new=FINE))


def test_a_text_that_is_in_no_file_keeps_its_line_breaks() -> None:
    file, data = formatted_text(b"a  1\r\n\r\n\r\nb", "standard input")

    assert (file.name, file.changed, data) == ("standard input", True, b"a 1\r\n\r\nb\r\n")


@pytest.mark.parametrize("data", [b"\xff", b"a\0", b'a "'])
def test_what_is_no_text_is_told_with_its_place(data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        formatted_text(data, "standard input")

    assert str(caught.value.problems[0].place).startswith("standard input:1:")
