"""A state as lines of one size. Pure, and safe: text of users and agents is made visible before it is measured."""

from __future__ import annotations

from datetime import datetime

from at_cli.style import cells
from at_cli.terminal_title import of_work
from at_cli.top.model import HELP, AgentRow, Document, Mode, State
from at_cli.top.paper import LEAST_COLUMNS, LEAST_LINES, Paper, clip, wrapped
from at_cli.views.agent import context_left
from at_cli.views.costs import brief_dollars
from at_cli.views.words import GLYPHS
from at_core.need_words import WORDS
from at_core.text import one_line, visible

MOST_DETAIL = 6
_WIDE, _WITH_CONTEXT = 110, 76
_RIGHT = {"time", "cost", "context"}
_STATUS = {"active": "green", "pending": "cyan", "unknown": "red", "stopped": "dim", "idle": "dim"}
_SIGNS = {**GLYPHS, "pending": "~"}
"""As in the line of a prompt: `!` is for what needs a person, `~` for what waits by itself."""
_BROKEN = {"failed", "login"}
_HINTS = "enter  y n answer  d diff  m message  l land  r retry  / filter  ? help  q quit"


def picture(state: State, paper: Paper, now: datetime) -> list[str]:
    """Exactly as many lines as the paper has, none wider than it."""
    if paper.too_small:
        words = f"at top wants {LEAST_COLUMNS} x {LEAST_LINES}; this is {paper.columns} x {paper.lines}"
        return [clip(words, paper.columns), *[""] * (paper.lines - 1)]
    body = _list(state, paper, now, paper.lines - 2) if _shows_list(state) else _page(state, paper)
    return [_head(state, paper), *body, _foot(state, paper)]


def window_title(state: State) -> str:
    """What the terminal's title is to say: whom the page is about, or how many decisions wait."""
    row = state.row
    if not _shows_list(state) and state.page != HELP and row is not None and row.bead:
        return f"at top: {of_work({'agent': row.name, 'bead': row.bead, 'title': row.title})}"
    needs = sum(each.need is not None for each in state.rows)
    return f"{f'({needs}) ' if needs else ''}at top: {state.rig or 'all repositories'}"


def _shows_list(state: State) -> bool:
    return state.mode in (Mode.LIST, Mode.FILTER) or (state.mode is Mode.WORDS and not state.page)


def _head(state: State, paper: Paper) -> str:
    needs = sum(row.need is not None for row in state.rows)
    agents = {row.name: row.agent for row in state.rows if row.agent}
    working = sum(agent["status"] == "active" for agent in agents.values())
    counts = f"{needs} need you, {working} of {len(agents)} at work"
    left = one_line(f"at top: {state.rig or 'all repositories'}", paper.columns - cells(counts) - 2)
    lost = "  the daemon does not answer" if state.lost else ""
    line = clip(f"{left}  {counts}{lost}", paper.columns)
    return paper.paint("red" if state.lost else "bold", line)


def _foot(state: State, paper: Paper) -> str:
    if state.mode in (Mode.WORDS, Mode.FILTER):
        room = paper.columns - cells(state.prompt) - 4
        typed = visible(state.typed)
        while cells(typed) > max(room, 1):
            typed = typed[1:]
        return paper.paint("bold", clip(f"{state.prompt}: {typed}_", paper.columns))
    if state.mode is Mode.CONFIRM:
        words = f"{visible(state.prompt)}  y yes  n no"
        return paper.paint("need", clip(f"{words}   {state.notice}".rstrip(), paper.columns))
    if state.notice:
        return paper.paint("need", clip(state.notice, paper.columns))
    if state.mode is Mode.PAGE:
        return paper.paint("dim", clip("j k  space b  g G  q back", paper.columns))
    shown = f"/{visible(state.filter)}  " if state.filter else ""
    return paper.paint("dim", clip(shown + _HINTS, paper.columns))


def _page(state: State, paper: Paper) -> list[str]:
    seen = paper.page_lines
    page = wrapped(state.page, paper.columns)
    top = max(0, min(state.top, len(page) - seen))
    lines = [paper.paint(_page_style(line), text) for line, text in page[top : top + seen]]
    below = len(page) - top - seen
    more = f"  ({below} more below)" if below > 0 else ""
    title = paper.paint("bold", clip(one_line(state.title, paper.columns) + more, paper.columns))
    return [title, *lines, *[""] * (seen - len(lines))]


def _page_style(line: str) -> str:
    return "cyan" if line.startswith("@@") else {"+": "green", "-": "red"}.get(line[:1], "")


def _list(state: State, paper: Paper, now: datetime, height: int) -> list[str]:
    shown, row = state.shown, state.row
    if row is None:
        text = "Nothing has this word." if state.rows else "No agent has work, and nothing needs you."
        return ["", f"  {text}", *[""] * (height - 2)]
    detail = _detail(row, paper, min(MOST_DETAIL, max(0, height - 6)))
    room = height - 1 - len(detail)
    place = shown.index(row)
    first = max(0, min(place - room // 2, len(shown) - room))
    lines = [_line(each, paper, now, each is row) for each in shown[first : first + room]]
    return [_headings(paper), *lines, *[""] * (room - len(lines)), *detail]


def _detail(row: AgentRow, paper: Paper, most: int) -> list[str]:
    """What is asked of the selected row, or what its agent last did, under the list."""
    if most < 2:
        return []
    last = (row.agent or {}).get("last") or {}
    said = str(row.need["reason"]) if row.need else str(last.get("text") or "")
    lines = said.rstrip("\n").split("\n") if said else ["nothing yet"]
    shown = lines[: most - 1]
    if len(lines) > len(shown):
        shown[-1] = f"{shown[-1]}  (+{len(lines) - len(shown)} lines: enter)"
    rule = paper.paint("dim", "─" * paper.columns)
    body = [clip(f"  {line}", paper.columns) for line in shown]
    return [rule, *body, *[""] * (most - 1 - len(body))]


def _widths(paper: Paper) -> dict[str, int]:
    wide = paper.columns >= _WIDE
    fixed = {"sign": 3, "agent": 11, "cli": 9 if wide else 0, "state": 21, "time": 6, "cost": 8}
    fixed["context"] = 5 if paper.columns >= _WITH_CONTEXT else 0
    left = paper.columns - sum(fixed.values())
    return {**fixed, "work": left // 2 if wide else left, "last": left - left // 2 if wide else 0}


def _headings(paper: Paper) -> str:
    names = {
        "sign": "",
        "cost": "cost ",
        "last": "last",
        "work": "work item",
        "time": "for ",
        "context": "ctx ",
    }
    parts = [
        _cell(names.get(column, column), width, right=column in _RIGHT)
        for column, width in _widths(paper).items()
    ]
    return paper.paint("dim", clip("".join(parts).rstrip(), paper.columns))


def _line(row: AgentRow, paper: Paper, now: datetime, selected: bool) -> str:
    agent, widths = row.agent or {}, _widths(paper)
    status = str(agent.get("status") or "pending")
    last = agent.get("last") or {}
    state = (
        WORDS.get(str(row.need["kind"]), str(row.need["kind"])) if row.need else str(agent.get("label") or "")
    )
    broken = row.need is not None and row.need["kind"] in _BROKEN
    style = "red" if broken else "need" if row.need else _STATUS.get(status, "")
    sign = "!" if row.need else _SIGNS.get(status, "?")
    parts: dict[str, str] = {
        "sign": f"{'>' if selected else ' '}{sign}",
        "agent": str(row.name or "-"),
        "cli": str(agent.get("cli") or ""),
        "state": state,
        "time": _age(row, now),
        "cost": brief_dollars(agent.get("cost_usd"), bool(agent.get("cost_estimated"))) if agent else "-",
        "context": context_left(agent.get("context")),
        "work": row.title,
        "last": f"{_clock(last['at'])} {last.get('text') or last.get('kind')}" if last else "",
    }
    made = {name: _cell(parts[name], width, right=name in _RIGHT) for name, width in widths.items() if width}
    if selected and paper.colour:
        return f"\x1b[7m{''.join(made.values())}\x1b[0m"
    made |= {name: paper.paint(style, made[name]) for name in ("sign", "state")}
    if "last" in made:
        made["last"] = paper.paint("dim", made["last"])
    return "".join(made.values()).rstrip()


def _cell(text: str, width: int, *, right: bool = False) -> str:
    """`text` in so many columns, of which the last is blank."""
    shown = one_line(text, width - 1) if width else ""
    blanks = " " * (max(width - 1, 0) - cells(shown))
    return (blanks + shown if right else shown + blanks) + " " * bool(width)


def _clock(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%H:%M}"


def _age(row: AgentRow, now: datetime) -> str:
    """How long the need stands, or how long the work took so far, in the unit that reads best."""
    agent: Document = row.agent or {}
    begin = row.need["since"] if row.need else agent.get("began_at")
    if not begin:
        return "-"
    end = agent.get("ended_at") if not row.need else None
    minutes = int(
        ((datetime.fromisoformat(end) if end else now) - datetime.fromisoformat(begin)).total_seconds() // 60
    )
    if minutes < 1:
        return "<1m"
    if minutes < 100:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 48 * 60 else f"{minutes // 1440}d"
