# SPDX-License-Identifier: Apache-2.0
"""A KDL text in the one form that `flow fmt` gives it, and the promise that it still says the same.

    tokens   the text as words, comments and marks
    gather   items and their blocks
    layout   the text again

A mistake in any of the three would change somebody's file. So what comes out is read once more before it is handed back:
the parser's tree must be the same, and every token too, comments included; of a template, which cannot be parsed before
it is rendered, every token. And written anew it must stay as it is. Else that is a Bug, and there is no new text.
"""

from collections.abc import Sequence

import ckdl
import msgspec

from fleetflow_tasks.config import kdl, template
from fleetflow_tasks.config.gather import gather
from fleetflow_tasks.config.layout import layout
from fleetflow_tasks.config.locate import Located, Text, scan
from fleetflow_tasks.config.template import Part
from fleetflow_tasks.config.tokens import Masked, Token, masked, tokens
from fleetflow_tasks.errors import Bug, ConfigError, Problem

_EATERS = ("-", "+")  # `{%- … -%}`: Jinja2 takes away the blanks and line breaks on that side


class Formatted(msgspec.Struct, frozen=True):
    """warnings: why the text was left as it is."""

    text: str
    warnings: tuple[Problem, ...] = ()


class _Read(msgspec.Struct, frozen=True):
    """A text with what is known of it. parts: of a template, none of another text."""

    source: str
    parts: tuple[Part, ...]
    mask: Masked
    located: Located


def formatted(text: Text) -> Formatted:
    """Raises ConfigError for a text that cannot be read, and Bug rather than change what it says."""
    read = _read(text)
    if not read.parts:
        kdl.parse(text)
    if problem := _trouble(text, read):
        return Formatted(text.source, (problem,))
    new = _laid_out(read)
    _check(text, read, new)
    return Formatted(new)


def _read(text: Text) -> _Read:
    parts = template.parts(text) if template.is_template(text.source) else ()
    mask = masked(text.source, parts)
    return _Read(text.source, parts, mask, scan(mask.text) if parts else text.located)


def _trouble(text: Text, read: _Read) -> Problem | None:
    """Why a template is left alone: a block that begins in an `if` and ends outside.

    Raises ConfigError where no statement can be to blame; the parser lets pass some of what the scanner does not, `a (b){}`.
    """
    found = read.located.refused or next(iter(read.located.troubles), None)
    if found is None:
        return None
    place = text.place_in_source(found.span.start, found.span.end)
    if not any(part.kind == "statement" for part in read.parts):
        raise ConfigError(Problem(code="syntax", message=found.message, fix=found.fix, place=place))
    return Problem(
        code="unformatted",
        message=f"`{text.name}` is left as it is: without what stands in `{{% %}}`, {found.message}",
        fix="let every `if` and `for` hold whole nodes",
        place=place,
        severity="warning",
    )


def _laid_out(read: _Read) -> str:
    eats = any(part.kind != "data" and _eats(read.source[part.start : part.end]) for part in read.parts)
    return layout(gather(_tokens(read)), semicolons=eats)


def _eats(part: str) -> bool:
    return part[2:3] in _EATERS or part.rstrip()[-3:-2] in _EATERS


def _check(text: Text, old: _Read, new: str) -> None:
    """Raises Bug."""
    again = Text(text.name, new)
    try:
        read = _read(again)
        same = _said(_tokens(old)) == _said(_tokens(read)) and (bool(old.parts) or _tree(old.source) == _tree(new))
        stays = same and _laid_out(read) == new
    except ConfigError:
        same = stays = False
    if not stays:
        what = "it would be another one when formatted again" if same else "it would not say the same any more"
        raise Bug(
            Problem(
                code="format-bug",
                message=f"`{text.name}` is left as it is: {what}",
                cause=("this is a mistake in FleetFlow itself",),
                fix="report it, with that file",
            )
        )


def _tokens(read: _Read) -> list[Token]:
    return tokens(read.source, read.mask, read.located)


def _said(found: Sequence[Token]) -> list[tuple[str, str]]:
    """All but the layout: line breaks, `;`, and lines that are joined, though not a comment between them."""
    kinds = [("comment" if token.kind == "join" else token.kind, token.text) for token in found]
    return [(kind, text) for kind, text in kinds if kind not in ("line", ";") and (kind, text) != ("comment", "")]


def _tree(source: str) -> list[object]:
    """As the parser sees it, in the version in which it is read."""
    for version in kdl.VERSIONS:
        try:
            return [_shape(node) for node in ckdl.parse(source, version=version).nodes]
        except kdl.REFUSED:
            continue
    return []


def _shape(node: "ckdl.Node") -> object:
    """Comparable, which a NaN is not: printed forms are."""
    values = [repr(value) for value in (node.name, node.type_annotation, *node.args)]
    return values, repr(node.properties), [_shape(child) for child in node.children]
