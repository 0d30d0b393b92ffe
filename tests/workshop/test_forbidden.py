"""tools/forbidden.py finds what it must and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forbidden import Finding, Source, findings, judge

ROOT = Path(__file__).resolve().parents[2]

SHIPPED = "packages/at-daemon/src/at_daemon/loop.py"
TEST = "packages/at-daemon/tests/test_loop.py"
HOLDER = "packages/at-session/src/at_session/holder.py"
STORE = "packages/at-core/src/at_core/store/tables.py"


@pytest.mark.parametrize(
    ("path", "text", "rules"),
    [
        (SHIPPED, "import time\ntime.monotonic()", ["clock"]),
        (SHIPPED, "import time as t\nx = t.time_ns", ["clock"]),
        (SHIPPED, "from time import monotonic as now", ["clock"]),
        (SHIPPED, "import datetime\ndatetime.datetime.now(datetime.UTC)", ["clock"]),
        (SHIPPED, "from datetime import datetime\ndatetime.now()", ["clock"]),
        (SHIPPED, "from datetime import datetime\ndatetime.fromisoformat('x')", []),
        (SHIPPED, "import time\nclass Clock:\n    time = 1\nClock.time", []),
        (SHIPPED, "clock.monotonic()", []),
        (TEST, "import time\ntime.monotonic()", []),
        (SHIPPED, "import subprocess", ["subprocess"]),
        (SHIPPED, "from subprocess import run", ["subprocess"]),
        (SHIPPED, "import os\nos.posix_spawn('x', [], {})", ["subprocess"]),
        (SHIPPED, "import asyncio\nasyncio.create_subprocess_exec('x')", ["subprocess"]),
        (SHIPPED, "import anyio\nanyio.run_process(['x'])", ["subprocess"]),
        (SHIPPED, "import os\nos.getpid()", []),
        (TEST, "import subprocess", []),
        (TEST, "run('x', shell=True)", ["shell"]),
        (TEST, "run('x', shell=wanted)", ["shell"]),
        (TEST, "run('x', shell=False)", []),
        (TEST, "import time\ntime.sleep(1)", ["sleep"]),
        (TEST, "from time import sleep\nsleep(1)", ["sleep"]),
        (TEST, "import anyio\nasync def t():\n    await anyio.sleep(0.1)", ["sleep"]),
        (TEST, "import anyio\nasync def t():\n    await anyio.sleep(0)", []),
        (SHIPPED, "import anyio\nasync def t():\n    await anyio.sleep(1)", []),
        (SHIPPED, "try:\n    f()\nexcept Exception:\n    pass", ["broad-except"]),
        (SHIPPED, "try:\n    f()\nexcept:\n    pass", ["broad-except"]),
        (SHIPPED, "try:\n    f()\nexcept (OSError, BaseException):\n    pass", ["broad-except"]),
        (SHIPPED, "try:\n    f()\nexcept Exception:  # noqa: BLE001\n    pass", ["broad-except"]),
        (
            SHIPPED,
            "try:\n    f()\nexcept Exception:  # noqa: BLE001 - a plug-in may raise anything\n    pass",
            [],
        ),
        (SHIPPED, "try:\n    f()\nexcept BaseException:\n    g()\n    raise", []),
        (SHIPPED, "try:\n    f()\nexcept OSError:\n    pass", []),
        (SHIPPED, "import contextlib\nwith contextlib.suppress(Exception):\n    f()", ["broad-except"]),
        (SHIPPED, "import contextlib\nwith contextlib.suppress(OSError):\n    f()", []),
        (SHIPPED, "loop.create_task(f())", ["task"]),
        (SHIPPED, "asyncio.get_running_loop().create_task(f())", ["task"]),
        (SHIPPED, "group.create_task(f())", []),
        (HOLDER, "import anyio", ["standard-library"]),
        (HOLDER, "from at_session import protocol", ["standard-library"]),
        (HOLDER, "from . import protocol", ["standard-library"]),
        (HOLDER, "from at_session import holder_wire", []),
        (HOLDER, "from at_session.holder_wire import Fields", []),
        (
            HOLDER.replace(".py", "_wire.py"),
            "from at_session.errors import SessionError",
            ["standard-library"],
        ),
        (SHIPPED, "import posix\nposix.fork()", ["subprocess"]),
        (HOLDER, "from __future__ import annotations\nimport os, selectors", []),
        ("packages/at-telemetry/src/at_telemetry/lines.py", "from at_telemetry import context", []),
        ("packages/at-telemetry/src/at_telemetry/lines.py", "import rich", ["standard-library"]),
        (STORE, "Column('label', Text)", ["stored-label"]),
        (SHIPPED, "x = 'label'", []),
    ],
)
def test_rules(path: str, text: str, rules: list[str]) -> None:
    assert sorted({finding.rule for finding in findings(Source(path, text))}) == rules


def test_a_finding_names_its_place() -> None:
    (found,) = findings(Source(SHIPPED, "\n\nimport subprocess"))
    assert str(found) == f"{SHIPPED}:3: subprocess: subprocess"


FOUND = Finding(SHIPPED, 3, "clock", "time.time")


@pytest.mark.parametrize(
    ("exemptions", "standing"),
    [
        ({}, [f"{SHIPPED}:3: clock: time.time"]),
        ({"clock": {SHIPPED: "it is the clock"}}, []),
        ({"subprocess": {SHIPPED: "it starts its agent"}}, [f"{SHIPPED}:3: clock: time.time", f"exemptions.toml: subprocess: {SHIPPED}: stale"]),
        ({"clock": {SHIPPED: "because"}}, [f"exemptions.toml: clock: {SHIPPED}: the reason is missing"]),
        (
            {"clock": {SHIPPED: "it is the clock", TEST: "gone long ago now"}},
            [f"exemptions.toml: clock: {TEST}: stale"],
        ),
    ],
)  # fmt: skip
def test_exemptions(exemptions: dict[str, dict[str, str]], standing: list[str]) -> None:
    assert judge([FOUND], exemptions) == standing


def test_the_command_fails_on_a_finding(tmp_path: Path) -> None:
    planted = tmp_path / SHIPPED
    planted.parent.mkdir(parents=True)
    planted.write_text("import subprocess\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "forbidden.py"), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"{SHIPPED}:1: subprocess: subprocess" in done.stdout
