# SPDX-License-Identifier: Apache-2.0
"""Who lacks which right, read out of Google's messages, and the line of `gcloud` that gives it. Pure.

A line is complete where the message names all that it needs; a word in capitals stands for what it does not name.
"""

import re

ACCESSOR_OF_ALL = "give it `roles/secretmanager.secretAccessor` on each of its secrets"

_AGENT = re.compile(r"service-\d+@serverless-robot-prod\.iam\.gserviceaccount\.com")
_SECRET = re.compile(
    r"Permission denied on secret: (?:projects/[^/\s]+/secrets/)?(?P<name>[\w-]+)(?:/versions/[\w-]+)?"
    r"(?: for \w+ service account (?P<account>\S+?)\.?(?=[\s,;]|$))?"
)
_REGISTRY = re.compile(r"(?P<region>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/")


def agent(message: str) -> str:
    """Cloud Run's own account in the project, "" where the message does not name it."""
    found = _AGENT.search(message)
    return found[0] if found else ""


def secrets(message: str) -> list[tuple[str, str]]:
    """The secrets that may not be read, each once, with the account that may not."""
    found = ((each["name"], each["account"] or "") for each in _SECRET.finditer(message))
    return list(dict.fromkeys(found))


def reader(image: str, member: str) -> str:
    """member: an account's address; "" for Cloud Run's own."""
    who = f"serviceAccount:{member or 'service-PROJECT_NUMBER@serverless-robot-prod.iam.gserviceaccount.com'}"
    found = _REGISTRY.match(image)
    if found is None:
        return f"let `{who}` read it (`roles/artifactregistry.reader`)"
    where = f"{found['repository']} --location={found['region']} --project={found['project']}"
    return _line(f"gcloud artifacts repositories add-iam-policy-binding {where}", who, "artifactregistry.reader")


def accessor(secret: str, account: str, project: str) -> str:
    where = f" --project={project}" if project else ""
    who = f"serviceAccount:{account or 'SERVICE_ACCOUNT'}"
    return _line(f"gcloud secrets add-iam-policy-binding {secret}{where}", who, "secretmanager.secretAccessor")


def encrypter(member: str) -> str:
    who = f"serviceAccount:{member or 'service-PROJECT_NUMBER@serverless-robot-prod.iam.gserviceaccount.com'}"
    command = "gcloud kms keys add-iam-policy-binding KEY --keyring=RING --location=REGION"
    return _line(command, who, "cloudkms.cryptoKeyEncrypterDecrypter")


def actor(account: str, deployer: str) -> str:
    """deployer: as whom we come; "" where nobody knows."""
    command = f"gcloud iam service-accounts add-iam-policy-binding {account}"
    return _line(command, member(deployer), "iam.serviceAccountUser")


def project_role(project: str, role: str, deployer: str) -> str:
    """role: its full name."""
    return f"`gcloud projects add-iam-policy-binding {project} --member={member(deployer)} --role={role}`"


def member(address: str) -> str:
    """An account's address as a policy names it."""
    if not address:
        return "MEMBER"
    return f"{'serviceAccount' if address.endswith('.gserviceaccount.com') else 'user'}:{address}"


def _line(command: str, who: str, role: str) -> str:
    return f"`{command} --member={who} --role=roles/{role}`"
