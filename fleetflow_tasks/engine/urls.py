# SPDX-License-Identifier: Apache-2.0
"""The URLs that a service is told, found while its stage is deployed.

What a dependency's deployment told in this run, or in the one that this run tries again, stands among the step's facts:
one question to the store for all of them. A dependency that is no step of this run (`--no-deps`) was deployed earlier;
there its runtime is asked. A stage in which nobody has to be told anything costs neither.

The state of a run is not sealed as its plan is. Whoever can write to Redis and has no key could send a service's requests,
and the tokens in them, elsewhere with one changed fact. So a worker signs the URL that its runtime told, and believes
none that is not signed: of that service its runtime is asked then.
"""

import hmac
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.codec import KeyMaterial, Keys
from fleetflow_tasks.plan.handed import asked, handed, placeholders
from fleetflow_tasks.plan.model import Plan, Step, StepId
from fleetflow_tasks.plan.waits import place_of
from fleetflow_tasks.runtimes.addressed import urls
from fleetflow_tasks.runtimes.base import DeployError, Outcome, Runtime

log = logging.getLogger(__name__)

URL = "url"  # the fact that a runtime tells
SIGNATURE = "url_signature"  # the one that a worker adds to it

Outcomes = Mapping[StepId, Outcome]


def with_urls(
    plan: Plan,
    step: Step,
    *,
    keys: Keys,
    runtimes: Callable[[RuntimeName], Runtime],
    outcomes: Callable[[Sequence[StepId]], Outcomes | None],
) -> Plan | None:
    """*plan* as the runtime of *step* gets it; None where *outcomes* has no answer.

    outcomes: of those steps of this run that have ended well. A `prepare` waits for nobody: it gets placeholders.
    Raises DeployError where a dependency is not there, UnavailableError where its runtime does not answer.
    """
    if step.service is None or step.action not in {"prepare", "deploy", "restart"}:
        return plan
    wanted = asked(plan, [step.service])
    if step.action == "prepare":
        return handed(plan, placeholders(wanted), [step.service])
    done = outcomes([StepId(f"{name}:deploy") for name in wanted]) if wanted else {}
    if done is None:
        return None
    told = _told(plan, wanted, done, keys)
    silent = {name: runtime for name, runtime in wanted.items() if name not in told}
    return handed(plan, {**told, **_asked(plan, step.service, silent, runtimes)}, [step.service])


def signed(outcome: Outcome, plan: Plan, step: Step, keys: Keys) -> Outcome:
    """*outcome* of *step*, so that another worker believes the URL in it."""
    url = outcome.facts.get(URL)
    if url is None or step.service is None:
        return outcome
    facts = {**outcome.facts, SIGNATURE: _signature(keys.current, plan, step.service, url)}
    return msgspec.structs.replace(outcome, facts=facts)


def _told(
    plan: Plan, wanted: Mapping[ServiceName, RuntimeName], done: Outcomes, keys: Keys
) -> Mapping[ServiceName, str]:
    """What their deployments told; "" of one that told no URL, so has none."""
    found: dict[ServiceName, str] = {}
    for name in wanted:
        outcome = done.get(StepId(f"{name}:deploy"))
        if outcome is None:
            continue
        if _is_signed(outcome, plan, name, keys):
            found[name] = outcome.facts.get(URL, "")
        else:
            log.warning("url.unsigned", extra={"project": plan.project, "stage": plan.stage, "service": name})
    return found


def _asked(
    plan: Plan,
    service: ServiceName,
    wanted: Mapping[ServiceName, RuntimeName],
    runtimes: Callable[[RuntimeName], Runtime],
) -> Mapping[ServiceName, str]:
    found = urls(plan, wanted, runtimes) if wanted else {}
    for name, url in found.items():
        if url is None:
            raise DeployError(_not_there(plan, service, name, wanted[name]))
    return {name: url for name, url in found.items() if url is not None}


def _is_signed(outcome: Outcome, plan: Plan, name: ServiceName, keys: Keys) -> bool:
    url, signature = outcome.facts.get(URL), outcome.facts.get(SIGNATURE, "")
    if url is None:
        return True
    known = (_signature(key, plan, name, url) for key in (keys.current, keys.previous) if key is not None)
    # As bytes: what stands in the store may be any text, and of texts only ASCII can be compared.
    return any(hmac.compare_digest(each.encode(), signature.encode()) for each in known)


def _signature(key: KeyMaterial, plan: Plan, name: ServiceName, url: str) -> str:
    """Good in every run of the stage: a retry hands on what an earlier run was told."""
    text = msgspec.json.encode([plan.project, plan.stage, name, url])
    return hmac.new(key.derived(URL), text, "sha256").hexdigest()


def _not_there(plan: Plan, service: ServiceName, name: ServiceName, runtime: RuntimeName) -> Problem:
    return Problem(
        code="url-unknown",
        message=f"service `{service}` is to be told the URL of `{name}`, which is not on {runtime} yet",
        fix=f"deploy `{name}` first, or both at once: leave `--no-deps` out",
        place=place_of(plan.service(service), name),
    )
