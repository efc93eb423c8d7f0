# SPDX-License-Identifier: Apache-2.0
"""The Services and Jobs that a text holds, whichever of their forms it is in: all in the API's v2 form.

JSON, and YAML too: Knative's form (v1) as gcloud prints it, v2 as the API returns it, one object, a list of them, a list's
answer with its `items`, several YAML documents.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import ConfigError, Problem
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.knative import from_knative
from fleetflow_tasks.runtimes.cloudrun.knative_head import Kind, Whereabouts, kind_of, place
from fleetflow_tasks.runtimes.cloudrun.mapping import Left
from fleetflow_tasks.runtimes.cloudrun.names import mark
from fleetflow_tasks.runtimes.cloudrun.spelling import texts_by_name

_LISTS = ("items", "services", "jobs")  # of an answer that lists: v1's, v2's
_COMMENT = "//"  # where `flow render` marks a file as its own, since JSON knows no comments
_FIX = (
    "give it what `gcloud run services describe NAME --format=json` prints, or `gcloud run services list --format=json`"
)


class Found(Data, frozen=True, kw_only=True):
    """An object. where: as its name says it. mark: whose it is; None where it is not ours. left: lost on the way to v2."""

    body: Json
    kind: Kind
    where: Whereabouts
    mark: labels.Mark | None = None
    left: tuple[Left, ...] = ()


def read(text: str, source: str) -> list[Found]:
    """In their order, at least one. source: what the text is called in messages.

    Raises ConfigError, with all that is wrong.
    """
    objects = list(_objects(_parsed(text, source)))
    wrong = [problem for each in objects for problem in _unfit(each, source)]
    if not objects:
        wrong.append(_problem("import-empty", f"{source} holds no service and no job of Cloud Run"))
    if wrong:
        raise ConfigError(*wrong)
    return [_found(each) for each in objects]


def _parsed(text: str, source: str) -> object:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ConfigError(_problem("import-deep", f"{source} is nested too deep")) from error
    except ValueError as error:
        return _yaml(text, source, error)


def _yaml(text: str, source: str, no_json: Exception) -> object:
    """As JSON would have it. An alias is refused: what it stands for can be larger than any memory."""
    try:
        if any(isinstance(each, yaml.AliasToken) for each in yaml.scan(text)):
            raise ConfigError(_problem("import-alias", f"{source} holds a YAML alias, which is not read"))
        return json.loads(json.dumps(list(yaml.safe_load_all(text)), default=str))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        causes = (f"as JSON: {_line(no_json)}", f"as YAML: {_line(error)}")
        raise ConfigError(_problem("import-unreadable", f"{source} is neither JSON nor YAML", *causes)) from error


def _objects(value: object) -> Iterator[Json | object]:
    """One by one; what is no object at all comes as it is."""
    if isinstance(value, list):
        for each in value:
            yield from _objects(each)
    elif isinstance(value, Mapping) and (name := _list_in(value)):
        yield from _objects(value[name])
    elif value is not None:
        yield value


def _list_in(value: Json) -> str | None:
    return next((name for name in _LISTS if isinstance(value.get(name), list) and "template" not in value), None)


def _unfit(value: object, source: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping) or _kind(value) is None:
        said = value.get("kind") if isinstance(value, Mapping) else value
        shown = f"`{said}`, which" if isinstance(said, str) else "something that"
        yield _problem("import-kind", f"{source} holds {shown} is neither a service nor a job of Cloud Run")
    elif any(_is_unwritable(each) for each in _texts(value)):
        yield _problem("import-text", f"{source} holds a character that KDL cannot: NUL, or half of a surrogate pair")


def _kind(value: Json) -> Kind | None:
    if "apiVersion" in value:
        try:
            return kind_of(value) if _named(value) else None
        except ValueError:
            return None
    name, template = value.get("name"), value.get("template")
    if not isinstance(name, str) or not name or not isinstance(template, Mapping):
        return None
    return "job" if isinstance(template.get("template"), Mapping) else "service"


def _named(value: Json) -> bool:
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return isinstance(name, str) and name != ""


def _found(value: Any) -> Found:
    """*value* is fit for it."""
    if "apiVersion" in value:
        made = from_knative(value)
        return _of(made.body, made.kind, made.left)
    return _of(value, _kind(value) or "service")


def _of(said: Json, kind: Kind, left: tuple[Left, ...] = ()) -> Found:
    body = {name: value for name, value in said.items() if name != _COMMENT}
    return Found(body=body, kind=kind, where=place(body["name"]), mark=_mark(body), left=left)


def _mark(body: Json) -> labels.Mark | None:
    """Whose it is, where its labels are such as an API would return."""
    try:
        return mark({name: texts_by_name(body.get(name, {})) for name in ("labels", "annotations")})
    except ValueError:
        return None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _is_unwritable(text: str) -> bool:
    return any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _problem(code: str, message: str, *causes: str) -> Problem:
    return Problem(code=code, message=message, cause=causes, fix=_FIX)
