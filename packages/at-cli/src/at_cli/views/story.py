"""A bead's story: a line for each turn and what came between, or all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from at_cli.style import Look
from at_cli.views.costs import dollars
from at_cli.views.words import clock_time, count, duration

Document = dict[str, Any]

MOST_LINES = 12
_COLOURS = {
    "landed": "green",
    "proved": "green",
    "failed": "red",
    "given up": "red",
    "crash": "red",
    "sent back": "yellow",
}
_USUAL = ("added", "handed in", "collected")
_WIDTH = 11


def brief_lines(story: Sequence[Document], style: Look, indent: str) -> list[str]:
    """The newest chapters, a line each, and how many came before; what follows from every turn is left out."""
    telling = [chapter for chapter in story if chapter["kind"] not in _USUAL]
    shown = telling[-MOST_LINES:]
    left_out = len(telling) - len(shown)
    lines = [f"{indent}({count(left_out, 'earlier entry', 'earlier entries')})"] if left_out else []
    return lines + [line for chapter in shown for line in _heading(chapter, style, indent)]


def whole_lines(story: Sequence[Document], style: Look) -> list[str]:
    """All of it, with every prompt, word, command and result."""
    lines: list[str] = []
    for chapter in story:
        lines += _heading(chapter, style, "")
        if chapter["kind"] == "turn":
            for prompt in chapter["prompts"]:
                lines += _block(f"told ({prompt['kind'].replace('_', ' ')})", prompt["text"], style)
            for step in chapter["steps"]:
                lines += _step(step, style)
            if chapter["error"]:
                lines += _block("error", chapter["error"], style)
    return lines


def _heading(chapter: Document, style: Look, indent: str) -> list[str]:
    kind = chapter["kind"]
    if kind == "turn":
        return [
            _line(chapter, f"turn {chapter['number']}", ", ".join(_turn_words(chapter, style)), style, indent)
        ]
    verdict = "" if chapter["ok"] is None else "passed: " if chapter["ok"] else "failed: "
    by = f"by {style.plain(chapter['by'])}" if chapter["by"] else ""
    text = style.fit(style.plain(chapter["text"]), max(style.width - 30, 40))
    said = f"{verdict}{text}" + (f" ({by})" if by and text else by)
    colour = "red" if chapter["ok"] is False else _COLOURS.get(kind, "")
    return [_line(chapter, kind, said, style, indent, colour)]


def _line(chapter: Document, word: str, said: str, style: Look, indent: str, colour: str = "") -> str:
    name = f"{word:<{_WIDTH}}"
    painted = style.paint(colour, name) if colour else name
    return f"{indent}{style.paint('dim', clock_time(chapter['at']))} {painted} {said}".rstrip()


def _turn_words(turn: Document, style: Look) -> Iterator[str]:
    counts, spent = turn["counts"], turn["spent"]
    yield style.plain(turn["outcome"] or "at work")
    if turn["seconds"] is not None:
        yield f"in {duration(turn['seconds'])}"
    if counts["tools"]:
        failed = f" ({counts['tools_failed']} failed)" if counts["tools_failed"] else ""
        yield count(counts["tools"], "tool call") + failed
    for name, word in (("asked", "decided by you"), ("by_rule", "by a rule"), ("denied", "denied")):
        if counts[name]:
            yield f"{counts[name]} {word}"
    if spent["input_tokens"] or spent["output_tokens"]:
        yield f"{spent['input_tokens']:,} tokens in, {spent['output_tokens']:,} out"
    if spent["cost_usd"] is not None:
        yield dollars(spent["cost_usd"], spent["cost_estimated"], False)


def _step(step: Document, style: Look) -> list[str]:
    if step["kind"] == "text":
        return _block("said", step["text"], style)
    if step["kind"] == "ask":
        answer = _decision(step) + (f": {step['answer']}" if step["answer"] else "")
        return [*_block("asked", step["text"], style), *_block("answer", answer, style)]
    if step["kind"] != "tool":
        return _block(step["kind"], step["text"], style)
    lines = _block(step["tool"] or "tool", step["text"], style)
    if step["approved"] is not None:
        lines += _block("leave", _decision(step), style)
    result = "" if step["ok"] is None else "ok" if step["ok"] else "failed"
    output = step["output"].rstrip("\n")
    return lines + (_block("result", f"{result}\n{output}" if output else result, style) if result else [])


def _decision(step: Document) -> str:
    if step["approved"] is None:
        return "not decided"
    return f"{'given' if step['approved'] else 'denied'} by {step['decided_by'] or 'nobody'}"


def _block(name: str, text: str, style: Look) -> list[str]:
    first, *rest = style.block(text.rstrip("\n"), "")
    head = f"    {style.plain(name):<{_WIDTH}} "
    return [
        f"{style.paint('dim', head)}{first}".rstrip(),
        *(f"{'':{len(head)}}{each}".rstrip() for each in rest),
    ]
