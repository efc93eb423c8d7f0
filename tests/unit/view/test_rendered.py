# SPDX-License-Identifier: Apache-2.0
import json

from fleetflow_tasks.api.rendering import Written
from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.view import rendered

CLOUDRUN, DOCKER, KUBERNETES = RuntimeName("cloudrun"), RuntimeName("docker"), RuntimeName("kubernetes")


def test_yaml_documents_are_parted_and_json_objects_follow_each_other() -> None:
    assert rendered.text({KUBERNETES: {"00-namespace.yaml": "---\nkind: A\n", "api.yaml": "kind: B\n"}}) == (
        "---\nkind: A\n---\nkind: B"
    )
    assert rendered.text({DOCKER: {"api.json": "{}\n", "db.json": "{}\n"}}) == "{}\n{}"


def test_what_is_there_in_two_forms_is_printed_in_the_one_for_people() -> None:
    assert rendered.text({CLOUDRUN: {"api.json": "{}\n", "api.yaml": "kind: A\n"}}) == "---\nkind: A"


def test_only_of_several_runtimes_is_each_named() -> None:
    assert rendered.text({DOCKER: {"api.json": "{}\n"}, KUBERNETES: {"db.yaml": "kind: A\n"}}) == (
        "# docker\n{}\n# kubernetes\n---\nkind: A"
    )


def test_as_json_each_file_is_one(plan: Plan) -> None:
    told = json.loads(rendered.as_json(plan, {DOCKER: {"api.json": "{}\n"}}))

    assert told["files"] == [{"runtime": "docker", "name": "api.json", "text": "{}\n"}]
    assert (told["type"], told["project"], told["stage"]) == ("render", "shop", "stg")


def test_what_became_of_a_folder_is_one_line() -> None:
    some = Written(changed=("a.yaml",), same=("b.yaml", "c.yaml"), removed=("old.yaml",))

    assert rendered.wrote("stg", Written()) == "stg: 0 files written"
    assert rendered.wrote("stg", some) == "stg: 1 file written (a.yaml), 2 unchanged, 1 removed (old.yaml)"
    assert json.loads(rendered.wrote_json("stg", some)) == {
        "v": 1,
        "type": "rendered",
        "folder": "stg",
        "changed": ["a.yaml"],
        "same": ["b.yaml", "c.yaml"],
        "removed": ["old.yaml"],
        "warnings": [],
    }
