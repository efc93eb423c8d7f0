# SPDX-License-Identifier: Apache-2.0
"""Questions that people have, as jq asks them. A test asks each of the example of its type."""

from fleetflow_tasks.config.model import Data


class Query(Data, frozen=True, kw_only=True):
    """command: of `flow`. said: the type whose example it is asked of. answer: what jq prints then."""

    words: str
    command: str
    jq: str
    said: str
    answer: str


QUERIES = (
    Query(
        words="services that do not run, and why",
        command="ps",
        jq="""-r '.services[] | select(.state != "running") | "\\(.service): \\(.text)"'""",
        said="ps",
        answer="mail: exit code 1",
    ),
    Query(
        words="exactly which images run",
        command="ps",
        jq="-r '.services[].digest'",
        said="ps",
        answer="ghcr.io/shop/api:9@sha256:2c26b46b68ff\nghcr.io/shop/mail:3@sha256:fcde2b2edba5",
    ),
    Query(
        words="the run that was made",
        command="submit",
        jq="-r .run",
        said="run",
        answer="01kpzv4e8q3n5s7t9w0x2y4z6b",
    ),
    Query(
        words="each failure, as it comes",
        command="watch",
        jq="""-r 'select(.type == "step.moved" and .status == "failed") | "\\(.step): \\(.problem.message)"'""",
        said="step.moved",
        answer="api:deploy: the image does not exist",
    ),
    Query(
        words="how long a run took, in seconds",
        command="show",
        jq="'.ended - .started'",
        said="show",
        answer="7.75",
    ),
    Query(
        words="when the newest one was submitted, as a date",
        command="runs",
        jq="-r '.runs[0].submitted | todate'",
        said="runs",
        answer="2026-09-21T14:13:20Z",
    ),
    Query(
        words="what would be made anew",
        command="plan",
        jq="""-r '.changes[] | select(.kind == "replace") | "\\(.service): \\(.cause)"'""",
        said="plan",
        answer="api: image changed",
    ),
    Query(
        words="where the files are wrong",
        command="validate",
        jq="""-r '.problems[] | "\\(.place.file):\\(.place.line): \\(.message)"'""",
        said="validate",
        answer="fleet.kdl:12: unknown node `enviroment` in service `api`",
    ),
)
