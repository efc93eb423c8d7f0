# SPDX-License-Identifier: Apache-2.0
"""Texts that may hold a secret, as they may be shown and written: a variable's name in the place of its value.

A password that stands in the `.env` file can go into an address as well as into a secret. The address then names the
variable again, as the text did, and means the same; what no variable names is `[hidden]`. So is a text that a secret is
known to have gone into and that does not hold it as it is: a filter of a template has changed it, there or in a variable
on the way.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from fleetflow_tasks.config.as_kdl import Mixed, Reference
from fleetflow_tasks.config.model import HIDDEN, SHORTEST_SECRET, Stage
from fleetflow_tasks.config.trail import Trail
from fleetflow_tasks.plan.model import Plan

Shown = str | Mixed


class Hider:
    """secrets: their values. variables: name -> value, of those that went into a secret.

    inside: variables -> these and all that their values are made of. made_of: a variable -> those in its own value, and
    how often each. value: a variable's.
    """

    def __init__(
        self,
        secrets: Collection[str],
        variables: Mapping[str, str],
        inside: Callable[[Iterable[str]], frozenset[str]],
        made_of: Callable[[str], Mapping[str, int]],
        value: Callable[[str], str | None],
    ) -> None:
        self._variables = variables
        self._names = {value: name for name, value in variables.items()}
        self._long = {value for value in (*secrets, *self._names) if len(value) >= SHORTEST_SECRET}
        self._inside = inside
        self._made_of = made_of
        self._value = value

    def is_secret(self, name: str) -> bool:
        return name in self._variables

    def shown(self, texts: Sequence[str], used: Mapping[str, int]) -> tuple[Shown, ...]:
        """The texts of one node. used: the variables in it, and how often each."""
        secret = self._secret(used)
        if any(self._lost(name, used[name], texts) for name in secret):
            return tuple(HIDDEN if text else text for text in texts)
        short = {self._variables[each] for name in secret for each in self._inside([name]) if each in self._variables}
        values = sorted(filter(None, {*self._long, *short}), key=len, reverse=True)
        pattern = re.compile(f"({'|'.join(map(re.escape, values))})") if values else None
        return tuple(self._cut(text, pattern) if pattern else text for text in texts)

    def _secret(self, names: Iterable[str]) -> list[str]:
        """Those of them that a secret has gone into."""
        return [name for name in names if self._variables.keys() & self._inside([name])]

    def _lost(self, name: str, times: int, texts: Sequence[str]) -> bool:
        """Whether the texts hold the variable's value fewer times than it was put in: something has changed it.

        Or something has changed, in the value itself, what that is made of.
        """
        value = self._value(name)
        if not value:
            return False
        if sum(text.count(value) for text in texts) < times:
            return True
        if self.is_secret(name):  # hidden as a whole, whatever it is made of
            return False
        inner = self._made_of(name)
        return any(self._lost(each, inner[each], [value]) for each in self._secret(inner))

    def _cut(self, text: str, pattern: re.Pattern[str]) -> Shown:
        found = pattern.split(text)
        if len(found) == 1:
            return text
        pieces = [self._piece(each) if index % 2 else each for index, each in enumerate(found)]
        if any(isinstance(piece, Reference) for piece in pieces):
            return Mixed(pieces=tuple(piece for piece in pieces if piece))
        return "".join(map(str, pieces))

    def _piece(self, value: str) -> str | Reference:
        name = self._names.get(value)
        return Reference(name=name) if name else HIDDEN


def hider(stage: Stage, plan: Plan, trail: Trail) -> Hider:
    """Of the secrets of all the stage's services."""
    sources = [source for service in stage.services for source in service.secrets.values()]
    names = trail.inside(source.name for source in sources if source.kind == "env")
    values = [secret.reveal() for service in plan.services for secret in service.secrets.values()]
    variables = {name: value for name in sorted(names) if (value := trail.value(name)) is not None}
    return Hider(values, variables, trail.inside, trail.made_of, trail.value)


def for_eyes(text: Shown) -> str:
    """Neither a value nor a name in its place."""
    if isinstance(text, str):
        return text
    return "".join(HIDDEN if isinstance(piece, Reference) else piece for piece in text.pieces)
