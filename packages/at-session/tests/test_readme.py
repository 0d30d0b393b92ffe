"""The README's script does what the README says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_script_runs_as_printed(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(# durable\.py.*?)```", README.read_text(), re.DOTALL)
    (shown,) = re.findall(r"```text\n\$ python durable\.py\n(.*?)```", README.read_text(), re.DOTALL)
    assert sum(bool(line.strip()) for line in script.splitlines()) <= 30
    (tmp_path / "durable.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "durable.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout) == ("", shown)
