# SPDX-License-Identifier: Apache-2.0
"""What holds for every test.

In CI a skip is a failure: a machine there has every part, so what cannot run is broken and must say so. At a desk a skip
stays a skip, with its reason in pytest's summary.

No property has a deadline: on a machine that is busy with other things, slow is no answer. In CI Hypothesis says so by
itself, and takes the same examples every time.
"""

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

if not IN_CI:
    settings.register_profile("desk", deadline=None)
    settings.load_profile("desk")

# Shells let what runs in the background ignore Ctrl-C, and its children inherit that: an interrupt in a test is to be one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # An expected failure reports itself as skipped too; it did run.
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure in CI: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure in CI: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    where = report.longrepr
    return str(where[2]) if isinstance(where, tuple) else str(where)
