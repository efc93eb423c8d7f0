# SPDX-License-Identifier: Apache-2.0
import pytest

from fleetflow_tasks.config import quantity


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("256Mi", 256 * 1024**2),
        ("256M", 256 * 1000**2),
        ("256m", 256 * 1024**2),
        ("1g", 1024**3),
        ("1G", 1000**3),
        ("1Gi", 1024**3),
        ("1gb", 1024**3),
        ("1GB", 1000**3),
        ("1.5Gi", 1536 * 1024**2),
        (".5k", 512),
        ("2 Ti", 2 * 1024**4),
        ("1048576", 1048576),
        ("12b", 12),
        (" 1k ", 1024),
    ],
)
def test_memory_is_read_as_docker_and_kubernetes_write_it(text: str, size: int) -> None:
    assert quantity.size(text) == size


@pytest.mark.parametrize("text", ["", "lots", "Mi", "1x", "-1", "1e9", "1..5", "\u0661", "9" * 40])
def test_what_is_no_size_is_none(text: str) -> None:
    assert quantity.size(text) is None


@pytest.mark.parametrize(("text", "cores"), [("500m", 0.5), ("0.5", 0.5), ("2", 2.0), ("1500m", 1.5)])
def test_cpu_is_in_cores_or_thousandths(text: str, cores: float) -> None:
    assert quantity.cores(text) == cores


@pytest.mark.parametrize("text", ["", "m", "1 core", "-1"])
def test_what_is_no_cpu_is_none(text: str) -> None:
    assert quantity.cores(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30.0), ("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("250ms", 0.25), ("1d", 86400.0), ("1.5s", 1.5)],
)
def test_durations_have_units_and_a_bare_number_is_seconds(text: str, seconds: float) -> None:
    assert quantity.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 minutes", "1h-3m", "s", "1w"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert quantity.seconds(text) is None
