# SPDX-License-Identifier: Apache-2.0
"""What the server refuses: one canonical code, one message, and Google's details to it, on whatever way it was asked.

gRPC and REST write it down differently (`handler`, and whoever speaks REST); all others only raise it. Texts in quotes are
those of the real one, as users quote them in public; where nobody did, the docstring says "guess".
"""

from typing import Any

Json = dict[str, Any]

# google/rpc/code.proto: number, and the HTTP status that it is mapped to.
CODES: dict[str, tuple[int, int]] = {
    "OK": (0, 200),
    "CANCELLED": (1, 499),
    "UNKNOWN": (2, 500),
    "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "OUT_OF_RANGE": (11, 400),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
    "DATA_LOSS": (15, 500),
    "UNAUTHENTICATED": (16, 401),
}

TYPE = "type.googleapis.com/google.rpc."


class Refused(Exception):  # noqa: N818  (the name says what happened)
    """code: one of CODES. details: messages of google.rpc as JSON, each with its "@type"."""

    def __init__(self, code: str, message: str, *details: Json) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details

    @property
    def status(self) -> Json:
        """As google.rpc.Status: what an operation ends with, too."""
        return {"code": CODES[self.code][0], "message": self.message, "details": list(self.details)}


def unauthenticated() -> Refused:
    """The text of every Google API; https://cloud.google.com/docs/authentication/troubleshoot-adc."""
    return Refused(
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        {"@type": f"{TYPE}ErrorInfo", "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED", "domain": "googleapis.com"},
    )


def denied(permission: str, resource: str) -> Refused:
    """https://cloud.google.com/run/docs/troubleshooting: 403, "or resource may not exist"."""
    return Refused(
        "PERMISSION_DENIED",
        f"Permission '{permission}' denied on resource '{resource}' (or resource may not exist).",
        {
            "@type": f"{TYPE}ErrorInfo",
            "reason": "IAM_PERMISSION_DENIED",
            "domain": "iam.googleapis.com",
            "metadata": {"permission": permission, "resource": resource},
        },
    )


def cannot_act_as(account: str) -> Refused:
    """https://cloud.google.com/run/docs/troubleshooting#service-agent-permission and the docs on service identity."""
    return Refused(
        "PERMISSION_DENIED",
        f"Permission 'iam.serviceaccounts.actAs' denied on service account {account} (or it may not exist).",
    )


def disabled(number: str) -> Refused:
    """https://cloud.google.com/apis/docs/troubleshooting: ErrorInfo with SERVICE_DISABLED, and a link."""
    page = f"https://console.developers.google.com/apis/api/run.googleapis.com/overview?project={number}"
    return Refused(
        "PERMISSION_DENIED",
        f"Cloud Run Admin API has not been used in project {number} before or it is disabled. Enable it by visiting "
        f"{page} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our "
        "systems and retry.",
        {"@type": f"{TYPE}Help", "links": [{"description": "Google developers console API activation", "url": page}]},
        {
            "@type": f"{TYPE}ErrorInfo",
            "reason": "SERVICE_DISABLED",
            "domain": "googleapis.com",
            "metadata": {"service": "run.googleapis.com", "consumer": f"projects/{number}"},
        },
    )


def exhausted(number: str, what: str, after: float | None) -> Refused:
    """https://cloud.google.com/run/quotas, "API rate limits": 429; with RetryInfo where *after* is given."""
    info: Json = {
        "@type": f"{TYPE}ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
        "metadata": {"service": "run.googleapis.com", "consumer": f"projects/{number}", "quota_metric": what},
    }
    retry = [] if after is None else [{"@type": f"{TYPE}RetryInfo", "retryDelay": f"{after:.3f}s"}]
    text = f"Quota exceeded for quota metric '{what}' and limit '{what} per minute per region' of service"
    return Refused(
        "RESOURCE_EXHAUSTED", f"{text} 'run.googleapis.com' for consumer 'project_number:{number}'.", info, *retry
    )


def missing(kind: str, name: str) -> Refused:
    """guess: the real one's text differs by kind, and by the way it is asked."""
    return Refused("NOT_FOUND", f"{kind} '{name}' does not exist.")


def there_already(name: str) -> Refused:
    """`CreateService` of a name that is taken."""
    return Refused("ALREADY_EXISTS", f"Resource '{name}' already exists.")


def moved(name: str, told: str, is_: str) -> Refused:
    """AIP-154 (https://google.aip.dev/154): an etag that does not match is ABORTED."""
    return Refused(
        "ABORTED", f"Conflict for resource '{name}': version '{told}' was specified but current version is '{is_}'."
    )
