"""What the live screen shows and what a key does to it. Pure: keys and documents in, a new state and orders out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from at_cli.top.paper import Paper, wrapped

Document = dict[str, Any]
_ORDER = {"unknown": 0, "pending": 1, "active": 2, "idle": 3, "stopped": 4}


class Mode(StrEnum):
    """What the keys are for."""

    LIST = "list"
    PAGE = "page"
    """Something to read is over the list."""
    CONFIRM = "confirm"
    """What would be done is shown, and y does it."""
    WORDS = "words"
    """A line is being typed."""
    FILTER = "filter"


@dataclass(frozen=True, slots=True)
class Errand:
    """What is asked of the daemon: a route with its values. `said` is shown once it is done."""

    route: str
    values: Mapping[str, Any]
    said: str = ""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Something to read is wanted: `kind` is story or diff."""

    kind: str
    bead: str
    title: str
    number: int


class Leave(StrEnum):
    """Ends of the loop, and an interruption of it."""

    QUIT = "quit"
    SUSPEND = "suspend"
    REDRAW = "redraw"


Effect = Errand | Fetch | Leave


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One line of the list: an agent, with the first thing that it needs decided."""

    key: str
    agent: Document | None
    need: Document | None

    @property
    def bead(self) -> str | None:
        """The work item that it is about."""
        found = self.need["bead"] if self.need else (self.agent or {}).get("bead_id")
        return str(found) if found else None

    @property
    def title(self) -> str:
        """The title of that."""
        return str((self.need["title"] if self.need else (self.agent or {}).get("bead")) or "")

    @property
    def name(self) -> str | None:
        """The agent's name."""
        return str(self.agent["name"]) if self.agent else (self.need or {}).get("agent")


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a picture is made of."""

    rows: tuple[AgentRow, ...] = ()
    selected: str | None = None
    mode: Mode = Mode.LIST
    filter: str = ""
    typed: str = ""
    prompt: str = ""
    """What the typed words are for, or what is to be confirmed, as a question."""
    page: tuple[str, ...] = ()
    title: str = ""
    top: int = 0
    """First line of the page that is seen."""
    pending: Errand | None = None
    """What y does, or what the typed words are added to under `text`."""
    notice: str = ""
    rig: str = ""
    lost: bool = False
    """No daemon answers at this moment."""
    fetched: int = 0
    """How often something to read was asked for."""
    awaited: int | None = None
    """The number of what the person waits for; none once something else was done."""

    @property
    def shown(self) -> tuple[AgentRow, ...]:
        """The rows that the filter lets through."""
        word = (self.typed if self.mode is Mode.FILTER else self.filter).casefold()
        return tuple(row for row in self.rows if word in _words(row)) if word else self.rows

    @property
    def row(self) -> AgentRow | None:
        """The selected row."""
        shown = self.shown
        return next((row for row in shown if row.key == self.selected), shown[0] if shown else None)


def newly_wanted(
    known: frozenset[str] | None, needs: Sequence[Document]
) -> tuple[frozenset[str], list[Document]]:
    """What is wanted now by key, and what of it was not the last time; the first time nothing is news."""
    keyed = {f"{need['bead']}:{need['kind']}:{need['ask']}": need for need in needs}
    news = [] if known is None else [need for key, need in keyed.items() if key not in known]
    return frozenset(keyed), news


def rows_of(document: Document) -> tuple[AgentRow, ...]:
    """Rows by need: first what needs a person, in the order of the queue, then what works, then what rests."""
    needs: Sequence[Document] = document["needs"]
    agents = {agent["name"]: agent for agent in document["agents"]}
    rows, taken = [], set()
    for need in needs:
        agent = agents.get(need["agent"])
        rows.append(AgentRow(need["ask"] or f"{need['bead']}:{need['kind']}", agent, need))
        taken.add(need["agent"])
    rest = [agent for name, agent in agents.items() if name not in taken]
    rest.sort(key=lambda agent: (_ORDER.get(agent["status"], 0), agent["name"]))
    return (*rows, *(AgentRow(agent["id"], agent, None) for agent in rest))


def with_document(state: State, document: Document) -> State:
    """The newest document; whatever is selected stays so, or what is in its place then."""
    rows, before = rows_of(document), state.row
    changed = dataclasses.replace(state, rows=rows, rig=str(document.get("rig_name") or ""), lost=False)
    if before is not None and all(row.key != before.key for row in changed.shown) and changed.shown:
        place = min(state.shown.index(before), len(changed.shown) - 1)
        same = [row.key for row in changed.shown if row.name and row.name == before.name]
        changed = dataclasses.replace(changed, selected=same[0] if same else changed.shown[place].key)
    return changed


def with_page(state: State, title: str, lines: Sequence[str]) -> State:
    """Something to read over the list."""
    return dataclasses.replace(state, mode=Mode.PAGE, title=title, page=tuple(lines), top=0, awaited=None)


def with_fetched(state: State, number: int, title: str, lines: Sequence[str]) -> State:
    """What was asked for to read, if it is still waited for: nobody else's keys are to mean something else now."""
    return with_page(state, title, lines) if number == state.awaited else state


def with_notice(state: State, notice: str) -> State:
    """A line about what was done, or why not."""
    return dataclasses.replace(state, notice=notice)


def press(state: State, key: str, paper: Paper) -> tuple[State, Effect | None]:
    """What a key does while so much is shown; where nothing can be shown, only leaving is possible."""
    if key == "interrupt":
        return state, Leave.QUIT
    if key == "suspend":
        return state, Leave.SUSPEND
    if key == "redraw":
        return state, Leave.REDRAW
    if paper.too_small:
        return state, Leave.QUIT if key == "q" and state.mode is Mode.LIST else None
    state, effect = _pressed(dataclasses.replace(state, notice=""), key, paper)
    return (state if state.mode is Mode.LIST else dataclasses.replace(state, awaited=None)), effect


def _pressed(state: State, key: str, paper: Paper) -> tuple[State, Effect | None]:
    match state.mode:
        case Mode.LIST:
            return _in_list(state, key)
        case Mode.PAGE:
            return _in_page(state, key, paper)
        case Mode.CONFIRM:
            return _in_confirm(state, key, paper)
        case Mode.WORDS | Mode.FILTER:
            return _in_words(state, key, paper)


def _in_list(state: State, key: str) -> tuple[State, Effect | None]:
    if key in ("q", "end-of-input"):
        return state, Leave.QUIT
    if step := {"j": 1, "down": 1, "k": -1, "up": -1, "page-down": 10, "page-up": -10}.get(key):
        return _moved(state, step), None
    if key in ("home", "g", "end", "G"):
        return _moved(state, len(state.rows) * (-1 if key in ("home", "g") else 1)), None
    if key == "?":
        return with_page(state, "Keys", HELP), None
    if key == "/":
        return dataclasses.replace(state, mode=Mode.FILTER, typed=state.filter, prompt="filter"), None
    if key == "escape":
        return dataclasses.replace(state, filter=""), None
    row = state.row
    if row is None or (act := _ACTS.get(key)) is None:
        return state, None
    return act(state, row)


def _moved(state: State, step: int) -> State:
    shown, row = state.shown, state.row
    if row is None:
        return state
    place = max(0, min(shown.index(row) + step, len(shown) - 1))
    return dataclasses.replace(state, selected=shown[place].key)


def _read(kind: str, state: State, row: AgentRow) -> tuple[State, Effect | None]:
    if row.bead is None:
        return with_notice(state, f"{row.name} has no work item"), None
    number = state.fetched + 1
    waiting = dataclasses.replace(state, fetched=number, awaited=number)
    return waiting, Fetch(kind, row.bead, row.title, number)


def _yes(state: State, row: AgentRow) -> tuple[State, Effect | None]:
    need = row.need
    if need is None or not need["ask"]:
        return with_notice(state, "nothing is asked here; l lands, r retries, enter shows more"), None
    if need["kind"] == "question":
        order = Errand("decide", {"ask": need["ask"], "approve": True}, "answered")
        return _asked(state, need, "answer", order, Mode.WORDS), None
    order = Errand("decide", {"ask": need["ask"], "approve": True}, "approved")
    return _asked(state, need, f"Allow exactly this to {row.name}?", order), None


def _no(state: State, row: AgentRow) -> tuple[State, Effect | None]:
    need = row.need
    if need is None or not need["ask"]:
        return with_notice(state, "nothing is asked here"), None
    order = Errand("decide", {"ask": need["ask"], "approve": False}, "denied")
    return _asked(state, need, f"Deny this to {row.name}?", order), None


def _asked(state: State, need: Document, prompt: str, order: Errand, mode: Mode = Mode.CONFIRM) -> State:
    page = str(need["reason"]).split("\n")
    shown = with_page(state, f"{need['title']}", page)
    return dataclasses.replace(shown, mode=mode, prompt=prompt, pending=order, typed="")


def _confirmed(
    prompt: str, route: str, said: str, state: State, row: AgentRow
) -> tuple[State, Effect | None]:
    if row.bead is None:
        return with_notice(state, f"{row.name} has no work item"), None
    lines = [str(row.need["reason"])] if row.need else []
    shown = with_page(state, row.title, [line for text in lines for line in text.split("\n")])
    order = Errand(route, {"bead": row.bead}, said)
    return dataclasses.replace(shown, mode=Mode.CONFIRM, prompt=prompt, pending=order), None


def _land(state: State, row: AgentRow) -> tuple[State, Effect | None]:
    return _confirmed("Merge it onto its target?", "land", "let land", state, row)


def _retry(state: State, row: AgentRow) -> tuple[State, Effect | None]:
    return _confirmed("Begin it again?", "retry", "begun again", state, row)


def _message(state: State, row: AgentRow) -> tuple[State, Effect | None]:
    if not row.name:
        return with_notice(state, "it has no agent"), None
    order = Errand("nudge", {"agent": row.name, "wait_seconds": 0.0}, f"queued for {row.name}")
    return dataclasses.replace(
        state, mode=Mode.WORDS, prompt=f"to {row.name}", pending=order, typed="", page=(), title=""
    ), None


def _in_page(state: State, key: str, paper: Paper) -> tuple[State, Effect | None]:
    if key in ("q", "escape", "enter", "left", "end-of-input"):
        return _back(state), None
    return _scrolled(state, key, paper), None


def _in_confirm(state: State, key: str, paper: Paper) -> tuple[State, Effect | None]:
    if key == "y" and _top(state, paper) < _last_top(state, paper):
        return with_notice(_scrolled(state, " ", paper), "there is more of it: see it whole first"), None
    if key == "y":
        return _back(state), state.pending
    if key in ("n", "q", "escape", "end-of-input"):
        return with_notice(_back(state), "nothing was done"), None
    return _scrolled(state, key, paper), None


def _scrolled(state: State, key: str, paper: Paper) -> State:
    last, height = _last_top(state, paper), paper.page_lines
    step = {
        "j": 1,
        "down": 1,
        "k": -1,
        "up": -1,
        " ": height,
        "page-down": height,
        "b": -height,
        "page-up": -height,
        "g": -last,
        "home": -last,
        "G": last,
        "end": last,
    }.get(key, 0)
    return dataclasses.replace(state, top=max(0, min(_top(state, paper) + step, last)))


def _top(state: State, paper: Paper) -> int:
    """The first line that is seen; paper that grew shows more of what is before."""
    return min(state.top, _last_top(state, paper))


def _last_top(state: State, paper: Paper) -> int:
    return max(0, len(wrapped(state.page, paper.columns)) - paper.page_lines)


def _in_words(state: State, key: str, paper: Paper) -> tuple[State, Effect | None]:
    filters = state.mode is Mode.FILTER
    if key in ("escape", "end-of-input"):
        return _back(dataclasses.replace(state, filter="") if filters else state), None
    if key == "enter" and filters:
        return _back(dataclasses.replace(state, filter=state.typed)), None
    if key == "enter":
        if not state.typed.strip() or state.pending is None:
            return with_notice(_back(state), "nothing was said"), None
        pending = state.pending
        said = Errand(pending.route, {**pending.values, "text": state.typed}, pending.said)
        return _back(state), said
    if key == "backspace":
        return dataclasses.replace(state, typed=state.typed[:-1]), None
    if key == "erase":
        return dataclasses.replace(state, typed=""), None
    if len(key) > 1:
        return _scrolled(state, key, paper), None
    return dataclasses.replace(state, typed=state.typed + key), None


def _back(state: State) -> State:
    return dataclasses.replace(
        state, mode=Mode.LIST, typed="", prompt="", page=(), title="", top=0, pending=None
    )


def _words(row: AgentRow) -> str:
    agent, need = row.agent or {}, row.need or {}
    parts = (row.name, row.title, agent.get("cli"), agent.get("label"), need.get("kind"), row.bead)
    return " ".join(str(part) for part in parts if part).casefold()


_ACTS = {
    "enter": lambda state, row: _read("story", state, row),
    "right": lambda state, row: _read("story", state, row),
    "d": lambda state, row: _read("diff", state, row),
    "y": _yes,
    "n": _no,
    "m": _message,
    "l": _land,
    "r": _retry,
}

HELP = (
    "j k, arrows     next and previous line; g and G first and last",
    "enter           the whole of it: what is asked, work, evidence, cost",
    "y               allow what is asked, or answer a question; it is shown whole first",
    "n               deny what is asked",
    "d               the change of its work item",
    "m               a message to its agent",
    "l               land: let its work merge",
    "r               retry: begin it again",
    "/               show only what has a word in it; escape shows all",
    "?               this page",
    "ctrl-l, ctrl-z  draw anew; suspend",
    "q               leave; agents go on",
)
