"""What `bench/turns.py` prints where the CLI itself varies by more than the limit."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module; its neighbours are found in its own folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("turns", FOLDER / "turns.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "spread, limit, judged", [(0.001, 80.0, True), (0.5, None, False)], ids=["quiet", "noisy"]
)
def test_a_figure_within_the_noise_says_that_it_is_not_judged(
    turns: ModuleType, capsys: pytest.CaptureFixture[str], spread: float, limit: float | None, judged: bool
) -> None:
    seconds = [1.0 + spread * number for number in range(8)]
    turns.added("x: start", seconds, seconds, 80.0)
    line = json.loads(capsys.readouterr().out)
    assert line["limit"] == limit
    assert ("not judged: the noise exceeds the limit of 80" in line["yardstick"]) is not judged
