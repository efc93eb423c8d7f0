# SPDX-License-Identifier: Apache-2.0
"""Pages of a list, and etags of what is to be changed: what all kinds of resources have in common.

`ListServicesRequest.page_token`: "All other parameters must match"; AIP-158, AIP-154.
"""

import base64
from typing import Any

from .names import last
from .refused import Refused, moved

Json = dict[str, Any]

SIZE = 100  # guess: objects of a page where nobody said how many
LARGEST = 1000


def page(field: str, bodies: list[Json], request: Json) -> Json:
    """*bodies* in their order, the part that *request* asks for."""
    size = min(request.get("pageSize") or SIZE, LARGEST)
    start = _start(request.get("pageToken", ""), request.get("parent", ""))
    answer: Json = {field: bodies[start : start + size]}
    if start + size < len(bodies):
        told = f"{start + size} {request.get('parent', '')}"
        answer["nextPageToken"] = base64.urlsafe_b64encode(told.encode()).decode()
    return answer


def newest(body: Json) -> tuple[str, str]:
    return body["createTime"], body["name"]


def match(request: Json, now: Json) -> None:
    """Raises Refused: ABORTED, where the request names another etag. now: as it is shown."""
    told = request.get("etag", "")
    if told and told != now["etag"]:
        raise moved(last(now["name"]), told, now["etag"])


def _start(token: str, parent: str) -> int:
    if not token:
        return 0
    try:
        start, _, of = base64.urlsafe_b64decode(token).decode().partition(" ")
        if of == parent:
            return int(start)
    except ValueError as error:
        raise Refused("INVALID_ARGUMENT", f"The page token '{token}' is not valid.") from error
    raise Refused("INVALID_ARGUMENT", "The page token belongs to another request.")
