"""pytest plugin for CI: no test begins after the moment `AT_TESTS_UNTIL` (seconds since 1970), so that the whole ends in time.

What was not begun is counted and named as such, never as passed.
"""

from __future__ import annotations

import os
import time

import pytest

from no_skips import NO_TIME

LARGEST_SHARE = 0.5
_KINDS = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
UNTIL = float(os.environ.get("AT_TESTS_UNTIL") or "inf")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture of the test is made."""
    if time.time() > UNTIL:
        pytest.skip(f"{NO_TIME}: it was not begun")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many there were."""
    left = _not_run(terminalreporter)
    if left:
        terminalreporter.section(f"{left} tests NOT RUN: there was no time left for them")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where most were not run: that is no sign of anything."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return  # a worker; who told it what to run counts
    left = _not_run(reporter)
    if (
        left > LARGEST_SHARE * sum(len(reporter.stats.get(kind, [])) for kind in _KINDS)
        and exitstatus == pytest.ExitCode.OK
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _not_run(reporter: pytest.TerminalReporter) -> int:
    return sum(NO_TIME in str(report.longrepr) for report in reporter.stats.get("skipped", []))
