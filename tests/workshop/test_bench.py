from __future__ import annotations

from pathlib import Path

import pytest

from bench import Measured, chosen, parse, table


@pytest.mark.parametrize(
    ("measured", "ratio", "verdict"),
    [
        (Measured("a", 12, "ms", yardstick=10, limit=1.3), "1.20 ×", "ok"),
        (Measured("a", 14, "ms", yardstick=10, limit=1.3), "1.40 ×", "missed"),
        (Measured("a", 14, "ms", yardstick=10), "1.40 ×", "-"),
        (Measured("a", 30, "ms", limit=30), "", "ok"),
        (Measured("a", 31, "ms", limit=30), "", "missed"),
        (Measured("a", 9_999, "1/s", limit=10_000), "", "missed"),
        (Measured("a", 10_001, "1/s", yardstick=20_002, limit=10_000), "0.50 ×", "ok"),
        (Measured("a", 3, "points", limit=2, higher_is_better=True), "", "ok"),
        (Measured("a", 3, "ms", yardstick="bare PTY", ratio=1.5, limit=2), "1.50 ×", "ok"),
        (Measured("a", 3, "ms", yardstick=2, limit=2, limit_of="value"), "1.50 ×", "missed"),
    ],
)
def test_verdict(measured: Measured, ratio: str, verdict: str) -> None:
    row = measured.row()
    assert (row[3], row[5]) == (ratio, verdict)


@pytest.mark.parametrize("line", ["", "hello", "{", "[]", '{"name": "a"}', '{"value": 1}'])
def test_other_lines_are_no_figures(line: str) -> None:
    assert parse(line) is None


def test_a_figure_may_carry_more_than_the_table_shows() -> None:
    assert parse('{"name": "a", "value": 1.5, "rounds": 20}') == Measured("a", 1.5)


@pytest.mark.parametrize(
    ("measured", "cell"),
    [
        (Measured("a", 1, yardstick=2.0), "2"),
        (Measured("a", 1, yardstick=2.0, yardstick_name="raw"), "2 (raw)"),
        (Measured("a", 1, yardstick="raw"), "raw"),
        (Measured("a", 1), ""),
    ],
)
def test_yardstick(measured: Measured, cell: str) -> None:
    assert measured.row()[2] == cell


def test_columns_are_aligned() -> None:
    first, second = table([Measured("a long name", 1)]).splitlines()
    assert first.index("value") == second.index("1")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["bench/product.py", "packages/at-core/bench/store.py"]),
        (["product"], ["bench/product.py"]),
        (["prove"], ["bench/long/prove.py"]),
        (["store", "long"], ["bench/long/prove.py", "packages/at-core/bench/store.py"]),
    ],
)
def test_what_takes_minutes_runs_when_it_is_named(tmp_path: Path, words: list[str], names: list[str]) -> None:
    for name in (
        "bench/product.py",
        "bench/long/prove.py",
        "bench/played/place.py",
        "packages/at-core/bench/store.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in chosen(tmp_path, words)] == names
