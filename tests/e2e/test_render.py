# SPDX-License-Identifier: Apache-2.0
"""What would be sent and what would change, to be read before anything happens: `flow render`, `flow diff`."""

import json

from tests.e2e.conftest import BASE, Desk

SHOP = f"""
service "api" {{
    image "{BASE}"
    command "sleep" "1000"
    environment {{ LOG "info" }}
    secrets {{ TOKEN env="TOKEN" }}
}}
service "db" {{ image "{BASE}"; command "sleep" "1000" }}
stage "local" {{ service "api"; service "db" }}
stage "stg" {{ runtime "kubernetes"; service "api"; service "db" }}
"""
SECRET = "canary-4711"


def test_what_would_be_sent_is_printed_with_secrets_only_where_they_are_asked_for(desk: Desk) -> None:
    desk.write(SHOP)

    masked = desk.flow("render", TOKEN=SECRET)
    shown = desk.flow("render", "--show-secrets", TOKEN=SECRET)
    as_json = desk.flow("render", "--json", TOKEN=SECRET)

    assert [json.loads(each)["name"] for each in masked.out.replace("}\n{", "}\0{").split("\0")] == [
        f"{desk.project}-local-api",
        f"{desk.project}-local-db",
    ]
    assert "TOKEN=[hidden]" in masked.out
    assert SECRET not in masked.out + masked.err + as_json.out
    assert f"TOKEN={SECRET}" in shown.out
    assert [file["name"] for file in json.loads(as_json.out)["files"]] == ["api.json", "db.json"]


def test_manifests_are_written_one_file_per_service_with_nobody_asked_and_nothing_of_others_touched(
    desk: Desk,
) -> None:
    desk.write(SHOP)
    desk.environ |= {"TOKEN": SECRET, "KUBECONFIG": "/nowhere/at/all"}

    first = desk.flow("render", "stg", "-o", "out/stg")
    again = desk.flow("render", "stg", "-o", "out/stg")
    (desk.folder / "out" / "stg" / "db.yaml").write_text("kind: Mine\n", encoding="utf-8")
    refused = desk.flow("render", "stg", "-o", "out/stg", "--show-secrets")

    folder = desk.folder / "out" / "stg"
    assert sorted(path.name for path in folder.iterdir()) == ["00-namespace.yaml", "api.yaml", "db.yaml"]
    assert first.out == "out/stg: 3 files written (00-namespace.yaml, api.yaml, db.yaml)\n"
    assert "secrets are masked: with --show-secrets they are written by their values" in first.err
    assert again.out == "out/stg: 0 files written, 3 unchanged\n"
    assert refused.code == 5, refused
    assert "out/stg/db.yaml is not of this stage's rendering" in refused.err
    assert SECRET not in (folder / "api.yaml").read_text(encoding="utf-8")


def test_a_difference_is_told_field_by_field_and_by_the_exit_code(desk: Desk) -> None:
    desk.write(SHOP)
    new = desk.flow("diff", TOKEN=SECRET)
    assert desk.flow("up", "-q", TOKEN=SECRET).code == 0
    same = desk.flow("diff", TOKEN=SECRET)
    desk.write(SHOP.replace('LOG "info"', 'LOG "debug"'))

    other = desk.flow("diff", TOKEN="another-one")
    as_json = desk.flow("diff", "--json", TOKEN="another-one")

    assert (new.code, same.code, other.code, as_json.code) == (1, 0, 1, 1)
    assert same.out == f"{desk.project}/local: nothing differs\n"
    assert new.out.splitlines()[0] == "create api: not there  fleet.kdl:3"
    assert '  +       "LOG=info"' in new.out.replace(",", "")
    assert other.out.splitlines() == [
        "replace api: environment changed  fleet.kdl:3",
        "  environment.LOG  fleet.kdl:6",
        "    - info",
        "    + debug",
        "  environment.TOKEN  fleet.kdl:7",
        "    ~ [hidden], changed",
        "",
        "diff: 1 to replace, 1 unchanged",
    ]
    assert [each["service"] for each in json.loads(as_json.out)["changes"]] == ["api"]
    assert SECRET not in new.out + other.out


def test_leave_for_what_is_not_on_kubernetes_is_refused_before_anything_is_asked(desk: Desk) -> None:
    desk.write(SHOP)

    for words in (("up",), ("submit",), ("plan",), ("diff",)):
        result = desk.flow(*words, "--force-conflicts", "--replace", "db", TOKEN=SECRET, DOCKER_HOST="unix:///nobody")

        assert result.code == 3, result
        assert "`--force-conflicts` means nothing: no service of stage `local` is on Kubernetes" in result.err
        assert "`--replace db` means nothing: service `db` is on docker" in result.err
