# SPDX-License-Identifier: Apache-2.0
"""One refusal of Cloud Run's, with all that is needed to put it into words. Pure."""

from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.cloudrun.reading import one_line
from fleetflow_tasks.runtimes.cloudrun.settings import settings
from fleetflow_tasks.runtimes.cloudrun.trouble import CloudRunError

_SHOWN = 400  # characters of an answer; some hold a whole template


class Answer:
    """said: Cloud Run's words. where: the stage's place. lead: "cannot deploy `api`". account: as whom we come."""

    def __init__(
        self, error: CloudRunError, plan: Plan, service: ResolvedService | None, lead: str, account: str
    ) -> None:
        self.error = error
        self.said = error.answer
        self.where = settings(plan)
        self.service = service
        self.lead = lead
        self.account = account

    def problem(
        self, code: str, message: str, *, fix: str = "", field: str = "", cause: tuple[str, ...] | None = None
    ) -> Problem:
        """field: of the service, that it comes from. cause: instead of Cloud Run's own words."""
        words = (f"Cloud Run says: {short(self.said)}",) if self.said else ()
        return Problem(
            code=code,
            message=f"{self.lead}: {message}",
            cause=words if cause is None else cause,
            fix=fix,
            place=self._place(field),
        )

    def _place(self, field: str) -> Place | None:
        if self.service is None:
            return None
        return self.service.place(field)


def short(said: str) -> str:
    """In one line, and not at length."""
    flat = one_line(said)
    return flat if len(flat) <= _SHOWN else f"{flat[: _SHOWN // 2]} … {flat[-_SHOWN // 2 :]}"
