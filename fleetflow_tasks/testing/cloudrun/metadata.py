# SPDX-License-Identifier: Apache-2.0
"""Labels, annotations and descriptions.

Labels: https://cloud.google.com/resource-manager/docs/creating-managing-labels ("Requirements for labels"): at most 64; keys
begin with a lower-case letter; keys and values hold lower-case letters, digits, `_` and `-` and are at most 63 long.
Annotations: `Service.annotations` ("follows Kubernetes annotations' namespacing, limits, and rules"). Four namespaces of
both are rejected: `Service.labels`, `RevisionTemplate.annotations`, ….
"""

import re
from typing import Any

from .violations import Violations

Json = dict[str, Any]

SYSTEM = ("run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_TOTAL = (
    256 * 1024
)  # bytes of all annotations; https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations


def checked(body: Json, field: str, found: Violations) -> None:
    _labels(body.get("labels", {}), f"{field}labels", found)
    _annotations(body.get("annotations", {}), f"{field}annotations", found)
    # `Service.description`: "This field currently has a 512-character limit."
    found.say_if(len(body.get("description", "")) > 512, f"{field}description", "must be at most 512 characters.")


def _labels(labels: Json, field: str, found: Violations) -> None:
    found.say_if(len(labels) > 64, field, "a resource can have at most 64 labels.")
    for key, value in labels.items():
        if _system(key):
            found.say(field, f"the label '{key}' is in a system namespace, which API v2 does not support.")
        elif not _label(key) or not key[:1].isalpha():
            found.say(field, f"the label key '{key}' must begin with a lowercase letter and {_RULE}")
        elif not _label(value):
            found.say(field, f"the value '{value}' of label '{key}' must {_RULE}")


_RULE = "can only contain lowercase letters, numeric characters, underscores and dashes, at most 63 of them."


def _label(said: str) -> bool:
    return len(said) <= 63 and all(char in "_-" or (char.isalnum() and char == char.lower()) for char in said)


def _annotations(annotations: Json, field: str, found: Violations) -> None:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    found.say_if(size > _TOTAL, field, f"must be at most {_TOTAL} bytes in total.")
    for key in annotations:
        if _system(key):
            found.say(field, f"the annotation '{key}' is in a system namespace, which API v2 does not support.")
        elif not _qualified(key):
            found.say(field, f"'{key}' is not a qualified name.")


def _system(key: str) -> bool:
    prefix = key.partition("/")[0] if "/" in key else key
    return any(prefix == name or prefix.endswith(f".{name}") for name in SYSTEM)


def _qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (not slash or bool(_PREFIX.fullmatch(prefix)))
