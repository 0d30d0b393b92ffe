"""What is plainly allowed is what pydantic allows; pydantic is loaded only where that does not decide."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from at_core.config import values
from at_core.config.reading import fields, require_key

HINTS = sorted(set(fields().values()), key=str)

plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 1001)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.sampled_from(["standard", "edits", "", "ask"])
)
anything = (
    plain | st.lists(plain, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), plain, max_size=2)
)


@pytest.mark.parametrize("hint", HINTS, ids=str)
@given(value=anything)
def test_what_is_plainly_allowed_pydantic_leaves_as_it_is(hint: Any, value: Any) -> None:
    try:
        taken = TypeAdapter(hint).validate_python(value, strict=True)
    except ValidationError:
        assert not values.plainly_allowed(hint, value)
        with pytest.raises(ValueError, match="is not allowed"):
            values.check(hint, value)
    else:
        assert values.check(hint, value) == taken
        if values.plainly_allowed(hint, value):
            assert (type(value), value) == (type(taken), taken)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("general.max_agents", 7),
        ("general.rig", "shop"),
        ("general.default_lane", "critical"),
        ("security.tool_firewall", False),
        ("agents.claude.args", ("-x", "a b")),
    ],
)
def test_an_ordinary_value_is_plainly_allowed(key: str, value: Any) -> None:
    assert values.plainly_allowed(fields()[require_key(key)], value)


PROGRAM = """
import sys
from at_core.config import Config, set_value

set_value("general.max_agents", "7")
set_value("agents.claude.args", '["-x"]')
assert len(Config.load().describe()) > 30
print(sorted({"pydantic", "annotated_types"} & sys.modules.keys()))
"""


def test_reading_and_setting_what_is_allowed_loads_no_pydantic(home: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"
    assert (home / "config.toml").exists()
