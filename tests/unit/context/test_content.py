# SPDX-License-Identifier: Apache-2.0
"""What a builder is sent, and what its hash covers. On a real disk."""

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from fleetflow_tasks.config.model import Build
from fleetflow_tasks.context import content, folder
from fleetflow_tasks.context.content import read, same, sent
from fleetflow_tasks.context.folder import ContextError, Source


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder `app` with a Dockerfile, in a root of its own."""
    root = tmp_path / "root"
    write(root, {"app/Dockerfile": "FROM base:1 AS prod\n", "app/src/main.py": "print()\n"})
    return root


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def build(**fields: object) -> Build:
    return Build(**{"context": "app", **fields})  # type: ignore[arg-type]  # handed on as they are


def tar(root: Path, made: Build) -> tarfile.TarFile:
    data = b"".join(sent(Source(root, made), read(root, made).hash))
    return tarfile.open(fileobj=io.BytesIO(data))


def names(root: Path, made: Build | None = None) -> list[str]:
    return [entry.name for entry in Source(root, made or build()).entries()]


def refused(root: Path, made: Build) -> tuple[str, str, str, str]:
    """(field, code, message, fix)"""
    with pytest.raises(ContextError) as caught:
        read(root, made)
    problem = caught.value.problem
    return caught.value.field, problem.code, problem.message, problem.fix


def test_all_of_the_folder_is_sent_with_its_modes_and_links(app: Path) -> None:
    (app / "app/run").write_text("#!/bin/sh\n")
    (app / "app/run").chmod(0o755)
    (app / "app/now").symlink_to("../elsewhere")
    (app / "app/empty").mkdir(mode=0o700)
    os.utime(app / "app/run", (1_700_000_000, 1_700_000_000))

    found = {each.name: each for each in tar(app, build())}

    assert list(found) == ["Dockerfile", "empty", "now", "run", "src", "src/main.py"]
    assert [oct(found[name].mode) for name in ("empty", "run")] == ["0o700", "0o755"]
    assert (found["now"].issym(), found["now"].linkname) == (True, "../elsewhere")
    assert {each.uid for each in found.values()} == {0}
    assert found["run"].mtime == 1_700_000_000


def test_a_file_of_any_length_comes_whole(app: Path) -> None:
    long = "x" * (content.PIECE + 513)
    write(app, {f"app/{'n' * 150}": long, "app/none": ""})

    with tar(app, build()) as found:
        assert found.extractfile("n" * 150).read().decode() == long  # type: ignore[union-attr]  # a file
        assert found.getmember("none").size == 0


def test_what_the_ignore_file_leaves_out_is_not_sent_but_for_the_dockerfile(app: Path) -> None:
    write(app, {"app/.dockerignore": "**\n!src/main.py\n", "app/src/other.py": "", "app/big/deep/x": ""})

    assert names(app) == ["Dockerfile", "src", "src/main.py"]


def test_an_ignore_file_beside_the_dockerfile_comes_before_that_of_the_folder(app: Path) -> None:
    write(app, {"app/.dockerignore": "src", "app/Dockerfile.dockerignore": ".dockerignore\n*.dockerignore"})

    assert names(app) == ["Dockerfile", "src", "src/main.py"]


def test_a_dockerfile_from_elsewhere_is_sent_under_a_name_of_its_own(app: Path) -> None:
    write(app, {"ops/api.Dockerfile": "FROM other\n"})
    made = build(dockerfile="../ops/api.Dockerfile")

    with tar(app, made) as found:
        name = Source(app, made).sent_as
        assert found.getnames()[-1] == name
        assert name.startswith(".dockerfile.")
        assert found.extractfile(name).read() == b"FROM other\n"  # type: ignore[union-attr]  # a file


def test_a_dockerfile_that_is_a_link_is_sent_as_what_it_points_to(app: Path) -> None:
    write(app, {"common/Dockerfile": "FROM common\n"})
    (app / "app/Linked").symlink_to("../common/Dockerfile")

    source = Source(app, build(dockerfile="Linked"))

    assert source.apart
    assert source.images() == ("common",)


def test_names_that_are_no_unicode_are_sent_as_they_are(app: Path) -> None:
    path = os.fsencode(app / "app") + b"/caf\xe9"
    with open(path, "w"):  # noqa: PTH123  (a path of bytes)
        pass

    with tar(app, build()) as found:
        assert os.fsencode("caf\udce9") in [os.fsencode(each) for each in found.getnames()]


def test_sockets_and_pipes_are_told_of_and_left_out(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(app / "app/pipe")
    os.mkfifo(app / "app/src/ignored")
    write(app, {"app/.dockerignore": "src/ignored\n.dockerignore"})
    monkeypatch.chdir(app / "app")  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")

        found = read(app, build())

    assert found.special == ("pipe", "sock")
    assert names(app) == ["Dockerfile", "src", "src/main.py"]


def test_the_hash_covers_names_modes_contents_links_and_the_build_itself(app: Path) -> None:
    write(app, {"app/one": "1"})
    (app / "app/link").symlink_to("one")
    seen = {read(app, build()).hash}

    def differs(made: Build | None = None) -> bool:
        found = read(app, made or build()).hash
        new = found not in seen
        seen.add(found)
        return new

    (app / "app/one").write_text("2")
    assert differs()
    (app / "app/one").chmod(0o600)
    assert differs()
    (app / "app/one").rename(app / "app/two")
    assert differs()
    (app / "app/link").unlink()
    (app / "app/link").symlink_to("two")
    assert differs()
    assert differs(build(args={"V": "1"}))
    assert differs(build(target="prod"))
    assert differs(build(platform="linux/arm64"))
    (app / "app/empty").mkdir()
    assert differs()
    assert not differs()


def test_the_hash_does_not_cover_times_or_where_the_folder_lies(app: Path, tmp_path: Path) -> None:
    before = read(app, build()).hash

    app.rename(tmp_path / "elsewhere")
    os.utime(tmp_path / "elsewhere/app/src/main.py", (1, 1))
    write(tmp_path, {"elsewhere/beside": ""})

    assert read(tmp_path / "elsewhere", build()).hash == before
    assert read(tmp_path / "elsewhere/app", build(context=".")).hash == before


def test_the_biggest_parts_are_named(app: Path) -> None:
    write(app, {"app/a/x": "1" * 30, "app/a/y": "1" * 30, "app/b": "1" * 50, "app/c/z": "1" * 40})

    found = read(app, build())

    assert found.biggest == (("a", 60), ("b", 50), ("c", 40))
    assert found.size == 60 + 50 + 40 + len("FROM base:1 AS prod\nprint()\n")


def test_what_is_sent_breaks_off_where_it_is_not_what_was_hashed(app: Path) -> None:
    expected = read(app, build()).hash
    write(app, {"app/src/main.py": "print(1)\n"})

    stream = sent(Source(app, build()), expected)

    with pytest.raises(ContextError) as caught:
        list(stream)
    assert caught.value.problem.message == "its files changed since the plan was made"


def test_a_file_that_shrinks_or_goes_meanwhile_ends_it(app: Path) -> None:
    write(app, {"app/zzz": "x" * 2 * content.PIECE, "app/zzzz": ""})
    stream = content._archived(next(e for e in Source(app, build()).entries() if e.name == "zzz"), hashed())
    next(stream)
    next(stream)
    (app / "app/zzz").write_text("short")
    with pytest.raises(ContextError, match="`zzz` changed while it was read"):
        list(stream)

    entries = Source(app, build()).entries()
    (app / "app/zzzz").unlink()
    listed = [each for each in entries if each.name.startswith("zzz")]
    assert [each.name for each in listed] == ["zzz"]
    gone = folder.Entry(name="zzzz", path=str(app / "app/zzzz"), kind="file")
    with pytest.raises(ContextError, match="`zzzz` changed while it was read"):
        list(content._archived(gone, hashed()))


def hashed() -> object:
    from hashlib import sha256

    return sha256()


def test_a_folder_in_the_place_of_a_file_cannot_be_sent(app: Path) -> None:
    entry = folder.Entry(name="src", path=str(app / "app/src"), kind="file")

    with pytest.raises(ContextError, match="`src` cannot be read: Is a directory"):
        list(content._archived(entry, hashed()))


def test_whether_the_same_files_are_here(app: Path, tmp_path: Path) -> None:
    expected = read(app, build()).hash

    assert same(app, build(), expected)[1] == ""
    assert same(app, build(), "f00") == (None, "the files in `app` are other ones")
    assert same(tmp_path, build(), expected) == (None, "the folder `app` to build from is not there")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"context": "ap"},
            ("context", "build-context", "the folder `ap` to build from is not there", "did you mean `app`?"),
        ),
        (
            {"context": "zzz"},
            (
                "context",
                "build-context",
                "the folder `zzz` to build from is not there",
                "make it, or correct `context`; it is relative to the project's root",
            ),
        ),
        (
            {"context": "app/Dockerfile"},
            (
                "context",
                "build-context",
                "the folder `app/Dockerfile` to build from is a file",
                "make it, or correct `context`; it is relative to the project's root",
            ),
        ),
        (
            {"context": "nowhere/at/all"},
            (
                "context",
                "build-context",
                "the folder `nowhere/at/all` to build from is not there",
                "make it, or correct `context`; it is relative to the project's root",
            ),
        ),
        (
            {"context": "https://github.com/x/y.git"},
            (
                "context",
                "build-context",
                "the context `https://github.com/x/y.git` is no folder",
                "check it out, and name the folder",
            ),
        ),
        (
            {"dockerfile": "dockerfile"},
            ("dockerfile", "build-dockerfile", "there is no `dockerfile` in `app`", "did you mean `Dockerfile`?"),
        ),
        (
            {"context": "app/src"},
            (
                "dockerfile",
                "build-dockerfile",
                "there is no `Dockerfile` in `app/src`",
                "write one, or correct `dockerfile`; it is relative to the context",
            ),
        ),
        (
            {"target": "prodd"},
            ("target", "build-target", "`Dockerfile` has no stage `prodd`", "did you mean `prod`?"),
        ),
        (
            {"target": "web"},
            ("target", "build-target", "`Dockerfile` has no stage `web`", "it has `prod`"),
        ),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    app: Path, fields: dict[str, object], expected: tuple[str, str, str, str]
) -> None:
    assert refused(app, build(**fields)) == expected


def test_a_stage_is_named_in_any_case_or_by_number(app: Path) -> None:
    assert Source(app, build(target="PROD")).build.target == "PROD"
    assert Source(app, build(target="0")).build.target == "0"


def test_a_dockerfile_without_named_stages_has_none_to_choose(app: Path) -> None:
    write(app, {"app/Dockerfile": "FROM x\n"})

    assert refused(app, build(target="prod"))[3] == "name a stage: `FROM … AS name`"


def test_an_ignore_file_with_a_wrong_line_is_told_with_it(app: Path) -> None:
    write(app, {"app/.dockerignore": "a\n[b-a]\n"})

    assert refused(app, build()) == (
        "context",
        "build-ignore",
        "`.dockerignore`, line 2: `[b-a]` is no pattern",
        "correct it",
    )


def test_a_dockerfile_of_a_megabyte_is_none(app: Path) -> None:
    write(app, {"app/Dockerfile": "#" * (folder.MOST + 1)})

    assert refused(app, build())[1:3] == ("build-too-large", "`Dockerfile` has more than 1024 KiB")


def test_what_cannot_be_read_is_named(app: Path) -> None:
    memory = "/proc/self/mem"  # a file that not even root can read from its beginning
    moved = folder.Entry(name="one", path=str(app / "app/one"), kind="file")
    (app / "app/one").symlink_to("two")

    assert refused(app, build(dockerfile=memory))[:3] == (
        "dockerfile",
        "build-unreadable",
        "`mem` cannot be read: Input/output error",
    )
    with open(memory, "rb", buffering=0) as file, pytest.raises(ContextError) as caught:  # noqa: PTH123  (as the product opens it)
        list(content._pieces(file, "mem", 1))
    assert caught.value.problem.fix == "make it readable, or name it in `.dockerignore`"
    with pytest.raises(ContextError, match="`one` cannot be read: Too many levels of symbolic links"):
        list(content._archived(moved, hashed()))


def test_what_goes_while_it_is_listed_ends_it(app: Path) -> None:
    write(app, {"app/zzz": ""})
    entries = Source(app, build()).entries()
    assert [next(entries).name for _ in range(2)] == ["Dockerfile", "src"]
    (app / "app/src/main.py").unlink()
    (app / "app/src").rmdir()
    with pytest.raises(ContextError, match="`src` changed while it was read"):
        next(entries)

    entries = Source(app, build()).entries()
    next(entries)
    (app / "app/zzz").unlink()
    with pytest.raises(ContextError, match="`zzz` changed while it was read"):
        next(entries)


def test_whether_a_name_is_in_the_folder_be_it_left_out_or_not(app: Path) -> None:
    write(app, {"app/.dockerignore": "src"})

    assert Source(app, build()).holds("src/main.py")
    assert not Source(app, build()).holds("src/other.py")
