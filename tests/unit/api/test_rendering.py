# SPDX-License-Identifier: Apache-2.0
"""A rendering as files: only our own are touched, each is whole, and what is gone goes."""

from pathlib import Path

import pytest

from fleetflow_tasks.api.rendering import Rendered, Written, written
from fleetflow_tasks.config.model import ProjectName, RuntimeName, StageName
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.plan.model import Plan

DOCKER, KUBERNETES = RuntimeName("docker"), RuntimeName("kubernetes")
ONE: Rendered = {KUBERNETES: {"00-namespace.yaml": "kind: A\n", "api.yaml": "kind: B\n"}}


def plan(stage: str = "stg") -> Plan:
    return Plan(project=ProjectName("shop"), stage=StageName(stage), root="/", services=(), steps=())


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def refused(folder: Path, texts: Rendered = ONE, stage: str = "stg") -> list[str]:
    with pytest.raises(RefusedError) as caught:
        written(folder, plan(stage), texts)
    return [problem.message for problem in caught.value.problems]


def test_each_file_says_at_its_head_whose_it_is(tmp_path: Path) -> None:
    done = written(tmp_path / "new" / "stg", plan(), ONE)

    assert done == Written(changed=("00-namespace.yaml", "api.yaml"))
    assert (tmp_path / "new" / "stg" / "api.yaml").read_text(encoding="utf-8").splitlines() == [
        "# made by `flow render` for shop/stg, which writes it anew: do not edit",
        "kind: B",
    ]


def test_json_says_it_in_a_field(tmp_path: Path) -> None:
    written(tmp_path, plan(), {DOCKER: {"api.json": '{\n  "a": {}\n}\n'}})

    assert (tmp_path / "api.json").read_text(encoding="utf-8") == (
        '{\n  "//": "made by `flow render` for shop/stg, which writes it anew: do not edit",\n  "a": {}\n}\n'
    )


def test_what_is_the_same_is_left_and_what_is_gone_goes(tmp_path: Path) -> None:
    written(tmp_path, plan(), {KUBERNETES: {**ONE[KUBERNETES], "old.yaml": "kind: C\n"}})
    (tmp_path / "notes.yaml").write_text("kind: D\n", encoding="utf-8")

    done = written(tmp_path, plan(), {KUBERNETES: {**ONE[KUBERNETES], "api.yaml": "kind: E\n"}})

    assert done == Written(changed=("api.yaml",), same=("00-namespace.yaml",), removed=("old.yaml",))
    assert names(tmp_path) == ["00-namespace.yaml", "api.yaml", "notes.yaml"]


def test_a_file_that_is_not_ours_is_not_touched_and_nothing_else_is_written(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text("kind: Mine\n", encoding="utf-8")

    assert refused(tmp_path) == [
        f"{tmp_path / 'api.yaml'} is not of this stage's rendering, so it is left alone, and nothing was written"
    ]
    assert names(tmp_path) == ["api.yaml"]
    assert (tmp_path / "api.yaml").read_text(encoding="utf-8") == "kind: Mine\n"


def test_another_stage_s_rendering_a_link_and_a_folder_are_not_ours_either(tmp_path: Path) -> None:
    written(tmp_path / "a", plan("stg2"), ONE)
    (tmp_path / "b" / "api.yaml").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "api.yaml").symlink_to(tmp_path / "a" / "api.yaml")
    (tmp_path / "d").write_text("", encoding="utf-8")

    assert [len(refused(tmp_path / name)) for name in "abc"] == [2, 1, 1]
    assert refused(tmp_path / "d") == [f"`{tmp_path / 'd'}` is no folder"]


def test_several_runtimes_have_a_folder_each(tmp_path: Path) -> None:
    written(tmp_path, plan(), {DOCKER: {"api.json": "{}\n", "db.json": "{}\n"}, **ONE})
    done = written(tmp_path, plan(), {DOCKER: {"api.json": "{}\n"}, **ONE})

    assert done.removed == ("docker/db.json",)
    assert names(tmp_path) == ["docker/api.json", "kubernetes/00-namespace.yaml", "kubernetes/api.yaml"]


def test_files_with_secrets_are_the_owner_s_alone(tmp_path: Path) -> None:
    written(tmp_path, plan(), ONE)
    (tmp_path / "api.yaml").chmod(0o644)

    done = written(tmp_path, plan(), ONE, secrets=True)

    assert "api.yaml" in done.changed
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_write_that_fails_leaves_nothing_half_written(tmp_path: Path) -> None:
    written(tmp_path, plan(), ONE)
    lone = "\ud800"  # half of a pair: no file can hold it

    with pytest.raises(UnicodeEncodeError):
        written(tmp_path, plan(), {KUBERNETES: {**ONE[KUBERNETES], "new.yaml": f"kind: {lone}\n"}})

    assert names(tmp_path) == ["00-namespace.yaml", "api.yaml"]
