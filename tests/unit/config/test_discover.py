# SPDX-License-Identifier: Apache-2.0
"""Which files are read, in which order, and what is said of those that cannot be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fleetflow_tasks.config.discover import Disk
from fleetflow_tasks.config.limits import MAX_FILES, MAX_SIZE
from fleetflow_tasks.config.outline import outline
from fleetflow_tasks.errors import ConfigError

from .conftest import Folder

SHOP = """
    service "api" { image "api" }
    stage "local" { service "api" }
"""


@pytest.mark.parametrize("name", [".fleetflow/fleet.kdl", "fleet.kdl", "flow.kdl", "fleetflow.kdl"])
def test_a_file_is_found_from_the_working_directory_upwards(folder: Folder, name: str) -> None:
    folder.write({name: SHOP, "a/b/c.txt": ""})

    loaded = folder.load("local", here="a/b")

    assert loaded.files == (f"../../{name}",)
    assert loaded.project.root == str(folder.path)


def test_the_nearest_file_wins_and_in_one_folder_the_first_of_the_names(folder: Folder) -> None:
    folder.write({"fleet.kdl": SHOP, "a/fleetflow.kdl": SHOP, "a/flow.kdl": SHOP, "a/b/c.txt": ""})

    assert folder.load("local", here="a/b").files == ("../flow.kdl",)


def test_a_file_can_be_named_relative_to_the_working_directory(folder: Folder) -> None:
    folder.write({"x/shop.kdl": SHOP, "y/c.txt": "", "x/z/fleet.kdl": SHOP})

    loaded = folder.load("local", here="y", file="../x/shop.kdl")

    assert loaded.files == ("../x/shop.kdl",)
    assert loaded.project.root == str(folder.path / "x")
    assert folder.load("local", file="x/z").files == ("x/z/fleet.kdl",)


def test_a_file_can_be_named_by_the_environment_and_file_is_stronger(folder: Folder) -> None:
    folder.write({"one.kdl": SHOP, "two.kdl": SHOP})
    folder.environ = {"FLEETFLOW_FILE": "one.kdl"}

    assert folder.load("local").files == ("one.kdl",)
    assert folder.load("local", file="two.kdl").files == ("two.kdl",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nope.kdl", "there is no file `nope.kdl`, looked for from @here"),
        ("a/nope.kdl", "there is no file `a/nope.kdl`, looked for from @here"),
        ("/nope/nope.kdl", "there is no file `/nope/nope.kdl`"),
        ("empty", "folder `empty` holds none of `.fleetflow/fleet.kdl`, `fleet.kdl`, `flow.kdl`, `fleetflow.kdl`"),
    ],
)
def test_a_named_file_that_is_not_there_is_one_clear_error(folder: Folder, name: str, expected: str) -> None:
    folder.write({"empty/c.txt": "", "a": ""})

    fix = "give the path of a KDL file, or leave `--file` out to search upwards from here"
    assert folder.problems("local", file=name) == [f"{expected.replace('@here', str(folder.path))} => {fix}"]


def test_a_name_too_long_for_the_disk_is_an_error_with_the_name(folder: Folder) -> None:
    name = "x" * 300
    folder.write({"fleet.kdl": f'include "{name}/*.kdl"\n{SHOP}'})

    assert folder.problems("local", file=name) == [f"`{name}` cannot be read: file name too long"]
    assert folder.problems("local") == [f"fleet.kdl:1:9: `{name}` cannot be read: file name too long"]


def test_no_file_at_all_says_where_was_looked_and_what_to_write(folder: Folder) -> None:
    with pytest.raises(ConfigError) as caught:
        folder.load("local")

    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == ("no-file", "there is no FleetFlow file here")
    assert problem.cause[0] == (
        f"looked for `.fleetflow/fleet.kdl`, `fleet.kdl`, `flow.kdl`, `fleetflow.kdl` in {folder.path} and in every folder above it"
    )
    assert problem.fix == "`flow init` writes a first one; or name the file with `--file`"
    folder.write({"fleet.kdl": "\n".join(problem.cause[2:])})
    assert folder.load("local").project.name == "demo"


def test_files_beside_the_main_one_are_read_in_order_of_strength(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": SHOP,
            "services/a/one.kdl": 'service "api" { image "1" }',
            "services/two.kdl": 'service "api" { image "2" }',
            "stages/x.kdl": 'stage "dev" { service "api" { version "9" } }',
            "variables/v.kdl": 'variables { V "1" }',
            "fleet.dev.kdl": 'service "api" { image "dev" }',
            "flow.dev.kdl": 'service "api" { replicas 2 }',
            "fleet.local.kdl": 'service "api" { image "local" }',
        }
    )

    assert folder.load("dev").files == (
        "fleet.kdl", "services/a/one.kdl", "services/two.kdl", "stages/x.kdl", "variables/v.kdl", "fleet.dev.kdl", "flow.dev.kdl"
    )  # fmt: skip
    assert (folder.service("api", "dev").image, folder.service("api", "dev").replicas) == ("dev", 2)
    assert folder.service("api", "local").image == "local"
    assert [stage.name for stage in folder.load().project.stages] == ["local", "dev"]


def test_a_stage_that_only_its_own_file_names_is_found(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": SHOP,
            "fleet.prd.kdl": 'stage "prd" { service "api" }',
            "fleet.other.kdl": 'service "y" { image "{{ NOPE }}" }',
        }
    )

    assert [stage.name for stage in folder.load().project.stages] == ["local", "prd"]


def test_included_files_count_where_the_include_stands(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            include "parts/*.kdl" "more.kdl"
            service "api" { version "2" }
            include "late.kdl"
            stage "local" { service "api" }
            """,
            "parts/a.kdl": 'include "../deep/*.kdl"\nservice "api" { image "a"; version "1"; env A=1 B=1 }',
            "parts/b.kdl": 'service "api" { env B=2 }',
            "parts/c.txt": "not kdl {",
            "deep/d.kdl": 'service "api" { image "d"; env C=3 }',
            "more.kdl": 'service "api" { env D=4 }',
            "late.kdl": 'service "api" { version "3" }',
        }
    )

    api = folder.service("api")

    assert (api.image, api.version, dict(api.environment)) == ("a", "3", {"A": "1", "B": "2", "C": "3", "D": "4"})
    assert folder.load("local").files == (
        "fleet.kdl",
        "parts/a.kdl",
        "deep/d.kdl",
        "parts/b.kdl",
        "more.kdl",
        "late.kdl",
    )


def test_a_file_included_twice_by_different_paths_counts_once(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": f'include "a.kdl" "x/../a.kdl" "services/a.kdl"\n{SHOP}',
            "a.kdl": 'variables { A "1" }',
            "services/a.kdl": "",
        }
    )
    (folder.path / "x").mkdir()

    assert folder.load("local").files == ("fleet.kdl", "a.kdl", "services/a.kdl")


def test_a_cycle_of_includes_is_an_error_that_prints_the_chain(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'include "a.kdl"', "a.kdl": '\n\ninclude "b.kdl"', "b.kdl": 'include "a.kdl"'})

    assert folder.problems("local") == [
        "b.kdl:1:9: files include each other: a.kdl -> b.kdl -> a.kdl => remove one `include`"
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('include "none.kdl"', "fleet.kdl:1:9: `none.kdl` cannot be read: no such file or directory"),
        ('include "."', "fleet.kdl:1:9: `.` cannot be read: is a directory"),
        ('include "/dev/null"', "fleet.kdl:1:9: `@null` cannot be read: it is not a regular file"),
        ('include "a**b/*"', "fleet.kdl:1:9: `a**b/*` is no pattern of files"),
        ('include "{{ X }}.kdl"', "fleet.kdl:1:9: an `include` is read before variables are known: its path must be plain => what only one stage has stands in `fleet.{stage}.kdl`, which is read by itself"),
        ('include "${X}.kdl"', "fleet.kdl:1:9: an `include` is read before variables are known: its path must be plain => what only one stage has stands in `fleet.{stage}.kdl`, which is read by itself"),
        ('{% if true %}\ninclude "a.kdl"\n{% endif %}', "fleet.kdl:2:1: an `include` cannot stand inside `{% %}`: it is read before templates are rendered => what only one stage has stands in `fleet.{stage}.kdl`, which is read by itself"),
        ('include "\\u{0}"', "fleet.kdl:1:9: a path cannot hold a NUL character"),
    ],
)  # fmt: skip
def test_an_include_that_cannot_be_read_is_an_error_with_its_place(folder: Folder, line: str, expected: str) -> None:
    folder.write({"fleet.kdl": f"{line}\n"})

    assert folder.problems("local") == [expected.replace("@null", os.path.relpath("/dev/null", folder.path))]


def test_a_pattern_that_matches_nothing_is_a_warning(folder: Folder) -> None:
    folder.write({"fleet.kdl": f'include "none/*.kdl"\n{SHOP}'})

    assert folder.warnings("local") == ["fleet.kdl:1:9: `none/*.kdl` matches no file"]


def test_include_patterns_may_be_absolute(folder: Folder, tmp_path: Path) -> None:
    folder.write({"fleet.kdl": f'include "{tmp_path}/parts/**/*.kdl"\n{SHOP}', "parts/x/a.kdl": 'variables { A "1" }'})

    assert folder.load("local").files == ("fleet.kdl", "parts/x/a.kdl")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\xff", "fleet.kdl:1:2: `fleet.kdl` is no text: it is not UTF-8 => save it as UTF-8"),
        (b"a\nb \x00", "fleet.kdl:2:3: `fleet.kdl` is no text: it holds a NUL character => save it as UTF-8"),
        (
            b" " * (MAX_SIZE + 1),
            "`fleet.kdl` cannot be read: it is larger than 4 MiB => split it: `include` reads several files as one",
        ),
    ],
)
def test_what_is_no_text_is_an_error(folder: Folder, content: bytes, expected: str) -> None:
    folder.write({"fleet.kdl": content})

    assert folder.problems("local") == [expected]


def test_a_byte_order_mark_and_any_line_ends_are_fine(folder: Folder) -> None:
    folder.write({"fleet.kdl": b'\xef\xbb\xbfservice "a" { image "b" }\r\nstage "local" {\r service "a"\r\n}'})

    assert folder.service("a").image == "b"


def test_links_that_go_in_circles_are_errors_or_passed_by(folder: Folder) -> None:
    folder.write({"fleet.kdl": f'include "loop.kdl"\n{SHOP}'})
    (folder.path / "loop.kdl").symlink_to("loop.kdl")
    (folder.path / "services").mkdir()
    (folder.path / "services" / "again").symlink_to("..")

    (problem,) = folder.problems("local")

    assert problem.startswith("fleet.kdl:1:9: `loop.kdl` cannot be read: ")


def test_too_many_files_are_an_error(folder: Folder) -> None:
    folder.write({"fleet.kdl": SHOP, **{f"services/{number}.kdl": "" for number in range(MAX_FILES)}})

    assert folder.problems("local") == [
        f"more than {MAX_FILES} files => leave out what declares nothing, or join files"
    ]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Permissions do not bind root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def public() -> Iterator[Folder]:
    """A folder that nobody can reach, too: `tmp_path` is inside one of its owner alone."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Folder(Path(name))


@pytest.mark.parametrize(
    ("locked", "expected"),
    [
        ("services", "`services`"),
        ("services/deep", "`services/deep`"),
        ("stages", "`stages`"),
        ("variables", "`variables`"),
        ("parts/deep", "fleet.kdl:1:9: `parts/deep`"),
        ("more/one", "fleet.kdl:1:26: `more/one/m.kdl`"),
    ],
)
def test_a_folder_that_may_not_be_listed_is_an_error_and_not_an_empty_one(
    public: Folder, locked: str, expected: str
) -> None:
    include = 'include "parts/**/*.kdl" "more/*/m.kdl"'
    public.write({"fleet.kdl": f"{include}\n{SHOP}", f"{locked}/x.kdl": "", "parts/a.kdl": ""})
    (public.path / locked).chmod(0)

    with as_nobody():
        (problem,) = public.problems("local")

    (public.path / locked).chmod(0o755)
    assert problem == f"{expected} cannot be read: permission denied"


def test_stages_beside_a_file_in_a_folder_that_may_not_be_listed_are_an_error(public: Folder) -> None:
    public.write({"shop/fleet.kdl": SHOP})
    (public.path / "shop").chmod(0o711)

    with as_nobody():
        assert public.load("local", here="shop").files == ("fleet.kdl",)
        assert public.problems(here="shop") == ["`.` cannot be read: permission denied"]


@pytest.mark.parametrize("file", [None, "shop", "shop/fleet.kdl"])
def test_a_folder_that_may_not_be_entered_is_an_error_and_is_not_searched_past(
    public: Folder, file: str | None
) -> None:
    public.write({"fleet.kdl": SHOP, "shop/fleet.kdl": SHOP})
    (public.path / "shop").chmod(0)

    with as_nobody():
        (problem,) = public.problems("local", here="." if file else "shop", file=file)

    (public.path / "shop").chmod(0o755)
    name = {None: ".fleetflow/fleet.kdl", "shop": "shop/.fleetflow/fleet.kdl"}.get(file, file)
    assert problem == f"`{name}` cannot be read: permission denied"


@pytest.mark.parametrize(
    ("target", "reason"),
    [("services", "too many levels of symbolic links"), ("nowhere", "no such file or directory")],
)
def test_a_folder_that_is_a_link_to_nowhere_is_an_error(folder: Folder, target: str, reason: str) -> None:
    folder.write({"fleet.kdl": SHOP})
    (folder.path / "services").symlink_to(target)

    assert folder.problems("local") == [f"`services` cannot be read: {reason}"]


@pytest.mark.parametrize("name", ["fleet.kdl", "fleet.local.kdl"])
def test_a_file_that_is_a_link_to_itself_is_an_error(folder: Folder, name: str) -> None:
    folder.write({"flow.kdl": SHOP})
    (folder.path / name).symlink_to(name)

    assert folder.problems("local") == [f"`{name}` cannot be read: too many levels of symbolic links"]


def test_a_folder_of_services_may_be_a_link_and_a_file_of_that_name_is_nothing(folder: Folder) -> None:
    folder.write({"fleet.kdl": SHOP, "elsewhere/a.kdl": "", "stages": "not ours"})
    (folder.path / "services").symlink_to("elsewhere")

    assert folder.load("local").files == ("fleet.kdl", "services/a.kdl")


def test_a_projects_own_folder_may_be_called_like_a_pattern(folder: Folder) -> None:
    folder.write({"a[b]/fleet.kdl": f'include "parts/?.kdl"\n{SHOP}', "a[b]/parts/x.kdl": "", "ab/parts/y.kdl": ""})

    assert folder.load("local", here="a[b]").files == ("fleet.kdl", "parts/x.kdl")


def test_a_folder_called_env_is_not_a_file_of_variables(folder: Folder) -> None:
    folder.write({"fleet.kdl": SHOP, ".env/bin/activate": ""})

    assert folder.load("local").warnings == ()


def test_every_file_is_found_without_a_stage_and_what_cannot_be_read_is_told_beside(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'include "x/*.kdl"\ninclude "gone.kdl"\ninclude "x/a.kdl"\n',
            "services/b/c.kdl": "a",
            "fleet.stg.kdl": 'include "deep.kdl"',
            "flow.prd.kdl": "a",
            "fleet.local.kdl": "a",
            "deep.kdl": 'include "fleet.kdl"',
            "x/a.kdl": "a",
            "other.kdl": "a",
        }
    )
    disk = Disk(folder.path, None)
    told: list[str] = []

    found = list(disk.every(lambda text: outline(text).includes, lambda error: told.append(str(error))))

    assert [file.text.name for file in found] == [
        *("fleet.kdl", "services/b/c.kdl", "fleet.local.kdl", "fleet.stg.kdl", "flow.prd.kdl", "x/a.kdl", "deep.kdl")
    ]
    assert told == ["`gone.kdl` cannot be read: no such file or directory"]
