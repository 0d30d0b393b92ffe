"""The demo agent's scenario language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_session.demo.scenario import STEP_WORDS, ScenarioError, Step, begins_with_step, parse


@pytest.mark.parametrize(
    "prompt, steps",
    [
        ("write a.txt", [Step("write", "a.txt")]),
        ("write a.txt hello  world", [Step("write", "a.txt", "hello  world")]),
        ("write a b; write c d", [Step("write", "a", "b"), Step("write", "c", "d")]),
        ("write a b\nwrite c d\n", [Step("write", "a", "b"), Step("write", "c", "d")]),
        (";; write a ;\n;", [Step("write", "a")]),
        ("shell a; b | c", [Step("shell", "a; b | c")]),
        ("lie; shell a; b\nlie", [Step("lie"), Step("shell", "a; b"), Step("lie")]),
        ("ask Which one?", [Step("ask", "Which one?")]),
        ("stream 2.5", [Step("stream", number=2.5)]),
        ("crash", [Step("crash", number=0.0)]),
        ("crash 3", [Step("crash", number=3.0)]),
        ("crash-always", [Step("crash-always")]),
        ("hang", [Step("hang")]),
        ("limit 60", [Step("limit", number=60.0)]),
        ("end-turn", [Step("end-turn")]),
        ("flood 1", [Step("flood", number=1.0)]),
        ("fail No luck today", [Step("fail", "No luck today")]),
        ("usage 100 20", [Step("usage", "", "100 20", -1.0)]),
        ("usage 100 20 0.25", [Step("usage", "", "100 20", 0.25)]),
        ("usage 100 20 openai/gpt-5", [Step("usage", "openai/gpt-5", "100 20", -1.0)]),
        ("Please write a page; then stop", [Step("note", "Please write a page; then stop")]),
        ("Write a page", [Step("note", "Write a page")]),
        ("", [Step("note", "")]),
        ("writer; lie", [Step("note", "writer; lie")]),
    ],
)
def test_a_prompt_becomes_its_steps(prompt: str, steps: list[Step]) -> None:
    assert parse(prompt) == steps


@pytest.mark.parametrize(
    "prompt, message",
    [
        ("write a; dance", "unknown step 'dance'; the steps are write, shell, ask"),
        ("hang\nwrte b", "unknown step 'wrte'"),
        ("write", "step 'write' needs an argument"),
        ("shell", "step 'shell' needs an argument"),
        ("stream", "step 'stream' needs a number, got ''"),
        ("stream soon", "step 'stream' needs a number, got 'soon'"),
        ("stream -1", "needs a number from 0"),
        ("limit nan", "needs a number from 0"),
        ("flood 1e99", "needs a number from 0"),
        ("end-turn now", "step 'end-turn' takes no argument"),
        ("lie twice", "step 'lie' takes no argument, got 'twice'"),
        ("usage", "step 'usage' needs INPUT OUTPUT .USD|MODEL., got ''"),
        ("usage 1", "step 'usage' needs INPUT OUTPUT"),
        ("usage 1 x", "step 'usage' needs INPUT OUTPUT"),
        ("usage 1 2 3 4", "step 'usage' needs INPUT OUTPUT"),
        ("usage 1 2 3x", "step 'usage' needs a number, got '3x'"),
        ("write /etc/passwd x", "step 'write' stays inside the working folder, got '/etc/passwd'"),
        ("write a/../../b x", "step 'write' stays inside"),
        ("write .git/config x", "step 'write' stays inside"),
    ],
)
def test_a_wrong_step_is_named(prompt: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        parse(prompt)


@given(st.text() | st.lists(st.sampled_from([*STEP_WORDS, ";", "\n", "1", "x"])).map(" ".join))
def test_any_text_is_steps_or_a_named_error(prompt: str) -> None:
    if not begins_with_step(prompt):
        assert parse(prompt) == [Step("note", prompt)]
        return
    try:
        words = {step.word for step in parse(prompt)}
    except ScenarioError:
        words = set()
    assert words <= set(STEP_WORDS)


@given(st.lists(st.sampled_from([word for word in STEP_WORDS if word != "shell"]), min_size=1, max_size=5))
def test_separators_are_alike(words: list[str]) -> None:
    arguments = {"crash-always": "", "end-turn": "", "hang": "", "lie": "", "usage": " 1 1"}
    texts = [f"{word}{arguments.get(word, ' 1')}" for word in words]
    assert parse("; ".join(texts)) == parse("\n".join(texts))
