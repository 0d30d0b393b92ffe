"""The holder's socket against clients that break the protocol: only their own connection ends."""

from __future__ import annotations

import os
import socket
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from at_session import holder_wire as wire
from at_session import protocol
from at_session.blocking import BlockingClient
from at_session.errors import ProtocolBroken, RequestRefused
from at_session.protocol import Frame, FrameParser
from at_session.pytest_plugin import SessionFactory
from at_session.session import Session
from at_session.vocabulary import Transport

pytestmark = pytest.mark.anyio

HELLO = wire.frame(wire.HELLO, 1, protocol.hello())
NO_SUCH_REQUEST = 63


def say(session: Session, data: bytes) -> list[Frame]:
    """Send bytes, then end of file; return what came back until the holder closed."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(session.run_dir / f"{session.id}.sock"))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        parser, found = FrameParser(), []
        try:
            while received := client.recv(1 << 16):
                found += parser.feed(received)
        except ConnectionResetError:
            pass
        return found


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        wire.frame(wire.STATUS, 1),
        wire.frame(wire.WRITE, 1, protocol.write("early", b"x", 0)),
        wire.frame(wire.HELLO, 1, b"min=1"),
        wire.frame(wire.HELLO, 1, b"nonsense\0"),
        wire.frame(wire.HELLO, 1, b"min=x\0max=y\0"),
        wire.frame(wire.HELLO, 1),
        HELLO + wire.frame(wire.WRITE, 2, b"\0"),
        HELLO + wire.frame(wire.WRITE, 2, wire.WRITE_HEAD.pack(0, 200) + b"short"),
        HELLO + wire.frame(wire.WRITE, 2, protocol.write("with blank", b"x", 0)),
        HELLO + wire.frame(wire.SIGNAL, 2, b"signal=15\0scope=world\0"),
        HELLO + wire.frame(wire.STOP, 2),
        HELLO + wire.frame(wire.TERMINAL, 2, b"from=here\0"),
        HELLO + wire.FRAME.pack(wire.MAX_FRAME + 1, wire.WRITE, 2) + b"x" * 1000,
        HELLO + wire.FRAME.pack(0xFFFFFFFF, 255, 0xFFFFFFFF),
    ],
)
async def test_malformed_frames_close_only_their_connection(
    session_factory: SessionFactory, data: bytes
) -> None:
    session = await session_factory(["cat"], transport=Transport.PTY)
    before = await session.status()
    replies = say(session, data)  # replies that were not yet sent when the frame broke the protocol are lost
    assert {frame.kind for frame in replies} <= {wire.OK} and len(replies) <= 1
    assert await session.status() == before


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.binary(max_size=200), max_size=5))
async def test_random_bytes_close_only_their_connection(data: list[bytes], random_target: Session) -> None:
    for part in data:
        say(random_target, HELLO + part)
    assert (await random_target.status()).state == "running"


@pytest.fixture
async def random_target(session_factory: SessionFactory) -> Session:
    return await session_factory(["cat"])


async def test_unknown_requests_and_versions_are_answered(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    unknown, status = say(session, HELLO + wire.frame(NO_SUCH_REQUEST, 7) + wire.frame(wire.STATUS, 8))[1:]
    assert (unknown.kind, unknown.request, status.kind, status.request) == (wire.ERROR, 7, wire.OK, 8)
    with pytest.raises(RequestRefused, match="unknown"):
        unknown.fields()
    newer = wire.frame(wire.HELLO, 1, wire.pack_fields(("min", 2), ("max", 9)))
    (refused,) = say(session, newer)
    with pytest.raises(RequestRefused, match="speaks protocol 1"):
        refused.fields()
    wider = wire.frame(wire.HELLO, 1, wire.pack_fields(("min", 1), ("max", 9), ("added_later", "x")))
    assert say(session, wider)[0].fields()["version"] == "1"


async def test_only_the_owner_can_reach_the_socket_and_the_files(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (session.run_dir, session.journal)}
    assert set(modes.values()) == {0o700}
    files = [*session.journal.iterdir(), session.run_dir / f"{session.id}.sock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert not list(session.run_dir.glob("*.launch"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_other_users_are_turned_away(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    with socket.socket(socket.AF_UNIX) as client:
        os.seteuid(65534)
        try:
            os.chdir("/")
            refused = False
            try:
                client.connect(str(session.run_dir / f"{session.id}.sock"))
            except PermissionError:
                refused = True
        finally:
            os.seteuid(0)
    assert refused


async def test_the_blocking_client_sees_the_same(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    with BlockingClient(session.run_dir, session.id) as client:
        assert client.status["pid"] == str(session.pid)
        client.request(wire.FOLLOW)
        assert client.request(wire.WRITE, protocol.write("w", b"x", 0))["repeated"] == "0"
        assert client.request(wire.WRITE, protocol.write("w", b"x", 0))["repeated"] == "1"
        assert client.frames()[0].kind == wire.NEWS


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=300))), st.data()
)
def test_frames_survive_any_split(frames: list[tuple[int, int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(wire.frame(*frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parser = FrameParser()
    found = [
        frame
        for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for frame in parser.feed(stream[a:b])
    ]
    assert found == [Frame(*frame) for frame in frames]


def test_a_frame_that_no_holder_sends_is_an_error() -> None:
    with pytest.raises(ProtocolBroken, match="9000000 bytes"):
        FrameParser().feed(wire.FRAME.pack(9_000_000, 1, 1))


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@given(st.dictionaries(texts.filter(lambda text: "=" not in text), texts))
def test_fields_round_trip(found: dict[str, str]) -> None:
    packed = wire.pack_fields(*found.items())
    assert {k.decode(): v.decode() for k, v in wire.fields(packed).items()} == found


@pytest.mark.parametrize("payload", [b"x", b"a=1", b"a\0", b"\0", b"a=1\0b"])
def test_what_are_no_fields_is_an_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        wire.fields(payload)
