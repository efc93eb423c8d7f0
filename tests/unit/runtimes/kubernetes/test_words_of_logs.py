# SPDX-License-Identifier: Apache-2.0
"""The kubelet's time in front of a line, which nodes write in their own zones and to the nanosecond."""

import pytest

from fleetflow_tasks.runtimes.kubernetes.logs import parsed


@pytest.mark.parametrize(
    ("line", "stamp", "text"),
    [
        (b"1970-01-01T00:00:01.000000005Z hello", (1, 5), "hello"),
        (b"1970-01-01T01:00:01.500000000+01:00 two words", (1, 500_000_000), "two words"),
        (b"1969-12-31T19:00:01.25-05:00 trimmed", (1, 250_000_000), "trimmed"),
        (b"1970-01-01T00:00:01Z whole", (1, 0), "whole"),
        (b"1970-01-01T00:00:01.0Z ", (1, 0), ""),
        (b"1970-01-01T00:00:01.0Z   indented", (1, 0), "  indented"),
        (b"1970-01-01T00:00:01.0Z \xff\r", (1, 0), "\ufffd"),
        (
            b"unable to retrieve container logs for containerd://x",
            None,
            "unable to retrieve container logs for containerd://x",
        ),
        (b"1970-01-01T00:00:01.0 without a zone", None, "1970-01-01T00:00:01.0 without a zone"),
        (b"", None, ""),
    ],
)
def test_a_line_and_its_time(line: bytes, stamp: tuple[int, int] | None, text: str) -> None:
    assert parsed(line) == (stamp, text)


def test_stamps_are_in_order_where_times_are() -> None:
    lines = (b"1970-01-01T00:00:01.999999999Z a", b"1970-01-01T01:00:02.000000000+01:00 b", b"1970-01-01T00:00:02.1Z c")

    stamps = [parsed(line).stamp for line in lines]

    assert stamps == sorted(stamps, key=lambda stamp: stamp or (0, 0))
