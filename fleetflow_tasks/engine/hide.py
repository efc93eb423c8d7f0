# SPDX-License-Identifier: Apache-2.0
"""What a runtime says, without the values of secrets: a platform's error, an application's last line, a traceback.

Whatever leaves a step, for Redis or for a log, goes through here. A runtime is asked not to say them; a library below it
was never asked.
"""

from collections.abc import Callable, Iterator

import msgspec

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import Outcome

HIDDEN = "[hidden]"
SHORTEST = 4  # characters; to hide each "1" of a text would only spoil it
SHORTEST_LINE = 8  # of a secret of many lines: a key, whose every line must be hidden where a text was cut at its ends

Hide = Callable[[str], str]


def hider(plan: Plan) -> Hide:
    """A function that puts `[hidden]` in the place of each secret of *plan*, and of each line of a long one."""
    values = sorted(set(_values(plan)), key=len, reverse=True)  # what holds another goes first

    def hide(text: str) -> str:
        for value in values:
            text = text.replace(value, HIDDEN)
        return text

    return hide


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
            if len(value) >= SHORTEST:
                yield value
            yield from (line for line in value.splitlines() if len(line) >= SHORTEST_LINE)
