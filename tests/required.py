"""Turns skips into failures where the parts they miss are promised.

A test that lacks a part of the machine skips with a reason that begins "needs PART" (redis, rabbitmq,
chromium, postgresql, ...). REQUIRE=redis,chromium says that these are there: such a skip then fails.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

_required = frozenset(part.strip() for part in os.environ.get("REQUIRE", "").split(",") if part.strip())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        part = reason.removeprefix("needs ").split(" ")[0].strip(":,;.")
        if reason.startswith("needs ") and part in _required:
            report.outcome = "failed"
            report.longrepr = f"REQUIRE names {part}, and the test says: {reason}"
    return report
