from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_telemetry.visible import visible, visible_in_json

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain Grüße 世界", "plain Grüße 世界"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("two\nlines\r\n\tend", "two\\nlines\\r\\n\\tend"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("\u2028\u2066\u200b\ufeff", "\\u2028\\u2066\\u200b\\ufeff"),
        ("a\U000e0041b", "a\\U000e0041b"),
        ("\udcff", "\\udcff"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_shown_as_an_escape(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_lines_can_be_kept() -> None:
    assert visible("a\n\tb\x1b\r", keep_lines=True) == "a\n\tb\\x1b\\r"


@given(ANY_TEXT)
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [
        c for c in shown if unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI")
    ]
    assert visible(shown) == shown
    shown.encode("utf-8")


@given(ANY_TEXT)
def test_json_keeps_the_value(text: str) -> None:
    document = visible_in_json(json.dumps({"value": text}, ensure_ascii=False))
    assert visible(document) == document
    # Python joins two escaped halves of a surrogate pair into the character that they stand for.
    assert json.loads(document)["value"] == text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "surrogatepass"
    )
