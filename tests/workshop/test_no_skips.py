"""tools/no_skips.py lets no missing part pass for a success."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def run_pytest(folder: Path, *plugins: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest on a folder with some of the workshop's plugins and no other."""
    named = [word for plugin in plugins for word in ("-p", plugin)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *named, "--rootdir", str(folder), str(folder)],
        env={
            **os.environ,
            **environment,
            "PYTHONPATH": str(TOOLS),
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.timeout(180)  # Each case starts an interpreter with pytest: slow on a busy machine.
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("import pytest\n@pytest.mark.xfail(reason='known')\ndef test(): assert False", 0),
        ("import pytest\ndef test(): pytest.skip('no node here')", 1),
        ("import pytest\npytest.importorskip('no_such_module')", 1),
        ("import pytest\ndef test(): pytest.skip('needs macOS: launchd')", 0),
    ],
)
def test_a_skip_fails(text: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(text + "\ndef test_another(): assert True\n")
    done = run_pytest(tmp_path, "no_skips")
    assert done.returncode == code, done.stdout
    assert ("no node here" in done.stdout) is ("no node here" in text)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("until", "code"), [("0", 1), ("9999999999", 0)])
def test_what_was_mostly_not_begun_has_not_passed(tmp_path: Path, until: str, code: int) -> None:
    (tmp_path / "test_planted.py").write_text(
        "def test_one(): assert True\ndef test_another(): assert True\n"
    )
    done = run_pytest(tmp_path, "no_skips", "time_limit", AT_TESTS_UNTIL=until)
    assert done.returncode == code, done.stdout
    assert ("2 tests NOT RUN" in done.stdout) is bool(code)
