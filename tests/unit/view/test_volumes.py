# SPDX-License-Identifier: Apache-2.0
from fleetflow_tasks.runtimes.base import HeldVolume
from fleetflow_tasks.view.volumes import lines, question

DATA = HeldVolume(name="shop-stg_data", size=1_234_567_890, created=1_000_000.0)
CACHE = HeldVolume(name="cache", size=0)
CLAIM = HeldVolume(name="data-db-0\x1b[31m", kind="claim", created=1_000_000.0)


def test_what_would_be_lost_is_named_with_its_size_and_its_age() -> None:
    assert lines([DATA, CACHE, CLAIM], now=1_000_000.0 + 3 * 86400) == [
        "  volume shop-stg_data  1.2 GB        made 3d ago",
        "  volume cache          0 B",
        "  claim data-db-0       size unknown  made 3d ago",
    ]


def test_a_size_stands_in_the_unit_that_one_can_read() -> None:
    sizes = (999, 1000, 65_536, 5 << 40, 9_999 << 40)

    assert [lines([HeldVolume(name="v", size=size)], 0.0)[0].split("  ")[-1] for size in sizes] == [
        "999 B", "1.0 kB", "65.5 kB", "5.5 TB", "10994.0 TB",
    ]  # fmt: skip


def test_the_question_counts_them() -> None:
    assert question([DATA]) == "Remove 1 volume and the data in it?"
    assert question([DATA, CLAIM, CACHE]) == "Remove 1 claim and 2 volumes and the data in them?"
