# SPDX-License-Identifier: Apache-2.0
"""What a runtime says, without the values of secrets: a platform's error, an application's last line, a traceback.

Whatever leaves a step, for Redis or for a log, goes through here. A runtime is asked not to say them; a library below it
was never asked. What a library says is often written in some way: a password in an address is quoted, one in a header
is base64, one in a dump of a request is JSON or a `repr`. So each secret is looked for in all of these forms, which are
made once for a plan. And a runtime may have shortened what a platform said, in the middle of a secret; that is told by
the mark that it left there (`…`).
"""

import base64
import json
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote, quote_plus

import msgspec

from fleetflow_tasks.config.model import HIDDEN, SHORTEST_SECRET
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import Outcome

CUT = "…"  # where a runtime left out the rest of a long text
SHORTEST_LINE = 8  # of a secret of many lines: a key, whose every line must be hidden where a text was cut at its ends

Hide = Callable[[str], str]


def hider(plan: Plan) -> Hide:
    """A function that puts `[hidden]` in the place of each secret of *plan*, and of each line of a long one."""
    written = {form for value in set(_values(plan)) for form in _forms(value) if len(form) >= SHORTEST_SECRET}
    forms = sorted(written, key=len, reverse=True)  # what holds another goes first

    def hide(text: str) -> str:
        for form in forms:
            text = text.replace(form, HIDDEN)
        return _without_pieces(text, forms) if CUT in text else text

    return hide


def traced(hide: Hide) -> Mapping[str, str]:
    """The exception being handled, for a log line's `extra`. Not as `exc_info`: a library's words may hold what it was given."""
    return {"traceback": hide(traceback.format_exc())}


def hidden_problem(problem: Problem, hide: Hide) -> Problem:
    return msgspec.structs.replace(
        problem,
        message=hide(problem.message),
        cause=tuple(hide(line) for line in problem.cause),
        fix=hide(problem.fix),
        more=hide(problem.more),
    )


def hidden_outcome(outcome: Outcome, hide: Hide) -> Outcome:
    facts = {name: hide(value) for name, value in outcome.facts.items()}
    return msgspec.structs.replace(outcome, text=hide(outcome.text), facts=facts)


def _values(plan: Plan) -> Iterator[str]:
    for service in plan.services:
        for secret in service.secrets.values():
            value = secret.reveal()
            if len(value) >= SHORTEST_SECRET:
                yield value
            yield from (line for line in value.splitlines() if len(line) >= SHORTEST_LINE)


def _forms(value: str) -> Iterator[str]:
    """*value* as it stands, and as libraries write it down."""
    yield value
    for quoted in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield repr(value.encode())[2:-1]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(value.encode()).decode()
        yield from (_amid(value.encode(), before, encode) for before in range(3))


def _without_pieces(text: str, forms: Sequence[str]) -> str:
    """*text*, without the piece of a secret before or after a cut."""
    *before, last = text.split(CUT)
    first, *after = [*(_without_end(part, forms) for part in before), last]
    return CUT.join([first, *(_without_beginning(part, forms) for part in after)])


def _without_end(part: str, forms: Sequence[str]) -> str:
    bare = part.rstrip()
    size = max((_begun(bare, form) for form in forms), default=0)
    return bare[:-size] + HIDDEN + part[len(bare) :] if size else part


def _without_beginning(part: str, forms: Sequence[str]) -> str:
    bare = part.lstrip()
    size = max((_begun(bare[::-1], form[::-1]) for form in forms), default=0)
    return part[: len(part) - len(bare)] + HIDDEN + bare[size:] if size else part


def _begun(text: str, form: str) -> int:
    """How many characters at the end of *text* are the beginning of *form*; 0 where these are too few to hide."""
    longest = min(len(text), len(form) - 1)
    return next((size for size in range(longest, SHORTEST_SECRET - 1, -1) if text.endswith(form[:size])), 0)


def _amid(value: bytes, before: int, encode: Callable[[bytes], bytes]) -> str:
    """What base64 makes of *value* where something else stands around it (`user:PASSWORD`): the characters that are all its own.

    before: bytes in front of it, modulo 3; each character holds six bits.
    """
    first, end = -(-before * 8 // 6), (before + len(value)) * 8 // 6
    return encode(bytes(before) + value)[first:end].decode()
