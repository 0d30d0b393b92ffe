"""The bridge between OpenCode's server and a holder's pipes, with a small server in the CLI's place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from at_session.drivers.opencode import BRIDGE

SERVER = """
import base64, json, os, resource, socketserver, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOGIN = "Basic " + base64.b64encode(
    ("opencode:" + os.environ["OPENCODE_SERVER_PASSWORD"]).encode()).decode()
EVENTS = [
    {"type": "server.connected", "properties": {}},
    {"id": "evt_1", "type": "server.heartbeat", "properties": {}},
    {"type": "text", "properties": {"text": "\\u00e9 data: \\n"}},
]

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = False

    def do_GET(self):
        if self.headers["authorization"] != LOGIN:
            return self.answer(401, b"{}")
        if self.path == "/global/health":
            return self.answer(200, json.dumps({"healthy": True, "version": "9.9"}).encode())
        if self.path == "/event":
            if "slow" in sys.argv and not Handler.asked:
                Handler.asked = True
                time.sleep(1)
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            stream = b"".join(b"data: " + json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() + b"\\n\\n" for each in EVENTS)
            for start in range(0, len(stream), 7):
                piece = stream[start:start + 7]
                self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
            self.wfile.flush()
            if "cut" in sys.argv:
                self.close_connection = True
                return
            time.sleep(600)
        if self.path.startswith("/end/"):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), int(self.path[5:]))
            time.sleep(600)
        if self.path == "/drop":
            self.close_connection = True
            return
        self.answer(404, b'{"name":\\n "NotFoundError"}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/none":
            return self.answer(204, b"")
        self.answer(200, b"plain " + body if self.path == "/plain" else body)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

print("Warning: something", flush=True)
if "ends" in sys.argv:
    sys.exit(3)
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("opencode server listening on http://127.0.0.1:%d" % server.server_address[1], flush=True)
server.serve_forever()
"""


class Bridged:
    """A running bridge with a server in the CLI's place."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(BRIDGE), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def ask(self, *requests: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(json.dumps(each).encode() + b"\n" for each in requests))
        self.process.stdin.flush()

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def serving(self) -> list[dict[str, Any]]:
        return [self.line(), self.line(), self.line()]

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def server(tmp_path: Path) -> Path:
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    return path


@pytest.fixture
def bridge(server: Path) -> Iterator[Bridged]:
    running = Bridged(sys.executable, "-I", str(server))
    yield running
    running.end()


def test_events_come_as_they_are_with_the_time_and_without_heartbeats(bridge: Bridged) -> None:
    serving, connected, text = bridge.serving()
    assert serving["serving"]["version"] == "9.9"
    assert connected["event"] == {"type": "server.connected", "properties": {}}
    assert text["event"]["properties"] == {"text": "\u00e9 data: \n"}
    assert text["at"] >= connected["at"] > 1_700_000_000_000


@pytest.mark.parametrize(
    "method, path, body, status, answer",
    [
        ("POST", "/echo", {"text": "x" * 300_000 + "\u00e9\n"}, 200, {"text": "x" * 300_000 + "\u00e9\n"}),
        ("POST", "/plain", [1], 200, "plain [1]"),
        ("POST", "/none", {}, 204, ""),
        ("GET", "/missing", None, 404, {"name": "NotFoundError"}),
    ],
    ids=["echo", "plain", "nothing", "missing"],
)
def test_a_request_gets_its_answer(
    bridge: Bridged, method: str, path: str, body: object, status: int, answer: object
) -> None:
    bridge.serving()
    bridge.ask(
        {"id": 'a "quoted" id', "method": method, "path": path} | ({} if body is None else {"body": body})
    )
    assert bridge.line() == {"id": 'a "quoted" id', "status": status, "body": answer}


def test_a_connection_without_an_answer_is_told(bridge: Bridged) -> None:
    bridge.serving()
    bridge.ask({"id": "r1", "method": "GET", "path": "/drop"})
    assert bridge.line() == {"id": "r1", "error": "the server closed the connection without an answer"}


def test_the_server_ends_with_the_input(bridge: Bridged) -> None:
    bridge.serving()
    assert bridge.process.stdin is not None
    bridge.process.stdin.close()
    assert bridge.process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_server_too(bridge: Bridged, number: signal.Signals) -> None:
    bridge.serving()
    bridge.process.send_signal(number)
    assert bridge.process.wait(10) == 0


def test_quit_ends_the_server(bridge: Bridged) -> None:
    bridge.serving()
    bridge.ask({"id": "open:quit", "method": "QUIT"})
    assert bridge.process.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_it_ends_by_the_signal_that_ended_the_server(bridge: Bridged, number: signal.Signals) -> None:
    bridge.serving()
    bridge.ask({"id": "r1", "method": "GET", "path": f"/end/{number:d}"})
    assert bridge.process.wait(10) == -number


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (("{python}", "-I", "{server}", "ends"), 3, "Warning: something"),
        (("{python}", "-I", "{server}", "cut"), -signal.SIGTERM, "opencode bridge: "),
        (("/no/such/opencode",), 127, "/no/such/opencode: No such file or directory"),
    ],
    ids=["ends-at-once", "events-end", "missing"],
)
def test_an_end_is_told_on_standard_error(
    server: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    bridge = Bridged(*(each.format(python=sys.executable, server=server) for each in arguments))
    assert bridge.process.stderr is not None
    errors = bridge.process.stderr.read().decode()
    assert (bridge.process.wait(10), said in errors) == (code, True)
    bridge.end()


def test_a_line_that_is_no_request_ends_it_rather_than_being_lost(bridge: Bridged) -> None:
    bridge.serving()
    assert bridge.process.stdin is not None and bridge.process.stderr is not None
    bridge.process.stdin.write(b"{nope\n")
    bridge.process.stdin.flush()
    assert bridge.process.wait(10) == -signal.SIGTERM
    assert b"opencode bridge: " in bridge.process.stderr.read()


IMPATIENT = (
    "import runpy, sys; names = runpy.run_path(sys.argv[1]); main = names['main']; "
    "main.__globals__['QUIET_SECONDS'] = 0.2; sys.exit(main(sys.argv[2:]))"
)


def test_a_server_that_sets_nothing_up_is_told_once_and_waited_for(server: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", IMPATIENT, str(BRIDGE), sys.executable, "-I", str(server), "slow"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None and process.stderr is not None and process.stdin is not None
        assert b'"serving"' in process.stdout.readline()
        process.stdin.close()
        said = process.stderr.read().decode()
    assert said.count("a plugin that cannot be installed") == 1


def test_many_requests_at_once_are_all_answered(bridge: Bridged) -> None:
    bridge.serving()
    writer = threading.Thread(
        target=lambda: bridge.ask(
            *({"id": f"r{n}", "method": "POST", "path": "/echo", "body": [n]} for n in range(50))
        )
    )
    writer.start()
    answers = {line["id"]: line["body"] for line in (bridge.line() for _ in range(50))}
    writer.join()
    assert answers == {f"r{n}": [n] for n in range(50)}
