# SPDX-License-Identifier: Apache-2.0
"""Who asks, and from where: the user, the git commit, the CI job. What nobody can say is left out, never an error.

A CI system says all of it in variables. Elsewhere git is asked once, for a second at most; it locks and writes nothing.
"""

import getpass
import hmac
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping

from fleetflow_tasks.api.request import Request
from fleetflow_tasks.config.model import Data
from fleetflow_tasks.plan.codec import KeyMaterial

GIT = 1.0  # seconds that git may take; a deployment does not wait for a repository on a slow disk
_SHA = 12  # characters of a commit's hash: enough for any repository, and short enough for a table

Environ = Mapping[str, str]


class Job(Data, frozen=True, kw_only=True):
    """A CI job. id: of this attempt, which no other job or attempt of that CI system has. user: who it works for."""

    id: str
    commit: str = ""
    branch: str = ""
    url: str = ""
    user: str = ""


def actor(request: Request) -> str:
    """Who asks, as user@host: the CI system's user where it names one."""
    found = job(request.environ)
    user = (found.user if found else "") or request.environ.get("USER") or _uid_name()
    return f"{user}@{socket.gethostname()}"


def origin(request: Request, folder: str | None = None) -> str:
    """`commit 1a2b3c4d5e6f on main, with changes, job https://…`; empty where nothing is known.

    folder: of the project, in whose work tree the commit is looked for; None: the one that the request names.
    """
    found = job(request.environ)
    commit = _commit(found.commit, found.branch) if found and found.commit else _from_git(folder or request.directory)
    where = f"job {found.url or found.id}" if found else ""
    return ", ".join(text for text in (commit, where) if text)


def again(request: Request, note: str) -> str:
    """From where a plan comes that is carried out once more: what *note* said the first time, and who does it now."""
    found = job(request.environ)
    return "; ".join(text for text in (note, f"again by job {found.url or found.id}" if found else "") if text)


def job_key(request: Request, content: Callable[[], str], material: Callable[[], KeyMaterial]) -> str | None:
    """The key that makes one run of what the same CI job submits twice; None where no CI is known.

    content: the hash of the plan, material: what plans are sealed with; both asked for only where there is a job.
    The plan's secrets count in its hash, and the key lies open in Redis: the hash itself there would tell who tries guesses
    out which one is right. So it goes through a keyed one. A rotation of FLEETFLOW_KEY in the middle of a job changes it,
    and what that job submits again then is another run.
    """
    found = job(request.environ)
    return f"{found.id} {_keyed(content(), material())}" if found else None


def _keyed(content: str, material: KeyMaterial) -> str:
    return hmac.new(material.derived("job key"), content.encode(), "sha256").hexdigest()[:32]


def job(environ: Environ) -> Job | None:
    """The CI job in which this process runs, of the systems that we know."""
    return next((found for read in _SYSTEMS if (found := read(environ)) is not None), None)


def _github(environ: Environ) -> Job | None:
    run, attempt = environ.get("GITHUB_RUN_ID"), environ.get("GITHUB_RUN_ATTEMPT", "1")
    if not run:
        return None
    server, repository = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_REPOSITORY", "")
    return Job(
        id=f"github {run}.{attempt} {environ.get('GITHUB_JOB', '')}".rstrip(),
        commit=environ.get("GITHUB_SHA", ""),
        branch=environ.get("GITHUB_HEAD_REF") or environ.get("GITHUB_REF_NAME", ""),
        url=f"{server}/{repository}/actions/runs/{run}" if server and repository else "",
        user=environ.get("GITHUB_ACTOR", ""),
    )


def _gitlab(environ: Environ) -> Job | None:
    """A job that is tried again there gets a new id."""
    id_ = environ.get("CI_JOB_ID") if environ.get("GITLAB_CI") or environ.get("CI_PIPELINE_ID") else None
    if not id_:
        return None
    return Job(
        id=f"gitlab {id_}",
        commit=environ.get("CI_COMMIT_SHA", ""),
        branch=environ.get("CI_COMMIT_REF_NAME", ""),
        url=environ.get("CI_JOB_URL", ""),
        user=environ.get("GITLAB_USER_LOGIN", ""),
    )


def _jenkins(environ: Environ) -> Job | None:
    tag = environ.get("BUILD_TAG") if environ.get("JENKINS_URL") else None
    if not tag:
        return None
    return Job(
        id=f"jenkins {tag}",
        commit=environ.get("GIT_COMMIT", ""),
        branch=environ.get("BRANCH_NAME") or environ.get("GIT_BRANCH", ""),
        url=environ.get("BUILD_URL", ""),
        user=environ.get("BUILD_USER_ID", ""),
    )


def _circleci(environ: Environ) -> Job | None:
    """Its address holds the job's number, which one that is run again does not keep."""
    url = environ.get("CIRCLE_BUILD_URL") if environ.get("CIRCLECI") else None
    if not url:
        return None
    return Job(
        id=f"circleci {url}",
        commit=environ.get("CIRCLE_SHA1", ""),
        branch=environ.get("CIRCLE_BRANCH", ""),
        url=url,
        user=environ.get("CIRCLE_USERNAME", ""),
    )


def _buildkite(environ: Environ) -> Job | None:
    """A job that is tried again there gets a new id."""
    id_ = environ.get("BUILDKITE_JOB_ID")
    if not id_:
        return None
    url = environ.get("BUILDKITE_BUILD_URL", "")
    return Job(
        id=f"buildkite {id_}",
        commit=environ.get("BUILDKITE_COMMIT", ""),
        branch=environ.get("BUILDKITE_BRANCH", ""),
        url=f"{url}#{id_}" if url else "",
        user=environ.get("BUILDKITE_BUILD_CREATOR", "").replace(" ", "."),
    )


_SYSTEMS: tuple[Callable[[Environ], Job | None], ...] = (_github, _gitlab, _jenkins, _circleci, _buildkite)


def _commit(sha: str, branch: str, *, changed: bool = False) -> str:
    return f"commit {sha[:_SHA]}{f' on {branch}' if branch else ''}{', with changes' if changed else ''}"


def _from_git(folder: str) -> str:
    """What `git status` says; empty where there is no git, no work tree, no commit yet, or no answer in time."""
    lines = _git_status(folder)
    told = dict(_headers(lines))
    sha = told.get("branch.oid", "(initial)")
    if sha == "(initial)":
        return ""
    branch = told.get("branch.head", "")
    changed = any(not line.startswith("#") for line in lines)
    return _commit(sha, "" if branch == "(detached)" else branch, changed=changed)


def _git_status(folder: str) -> list[str]:
    """core.fsmonitor off: a repository's own settings start no program here."""
    words = ("git", "-c", "core.fsmonitor=false", "--no-optional-locks", "-C", folder)
    try:
        answer = subprocess.run(
            [*words, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", "."],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=GIT,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    return answer.stdout.decode(errors="replace").splitlines()


def _headers(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`# branch.head main` -> ("branch.head", "main")."""
    for line in lines:
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            yield name, value


def _uid_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's bare uid has no name
        return "somebody"
