"""The client against a server that follows a script; the real server's own tests use the client too."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_core import errors
from at_core.api import BY_NAME, MAX_BODY_BYTES, AddRequest, InitRequest, Order, RunRequest
from at_core.client import Client, body_of, error_of, target_of
from at_core.errors import AtError, DaemonUnreachable, NotFound, TryLater, UsageError
from at_core.paths import Home, short_socket_path

OK = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok":true}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def all_errors(kind: type[AtError] = AtError) -> list[type[AtError]]:
    """Every class of the tree in at_core.errors."""
    below = [each for each in kind.__subclasses__() if each.__module__ == "at_core.errors"]
    return [kind, *(found for each in below for found in all_errors(each))]


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.0 200 OK\r\n\r\n" + b'{"ok":true}',
        CHUNKED + b'4\r\n{"ok\r\n7;x=y\r\n":true}\r\n0\r\n\r\n',
        CHUNKED + b'B\r\n{"ok":true}\r\n0\r\nTrailer: x\r\n\r\n',
        b'HTTP/1.1 200\r\nContent-Length:11\r\nX-Other: a:b\r\n\r\n{"ok":true}',
    ],
    ids=["length", "connection", "chunks", "trailer", "bare"],
)
def test_an_answer_ends_as_http_says(home: Home, script: Any, answer: bytes) -> None:
    script.answer(answer)
    assert Client(home).call("health") == {"ok": True}
    (request,) = script.done()
    assert request.startswith(b"GET /v1/health HTTP/1.1\r\nhost: at\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}",
        CHUNKED + b"5\r\n{}",
        CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"2\r\n{}\r\n",
        b"220 smtp ready\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    ],
    ids=["nothing", "head", "short", "no-number", "chunk", "no-size", "no-end", "no-http", "headers"],
)
class TestBrokenAnswers:
    def test_an_order_is_sent_once_and_reported_as_unanswered(
        self, home: Home, script: Any, answer: bytes
    ) -> None:
        script.answer(answer)
        with pytest.raises(DaemonUnreachable, match="did not answer") as caught:
            Client(home).call("init", body=InitRequest(path="/r"))
        assert caught.value.exit_code == 69
        assert len(script.done()) == 1

    def test_an_order_that_names_what_it_makes_is_sent_again_with_the_same_name(
        self, home: Home, script: Any, answer: bytes
    ) -> None:
        script.answer(answer, answer, OK)
        assert Client(home).call("add", body=AddRequest(path="/r", title="t")) == {"ok": True}
        sent = [json.loads(request.partition(b"\r\n\r\n")[2])["id"] for request in script.done()]
        assert len(sent) == 3
        assert len(set(sent)) == 1

    def test_a_question_is_asked_again(self, home: Home, script: Any, answer: bytes) -> None:
        script.answer(answer, answer, OK)
        assert Client(home).call("health") == {"ok": True}
        assert len(script.done()) == 3


@pytest.mark.parametrize(
    "body", [AddRequest(path="/r", title="t", id="mine"), {"path": "/r", "title": "t", "id": "mine"}]
)
def test_a_name_that_the_caller_chose_stays(home: Home, script: Any, body: object) -> None:
    script.answer(OK)
    Client(home).call("add", body=body)
    assert json.loads(script.done()[0].partition(b"\r\n\r\n")[2])["id"] == "mine"


def test_a_question_is_given_up_after_three_broken_answers(home: Home, script: Any) -> None:
    script.answer(b"", b"", b"", OK)
    with pytest.raises(DaemonUnreachable):
        Client(home).call("health")
    assert len(script.requests) == 3
    assert Client(home).call("health") == {"ok": True}


def test_an_answer_that_does_not_come_is_waited_for_once(home: Home) -> None:
    """The kernel takes connections for a listener that does not accept: that is what a hung daemon looks like."""
    with socket.socket(socket.AF_UNIX) as listener:
        with short_socket_path(home.socket) as address:
            listener.bind(address)
        listener.listen()
        with pytest.raises(DaemonUnreachable, match="too long"):
            Client(home).call("health", timeout_seconds=0.05)
        listener.setblocking(False)
        listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_nobody_there_is_one_line_with_what_to_run(home: Home) -> None:
    with pytest.raises(DaemonUnreachable) as caught:
        Client(home).call("health")
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (
        "no daemon answers",
        "at up",
        69,
    )


@pytest.mark.parametrize("name", ["health", "add"])
def test_a_daemon_is_started_if_none_listens_even_for_an_order(home: Home, script: Any, name: str) -> None:
    started: list[bool] = []

    def start() -> None:
        started.append(True)
        script.answer(OK)

    body = AddRequest(path="/r", title="t") if name == "add" else None
    assert Client(home, start).call(name, body=body) == {"ok": True}
    assert started == [True]
    assert len(script.done()) == 1


def test_a_daemon_that_dies_under_a_question_is_started_again(home: Home, script: Any) -> None:
    started: list[bool] = []

    def start() -> None:
        started.append(True)
        script.answer(OK)

    script.answer(b"")
    assert Client(home, start).call("health") == {"ok": True}
    assert started == [True]


def test_a_start_that_helps_nothing_is_said(home: Home) -> None:
    with pytest.raises(DaemonUnreachable, match="started and is gone"):
        Client(home, lambda: None).call("health")


def test_errors_of_a_start_go_through(home: Home) -> None:
    def start() -> None:
        raise errors.NeedsPerson("the configuration is malformed")

    with pytest.raises(errors.NeedsPerson, match="malformed"):
        Client(home, start).call("health")


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_arrives_as_it_was_raised(
    home: Home, script: Any, json_answer: Any, kind: type[AtError]
) -> None:
    document = {"code": kind.code, "message": "why", "hint": "at it", "exit_code": kind.exit_code}
    script.answer(json_answer({"error": document}, 409))
    with pytest.raises(kind) as caught:
        Client(home).call("land", bead="b", body={})
    found = caught.value
    assert type(found).code == kind.code
    assert {
        "code": found.code,
        "message": found.message,
        "hint": found.hint,
        "exit_code": found.exit_code,
    } == document
    assert str(found) == "why"


@pytest.mark.parametrize(
    ("exit_code", "kind"),
    [
        (1, AtError),
        (2, UsageError),
        (3, errors.NeedsPerson),
        (4, NotFound),
        (69, DaemonUnreachable),
        (75, TryLater),
        (9, AtError),
    ],
)
def test_an_error_that_only_the_daemon_knows_has_the_class_of_its_exit_code(
    exit_code: int, kind: type[AtError]
) -> None:
    document = {"error": {"code": "of_later", "message": "m", "hint": "", "exit_code": exit_code}}
    found = error_of(500, json.dumps(document).encode())
    assert type(found) is kind
    assert (found.code, found.exit_code) == ("of_later", exit_code)


@pytest.mark.parametrize(
    "content", [b"", b"oops", b"[]", b'{"error": 1}', b'{"error": {"code": "x"}}', b"\xff"]
)
def test_an_error_without_a_reason_says_the_status(content: bytes) -> None:
    assert "status 502" in error_of(502, content).message


class TestStream:
    """The stream of events."""

    @staticmethod
    def stream(*lines: bytes, cut: bytes = b"") -> bytes:
        body = b"".join(line + b"\n" for line in lines) + cut
        return CHUNKED + b"%x\r\n%b\r\n" % (len(body), body)

    def test_it_is_taken_up_behind_the_last_event(self, home: Home, script: Any) -> None:
        script.answer(
            self.stream(b": ok", b"", b"id: 8", b'data: {"seq":8}', b"", b"id: 9", b'data: {"seq":9}', b""),
            self.stream(b": ok", b"", b'data:{"seq":10}', b"", cut=b'data: {"seq":'),
            self.stream(b"id: 11", b'data: {"seq":11}', b""),
        )
        events = Client(home).stream_events(7)
        assert [next(events)["seq"] for _ in range(4)] == [8, 9, 10, 11]
        events.close()  # type: ignore[attr-defined]
        asked_from = [
            line for request in script.done() for line in request.split(b"\r\n") if b"last-event-id" in line
        ]
        assert asked_from == [b"last-event-id: 7", b"last-event-id: 9", b"last-event-id: 10"]

    def test_from_now_on_means_from_the_end_of_the_log(
        self, home: Home, script: Any, json_answer: Any
    ) -> None:
        script.answer(json_answer({"events": [], "last_seq": 41}), self.stream(b'data: {"seq":42}', b""))
        events = Client(home).stream_events()
        assert next(events) == {"seq": 42}
        events.close()  # type: ignore[attr-defined]
        assert b"last-event-id: 41" in script.done()[1]

    def test_the_end_of_the_daemon_is_no_reason_to_come_back(self, home: Home, script: Any) -> None:
        script.answer(self.stream(b'data: {"seq":1}', b"", b"event: end", b"data: {}", b""), OK)
        events = Client(home).stream_events(0)
        assert next(events) == {"seq": 1}
        with pytest.raises(TryLater, match="told to end"):
            next(events)
        assert len(script.requests) == 1
        assert Client(home).call("health") == {"ok": True}

    def test_a_stream_that_always_breaks_is_given_up(self, home: Home, script: Any) -> None:
        script.answer(*[self.stream(b": ok", b"")] * 3)
        with pytest.raises(DaemonUnreachable, match="broke off"):
            next(Client(home).stream_events(0))
        assert len(script.done()) == 3

    def test_a_daemon_that_died_is_started_again(self, home: Home, script: Any) -> None:
        script.answer(self.stream(b'data: {"seq":1}', b""))
        events = Client(home, lambda: script.answer(self.stream(b'data: {"seq":2}', b""))).stream_events(0)
        assert [next(events)["seq"] for _ in range(2)] == [1, 2]
        events.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda client: client.call("show"), "takes"),
        (lambda client: client.call("show", bead="b", agent="a"), "takes"),
        (lambda client: client.call("show", bead=""), "the bead is empty"),
        (lambda client: client.call("health", body={"a": 1}), "takes no body"),
        (
            lambda client: client.call("beads", query={"limits": 1}),
            "no parameter 'limits' .allowed: path, status, limit",
        ),
        (lambda client: client.call("health", query={"a": 1}), "allowed: none"),
        (lambda client: client.call("event_stream"), "no single answer"),
        (lambda client: client.call("terminal", agent="a"), "no single answer"),
    ],
)
def test_a_wrong_call_is_a_usage_error_before_anything_is_sent(
    home: Home, call: Callable[[Client], object], line: str
) -> None:
    with pytest.raises(UsageError, match=line):
        call(Client(home))


def test_a_body_of_more_than_the_limit_is_not_sent(home: Home) -> None:
    with pytest.raises(errors.TooLarge, match=f"{MAX_BODY_BYTES:,}"):
        Client(home).call("run", body=RunRequest(path="/r", prompt="x" * MAX_BODY_BYTES))


@pytest.mark.parametrize("character", ["x", "\x01", "ü", "\U0001f600"])
def test_a_prompt_of_two_megabytes_passes_whatever_it_is_made_of(character: str) -> None:
    prompt = character * (2_000_000 // len(character.encode()))
    data = body_of(BY_NAME["run"], RunRequest(path="/r", prompt=prompt))
    assert data is not None
    assert json.loads(data)["prompt"] == prompt


def test_the_environment_is_sent_as_it_is(home: Home, script: Any) -> None:
    script.answer(OK)
    environment = {"A": "x=y\n", "B": b"\xff\xfe".decode("utf-8", "surrogateescape")}
    Client(home).call("run", body=RunRequest(path="/r", prompt="p", order=Order(env=environment)))
    (request,) = script.done()
    assert json.loads(request.partition(b"\r\n\r\n")[2])["order"]["env"] == environment


def test_text_and_bytes_are_given_as_such(home: Home, script: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"
    script.answer(head + b"a\xff\n", head + b"a\xff\n")
    assert Client(home).call("diff", bead="b") == b"a\xff\n"
    assert Client(home).call("status_text", query={"color": True, "path": None}) == "a�\n"
    assert b"/v1/status.txt?color=1 " in script.done()[1]


@settings(max_examples=50)
@given(st.text(min_size=1), st.text())
def test_any_text_survives_the_way_through_a_target(name: str, path: str) -> None:
    target = target_of(BY_NAME["show"], {"bead": name}, {"path": path})
    assert target.isascii()
    assert target.count("/") == 3
    before, _, query = target.partition("?path=")
    assert unquote(before.removeprefix("/v1/beads/")) == name
    assert unquote(query) == path
