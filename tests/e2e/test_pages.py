# SPDX-License-Identifier: Apache-2.0
"""What other pages than the tutorial tell people to type, or show as printed."""

from pathlib import Path

import pytest

from tests.e2e.conftest import BASE, Desk
from tests.pages import Reader, fences

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.docker
def test_data_is_taken_along_from_compose(desk: Desk) -> None:
    """As docs/from-compose.md has it; nothing runs there that `docker compose` would have to stop."""
    [sh] = [each.text for each in fences(ROOT / "docs" / "from-compose.md") if each.language == "sh"]
    commands = [line for line in sh.splitlines() if not line.startswith("docker compose")]
    old = f"{desk.project}_pgdata"
    desk.docker("run", "--rm", "-v", f"{old}:/data", BASE, "sh", "-c", "echo ours >/data/kept")
    desk.write(f"""
        service "db" {{ image "{BASE}"; job #true; command "cat" "/data/kept"; volume "pgdata" "/data" }}
        stage "local" {{ service "db" }}
    """)
    names = {"shop_pgdata": old, "shop-local": f"{desk.project}-local", "=shop": f"={desk.project}", "busybox": BASE}
    reader = Reader(desk.folder, desk.environ, names)
    try:
        for command in commands:
            reader.type(command)
    finally:
        desk.docker("volume", "rm", old)

    assert desk.flow("logs").out == "db | ours\n"


def test_a_misspelled_node_is_told_as_the_language_page_shows(desk: Desk) -> None:
    [shown] = [each.text for each in fences(ROOT / "docs" / "language.md") if each.language == "text"]
    lines = [
        'service "api" {',
        'image "api:1"',
        "}",
        'stage "local" {',
        *[""] * 5,
        'service "api" {',
        '        enviroment { LOG "info" }',
        "}}",
    ]

    desk.write("\n".join(lines))

    assert shown in desk.flow("validate").err
