"""Streams of events over the real server."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import anyio
import pytest
from starlette.types import Message

from at_core.client import Client
from at_core.errors import DaemonUnreachable, TryLater
from at_core.wire import connect, exchange
from at_daemon.edge import Call, EventIterator
from at_daemon.event_stream import EventStream

Item = tuple[int, dict[str, Any]]


async def numbers(call: Call) -> EventIterator:
    """Events 1 to 5 behind `after`, then nothing more."""

    async def events() -> AsyncIterator[Item]:
        for seq in range((call.query["after"] or 0) + 1, 6):
            yield seq, {"seq": seq, "text": "ü\n"}
        await anyio.sleep_forever()

    return events()


@pytest.mark.parametrize("after", [0, 3])
def test_events_come_in_order_from_where_one_was(serving: Any, after: int) -> None:
    with serving({"event_stream": numbers}) as served, closing(served.client.stream_events(after)) as events:
        found = [next(events) for _ in range(5 - after)]
    assert found == [{"seq": seq, "text": "ü\n"} for seq in range(after + 1, 6)]


@pytest.mark.parametrize(
    ("target", "header", "first"),
    [("", None, 1), ("?after=2", None, 3), ("", "3", 4), ("?after=2", "3", 4)],
)
def test_the_header_of_a_resumed_stream_wins(
    serving: Any, target: str, header: str | None, first: int
) -> None:
    with serving({"event_stream": numbers}) as served:
        headers = {} if header is None else {"last-event-id": header}
        with exchange(
            connect(served.home.socket, 10), "GET", f"/v1/events/stream{target}", headers, None
        ) as response:
            assert response.headers["content-type"] == "text/event-stream"
            lines = response.lines()
            assert next(lines) == b": ok"
            assert next(lines) == b""
            assert next(lines) == b"id: %d" % first
            assert next(lines) == b'data: {"seq":%d,"text":"\\u00fc\\n"}' % first
            assert next(lines) == b""


def test_a_wrong_place_to_resume_from_is_refused(serving: Any) -> None:
    with serving({"event_stream": numbers}) as served:
        connection = connect(served.home.socket, 10)
        with exchange(connection, "GET", "/v1/events/stream", {"last-event-id": "x"}, None) as response:
            assert response.status == 400
            assert b"after is to be a whole number" in response.read()


def test_the_source_is_closed_when_the_client_leaves(serving: Any) -> None:
    closed = threading.Event()

    async def stream(call: Call) -> EventIterator:
        async def events() -> AsyncIterator[Item]:
            try:
                yield 1, {"seq": 1}
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                closed.set()

        return events()

    with serving({"event_stream": stream}) as served:
        with closing(served.client.stream_events(0)) as events:
            assert next(events) == {"seq": 1}
            assert not closed.is_set()
        assert closed.wait(10)


def test_an_orderly_end_tells_the_client_not_to_come_back(serving: Any) -> None:
    started: list[bool] = []
    with serving({"event_stream": numbers}) as served:
        events = Client(served.home, lambda: started.append(True)).stream_events(4)
        assert next(events)["seq"] == 5
        served.stop()
        with pytest.raises(TryLater):
            next(events)
    assert not started


def test_a_source_that_fails_breaks_the_stream_and_nothing_else(
    serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    async def stream(call: Call) -> EventIterator:
        async def events() -> AsyncIterator[Item]:
            calls.append(call.query["after"])
            if len(calls) > 1:
                raise ValueError("the store is gone")
            yield 1, {"seq": 1}
            raise ValueError("the store is gone")

        return events()

    with serving({"event_stream": stream}) as served:
        events = served.client.stream_events(0)
        assert next(events) == {"seq": 1}
        with pytest.raises(DaemonUnreachable, match="broke off"):
            next(events)
        assert calls == [0, 1, 1]
        assert served.client.call("health")["ok"]
    assert "the store is gone" in caplog.text


def test_many_events_come_whole_through_a_slow_reader(serving: Any) -> None:
    """50 MB through a socket's buffer: the source waits for the client, and nothing is dropped."""
    count, text = 500, "x" * 100_000

    async def stream(call: Call) -> EventIterator:
        async def events() -> AsyncIterator[Item]:
            for seq in range(1, count + 1):
                yield seq, {"seq": seq, "text": text}
            await anyio.sleep_forever()

        return events()

    with serving({"event_stream": stream}) as served, closing(served.client.stream_events(0)) as events:
        assert next(events)["seq"] == 1
        assert served.client.call("health")["ok"]
        assert [next(events)["seq"] for _ in range(count - 1)] == list(range(2, count + 1))


@pytest.mark.anyio
async def test_a_quiet_stream_has_a_comment_from_time_to_time_and_a_busy_one_none() -> None:
    """The app alone, with a heartbeat that is due at once each time nothing else is."""
    sent: list[bytes] = []
    heard = anyio.Event()

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        if sent.count(b": still here\n\n") == 3:
            heard.set()

    async def receive() -> Message:
        await heard.wait()
        return {"type": "http.disconnect"}

    async def events() -> AsyncIterator[Item]:
        yield 1, {}
        await anyio.sleep_forever()

    await EventStream(events(), anyio.Event(), heartbeat_seconds=0.001)({"type": "http"}, receive, send)
    assert sent[:3] == [b"", b": ok\n\n", b"id: 1\ndata: {}\n\n"]
    assert set(sent[3:-1]) == {b": still here\n\n"}
    assert sent[-1] == b""
