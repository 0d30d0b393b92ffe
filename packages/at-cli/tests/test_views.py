"""The page of one work item."""

from __future__ import annotations

import pytest

from at_cli.style import Look
from at_cli.testing import DOCUMENT
from at_cli.views.bead import bead_lines


@pytest.mark.parametrize(
    ("slot", "line"),
    [
        ({"number": 2, "first_port": 21010, "ports": 10}, "  slot      2, ports 21010 to 21019"),
        ({"number": 4454, "first_port": None, "ports": 10}, "  slot      4454"),
    ],
)
def test_show_says_which_slot_and_ports_are_its_own(slot: dict[str, int | None], line: str) -> None:
    assert line in bead_lines({**DOCUMENT, "slot": slot}, Look())
    assert not any("slot" in each for each in bead_lines({**DOCUMENT, "slot": None}, Look()))
