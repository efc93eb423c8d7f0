# SPDX-License-Identifier: Apache-2.0
"""Who asks and from where, of a laptop with git, of one without, and of each CI system that we know."""

import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Never

import pytest

from fleetflow_tasks.api.origins import actor, again, job, job_key, origin
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.plan.codec import parse_key

CONTENT = "0123456789abcdef" * 4
OURS, THEIRS = (parse_key(f"a key of the tests, long enough to be one, {number}") for number in (1, 2))
GITHUB = {
    "GITHUB_RUN_ID": "77",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_JOB": "deploy",
    "GITHUB_SHA": "aabbccddeeff00112233",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SERVER_URL": "https://git.example",
    "GITHUB_REPOSITORY": "shop/api",
    "GITHUB_ACTOR": "ann",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_JOB_ID": "5001",
    "CI_COMMIT_SHA": "aabbccddeeff00112233",
    "CI_COMMIT_REF_NAME": "main",
    "CI_JOB_URL": "https://git.example/shop/-/jobs/5001",
    "GITLAB_USER_LOGIN": "bob",
}
JENKINS = {
    "JENKINS_URL": "https://ci.example/",
    "BUILD_TAG": "jenkins-shop-12",
    "GIT_COMMIT": "aabbccddeeff00112233",
    "GIT_BRANCH": "origin/main",
    "BUILD_URL": "https://ci.example/job/shop/12/",
}
CIRCLECI = {
    "CIRCLECI": "true",
    "CIRCLE_BUILD_URL": "https://ci.example/gh/shop/api/9",
    "CIRCLE_SHA1": "aabbccddeeff00112233",
    "CIRCLE_BRANCH": "main",
    "CIRCLE_USERNAME": "cy",
}
BUILDKITE = {
    "BUILDKITE_JOB_ID": "0190-77",
    "BUILDKITE_COMMIT": "aabbccddeeff00112233",
    "BUILDKITE_BRANCH": "main",
    "BUILDKITE_BUILD_URL": "https://ci.example/shop/builds/3",
    "BUILDKITE_BUILD_CREATOR": "Dee Doe",
}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (GITHUB, "commit aabbccddeeff on main, job https://git.example/shop/api/actions/runs/77"),
        (GITLAB, "commit aabbccddeeff on main, job https://git.example/shop/-/jobs/5001"),
        (JENKINS, "commit aabbccddeeff on origin/main, job https://ci.example/job/shop/12/"),
        (CIRCLECI, "commit aabbccddeeff on main, job https://ci.example/gh/shop/api/9"),
        (BUILDKITE, "commit aabbccddeeff on main, job https://ci.example/shop/builds/3#0190-77"),
    ],
)
def test_a_ci_job_says_from_which_commit_and_where_to_read_on(environ: Mapping[str, str], said: str) -> None:
    assert origin(Request(environ=environ)) == said


@pytest.mark.parametrize(
    ("environ", "user", "attempt"),
    [
        (GITHUB, "ann", "github 77.2 deploy"),
        (GITLAB, "bob", "gitlab 5001"),
        (JENKINS, "ann", "jenkins jenkins-shop-12"),
        (CIRCLECI, "cy", "circleci https://ci.example/gh/shop/api/9"),
        (BUILDKITE, "Dee.Doe", "buildkite 0190-77"),
    ],
)
def test_one_attempt_of_a_job_and_one_plan_make_one_run(environ: Mapping[str, str], user: str, attempt: str) -> None:
    request = Request(environ={"USER": "ann", **environ})

    key = job_key(request, lambda: CONTENT, lambda: OURS)

    assert key is not None
    assert key.startswith(f"{attempt} ")
    assert key == job_key(request, lambda: CONTENT, lambda: OURS)
    assert key != job_key(request, lambda: CONTENT[::-1], lambda: OURS)
    assert actor(request) == f"{user}@{socket.gethostname()}"


def test_a_jobs_key_lets_nobody_without_fleetflows_own_try_guesses_at_the_plan() -> None:
    request = Request(environ=GITLAB)

    key = job_key(request, lambda: CONTENT, lambda: OURS)

    assert key is not None
    assert not any(CONTENT[at : at + 8] in key for at in range(len(CONTENT) - 7))
    assert key != job_key(request, lambda: CONTENT, lambda: THEIRS)


def test_outside_ci_there_is_no_key_and_no_plan_is_hashed_for_one() -> None:
    def needed() -> Never:
        raise AssertionError("nobody needs it")

    outside = Request(environ={"USER": "ann", "BUILD_TAG": "not Jenkins", "CI_JOB_ID": "not GitLab"})

    assert job_key(outside, needed, needed) is None


def test_a_job_that_has_no_address_is_named_by_its_id(tmp_path: Path) -> None:
    bare = {"GITHUB_RUN_ID": "77", "BUILDKITE_JOB_ID": ""}

    assert origin(Request(environ=bare), str(tmp_path)) == "job github 77.1"
    assert job({"BUILDKITE_JOB_ID": "x"}) is not None


def git(folder: Path, *words: str) -> str:
    settings = ("-c", "user.name=ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *settings, "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "fleet.kdl").write_text('project "shop"\n', encoding="utf-8")
    return tmp_path


def test_a_work_tree_says_commit_branch_and_whether_it_was_changed_since(tree: Path) -> None:
    git(tree, "add", "fleet.kdl")
    git(tree, "commit", "--quiet", "--message=one")
    commit = git(tree, "rev-parse", "HEAD")[:12]

    assert origin(Request(), str(tree)) == f"commit {commit} on main"
    (tree / "fleet.kdl").write_text('project "shop2"\n', encoding="utf-8")
    assert origin(Request(directory=str(tree))) == f"commit {commit} on main, with changes"
    git(tree, "checkout", "--quiet", "--detach", "--force")
    assert origin(Request(), str(tree)) == f"commit {commit}"


def test_before_the_first_commit_and_outside_of_a_work_tree_nothing_is_said(tree: Path, tmp_path: Path) -> None:
    assert origin(Request(), str(tree)) == ""
    assert origin(Request(), str(tmp_path / "nowhere")) == ""
    assert origin(Request(), "not a\0folder") == ""


def test_without_git_nothing_is_said(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))

    assert origin(Request(), str(tree)) == ""


def test_a_git_that_does_not_answer_is_not_waited_for(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tree / "git"
    slow.write_text("#!/bin/sh\nexec /bin/sleep 600\n", encoding="utf-8")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tree))

    assert origin(Request(), str(tree)) == ""


def test_who_has_no_name_is_somebody_all_the_same() -> None:
    assert actor(Request()).endswith(f"@{socket.gethostname()}")


def test_a_plan_that_comes_again_says_where_it_was_from_and_which_job_brings_it_back() -> None:
    url = "https://ci.example/gh/shop/api/9"

    assert again(Request(environ=CIRCLECI), "commit 1a2b on main") == f"commit 1a2b on main; again by job {url}"
    assert again(Request(), "commit 1a2b on main") == "commit 1a2b on main"
    assert again(Request(environ={"GITHUB_RUN_ID": "7"}), "") == "again by job github 7.1"
