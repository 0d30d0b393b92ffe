"""The server shell over its real socket, asked by the real client."""

from __future__ import annotations

import logging
import os
import re
import socket
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from at_core import errors
from at_core.api import MAX_BODY_BYTES, ROUTES, AddRequest, Order, RunRequest
from at_core.client import Client
from at_core.errors import AtError, DaemonUnreachable, NeedsPerson, NotFound, TryLater, UsageError
from at_core.openapi import openapi_document
from at_core.paths import short_socket_path
from at_daemon.__about__ import __version__
from at_daemon.edge import Call
from at_daemon.lock import AlreadyRunning
from at_daemon.server import make_app, serve


async def echo(call: Call) -> dict[str, Any]:
    """All of the call that a handler gets."""
    return {
        "route": call.route.name,
        "path": dict(call.path),
        "query": dict(call.query),
        "body": call.body and {name: str(getattr(call.body, name)) for name in type(call.body).__slots__},
        "peer": [call.peer.uid, call.peer.pid],
    }


async def lengths(call: Call) -> dict[str, Any]:
    assert isinstance(call.body, RunRequest)
    return {"characters": len(call.body.prompt), "env": call.body.order.env}


async def text(call: Call) -> str:
    return f"{call.query['width']} \udcff"


async def chunks(call: Call) -> bytes | AsyncIterator[bytes]:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield bytes([number]) * 100_000

    return parts() if call.query["stat"] else b"\x00\xff"


async def refuse(call: Call) -> Any:
    kinds = {kind.__name__: kind for kind in (AtError, UsageError, NeedsPerson, TryLater, errors.Refused)}
    if call.path["bead"] == "NotFound":
        raise NotFound("bead", "b")
    if call.path["bead"] == "crash":
        raise ValueError("secret inner matter\nsecond line")
    if call.path["bead"] == "unserialisable":
        return {"it": object()}
    raise kinds[call.path["bead"]]("why not", "at something")


@pytest.fixture(scope="module")
def client(shared_serving: Any) -> Iterator[Client]:
    """A client of a server that all tests of this module share."""
    handlers = {
        "show": echo, "add": echo, "beads": echo, "wait": echo, "run": lengths, "status_text": text, "diff": chunks,
        "land": refuse, "folder": refuse, "pull_request": echo,
    }  # fmt: skip
    with shared_serving(handlers) as served:
        yield served.client


def raw(client: Client, request: bytes) -> bytes:
    """What the server answers to these bytes, up to its closing; unread bytes make that a reset."""
    with socket.socket(socket.AF_UNIX) as connection, short_socket_path(client._home.socket) as address:
        connection.settimeout(10)
        connection.connect(address)
        try:
            connection.sendall(request)
        except BrokenPipeError:
            pass
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    return answer


def test_health_says_who_answers(client: Client) -> None:
    assert client.call("health") == {"ok": True, "pid": os.getpid(), "version": __version__, "protocol": 1}


def test_the_document_is_served(client: Client) -> None:
    assert client.call("openapi") == openapi_document(__version__)


@pytest.mark.parametrize("bead", ["abcd", "a/b", "../..", "ü — ?&#%2F+", "wait", "a\nb", "x" * 5000])
@pytest.mark.parametrize("name", ["show", "wait"])
def test_any_title_names_a_bead(client: Client, name: str, bead: str) -> None:
    found = client.call(name, bead=bead, query={"path": "/a b/ü"})
    assert (found["route"], found["path"], found["query"]["path"]) == (name, {"bead": bead}, "/a b/ü")


def test_query_parameters_have_their_types_and_are_all_there(client: Client) -> None:
    found = client.call("wait", bead="b", query={"after": 7, "seconds": 0.5})
    assert found["query"] == {"path": None, "after": 7, "seconds": 0.5}


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("limit=x", "limit is to be a whole number, not 'x'"),
        ("limit=1.5", "whole number"),
        ("limit=", "whole number"),
        ("limits=1", "beads has no parameter 'limits' .allowed: path, status, limit"),
        ("path=%FF", "path: the text is not valid Unicode"),
    ],
)
def test_a_wrong_query_is_one_line(client: Client, query: str, line: str) -> None:
    answer = raw(client, f"GET /v1/beads?{query} HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert re.search(line, answer.decode())


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "x"])
def test_a_number_is_a_finite_one(client: Client, number: str) -> None:
    answer = raw(client, f"GET /v1/beads/b/wait?seconds={number} HTTP/1.0\r\n\r\n".encode())
    assert b"seconds is to be a number" in answer


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"title": "t"}, "the key 'path' is missing"),
        (
            {"path": "/r", "titel": "t"},
            "unknown key 'titel' .allowed: path, title, id, description, lane, priority, after.",
        ),
        ({"path": "/r", "title": 3}, "title: input should be a valid string"),
        ({"path": "/r", "title": None}, "title: input should be"),
        ({"path": "/r", "title": "t", "priority": "high"}, "priority: input should be a valid integer"),
        ({"path": "/r", "title": "\udcff"}, "title: the text is not valid Unicode"),
        ([], "the body: input should be"),
        ("x", "the body: input should be"),
    ],
)
def test_a_wrong_body_is_one_line_that_names_the_key(client: Client, body: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line) as caught:
        client.call("add", body=body)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("order", "line"),
    [
        ({"clii": "x"}, "unknown key 'order.clii' .allowed: cli, allow, base, land, model, budget, env"),
        ({"env": {"A": 1}}, "order.env.A: input should be a valid string"),
        ({"env": ["A"]}, "order.env: input should be a valid dictionary"),
        ({"base": "\ud800"}, "base: the text is not valid Unicode"),
    ],
)
def test_a_wrong_key_deeper_down_is_named_with_its_place(client: Client, order: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        client.call("run", body={"path": "/r", "prompt": "p", "order": order})


@pytest.mark.parametrize(
    ("check", "line"),
    [
        ({"name": "n", "word": "w", "link": "x"}, "unknown key 'checks.0.link' .allowed: name, word, url"),
        ({"name": "n"}, "the key 'checks.0.word' is missing"),
        ({"name": "\ud800", "word": "w"}, "name: the text is not valid Unicode"),
    ],
)
def test_a_wrong_key_in_a_list_is_named_with_its_place(client: Client, check: Any, line: str) -> None:
    seen = {"number": 1, "url": "u", "state": "OPEN", "head": "h", "checks": [check]}
    with pytest.raises(UsageError, match=line):
        client.call("pull_request", bead="b", body=seen)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b"9" * 5000, b'{"path": NaN}'])
def test_what_is_no_json_is_refused(client: Client, content: bytes) -> None:
    head = b"POST /v1/beads HTTP/1.1\r\nhost: at\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(
        content
    )
    answer = raw(client, head + content)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Traceback" not in answer


def test_a_body_of_defaults_may_be_left_out(client: Client) -> None:
    answer = raw(client, b"POST /v1/beads/refused/land HTTP/1.0\r\n\r\n")
    assert b'"internal"' in answer  # the handler's own KeyError: it was reached


def test_the_environment_comes_as_it_was_and_two_megabytes_pass(client: Client) -> None:
    environment = {"A": "\udcff\x01", "B": "x" * 100_000}
    request = RunRequest(path="/r", prompt="\x01" * 2_000_000, order=Order(env=environment))
    assert client.call("run", body=request) == {"characters": 2_000_000, "env": environment}


@pytest.mark.parametrize("form", ["length", "chunks"])
def test_sixty_four_megabytes_are_refused_in_one_line(client: Client, form: str) -> None:
    head = b"POST /v1/run HTTP/1.1\r\nhost: at\r\n"
    if form == "length":
        request = head + b"content-length: %d\r\n\r\n" % (64 << 20) + b" " * (2 << 20)
    else:
        chunk = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
        request = head + b"transfer-encoding: chunked\r\n\r\n" + chunk * 64 + b"0\r\n\r\n"
    answer = raw(client, request)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert f"{MAX_BODY_BYTES:,} bytes are the limit" in answer.decode()
    assert client.call("health")["ok"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v1/nowhere HTTP/1.0\r\n\r\n", 404),
        (b"GET /v1/health/ HTTP/1.0\r\n\r\n", 404),
        (b"GET /v1/beads//wait HTTP/1.0\r\n\r\n", 404),
        (b"PUT /v1/health HTTP/1.0\r\n\r\n", 405),
        (b"GET / HTTP/1.0\r\n\r\n", 404),
    ],
)
def test_what_is_not_in_the_table_is_an_error_document(client: Client, request_: bytes, status: int) -> None:
    answer = raw(client, request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b'"exit_code":' in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nno header\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nhost: at\r\nx: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nhost: at\r\n" + b"x: y\r\n" * 200_000 + b"\r\n",
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nhost: at\r\n\r\n",
    ],
    ids=["binary", "header", "long-header", "many-headers", "long-target"],
)
def test_a_malformed_or_endless_head_is_refused(client: Client, request_: bytes) -> None:
    assert raw(client, request_).startswith(b"HTTP/1.1 400 ")
    assert client.call("health")["ok"]


@pytest.mark.parametrize("kind", ["AtError", "UsageError", "NotFound", "NeedsPerson", "TryLater", "Refused"])
def test_errors_of_handlers_arrive_as_they_were_raised(client: Client, kind: str) -> None:
    with pytest.raises(getattr(errors, kind)) as caught:
        client.call("land", bead=kind)
    assert type(caught.value).__name__ == kind


@pytest.mark.parametrize(
    ("bead", "status"),
    [
        ("UsageError", 400),
        ("NotFound", 404),
        ("NeedsPerson", 409),
        ("Refused", 409),
        ("TryLater", 503),
        ("crash", 500),
    ],
)
def test_other_clients_get_a_fitting_status(client: Client, bead: str, status: int) -> None:
    answer = raw(client, f"GET /v1/beads/{bead}/folder HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("bead", ["crash", "unserialisable"])
def test_a_fault_of_ours_is_a_number_to_the_client_and_a_traceback_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture, bead: str
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(AtError) as caught:
        client.call("land", bead=bead)
    found = re.fullmatch(r"the daemon failed inside \(error (\w{8})\)", caught.value.message)
    assert found
    assert (caught.value.code, caught.value.exit_code) == ("internal", 1)
    (record,) = [record for record in caplog.records if found[1] in record.getMessage()]
    assert record.exc_info
    assert "secret" not in caught.value.message + caught.value.hint


def test_text_and_bytes_and_streams_of_bytes(client: Client) -> None:
    assert client.call("status_text", query={"width": 80}) == "80 \\udcff"
    assert client.call("diff", bead="b") == b"\x00\xff"
    assert client.call("diff", bead="b", query={"stat": 1}) == b"".join(
        bytes([n]) * 100_000 for n in range(3)
    )


def test_the_peer_is_known(client: Client) -> None:
    assert client.call("show", bead="b")["peer"] == [os.getuid(), os.getpid()]


def test_a_connection_can_be_used_again(client: Client) -> None:
    request = b"GET /v1/health HTTP/1.1\r\nhost: at\r\n\r\n"
    last = b"GET /v1/health HTTP/1.1\r\nhost: at\r\nconnection: close\r\n\r\n"
    assert raw(client, request * 3 + last).count(b'"ok":true') == 4


def test_slow_clients_hold_nobody_up(client: Client) -> None:
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as slow:
        with short_socket_path(client._home.socket) as address:
            silent.connect(address)
            slow.connect(address)
        slow.sendall(b"POST /v1/beads HTTP/1.0\r\ncontent-length: 30\r\n\r\n{")
        assert client.call("health")["ok"]
        slow.sendall(b'"path": "/r", "title": "tit"}')
        with slow.makefile("rb") as answer:
            assert b'"title":"tit"' in answer.read()


def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for part in (
            b"",
            b"GET /v1/he",
            b"POST /v1/beads HTTP/1.1\r\nhost: at\r\ncontent-length: 30\r\n\r\n{",
        ):
            with socket.socket(socket.AF_UNIX) as leaving, short_socket_path(client._home.socket) as address:
                leaving.connect(address)
                leaving.sendall(part)
        assert client.call("health")["ok"]
    assert not caplog.records


class TestSocketFile:
    """What lies in the home folder."""

    def test_it_is_for_its_owner_alone_and_goes_with_the_server(self, serving: Any) -> None:
        with serving({}) as served:
            assert stat.S_IMODE(served.home.socket.stat().st_mode) == 0o600
            assert stat.S_IMODE(served.home.run.stat().st_mode) == 0o700
            assert served.client.call("health")["ok"]
        assert not served.home.socket.exists()
        with pytest.raises(DaemonUnreachable):
            served.client.call("health")

    @pytest.mark.parametrize("leftover", ["socket", "file"])
    def test_a_leftover_is_replaced_by_the_holder_of_the_lock(
        self, serving: Any, home: Any, leftover: str
    ) -> None:
        if leftover == "file":
            home.socket.touch()
        else:
            with socket.socket(socket.AF_UNIX) as dead, short_socket_path(home.socket) as address:
                dead.bind(address)
        with serving({}) as served:
            assert served.client.call("health")["ok"]

    @pytest.mark.anyio
    async def test_nobody_else_may_replace_it(self, home: Any) -> None:
        home.socket.touch()
        with pytest.raises(AlreadyRunning):
            await serve(home, {}, anyio.Event(), routes=[])
        assert home.socket.exists()

    def test_the_callers_umask_stays(self, serving: Any) -> None:
        before = os.umask(0o022)
        try:
            with serving({}):
                assert os.umask(0o022) == 0o022
        finally:
            os.umask(before)


def test_connections_of_other_users_are_dropped_unread(
    serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reached: list[Call] = []

    async def beads(call: Call) -> dict[str, Any]:
        reached.append(call)
        return {}

    with caplog.at_level(logging.WARNING), serving({"beads": beads}, owner_uid=os.getuid() + 1) as served:
        with pytest.raises(DaemonUnreachable):
            served.client.call("beads")
        assert raw(served.client, b"GET /v1/beads HTTP/1.0\r\n\r\n") == b""
    assert not reached
    assert f"uid {os.getuid()}" in caplog.text


class TestTheEnd:
    """What an orderly stop does to requests."""

    def test_an_order_in_flight_is_answered_and_a_question_is_cut_short(self, serving: Any) -> None:
        begun = threading.Semaphore(0)
        outcomes: dict[str, object] = {}
        proceed: list[anyio.Event] = []

        async def land(call: Call) -> dict[str, Any]:
            proceed.append(anyio.Event())
            begun.release()
            await proceed[0].wait()
            return {"landed": True}

        async def wait(call: Call) -> dict[str, Any]:
            begun.release()
            await anyio.sleep_forever()
            return {}

        def call(client: Client, name: str) -> None:
            try:
                outcomes[name] = client.call(name, bead="b")
            except AtError as error:
                outcomes[name] = (error.code, error.exit_code)

        with serving({"land": land, "wait": wait}) as served:
            callers = [threading.Thread(target=call, args=(served.client, name)) for name in ("land", "wait")]
            for caller in callers:
                caller.start()
                begun.acquire()
            served.stop()
            callers[1].join()
            assert outcomes == {"wait": ("stopping", 75)}
            served.portal.call(proceed[0].set)
            callers[0].join()
        assert outcomes["land"] == {"landed": True}

    def test_an_order_that_does_not_end_is_given_up_after_the_grace(
        self, serving: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        begun = threading.Event()

        async def land(call: Call) -> dict[str, Any]:
            begun.set()
            await anyio.sleep_forever()
            return {}

        errors_: list[AtError] = []

        def call(client: Client) -> None:
            try:
                client.call("land", bead="b")
            except AtError as error:
                errors_.append(error)

        with serving({"land": land}, grace_seconds=0) as served:
            caller = threading.Thread(target=call, args=(served.client,))
            caller.start()
            begun.wait()
        caller.join()
        assert len(errors_) == 1

    @pytest.mark.anyio
    async def test_a_cancelled_server_leaves_no_socket(self, home: Any, only: None) -> None:
        async with anyio.create_task_group() as group:

            async def run(*, task_status: Any) -> None:
                await serve(home, {}, anyio.Event(), routes=[], task_status=task_status)

            await group.start(run)
            assert home.socket.exists()
            group.cancel_scope.cancel()
        assert not home.socket.exists()


def test_every_route_needs_a_handler() -> None:
    handlers = {route.name: echo for route in ROUTES}
    del handlers["land"], handlers["health"]
    with pytest.raises(LookupError, match="without a handler: land$"):
        make_app(handlers, anyio.Event())
    assert callable(make_app(handlers | {"land": echo}, anyio.Event()))


def test_bodies_are_validated_to_their_dataclass(serving: Any) -> None:
    seen: list[object] = []

    async def add(call: Call) -> dict[str, Any]:
        seen.append(call.body)
        return {}

    with serving({"add": add}) as served:
        request = AddRequest(path="/r", title="t", id="i", priority=3)
        served.client.call("add", body=request)
    assert seen == [request]
