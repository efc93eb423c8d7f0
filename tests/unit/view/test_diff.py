# SPDX-License-Identifier: Apache-2.0
import json

from msgspec.structs import replace

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.errors import Place
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Change, FieldChange
from fleetflow_tasks.view import diff

TEXTS = {RuntimeName("docker"): {"00-network.json": "x\n", "db.json": '{\n  "Image": "x:1"\n}\n'}}
FOUND = {
    StepId("db:deploy"): Change(kind="create", cause="not there"),
    StepId("migrate:deploy"): Change(kind="none"),
    StepId("api:deploy"): Change(
        kind="replace",
        cause="environment changed",
        downtime="~1 s: published port",
        fields=(
            FieldChange(field="environment.TOKEN", old="[hidden]", new="[hidden]"),
            FieldChange(field="environment.LOG", old="info", new="debug"),
            FieldChange(field="environment.NEW", old=None, new=""),
            FieldChange(field="command", old="a\nb", new=None),
        ),
    ),
    StepId("web:deploy"): Change(kind="start"),
    StepId("old:remove"): Change(kind="remove", cause="the stage does not hold it any more"),
}


def test_what_differs_stands_field_by_field_old_above_new_and_nothing_else_does(plan: Plan) -> None:
    assert diff.text(plan, FOUND, TEXTS).splitlines() == [
        "create db: not there",
        "  + {",
        '  +   "Image": "x:1"',
        "  + }",
        "",
        "replace api: environment changed; downtime ~1 s: published port",
        "  environment.TOKEN",
        "    ~ [hidden], changed",
        "  environment.LOG",
        "    - info",
        "    + debug",
        "  environment.NEW",
        '    + ""',
        "  command",
        "    - a",
        "    - b",
        "",
        "start web",
        "",
        "remove old: the stage does not hold it any more",
        "",
        "diff: 1 to create, 1 to replace, 1 to start, 1 to remove, 1 unchanged",
    ]


def test_where_the_text_says_it_stands_behind_each_service_and_each_field(plan: Plan) -> None:
    places = {"": Place(file="api.kdl", line=2), "environment": Place(file="api.kdl", line=7)}
    services = tuple(replace(each, places=places if each.name == "api" else {}) for each in plan.services)

    shown = diff.text(replace(plan, services=services), FOUND, {}).splitlines()

    assert "replace api: environment changed; downtime ~1 s: published port  api.kdl:2" in shown
    assert "  environment.LOG  api.kdl:7" in shown
    assert "  command" in shown


def test_what_is_to_be_made_and_rendered_by_nobody_is_named_alone(plan: Plan) -> None:
    shown = diff.text(plan, {StepId("db:deploy"): Change(kind="create")}, {})

    assert shown.splitlines()[0] == "create db"


def test_colours_say_what_goes_and_what_comes(plan: Plan) -> None:
    shown = diff.text(plan, FOUND, TEXTS, colour=True)

    assert "\x1b[31m    - info\x1b[0m" in shown
    assert "\x1b[32m    + debug\x1b[0m" in shown
    assert '\x1b[32m  +   "Image": "x:1"\x1b[0m' in shown


def test_where_nothing_differs_one_line_says_so(plan: Plan) -> None:
    assert diff.text(plan, {}, TEXTS) == "shop/stg: nothing differs"


def test_as_json_it_holds_only_what_differs(plan: Plan) -> None:
    told = json.loads(diff.as_json(plan, FOUND))
    same = json.loads(diff.as_json(plan, {}))

    assert [each["service"] for each in told["changes"]] == ["db", "api", "web", "old"]
    assert told["changes"][1]["fields"][1] == {"field": "environment.LOG", "old": "info", "new": "debug"}
    assert (told["type"], told["differs"], same["differs"], same["changes"]) == ("diff", True, False, [])
