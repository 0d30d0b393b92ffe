"""What the machine tells of why a process ended."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from at_daemon.causes import cause, identity, oom_kills, program

MEMORY, REPLACED = "ran out of memory", "was replaced"


@pytest.mark.parametrize(
    "launch, signal, kills, asked, expected",
    [
        ({"oom_kills": 2, "boot": "b"}, 9, 3, False, MEMORY),
        ({"oom_kills": 2, "boot": "b"}, 9, 2, False, ""),
        ({"oom_kills": 2, "boot": "b"}, 15, 3, False, ""),
        ({"oom_kills": 2, "boot": "earlier"}, 9, 3, False, ""),
        ({"oom_kills": 2, "boot": "b"}, 9, 3, True, ""),
        ({"oom_kills": None, "boot": "b"}, 9, 3, False, ""),
        ({}, 9, None, False, ""),
        ({"program": ["/nowhere/at-all", 1, 2, 3]}, None, None, False, REPLACED),
        ({"program": ["/nowhere/at-all", 1, 2, 3]}, None, None, True, ""),
    ],
)
def test_a_cause_is_told_only_where_something_shows_it(
    launch: Mapping[str, Any], signal: int | None, kills: int | None, asked: bool, expected: str
) -> None:
    told = cause(launch, "b", signal, kills, asked=asked)
    assert expected in told and bool(told) is bool(expected)


def test_a_program_is_known_by_what_its_links_lead_to(tmp_path: Path) -> None:
    real = tmp_path / "1.0" / "agent"
    real.parent.mkdir()
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)
    (tmp_path / "agent").symlink_to(real)
    before = program("agent", {"PATH": str(tmp_path)})
    assert before is not None and before[0] == str(real)
    assert cause({"program": before}, "b", 9, None, asked=False) == ""
    shutil.copy(real, real.with_name("next"))
    real.with_name("next").replace(real)
    assert identity(str(real)) != before
    assert REPLACED in cause({"program": before}, "b", 9, None, asked=False)
    assert program("agent", {"PATH": str(tmp_path / "empty")}) is None


def test_the_kernel_s_count_is_read_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 12\noom_kill 7\noom_killer 9\n")
    assert oom_kills(tmp_path / "vmstat") == 7
    assert oom_kills(tmp_path / "missing") is None
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    assert oom_kills(tmp_path / "odd") is None
