"""pytest plugin for CI: a skipped test is a failure, because there a missing part must be seen.

Loaded by `PYTHONPATH=tools PYTEST_ADDOPTS="-p no_skips"`. Only a test for another system may be skipped, with a reason
that begins "needs macOS", and what `time_limit` did not begin, which that plugin counts.
"""

from __future__ import annotations

from typing import Final

import pytest

ELSEWHERE: Final = "needs macOS"
NO_TIME: Final = "no time left"
_skipped: Final[list[str]] = []


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return (
        report.longrepr[2].removeprefix("Skipped: ")
        if isinstance(report.longrepr, tuple)
        else str(report.longrepr)
    )


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and not _reason(report).startswith((ELSEWHERE, NO_TIME))
    ):
        _skipped.append(f"{report.nodeid}: {_reason(report)}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a skipped test."""
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a skipped module."""
    _note(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn success into failure if anything was skipped."""
    if _skipped and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was skipped."""
    if _skipped:
        terminalreporter.section("skipped, which is a failure here")
        for each in _skipped:
            terminalreporter.write_line(each)
