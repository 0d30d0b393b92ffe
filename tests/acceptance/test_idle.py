"""Idle costs nothing: no process is made while nothing happens, and hardly any CPU is used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = float(os.environ.get("AT_IDLE_SECONDS", "60" if os.environ.get("CI") else "10"))
AGENTS = 20


def namespace_command() -> list[str]:
    """How to become the first process of a PID namespace."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--fork", "--pid", "--mount-proc", "--kill-child"]


@pytest.mark.timeout(400)
def test_twenty_idle_agents_make_no_process(tmp_path: Path) -> None:
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace_command(), "true"], check=False).returncode
    ):
        problem = "no PID namespace can be made here, so the kernel cannot be asked what was started"
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(problem)
    probe = Path(__file__).with_name("idle_probe.py")
    command = [*namespace_command(), sys.executable, str(probe), str(tmp_path), str(AGENTS), str(SECONDS)]
    environment = dict(os.environ) | {"PYTHONPATH": str(probe.parent.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=350, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["agents"] == AGENTS
    assert found["labels"] == ["done unseen"]
    assert found["processes_made"] == 0
