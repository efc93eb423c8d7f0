# SPDX-License-Identifier: Apache-2.0
"""What a cluster takes as a name, a label, a key; and short hashes of what an object holds.

A name that does not fit is an error with one that would, never cut in silence: what is called `api` must be found as
`api`. Only names that nobody types (of a container that waits) are shortened, with a hash, so that two stay two.
"""

import re
from hashlib import sha256

import msgspec

LABEL = 63  # characters of a DNS label, of a label's value, of a label's name
SUBDOMAIN = 253
STATEFUL_SET = 52  # its pods carry `{name}-{10 hex}` as the value of a label
JOB_HASH = 8  # hex digits behind a job's name, which say what it runs
RUN_HASH = 5  # hex digits behind these, for a job that runs in every deployment
PODS = "-pods"  # behind the name of a StatefulSet: the Service that gives each of its pods an address

HASH = "v1-"  # the version of the rules by which we hash, so that ours can be told from a change of yours

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DATA_KEY = re.compile(r"[-._A-Za-z0-9]+")
_VARIABLE = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]*")


def is_label(name: str) -> bool:
    """DNS-1123: of a namespace, a volume, a container."""
    return len(name) <= LABEL and _LABEL.fullmatch(name) is not None


def is_subdomain(name: str) -> bool:
    """Of most objects, of a host."""
    return len(name) <= SUBDOMAIN and _SUBDOMAIN.fullmatch(name) is not None


def is_label_value(value: str) -> bool:
    return not value or (len(value) <= LABEL and _QUALIFIED.fullmatch(value) is not None)


def is_key(key: str) -> bool:
    """Of a label or an annotation: a name, before it a domain and `/` where there is one."""
    domain, slash, name = key.rpartition("/")
    if slash and not is_subdomain(domain):
        return False
    return len(name) <= LABEL and _QUALIFIED.fullmatch(name) is not None


def is_data_key(key: str) -> bool:
    """Of an entry in a ConfigMap or a Secret."""
    return len(key) <= SUBDOMAIN and _DATA_KEY.fullmatch(key) is not None and key not in (".", "..")


def is_variable(name: str) -> bool:
    """Of an environment variable, which is an entry's key too. What newer clusters alone would take is left out."""
    return is_data_key(name) and _VARIABLE.fullmatch(name) is not None and not name.startswith("..")


def fitting(name: str, longest: int = LABEL) -> str:
    """The label nearest to *name*; "" where nothing of it can be kept."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:longest].rstrip("-")


def shortened(name: str, longest: int = LABEL) -> str:
    """*name*, or its beginning and a hash of the whole."""
    return name if len(name) <= longest else f"{name[: longest - 7]}-{digest(name)[:6]}"


def digest(content: object) -> str:
    """40 hex digits over anything that JSON can say; the order of keys does not count."""
    return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:40]


def hashed(content: object) -> str:
    """As a label's value."""
    return HASH + digest(content)
