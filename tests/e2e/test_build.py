# SPDX-License-Identifier: Apache-2.0
"""What somebody does whose images are built: deploys them, builds and pushes them before, breaks them."""

import json
import secrets
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.registry import registry
from tests.e2e.conftest import BASE, Desk, eventually
from tests.processes import runs

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SHOP = """
service "api" { build "api"; IMAGE command "sleep" "1000"; docker { init #true } }
service "web" { build "web"; IMAGE command "sleep" "1000"; docker { init #true } }
service "db" { image "BASE"; command "sleep" "1000"; docker { init #true } }
stage "local" { service "api"; service "web"; service "db" }
""".replace("BASE", BASE)


class Shop:
    """The folder of a shop, and what it leaves on the Engine."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.write(SHOP.replace("IMAGE ", ""))
        self.dockerfile("api/Dockerfile", "COPY hello /")
        self.dockerfile("web/Dockerfile")
        self.write("api/hello", f"{desk.project}\n")

    def write(self, file: str, text: str) -> None:
        path = self.desk.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def dockerfile(self, file: str, *lines: str) -> None:
        self.write(file, "\n".join([f"FROM {BASE} AS base", *lines, f"LABEL test.project={self.desk.project}\n"]))

    def at(self, registry: str) -> None:
        """Each image is of a registry's."""
        head, _, tail = SHOP.partition("IMAGE ")
        names = [f'image "{registry}/{self.desk.project}/{name}";' for name in ("api", "web")]
        self.desk.write(f"{head}{names[0]}{tail.replace('IMAGE', names[1])}")

    def close(self) -> None:
        label = f"label=test.project={self.desk.project}"
        self.desk.close()
        found = self.desk.docker("image", "ls", "-q", "--filter", label, check=False).split()
        if found:
            self.desk.docker("image", "rm", "-f", *set(found), check=False)


@pytest.fixture
def shop(desk: Desk) -> Iterator[Shop]:
    made = Shop(desk)
    yield made
    made.close()


def test_what_was_built_runs_and_nothing_is_built_twice(shop: Shop, desk: Desk) -> None:
    before = desk.flow("plan")
    assert "not there, build: no such image yet" in before.out, before

    first = desk.flow("up")
    again = desk.flow("up")

    assert first.code == 0, first
    assert "api: prepared, built, created" in first.out
    assert "is up to date: 3 services unchanged" in again.out, again
    assert desk.docker("exec", f"{desk.project}-local-api", "cat", "/hello") == desk.project

    shop.write("api/hello", "changed\n")
    assert "build: the context changed" in desk.flow("plan").out
    second = desk.flow("up")
    assert second.code == 0, second
    assert desk.docker("exec", f"{desk.project}-local-api", "cat", "/hello") == "changed"


def test_a_build_that_fails_leaves_what_serves_alone(shop: Shop, desk: Desk) -> None:
    desk.flow("up")
    before = desk.container_ids()
    shop.dockerfile("api/Dockerfile", "RUN echo no such package; exit 7")

    failed = desk.flow("up")

    assert failed.code == 1, failed
    assert "the image of `api` cannot be built: step 2/2: RUN echo no such package; exit 7" in failed.out
    assert "    no such package" in failed.out
    assert "more: docker build api" in failed.out
    assert desk.container_ids() == before


def test_images_are_built_before_and_found_by_a_deployment(shop: Shop, desk: Desk) -> None:
    built = desk.flow("build", "--only", "api,web")
    quiet = desk.flow("build", "-q", "--only", "api")
    answer = json.loads(desk.flow("build", "--json").out)

    assert built.code == 0, built
    assert [line.split()[0] + " " + " ".join(line.split()[2:]) for line in built.out.splitlines()] == [
        "api built",
        "web built",
    ]
    assert "api  step 2/2: COPY hello /" in built.err
    assert (quiet.err, quiet.out.endswith("there already\n")) == ("", True)
    assert [(each["service"], each["anew"]) for each in answer["images"]] == [("api", False), ("web", False)]
    assert "built" not in desk.flow("up").out
    assert json.loads(desk.flow("build", "--no-cache", "--json").out)["images"][0]["anew"]


def test_all_that_fails_is_told_and_the_rest_is_built(shop: Shop, desk: Desk) -> None:
    shop.dockerfile("web/Dockerfile", "COPY nothing /")

    failed = desk.flow("build")

    assert failed.code == 1, failed
    assert failed.out == ""
    assert "the image of `web` cannot be built: step 2/2: COPY nothing /" in failed.err
    assert desk.flow("build", "--only", "api").out.endswith("there already\n")


def test_a_stage_in_which_nothing_is_built_says_so(desk: Desk) -> None:
    desk.write(f'stage "local" {{ service "db" {{ image "{BASE}" }} }}\n')

    failed = desk.flow("build")

    assert failed.code == 3, failed
    assert "none of the services of stage `local` is built" in failed.err
    assert "none of the services `db` of stage" in desk.flow("build", "--only", "db").err


def test_an_image_without_a_registry_is_not_pushed(shop: Shop, desk: Desk) -> None:
    failed = desk.flow("build", "--push", "--only", "api")

    assert failed.code == 1, failed
    assert "names no registry to push it to" in failed.err
    assert f'fix: name one: `image "registry.example.org/{desk.project}-api"`' in failed.err


def test_what_is_pushed_is_deployed_by_a_worker_without_the_files(shop: Shop, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as address:
        shop.at(address)
        pushed = desk.flow("build", "--push")
        assert pushed.code == 0, pushed
        assert pushed.out.count("built, pushed as sha256:") == 2
        for image in json.loads(desk.flow("build", "--json").out)["images"]:
            desk.docker("image", "rm", image["image"])
        submitted = desk.flow("submit", "--wait-workers")
        assert submitted.code == 0, submitted
        assert "build-unpushed" not in submitted.err

        shutil.rmtree(desk.folder / "api")  # the worker cannot but fetch the image
        desk.start("worker", "docker").until("worker.ready")
        watched = desk.flow("watch")

    assert watched.code == 0, watched
    assert "api: prepared, pulled " in watched.out
    assert len(desk.containers()) == 3


def test_ctrl_c_stops_the_builder(shop: Shop, desk: Desk) -> None:
    mark = f"30{secrets.randbelow(10**9):09}"
    shop.dockerfile("api/Dockerfile", f"RUN sleep {mark}")
    building = desk.start("build", "--only", "api")
    building.until("RUN sleep")

    building.process.send_signal(signal.SIGINT)

    assert building.wait(30).code == 130, building.text
    eventually(lambda: not runs(f"sleep {mark}"), 30, lambda: "it still runs")


def test_the_example_is_built_where_it_lies(shop: Shop, desk: Desk) -> None:
    shutil.copytree(EXAMPLES / "built", desk.folder, dirs_exist_ok=True)
    text = (desk.folder / "fleet.kdl").read_text(encoding="utf-8").replace("port 8088 8080", "port container=8080")
    (desk.folder / "fleet.kdl").write_text(
        text.replace('project "built"', f'project "{desk.project}"'), encoding="utf-8"
    )
    with (desk.folder / "hello/Dockerfile").open("a", encoding="utf-8") as dockerfile:
        dockerfile.write(f"LABEL test.project={desk.project}\n")

    done = desk.flow("up", "--stage=local")

    assert done.code == 0, done
    page = desk.docker("exec", f"{desk.project}-local-hello", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/")
    assert page.splitlines() == ["what lies in this folder:", "hello from a build"]
