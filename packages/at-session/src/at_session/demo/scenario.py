"""The demo agent's scenario language: text of a prompt in, steps out.

Steps are separated by `;` or a new line. `shell` takes the rest of its line, `;` included. A prompt that begins with
no step word is prose and becomes the one step `note`. Imported at every start of the agent, so neither dataclasses
nor typing are loaded here.
"""

from __future__ import annotations

WRITE = "write"
SHELL = "shell"
ASK = "ask"
STREAM = "stream"
CRASH = "crash"
CRASH_ALWAYS = "crash-always"
HANG = "hang"
LIMIT = "limit"
END_TURN = "end-turn"
LIE = "lie"
FLOOD = "flood"
FAIL = "fail"
USAGE = "usage"
NOTE = "note"

STEP_WORDS = (WRITE, SHELL, ASK, STREAM, CRASH, CRASH_ALWAYS, HANG, LIMIT, END_TURN, LIE, FLOOD, FAIL, USAGE)
_BARE = (CRASH_ALWAYS, HANG, END_TURN, LIE)
_NUMBER_REQUIRED = (STREAM, LIMIT, FLOOD)
_LARGEST_NUMBER = 1_000_000.0


class ScenarioError(ValueError):
    """A prompt that begins as a scenario but is none; the message names the step."""


class Step:
    """One step: its word, its text (a path, a command, a question, …) and its number where it has one."""

    __slots__ = ("content", "number", "text", "word")

    def __init__(self, word: str, text: str = "", content: str = "", number: float = 0.0) -> None:
        self.word = word
        self.text = text
        self.content = content
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Step{self._key()!r}"

    def _key(self) -> tuple[str, str, str, float]:
        return (self.word, self.text, self.content, self.number)


def begins_with_step(prompt: str) -> bool:
    """Whether a prompt is a scenario at all."""
    words = prompt.lstrip("; \t\r\n").replace(";", " ; ").split(maxsplit=1)
    return bool(words) and words[0] in STEP_WORDS


def parse(prompt: str) -> list[Step]:
    """The steps of a prompt. Raises ScenarioError, which names the step that is wrong."""
    if not begins_with_step(prompt):
        return [Step(NOTE, prompt)]
    return [_step(piece) for line in prompt.split("\n") for piece in _pieces(line)]


def _pieces(line: str) -> list[str]:
    pieces: list[str] = []
    rest = line.strip()
    while rest:
        if rest.split(maxsplit=1)[0] == SHELL:
            pieces.append(rest)
            break
        piece, _, rest = rest.partition(";")
        rest = rest.strip()
        if piece.strip():
            pieces.append(piece.strip())
    return pieces


def _step(piece: str) -> Step:
    word, argument = _split(piece)
    if word not in STEP_WORDS:
        raise ScenarioError(f"unknown step {word!r}; the steps are {', '.join(STEP_WORDS)}")
    if word in _BARE:
        if argument:
            raise ScenarioError(f"step {word!r} takes no argument, got {argument!r}")
        return Step(word)
    if word == USAGE:
        return _usage(word, argument)
    if word in _NUMBER_REQUIRED or word == CRASH:
        return Step(word, number=_number(word, argument))
    if not argument:
        raise ScenarioError(f"step {word!r} needs an argument")
    if word == WRITE:
        path, content = _split(argument)
        return Step(word, _confined(path), content)
    return Step(word, argument)


def _usage(word: str, argument: str) -> Step:
    """`content` has the two counts, `text` the model, `number` the dollars: below zero for none."""
    given = argument.split()
    counts, last = given[:2], given[2:]
    if len(given) not in (2, 3) or not all(count.isascii() and count.isdigit() for count in counts):
        raise ScenarioError(f"step {word!r} needs INPUT OUTPUT [USD|MODEL], got {argument!r}")
    if last and last[0][0].isdigit():
        return Step(word, "", " ".join(counts), _number(word, last[0]))
    return Step(word, last[0] if last else "", " ".join(counts), -1.0)


def _split(text: str) -> tuple[str, str]:
    first, *rest = text.split(maxsplit=1)
    return first, rest[0].strip() if rest else ""


def _number(word: str, argument: str) -> float:
    if word == CRASH and not argument:
        return 0.0
    try:
        number = float(argument)
    except ValueError:
        raise ScenarioError(f"step {word!r} needs a number, got {argument!r}") from None
    if not 0 <= number <= _LARGEST_NUMBER:
        raise ScenarioError(f"step {word!r} needs a number from 0 to {_LARGEST_NUMBER:.0f}, got {argument!r}")
    return number


def _confined(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or parts[0] == ".git" or "\0" in path:
        raise ScenarioError(f"step 'write' stays inside the working folder, got {path!r}")
    return path
