# SPDX-License-Identifier: Apache-2.0
"""A whole stage as YAML: what every supported version of Kubernetes takes, and the same text wherever it is made."""

import os
import subprocess
import sys
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fleetflow_tasks.runtimes.kubernetes.desired import rendered
from fleetflow_tasks.runtimes.kubernetes.kinds import MADE

from .made import plan, rich, service

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports are of yesterday
    kubernetes_validate: Any = import_module("kubernetes_validate")  # it has no types

VERSIONS = range(28, 35)  # minor ones
USUAL = 30  # from which on what is made without a word is taken


@cache
def documents(version: str = "") -> list[dict[str, Any]]:
    stage = rich()
    said = {**stage.options["kubernetes"], "version": version}
    made = msgspec.structs.replace(stage, options={"kubernetes": said})
    return [document for text in rendered(made).values() for document in yaml.safe_load_all(text)]


def test_the_rich_stage_holds_every_kind_that_is_made() -> None:
    assert {document["kind"] for document in documents()} == {kind.name for kind in MADE}


@pytest.mark.parametrize("minor", VERSIONS)
def test_every_supported_version_takes_every_object_of_a_stage_that_names_the_oldest(minor: int) -> None:
    for document in documents("1.28"):
        kubernetes_validate.validate(document, f"1.{minor}.0", strict=True)


@pytest.mark.parametrize("minor", VERSIONS[USUAL - VERSIONS[0] :])
def test_every_newer_version_takes_every_object_of_a_stage_that_names_none(minor: int) -> None:
    assert "sleep" in str([document for document in documents() if document["metadata"]["name"] == "db"])
    for document in documents():
        kubernetes_validate.validate(document, f"1.{minor}.0", strict=True)


def test_each_service_of_the_cluster_is_a_file_and_the_namespace_comes_first() -> None:
    assert list(rendered(rich())) == [
        "00-namespace.yaml",
        "api.yaml",
        "cache.yaml",
        "db.yaml",
        "migrate.yaml",
        "worker.yaml",
    ]


def test_the_namespace_carries_no_mark_of_ours_so_that_we_never_remove_it() -> None:
    assert rendered(plan())["00-namespace.yaml"] == (
        "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop-stg\n"
    )


def test_a_masked_secret_shows_neither_its_value_nor_a_hash_of_it() -> None:
    shown, whole = rendered(rich()), rendered(rich(), masked=False)

    secrets = [document for document in yaml.safe_load_all(shown["db.yaml"]) if document["kind"] == "Secret"]
    (real,) = [document for document in yaml.safe_load_all(whole["db.yaml"]) if document["kind"] == "Secret"]
    assert [secret["stringData"] for secret in secrets] == [{"POSTGRES_PASSWORD": "[hidden]"}]
    assert real["data"] == {"POSTGRES_PASSWORD": "Z2VoZWltLWNhbmFyeQ=="}
    assert real["metadata"]["name"] not in shown["db.yaml"]
    assert "geheim" not in str(shown)
    assert "Z2VoZWlt" not in str(shown)


def test_nothing_is_written_as_an_alias_and_fields_stand_as_people_write_them() -> None:
    text = rendered(plan(service(labels={"team": "core"})))["api.yaml"]

    assert "&id" not in text
    assert text.startswith("---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\n  labels:\n")


def test_the_text_is_the_same_under_any_hash_seed() -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import made;"
        "from fleetflow_tasks.runtimes.kubernetes.desired import rendered;"
        "print(hashlib.sha256(repr(rendered(made.rich(), masked=False)).encode()).hexdigest())"
    )
    here = str(Path(__file__).parent)

    answers = {
        subprocess.run(
            [sys.executable, "-c", code, here],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }

    assert len(answers) == 1
