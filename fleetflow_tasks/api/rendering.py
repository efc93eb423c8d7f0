# SPDX-License-Identifier: Apache-2.0
"""What would be sent to the platforms, as text: for eyes, for review in git, for `kubectl apply`.

A folder that is written to is ours only as far as our mark goes, which stands at the head of each file. What lacks it,
or carries another stage's, is never changed, and then nothing is. A file of ours whose service is gone is removed,
since whoever applies the folder would bring it back.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from fleetflow_tasks.api.addresses import with_urls_if_any
from fleetflow_tasks.api.replacing import put
from fleetflow_tasks.api.request import Request, runtimes_of
from fleetflow_tasks.config.model import Data, RuntimeName
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.model import Plan

Rendered = Mapping[RuntimeName, Mapping[str, str]]

_HEAD = 400  # bytes of a file in which its mark must stand
_OTHERS = 0o077  # who is not the owner
_MARK = "made by `flow render`"


class Written(Data, frozen=True, kw_only=True):
    """Names of files, relative to the folder. changed: made or written anew. same: left as they were."""

    changed: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def rendered(request: Request, made: Plan, *, secrets: bool = False, part: bool = False) -> Rendered:
    """runtime -> file name -> text. secrets: by their values. part: of the services alone that *made* has steps for.

    No platform is asked, but for the URLs that services are told of others; of one that does not answer, none is known.
    """
    runtimes = runtimes_of(request)
    told = with_urls_if_any(made, runtimes)
    every = {name: runtimes(name).render(told, secrets=secrets) for name in made.runtimes}
    return {name: _of_steps(made, files) for name, files in every.items()} if part else every


def _of_steps(made: Plan, files: Mapping[str, str]) -> Mapping[str, str]:
    """A file is named after its service, and a dot stands behind that name."""
    heads = tuple(f"{step.service}." for step in made.steps if step.service is not None)
    return {name: text for name, text in files.items() if name.startswith(heads)}


def written(folder: Path, made: Plan, texts: Rendered, *, secrets: bool = False) -> Written:
    """*texts* as files of *folder*, in a folder of its own for each runtime where there are several.

    Each file is there as a whole or not at all. secrets: nobody else may read them.
    Raises RefusedError where a file of that name is not ours; nothing is written then.
    """
    mark = f"{_MARK} for {made.project}/{made.stage}"
    files = {name: _marked(name, text, mark) for name, text in _files(texts)}
    _refuse(folder, files, mark)
    stale = [name for name in _ours(folder, made, mark) if name not in files]
    changed = [name for name, text in files.items() if _replaced(folder / name, text, secrets=secrets)]
    for name in stale:
        (folder / name).unlink()
    same = tuple(name for name in files if name not in changed)
    return Written(changed=tuple(changed), same=same, removed=tuple(stale))


def _files(texts: Rendered) -> Iterator[tuple[str, str]]:
    for runtime, files in texts.items():
        for name, text in files.items():
            yield (f"{runtime}/{name}" if len(texts) > 1 else name), text


def _marked(name: str, text: str, mark: str) -> str:
    """JSON has no comments: there the mark is a field of its own, the first."""
    word = f"{mark}, which writes it anew: do not edit"
    return text.replace("{", f'{{\n  "//": "{word}",', 1) if name.endswith(".json") else f"# {word}\n{text}"


def _refuse(folder: Path, files: Mapping[str, str], mark: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise RefusedError(Problem(code="render-no-folder", message=f"`{folder}` is no folder", fix="name another one"))
    if foreign := [name for name in files if _is_foreign(folder / name, mark)]:
        raise RefusedError(
            *(
                Problem(
                    code="render-foreign",
                    message=f"{folder / name} is not of this stage's rendering, so it is left alone, and nothing was written",
                    fix="name another folder, or remove the file",
                )
                for name in foreign
            )
        )


def _is_foreign(path: Path, mark: str) -> bool:
    return path.is_symlink() or (path.exists() and not _is_ours(path, mark))


def _is_ours(path: Path, mark: str) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as file:
        return f"{mark}," in file.read(_HEAD).decode(errors="replace")


def _ours(folder: Path, made: Plan, mark: str) -> list[str]:
    """Every file that an earlier rendering of this stage left, also in the folders of its runtimes."""
    folders = [folder, *(each for each in sorted(folder.glob("*")) if each.is_dir() and not each.is_symlink())]
    found = [path for each in folders for path in sorted(each.glob("*")) if path.suffix in {".json", ".yaml"}]
    return [str(path.relative_to(folder)) for path in found if _is_ours(path, mark)]


def _replaced(path: Path, text: str, *, secrets: bool) -> bool:
    """Whether it had to be written. A reader sees the old file or the new one."""
    if path.exists() and path.read_bytes() == text.encode() and not (secrets and path.stat().st_mode & _OTHERS):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, text.encode(), private=secrets)
    return True
