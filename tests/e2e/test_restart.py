# SPDX-License-Identifier: Apache-2.0
"""What an operator does with a stage that runs: start it anew, look where it goes, take it down with its data or without."""

import json
import os
import pty
import re
import subprocess
from contextlib import suppress

from tests.desk import FLOW
from tests.e2e.conftest import BASE, Desk

SHOP = f"""
service "db" {{ image "{BASE}"; command "sleep" "1000"; volume "data" "/data"; docker {{ init #true }} }}
service "api" {{
    image "{BASE}"; command "sleep" "1000"; depends_on "db"
    secrets {{ KEY env="SHOP_KEY" }}
    docker {{ init #true }}
}}
service "seed" {{ image "{BASE}"; command "true"; job #true }}
stage "local" {{ service "db"; service "api"; service "seed" }}
stage "stg" {{ service "db" }}
"""


def up(desk: Desk) -> None:
    desk.write(SHOP)
    done = desk.flow("up", SHOP_KEY="geheim")
    assert done.code == 0, done


def volumes(desk: Desk) -> str:
    return desk.docker("volume", "ls", "-q", "--filter", f"label=fleetflow.project={desk.project}")


def answered(desk: Desk, typed: str, *arguments: str) -> tuple[int, str]:
    """The exit code of `flow …` on a terminal at which *typed* is typed, and what stands there then."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    command = [*FLOW, *arguments]
    process = subprocess.Popen(command, cwd=desk.folder, env=desk.environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    with suppress(OSError), open(ours, "rb", buffering=0) as screen:  # noqa: PTH123  (a descriptor); Linux says EIO at its end
        while piece := screen.read(4096):
            text += piece
    return process.wait(60), text.decode()


def test_a_stage_is_restarted_in_order_and_is_what_it_was(desk: Desk) -> None:
    up(desk)
    before = desk.container_ids()

    done = desk.flow("restart", SHOP_KEY="geheim")

    assert done.code == 0, done
    assert re.search(rf"^{desk.project}/local on docker at unix:///", done.err, re.MULTILINE), done
    assert "note: a restart leaves jobs alone: `seed`" in done.err
    assert done.out.index("db: ready, restarted, in place: volume") < done.out.index("api: restart started")
    assert re.search(r"succeeded in [\d.]+s: 2 services restarted\n$", done.out), done
    assert len(set(before) - set(desk.container_ids())) == 1  # db, which has a volume, is the same container
    assert "is up to date" in desk.flow("up", SHOP_KEY="geheim").out
    assert json.loads(desk.flow("runs", "--json").out)["runs"][0]["status"] == "succeeded"


def test_who_has_no_secret_at_hand_can_still_look_restart_and_take_down(desk: Desk) -> None:
    up(desk)

    shown, logs = desk.flow("ps", "--only", "api"), desk.flow("logs", "--only", "api")
    ran = desk.flow("exec", "api", "--", "sh", "-c", "echo $KEY")
    restarted = desk.flow("restart", "--only", "api")
    drawn = desk.flow("graph")
    same = desk.flow("plan", SHOP_KEY="geheim")
    refused = desk.flow("plan")
    down = desk.flow("down", "-y")

    assert [shown.code, logs.code, ran.code, restarted.code, drawn.code, down.code] == [0] * 6
    assert ran.out == "geheim\n"
    assert [line.split()[0] for line in shown.out.splitlines()] == ["SERVICE", "api"]
    assert "in place" in restarted.out
    assert "3 unchanged" in same.out, same
    assert refused.code == 3
    assert desk.container_ids() == []
    assert volumes(desk) == f"{desk.project}-local_data"


def test_going_back_after_a_restart_is_going_back_from_what_was_deployed(desk: Desk) -> None:
    up(desk)
    desk.write(SHOP.replace('"sleep" "1000"; depends_on', '"sleep" "1001"; depends_on'))
    assert desk.flow("up", SHOP_KEY="geheim").code == 0
    assert desk.flow("restart").code == 0

    back = desk.flow("rollback", "local")

    assert back.code == 0, back
    assert desk.docker("inspect", "--format", "{{.Config.Cmd}}", f"{desk.project}-local-api") == "[sleep 1000]"


def test_what_cannot_be_restarted_is_told_by_its_reason(desk: Desk) -> None:
    desk.write(SHOP)
    nothing = desk.flow("restart")
    up(desk)

    job, unknown, place = (
        desk.flow("restart", "--only", "seed"),
        desk.flow("restart", "--only", "apy", "--json"),
        desk.flow("restart", "api"),
    )

    assert nothing.code == 4
    assert f"nothing of {desk.project}/local runs that could be restarted" in nothing.err
    assert (job.code, unknown.code, place.code) == (3, 3, 3)
    assert "`seed` is a job, which a restart leaves alone" in job.err
    (problem,) = json.loads(unknown.out)["problems"]
    assert (problem["code"], problem["fix"]) == ("unknown-service", "did you mean `api`?")
    assert "`api` is a service: `--only api`; stages are `local`, `stg`" in place.err


def test_data_is_not_removed_before_somebody_has_said_yes(desk: Desk) -> None:
    up(desk)
    name = f"{desk.project}-local_data"

    unasked = desk.flow("down", "--volumes")
    forbidden = desk.flow("down", "--volumes", "--no-input", "--json")
    mixed = desk.flow("down", "--volumes", "--only", "db", "-y")
    said_no, screen = answered(desk, "n\n", "down", "--volumes")
    kept = volumes(desk)
    said_yes = desk.flow("down", "--volumes", "--yes")

    assert (unasked.code, forbidden.code, mixed.code, said_no) == (5, 5, 2, 6)
    assert "not confirmed, so nothing was done: Remove 1 volume and the data in it?" in unasked.err
    assert name in unasked.err
    assert "fix: if that is meant, add `--yes`" in unasked.err
    assert json.loads(forbidden.out)["problems"][0]["code"] == "not-confirmed"
    assert "--volumes and --only exclude each other" in mixed.err
    assert f"{desk.project}/local on docker at " in screen
    assert "Remove 1 volume and the data in it? [y/N]" in screen
    assert kept == name
    assert said_yes.code == 0, said_yes
    assert name in said_yes.err
    assert volumes(desk) == ""


def test_a_yes_where_there_is_nothing_to_lose_asks_nobody(desk: Desk) -> None:
    desk.write(SHOP.replace('volume "data" "/data";', ""))
    assert desk.flow("up", SHOP_KEY="geheim").code == 0

    assert desk.flow("down", "--volumes").code == 0
    assert desk.container_ids() == []


def test_a_stage_in_the_place_of_a_service_and_the_other_way_round_are_seen_through(desk: Desk) -> None:
    desk.write(SHOP)

    logs, shell, ups, option = (
        desk.flow("logs", "stg"),
        desk.flow("exec", "stg", "--", "sh"),
        desk.flow("up", "api", SHOP_KEY="geheim"),
        desk.flow("down", "--volume"),
    )

    for each in (logs, shell):
        assert each.code == 3, each
        assert "`stg` is a stage: `--stage=stg`; services are `api`, `db`, `seed`" in each.err
    assert "`api` is a service: `--only api`; stages are `local`, `stg`" in ups.err
    assert desk.flow("restart", "local", "api").err.endswith("argument (api); services are named with --only\n")
    assert (option.code, "Did you mean '--volumes'?" in option.err) == (2, True), option


def test_verbose_tells_what_was_asked_and_never_a_secret(desk: Desk) -> None:
    desk.write(SHOP)

    done = desk.flow("up", "-v", SHOP_KEY="geheim")

    assert done.code == 0, done
    assert re.search(r"^ *\d+\.\d+s  docker\.asked method=POST path=/v1\.\d+/containers/create", done.err, re.MULTILINE)
    assert re.search(r"^ *\d+\.\d+s  redis\.asked command=\w+ took=", done.err, re.MULTILINE)
    assert "geheim" not in done.err + done.out
