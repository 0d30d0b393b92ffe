"""For tests of faces: a call of `at` in this process, and a small real server on the daemon's socket.

The server speaks the route table of at-core over HTTP on a Unix socket and keeps what it was asked. It decides
nothing: the real daemon is used by the acceptance tests.
"""

from __future__ import annotations

import io
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from at_cli.main import run
from at_cli.streams import Streams
from at_core.api import PROTOCOL, ROUTES, Answer, Route
from at_core.errors import AtError
from at_core.paths import Home, short_socket_path
from at_daemon.edge import body as request_body
from at_daemon.edge import query_parameters

BEAD_ID = "3f2a9c1e-0000-4000-8000-000000000001"
AGENT_ID = "77aa0000-0000-4000-8000-000000000002"
ASK_ID = "8c11d2f0-0000-4000-8000-000000000003"
WHEN = "2026-11-22T10:00:00.000000Z"

BEAD = {
    "id": BEAD_ID,
    "title": "Fix the flaky test",
    "description": "It fails one time in ten.",
    "status": "review",
    "lane": "critical",
    "priority": 3,
    "agent_id": AGENT_ID,
    "git_branch": "at/3f2a9c1e-fix-the-flaky-test",
    "created_at": WHEN,
}
AGENT = {
    "id": AGENT_ID,
    "name": "furiosa",
    "role": "polecat",
    "cli": "claude",
    "status": "active",
    "label": "working",
    "bead_id": BEAD_ID,
    "bead": "Fix the flaky test",
}
ASK = {
    "id": ASK_ID,
    "agent": "furiosa",
    "bead": BEAD_ID,
    "kind": "command",
    "what": "rm -rf build",
    "asked_at": WHEN,
}
RULE = {
    "id": "5d0c77e1-0000-4000-8000-000000000004",
    "rig": "r1",
    "repository": "/home/me/shop",
    "kind": "command",
    "tool": "Bash",
    "argv": ["make", "test"],
    "what": "make test",
    "created_at": WHEN,
    "created_by": "person",
    "ask": ASK_ID,
    "agent": "furiosa",
}
DOCUMENT = {
    "bead": BEAD,
    "agent": AGENT,
    "proved": True,
    "evidence": {
        "commits": ["a1b2c3d4e5f6"],
        "gates": [{"name": "tests", "ok": True, "tree": "feedbeefcafe", "seconds": 1.25, "log": "/l/1"}],
        "diff": {"files": 2, "insertions": 10, "deletions": 3},
        "merge": None,
    },
    "usage": {
        "input_tokens": 1200,
        "cached_tokens": 300,
        "output_tokens": 90,
        "cost_usd": 0.0123,
        "requests": 4,
        "source": "claude",
    },
    "turns": 1,
    "reasons": ["every gate passed on the tree that was handed in"],
    "attention": [],
    "settled": True,
    "landing": {"allowed_by": "person", "place": "it is number 1 of 2 in the landing queue of main"},
    "exit_code": 0,
    "seq": 41,
}
ACT = {
    "id": "7d0f3b52-0000-4000-8000-000000000005",
    "kind": "rm",
    "bead_id": BEAD_ID,
    "title": "Fix the parser",
    "rig": None,
    "attic": f"refs/at/attic/{BEAD_ID}/1",
    "undone_at": None,
    "at": WHEN,
    "why_not": None,
}
ENTRY = {
    "entry": f"{BEAD_ID[:8]}/1",
    "ref": f"refs/at/attic/{BEAD_ID}/1",
    "sha": "a" * 40,
    "bead_id": BEAD_ID,
    "title": "Fix the parser",
    "bead_there": False,
    "kept_at": WHEN,
    "reason": "removed by a person",
    "files": 2,
    "insertions": 10,
    "deletions": 3,
    "whole": True,
    "branch": f"at/{BEAD_ID[:8]}-fix-the-parser",
    "not_kept": ["node_modules/", ".env"],
    "notes": [],
    "repository": "/home/me/demo",
}
EVENTS: list[dict[str, Any]] = [
    {
        "seq": 1,
        "type": "bead.added",
        "at": WHEN,
        "actor": "person",
        "bead_id": BEAD_ID,
        "agent_id": None,
        "payload": {},
    },
    {
        "seq": 2,
        "type": "bead.slung",
        "at": WHEN,
        "actor": None,
        "bead_id": BEAD_ID,
        "agent_id": AGENT_ID,
        "payload": {"n": 1},
    },
]
KPI = {"beads_active": 1, "beads_completed": 2, "beads_failed": 0, "agents_active": 1, "convoys_active": 0}
SPENT = {
    "input_tokens": 1_234_567,
    "cached_tokens": 45_600,
    "output_tokens": 950,
    "cost_usd": 1.2345,
    "cost_estimated": True,
    "requests": None,
    "turns": 3,
    "unpriced_tokens": 0,
}
ANSWERS: dict[str, Any] = {
    "health": {"ok": True, "pid": 0, "version": "0.1.0", "protocol": PROTOCOL},
    "status": {"daemon": {}, "rig": None, "kpi": KPI, "agents": [AGENT], "attention": []},
    "status_text": "rig demo\nagents 1 active\n",
    "top": {"rig": None, "rig_name": None, "agents": [], "needs": [], "seq": 2},
    "short": {"needs": 2, "working": 1, "waiting": 0, "text": "2! 1@"},
    "short_text": "2! 1@",
    "init": {
        "rig": {"name": "demo"},
        "branch": "main",
        "base": "a1b2",
        "gates": [{"name": "tests", "command": "make test"}],
        "notes": ["no CI"],
    },
    "trust": {"file": ".auto-tundra.toml", "hash": "c0ffee00", "content": "[gates]\n", "trusted": False},
    "beads": {"beads": [BEAD]},
    "diff": b"diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n",
    "change": {
        "bead": BEAD_ID,
        "repository": "/home/me/demo",
        "from": "b" * 40,
        "head": "a" * 40,
        "base": "b" * 40,
        "since": None,
        "comments": [],
    },
    "comments": {"bead": BEAD_ID, "comments": []},
    "story": {"bead": BEAD_ID, "story": []},
    "push": {
        "bead": BEAD_ID,
        "repository": "/home/me/demo",
        "remote": {"name": "origin", "url": "https://example.com/demo.git"},
        "branch": "at/3f2a9c1e-fix-the-flaky-test",
        "head": "a" * 40,
        "base": "main",
        "title": "Fix the flaky test",
        "body": "It fails.\n\nBead: 3f2a\n",
        "pushed": False,
        "already": False,
        "notes": [],
        "known": None,
    },
    "looked": {"bead": BEAD_ID, "head": "a" * 40},
    "adopt": DOCUMENT,
    "remove": {"removed": BEAD_ID, "attic": "refs/at/attic/3f2a9c1e", "act": ACT["id"]},
    "undo": {**DOCUMENT, "undone": ACT},
    "destructive_acts": {"acts": [ACT]},
    "leftovers": {"leftovers": [], "bytes": 0, "days": 14},
    "attic": {"entries": [ENTRY], "not_shown": 2},
    "attic_entry": {"entry": ENTRY},
    "attic_diff": b" x | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n",
    "attic_restore": {"entry": ENTRY, "folder": "/home/me/rescued", "branch": None, "notes": []},
    "folder": {
        "path": "/home/me/.auto-tundra/worktrees/3f2a",
        "branch": "at/3f2a",
        "environment": {"AT_BEAD": BEAD_ID, "AT_AGENT": "furiosa", "AT_SLOT": "2", "AT_PORT": "21010"},
    },
    "agents": {"agents": [AGENT]},
    "nudge": {"message": {"id": "m1", "receipt": "accepted", "times": {}}},
    "stop": {"agent": {**AGENT, "status": "stopped", "label": "stopped"}},
    "resume": {"agent": AGENT},
    "resume_all": {"agents": [AGENT]},
    "costs": {
        "by": "bead",
        "since": None,
        "until": WHEN,
        "rows": [{"key": BEAD_ID, "name": "Fix the flaky test", **SPENT}],
        "total": SPENT,
        "landed": {
            "beads": 1,
            "priced": 1,
            "partly_priced": 0,
            "cost_usd": 1.2,
            "cost_estimated": False,
            "usd_per_bead": 1.2,
            "usd_per_bead_all_in": 1.2345,
        },
        "budgets": [
            {
                "scope": "day",
                "cli": None,
                "bead": None,
                "title": None,
                "unit": "usd",
                "limit": 10.0,
                "spent": 1.2345,
                "left": 8.7655,
                "passes_at": WHEN,
            },
        ],
        "unreported": {"claude": ["requests"]},
    },
    "session": {"session": "s1", "run_dir": "/r", "journal_dir": "/j", "transport": "pipe", "live": False},
    "approvals": {"approvals": [ASK]},
    "after": {
        "bead": BEAD,
        "after": [{"id": BEAD_ID, "title": "Fix the clock", "status": "review"}],
        "followers": [],
    },
    "needs": {
        "needs": [
            {
                "kind": "approval",
                "bead": BEAD_ID,
                "title": "Fix the parser",
                "agent": "furiosa",
                "reason": "make test",
                "acts": [f"at approve {ASK_ID[:8]}", f"at deny {ASK_ID[:8]} -m TEXT"],
                "ask": ASK_ID,
                "blocks": 2,
                "since": WHEN,
            },
            {
                "kind": "review",
                "bead": BEAD_ID,
                "title": "Write the docs",
                "agent": "wren",
                "reason": "proved, and nobody has let it land",
                "acts": [f"at land {BEAD_ID[:8]}"],
                "ask": None,
                "blocks": 0,
                "since": WHEN,
            },
        ]
    },
    "interruptions": {
        "since": None,
        "until": WHEN,
        "interruptions": [
            {
                "id": ASK_ID,
                "kind": "approval",
                "bead": BEAD_ID,
                "title": "Fix the parser",
                "agent": "furiosa",
                "ask": ASK_ID,
                "reason": "make test",
                "opened_at": WHEN,
                "closed_at": WHEN if outcome else None,
                "seconds": 12.0,
                "outcome": outcome,
                "act": act,
            }
            for outcome, act in (("decided", "approved"), ("withdrawn", None), (None, None))
        ],
        "counts": {"all": 3, "open": 1, "decided": 1, "cleared": 0, "withdrawn": 1},
        "landed": {"beads": 2, "interruptions": 3, "per_bead": 1.5},
    },
    "rules": {"rules": [RULE]},
    "remove_rules": {"removed": [RULE]},
    "decide": {"approval": ASK},
    "explain": {
        "label": "working",
        "status": "active",
        "reasons": ["a turn is open"],
        "facts": [{"fact": "turn", "source": "stream", "at": WHEN, "value": {"state": "working"}}],
    },
    "down": {"stopped": ["furiosa"]},
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came."""

    route: str
    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is an error of the daemon's."""

    code: str
    message: str
    hint: str = ""
    exit_code: int = 1


Reply = Any
"""A document, text or bytes; a `Failure`; a function of the request that gives one; None hangs up without a word."""


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class FakeDaemon:
    """The server; `answers` by route name may be changed, `seen` is what came."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.answers: dict[str, Reply] = dict(ANSWERS)
        self.seen: list[Seen] = []
        home.make()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: object) -> None:
                pass

            def address_string(self) -> str:
                return "unix"

            def _serve(self) -> None:
                fake._answer(self)

            do_GET = do_POST = do_DELETE = _serve

        with short_socket_path(home.socket) as address:
            self._server = _Server(address, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,))
        self._thread.start()

    def close(self) -> None:
        """End it and take its socket away, as a daemon that dies would not."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.home.socket.unlink(missing_ok=True)

    def last(self, route: str) -> Seen:
        """The newest request of that route."""
        return [seen for seen in self.seen if seen.route == route][-1]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        split = urlsplit(handler.path)
        route, path = _match(handler.command, split.path)
        raw = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        query = dict(parse_qsl(split.query, errors="surrogateescape"))
        body = json.loads(raw) if raw else None
        seen = Seen(route.name, path, query, body)
        self.seen.append(seen)
        reply = _refusal(route, split.query, raw) or self.answers.get(route.name, self._usual(route, seen))
        if callable(reply):
            reply = reply(seen)
        if reply is None:
            return
        status, body = _encoded(reply)
        handler.send_response(status)
        handler.send_header("content-type", route.answer.value)
        if route.answer is not Answer.EVENTS:
            handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _usual(self, route: Route, seen: Seen) -> Reply:
        if route.name == "events":
            after = int(seen.query.get("after", 0))
            return {"events": [event for event in EVENTS if event["seq"] > after], "last_seq": 2}
        if route.name == "event_stream":
            return b"".join(b"id: %d\ndata: %s\n\n" % (e["seq"], json.dumps(e).encode()) for e in EVENTS) + (
                b"event: end\ndata: {}\n\n"
            )
        if route.name == "logs":
            line = {"at": WHEN, "kind": "text", "text": "looking\nat it"}
            return {"lines": [line] if seen.query.get("after") == "0" else [], "next": 1}
        return DOCUMENT


def _refusal(route: Route, query: str, raw: bytes) -> Failure | None:
    """What the daemon's own edge says against a request."""
    try:
        query_parameters(route, query.encode("ascii"))
        request_body(route, raw)
    except AtError as error:
        return Failure(error.code, error.message, error.hint, error.exit_code)
    return None


def _match(method: str, path: str) -> tuple[Route, dict[str, str]]:
    for route in ROUTES:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(route.path))
        found = re.fullmatch(pattern, path)
        if found and route.method == method:
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    raise LookupError(f"{method} {path}")


def _encoded(reply: Reply) -> tuple[int, bytes]:
    if isinstance(reply, Failure):
        error = {
            "code": reply.code,
            "message": reply.message,
            "hint": reply.hint,
            "exit_code": reply.exit_code,
        }
        return 400, json.dumps({"error": error}).encode()
    if isinstance(reply, bytes):
        return 200, reply
    return 200, reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call of `at` left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        assert self.out.endswith("\n")
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error document on standard error; standard output must be empty."""
        assert self.out == ""
        return json.loads(self.err)["error"]


@dataclass(slots=True)
class At:
    """`at` as a function: arguments in, outcome out, in this process."""

    home: Home
    environ: dict[str, str]
    streams: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: bytes = b"", **streams: Any) -> Outcome:
        stdout, stderr = io.BytesIO(), io.BytesIO()
        facts = {**self.streams, **streams}
        given = Streams(stdin=io.BytesIO(stdin), stdout=stdout, stderr=stderr, **facts)
        code = run(arguments, given, self.environ)
        return Outcome(code, stdout.getvalue().decode(), stderr.getvalue().decode())
