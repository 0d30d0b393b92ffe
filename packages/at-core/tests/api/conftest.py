"""A home folder, and a server that says what it is told to say."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from at_core.paths import Home, short_socket_path


@dataclass
class Script:
    """Answers on the home's socket, one a connection, with these bytes; `requests` is what was received.

    Nobody listens any more once the last answer was given. `None` closes a connection unread.
    """

    home: Home
    requests: list[bytes] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def answer(self, *answers: bytes | None) -> None:
        """Listen from now on."""
        self.home.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        with short_socket_path(self.home.socket) as address:
            listener.bind(address)
        listener.listen()
        thread = threading.Thread(target=self._serve, args=(listener, answers), daemon=True)
        thread.start()
        self._threads.append(thread)

    def done(self) -> list[bytes]:
        """What was received, after the last answer was given."""
        for thread in self._threads:
            thread.join(10)
        return self.requests

    def _serve(self, listener: socket.socket, answers: tuple[bytes | None, ...]) -> None:
        with listener:
            for number, answer in enumerate(answers):
                connection, _ = listener.accept()
                if number == len(answers) - 1:
                    listener.close()  # before the answer, so that nobody comes in between
                with connection:
                    if answer is not None:
                        self.requests.append(_request(connection))
                        connection.sendall(answer)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length: "):
            while len(body) < int(line[16:]):
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A made home folder of this test alone, with a path far beyond what a socket address takes."""
    home = Home(tmp_path / ("deep" * 30) / "home")
    home.make()
    return home


@pytest.fixture
def script(home: Home) -> Iterator[Script]:
    """The scripted server of this test's home."""
    script = Script(home)
    yield script
    script.done()


Json = Callable[[object], bytes]


@pytest.fixture
def json_answer() -> Json:
    """Makes the bytes of an answer with a JSON body."""

    def make(document: object, status: int = 200) -> bytes:
        body = json.dumps(document).encode()
        return b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)

    return make
