# SPDX-License-Identifier: Apache-2.0
"""What the command line and the environment add to a plan beside the files: `--force-conflicts`, `--replace`, `--canary`, a
wait image.

All of it goes into the plan, since workers on other machines carry it out, and see neither.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from fleetflow_tasks.api.request import Request
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.errors import PlanError, Problem
from fleetflow_tasks.plan.leave import given
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.plan.resolve import CLOUDRUN, KUBERNETES


def allowed(request: Request, made: Plan) -> Plan:
    """*made* with the leave that *request* gives for this one deployment.

    Raises PlanError where that means nothing: no service of the stage is on such a platform, or none has such a name.
    """
    if wrong := tuple(_meaningless(request, made)):
        raise PlanError(*wrong)
    names = " ".join(sorted(set(request.replaced)))
    made = given(made, KUBERNETES, force_conflicts="yes" if request.force_conflicts else "", replace=names)
    return given(made, CLOUDRUN, canary="" if request.canary is None else str(request.canary))


def moving(made: Plan, share: int) -> Plan:
    """*made*, for the requests' sake: what is on trial gets *share* percent of them."""
    return given(made, CLOUDRUN, canary=str(share), promote="yes")


def settled_here(request: Request, made: Plan) -> Plan:
    """*made* with what this machine's environment says and the stage does not."""
    image, said = request.environ.get("FLEETFLOW_WAIT_IMAGE", ""), made.options.get(KUBERNETES, {})
    if KUBERNETES not in made.runtimes or not image or "wait_image" in said:
        return made
    return replace(made, options={**made.options, KUBERNETES: {**said, "wait_image": image}})


def _meaningless(request: Request, made: Plan) -> Iterator[Problem]:
    here = {str(service.name) for service in made.services if service.runtime == KUBERNETES}
    elsewhere = {str(service.name): service.runtime for service in made.services if service.runtime != KUBERNETES}
    if request.force_conflicts and not here:
        yield Problem(
            code="no-kubernetes",
            message=f"`--force-conflicts` means nothing: no service of stage `{made.stage}` is on Kubernetes",
            fix="leave it out",
        )
    for name in sorted(set(request.replaced)):
        if name in elsewhere:
            yield Problem(
                code="replace-elsewhere",
                message=f"`--replace {name}` means nothing: service `{name}` is on {elsewhere[name]}",
                cause=("only on Kubernetes are there changes that an object does not take as long as it lives",),
                fix="leave it out",
            )
        elif name not in here:
            message = f"`--replace {name}`: stage `{made.stage}` has no service `{name}`"
            yield Problem(code="unknown-service", message=message, fix=suggestion(name, {*here, *elsewhere}))
    if request.canary is not None and not any(service.runtime == CLOUDRUN for service in made.services):
        yield Problem(
            code="no-cloudrun",
            message=f"`--canary {request.canary}` means nothing: no service of stage `{made.stage}` is on Cloud Run",
            cause=("only there can a new version get a share of the requests",),
            fix="leave it out, or put the service on runtime `cloudrun`",
            more="docs/cloudrun.md",
        )
