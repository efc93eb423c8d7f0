# SPDX-License-Identifier: Apache-2.0
"""The REST calls that `gcloud run` makes, in Knative's form (v1), answered from the same state as gRPC.

Paths are those of gcloud's own client (`generated_clients/apis/run/v1/run_v1_client.py`). In v1 the region stands in the host's
name alone (`europe-west1-run.googleapis.com`), so gcloud is to be pointed at Google's name over plain HTTP, and the server at
its proxy; `environ` says how. Whatever else gcloud would ask of the network then ends here, too, as an error.

    CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN=http://run.googleapis.com/
    CLOUDSDK_PROXY_TYPE=http CLOUDSDK_PROXY_ADDRESS=127.0.0.1 CLOUDSDK_PROXY_PORT=…

v1 answers at once, with the object as it begins to change. What v1's form has and v2 has not is refused here, and never
dropped: whoever sends it learns of it.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from . import rest_calls
from .api import Api
from .http import Reply, Request, as_json
from .refused import CODES, Refused
from .rest_calls import Call

Json = dict[str, Any]

GOOGLE = "googleapis.com"

_HOST = re.compile(r"(?:(?P<region>[a-z0-9-]+)-)?(?:run|cloudresourcemanager|serviceusage)\.googleapis\.com(?::\d+)?")
_SERVING = r"/apis/serving\.knative\.dev/v1/namespaces/(?P<project>[^/]+)"
_RUN = r"/apis/run\.googleapis\.com/v1/namespaces/(?P<project>[^/]+)"
_PLACE = r"/v1/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)"

ROUTES: tuple[tuple[str, re.Pattern[str], Callable[[Call], Json]], ...] = tuple(
    (method, re.compile(path), answer)
    for method, path, answer in (
        ("GET", rf"{_SERVING}/services", rest_calls.services),
        ("POST", rf"{_SERVING}/services", rest_calls.create_service),
        ("GET", rf"{_SERVING}/services/(?P<id>[^/:]+)", rest_calls.service),
        ("PUT", rf"{_SERVING}/services/(?P<id>[^/:]+)", rest_calls.replace_service),
        ("DELETE", rf"{_SERVING}/services/(?P<id>[^/:]+)", rest_calls.delete_service),
        ("GET", rf"{_SERVING}/revisions", rest_calls.revisions),
        ("GET", rf"{_SERVING}/revisions/(?P<id>[^/:]+)", rest_calls.revision),
        ("GET", rf"{_RUN}/jobs", rest_calls.jobs),
        ("POST", rf"{_RUN}/jobs", rest_calls.create_job),
        ("GET", rf"{_RUN}/jobs/(?P<id>[^/:]+)", rest_calls.job),
        ("PUT", rf"{_RUN}/jobs/(?P<id>[^/:]+)", rest_calls.replace_job),
        ("DELETE", rf"{_RUN}/jobs/(?P<id>[^/:]+)", rest_calls.delete_job),
        ("POST", rf"{_RUN}/jobs/(?P<id>[^/:]+):run", rest_calls.run_job),
        ("GET", rf"{_RUN}/executions", rest_calls.executions),
        ("GET", rf"{_RUN}/executions/(?P<id>[^/:]+)", rest_calls.execution),
        ("GET", rf"{_PLACE}/services", rest_calls.services),
        ("GET", rf"{_PLACE}/(?P<id>(?:services|jobs)/[^/:]+):getIamPolicy", rest_calls.policy),
        ("POST", rf"{_PLACE}/(?P<id>(?:services|jobs)/[^/:]+):setIamPolicy", rest_calls.set_policy),
        ("GET", r"/v1/projects/(?P<project>[^/]+)", rest_calls.project),
        ("GET", r"/v1/projects/(?P<project>[^/]+)/services/(?P<id>run\.googleapis\.com)", rest_calls.usage),
    )
)


class Rest:
    """An answerer of the HTTP port."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __call__(self, request: Request) -> Reply | None:
        where = urlsplit(request.path)
        host = _HOST.fullmatch(where.netloc or request.headers.get("host", ""))
        if host is None:
            return None
        for method, path, answer in ROUTES:
            if method == request.method and (found := path.fullmatch(where.path)):
                return self._answered(
                    answer, request, {"region": host["region"] or "", **found.groupdict()}, where.query
                )
        return None

    def _answered(
        self, answer: Callable[[Call], Json], request: Request, words: Mapping[str, str], query: str
    ) -> Reply:
        try:
            return as_json(answer(self._call(request, words, query)))
        except Refused as error:
            status = CODES[error.code][1]
            said = {"code": status, "message": error.message, "status": error.code, "details": list(error.details)}
            return as_json({"error": said}, status)

    def _call(self, request: Request, words: Mapping[str, str], query: str) -> Call:
        return Call(
            api=self._api,
            token=request.token,
            project=rest_calls.by_id(self._api, words["project"]),
            region=words["region"],
            id=words.get("id", ""),
            query={name: values[-1] for name, values in parse_qs(query).items()},
            body=_object(request.body),
        )


def environ(url: str, token: str, folder: Path, project: str) -> dict[str, str]:
    """What gcloud needs to work against the server at *url*, with *token*, and to touch nothing outside *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "token"
    file.write_text(token, encoding="utf-8")
    there = urlsplit(url)
    return {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": f"http://run.{GOOGLE}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER": f"http://cloudresourcemanager.{GOOGLE}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE": f"http://serviceusage.{GOOGLE}/",
        "CLOUDSDK_PROXY_TYPE": "http",
        "CLOUDSDK_PROXY_ADDRESS": str(there.hostname),
        "CLOUDSDK_PROXY_PORT": str(there.port),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(file),
        "CLOUDSDK_CONFIG": str(folder / "config"),
        "CLOUDSDK_CORE_PROJECT": project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1",
        "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    }


def _object(body: bytes) -> Json:
    """Raises Refused."""
    try:
        found = json.loads(body or b"{}")
    except ValueError as error:
        raise Refused("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error
    if not isinstance(found, dict):
        raise Refused("INVALID_ARGUMENT", "Invalid JSON payload received. Root element must be a message.")
    return found
