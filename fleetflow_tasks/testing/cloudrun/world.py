# SPDX-License-Identifier: Apache-2.0
"""What lies around Cloud Run in a Google project: images, secrets, networks, quotas, policies of the organization.

All is well until a test says otherwise. What a fact does to a revision is said here, with the texts that
https://cloud.google.com/run/docs/troubleshooting shows.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from .names import parent
from .runner import Broken

Json = dict[str, Any]


@dataclass
class Pace:
    """How long the server's own work takes, in seconds; a container's time is its image's."""

    begin: float = 0.0  # from the request until the container is started
    route: float = 0.0  # from a decided revision until traffic goes there and the operation ends
    delete: float = 0.0


@dataclass
class World:
    """disabled: projects whose API is off. regions: those that exist; empty for all of the right form.

    missing_images, denied_images: as a container names them. missing_secrets, denied_secrets: their ids.
    domain_restricted: `allUsers` may be bound nowhere (constraints/iam.allowedPolicyMemberDomains).
    invoker_check_forced: invoker_iam_disabled may not be set (constraints/run.managed.requireInvokerIam).
    cpu_quota: vCPUs times most instances of a service in a region; None for no limit.
    reads, writes: requests a minute in a project and region; None for no limit.
    finds_executions: a known execution token finds its execution again; else it is refused.
    failed_run_is_error: whether RunJob's operation ends in an error when its execution failed.
    """

    pace: Pace = field(default_factory=Pace)
    disabled: set[str] = field(default_factory=set)
    regions: set[str] = field(default_factory=set)
    missing_images: set[str] = field(default_factory=set)
    denied_images: set[str] = field(default_factory=set)
    missing_secrets: set[str] = field(default_factory=set)
    denied_secrets: set[str] = field(default_factory=set)
    missing_networks: set[str] = field(default_factory=set)
    domain_restricted: bool = False
    invoker_check_forced: bool = False
    cpu_quota: float | None = None
    reads: int | None = None
    writes: int | None = None
    revisions_kept: int = 1000  # https://cloud.google.com/run/quotas: "revisions per service"
    services_at_most: int = 1000  # and per project and region, of jobs too
    finds_executions: bool = True
    failed_run_is_error: bool = False

    def objection(self, template: Json, name: str, what: str) -> Broken | None:
        """Why a revision, or a job, cannot begin. template: has containers and volumes. what: "Revision" or "Job"."""
        number = project_number(parent(name).project)
        images = [container.get("image", "") for container in template.get("containers", [])]
        for image in images:
            if image in self.missing_images:
                return missing_image(image)
            if image in self.denied_images:
                return _denied_image(image, number)
        return self._secret(template, number, what) or self._network(template)

    def _secret(self, template: Json, number: str, what: str) -> Broken | None:
        """https://cloud.google.com/run/docs/configuring/services/secrets#troubleshooting."""
        for secret, version in _secrets(template):
            path = f"projects/{number}/secrets/{secret}"
            if secret.rpartition("/")[2] in self.missing_secrets:
                return Broken(
                    reason="SECRETS_ACCESS_CHECK_FAILED",
                    message=f"Secret {path}/versions/{version} was not found",
                    at="ResourcesAvailable",
                )
            if secret.rpartition("/")[2] in self.denied_secrets:
                return Broken(
                    reason="SECRETS_ACCESS_CHECK_FAILED",
                    message=f"Permission denied on secret: {path}/versions/{version} for {what} service account "
                    f"{template['serviceAccount']}. The service account used must be granted the 'Secret Manager Secret "
                    "Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level.",
                    at="ResourcesAvailable",
                )
        return None

    def _network(self, template: Json) -> Broken | None:
        vpc = template.get("vpcAccess", {})
        asked = [
            interface.get(key) for interface in vpc.get("networkInterfaces", []) for key in ("network", "subnetwork")
        ]
        for name in (vpc.get("connector"), *asked):
            if name in self.missing_networks:
                return Broken(  # guess: the text
                    reason="VPC_NETWORK_NOT_FOUND",
                    message=f"VPC network '{name}' was not found.",
                    at="ResourcesAvailable",
                )
        return None


def missing_image(image: str) -> Broken:
    """google-github-actions/deploy-cloudrun #465."""
    return Broken(reason="CONTAINER_MISSING", message=f"Image '{image}' not found.", at="ContainerReady")


def _denied_image(image: str, number: str) -> Broken:
    """https://cloud.google.com/run/docs/troubleshooting#service-agent-permission."""
    return Broken(
        reason="CONTAINER_PERMISSION_DENIED",
        message=f"Google Cloud Run Service Agent service-{number}@serverless-robot-prod.iam.gserviceaccount.com must have "
        f"permission to read the image, {image}. Ensure that the provided container image URL is correct and that the "
        "above account has permission to access the image. If you just enabled the Cloud Run API, the permissions might "
        "take a few minutes to propagate.",
        at="ContainerReady",
    )


def project_number(project: str) -> str:
    """Of twelve digits, the same for the same id."""
    return str(10**11 + int(hashlib.sha256(project.encode()).hexdigest(), 16) % (9 * 10**11))


def default_account(project: str) -> str:
    """`RevisionTemplate.service_account`: "the project's default service account", Compute Engine's."""
    return f"{project_number(project)}-compute@developer.gserviceaccount.com"


def _secrets(template: Json) -> list[tuple[str, str]]:
    found = []
    for container in template.get("containers", []):
        for entry in container.get("env", []):
            selected = entry.get("valueSource", {}).get("secretKeyRef")
            if selected:
                found.append((selected["secret"], selected.get("version", "latest")))
    for volume in template.get("volumes", []):
        if "secret" in volume:
            items = volume["secret"].get("items", [{}])
            found += [(volume["secret"].get("secret", ""), item.get("version", "latest")) for item in items]
    return found
