"""Runs `opencode serve` and carries its HTTP API over standard input and output, one JSON object per line.

    in   {"id", "method", "path", "body"?}              a request; QUIT as method ends the server
    out  {"serving": {"url", "version"}}                once, when requests and events can flow
         {"id", "status", "body"}                       its answer; `error` in place of both where there is none
         {"at": epoch milliseconds, "event": {…}}       each event of the server as it is

Started as `python -I -S opencode_bridge.py BINARY ARGUMENT…`, a process of its own without our packages: what holds an
agent holds pipes, so every event is in its journal also while nobody reads. Nothing is decided here. The server
listens on loopback with a password of this run. End of input ends it, and its end ends this: with its exit code, or by
the signal that ended it, so that who holds this sees what befell the server.

Source: `GET /doc` and events of opencode 1.18.33; HTTP/1.1 of RFC 9112.
"""

import _thread
import json
import os
import signal
import sys
from binascii import b2a_base64, hexlify
from resource import RLIMIT_CORE, setrlimit
from socket import AF_INET, SOCK_STREAM, socket
from time import time

HEALTH_SECONDS = 3
"""The first request after the start may hang for ever; a second one does not."""
QUIET_SECONDS = 20
"""So long may it set its folder up before a word about it is due; nothing is given up."""
LISTENING = b"listening on http://127.0.0.1:"
SLOW = "opencode listens but sets up nothing yet; a plugin that cannot be installed blocks it without a word"
EVENT = b"data: "
# Every ten seconds, whether anything happens or not: it would pass for a sign of the agent's life.
HEARTBEAT = b'"type":"server.heartbeat"'

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Server:
    """The running server: its process, its address and the way to it."""

    def __init__(self, argv: "list[str]") -> None:
        password = hexlify(os.urandom(24))
        self._login = b2a_base64(b"opencode:" + password, newline=False)
        self._port = 0
        self._output, output = os.pipe()
        environment = {
            **os.environb,
            b"OPENCODE_SERVER_USERNAME": b"opencode",
            b"OPENCODE_SERVER_PASSWORD": password,
        }
        actions: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
        ]
        self.pid = os.posix_spawnp(argv[0], argv, environment, file_actions=actions)
        os.close(output)

    def wait_for_port(self) -> bool:
        """Read its output up to the line that tells the port; false if it ends before."""
        seen = b""
        while data := os.read(self._output, 1 << 12):
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
            seen += data
            _, found, rest = seen.partition(LISTENING)
            if found and b"\n" in rest:
                self._port = int(rest.split(b"\n")[0])
                return True
        return False

    def wait_for_end(self) -> int:
        """Pass on what else it says, then its exit code, negative for a signal."""
        while data := os.read(self._output, 1 << 12):
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def request(
        self, method: str, path: str, body: "bytes | None" = None, seconds: "float | None" = None
    ) -> "tuple[int, Iterator[bytes]]":
        """The status of an answer and the pieces of its body. Raises OSError, also for what is no HTTP."""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\nconnection: close\r\n"
            f"authorization: Basic {self._login.decode()}\r\naccept: */*\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body or b'')}\r\n\r\n"
        )
        with socket(AF_INET, SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(("127.0.0.1", self._port))
            connection.sendall(head.encode() + (body or b""))
            reader = connection.makefile("rb")  # it keeps the connection beyond this block
            status = reader.readline().split(b" ", 2)
            if len(status) < 2 or not status[1].isdigit():
                raise OSError("the server closed the connection without an answer")
            headers: dict[bytes, bytes] = {}
            while (line := reader.readline()) not in (b"\r\n", b"\n", b""):
                name, _, value = line.partition(b":")
                headers[name.strip().lower()] = value.strip()
            connection.settimeout(None)
        return int(status[1]), _body(reader, headers)


def _body(reader: "Any", headers: "dict[bytes, bytes]") -> "Iterator[bytes]":
    with reader:
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            while size := int(reader.readline().split(b";")[0] or b"0", 16):
                yield reader.read(size)
                reader.readline()
        elif (length := headers.get(b"content-length")) is not None:
            yield reader.read(int(length))
        else:
            while data := reader.read1(1 << 16):
                yield data


class Bridge:
    """Lines out from several threads, one at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._turn = _thread.allocate_lock()

    def say(self, line: bytes) -> None:
        """Write one line; a reader that is slow makes the server wait."""
        with self._turn:
            data = memoryview(line + b"\n")
            while data:
                data = data[os.write(1, data) :]

    def serve(self) -> None:
        """Find the server ready, follow its events, then say so. Its end is this process's end."""
        version = self._version()
        pieces = self._events()
        partial, told = b"", False
        for piece in pieces:
            if not told:
                serving = {"url": self._server.url, "version": version}
                self.say(json.dumps({"serving": serving}).encode())
                told = True
            *lines, partial = (partial + piece).split(b"\n")
            for line in lines:
                if line.startswith(EVENT) and HEARTBEAT not in line[:120]:
                    data = line[len(EVENT) :].rstrip(b"\r")
                    self.say(b'{"at":%d,"event":%s}' % (int(time() * 1000), data))
        raise OSError("the stream of events has ended")

    def _version(self) -> "str | None":
        while True:
            try:
                status, pieces = self._server.request("GET", "/global/health", seconds=HEALTH_SECONDS)
                found = json.loads(b"".join(pieces))
            except TimeoutError:
                continue
            return found.get("version") if status == 200 and isinstance(found, dict) else None

    def _events(self) -> "Iterator[bytes]":
        told = False
        while True:
            try:
                return self._server.request("GET", "/event", seconds=QUIET_SECONDS)[1]
            except TimeoutError:
                if not told:
                    print(SLOW, file=sys.stderr, flush=True)
                told = True

    def answer(self, line: bytes) -> None:
        """Perform one request."""
        given = json.loads(line)
        body = json.dumps(given["body"]).encode() if "body" in given else None
        try:
            status, pieces = self._server.request(given["method"], given["path"], body)
            content = b"".join(pieces)
        except OSError as error:
            self.say(json.dumps({"id": given["id"], "error": str(error)}).encode())
            return
        # As it is where it is one line of JSON, which is what the server writes.
        whole = content if content[:1] in (b"{", b"[") and b"\n" not in content else _quoted(content)
        identity = json.dumps(given["id"]).encode()
        self.say(b'{"id":%s,"status":%d,"body":%s}' % (identity, status, whole))

    def guarded(self, work: "Any", *arguments: "Any") -> None:
        """Run a thread's work; where it fails the server must not go on unseen."""
        try:
            work(*arguments)
        except (OSError, ValueError, KeyError, AttributeError) as error:
            print(f"opencode bridge: {error}", file=sys.stderr, flush=True)
            self.quit()

    def quit(self) -> None:
        """Ask the server to end."""
        try:
            os.kill(self._server.pid, signal.SIGTERM)
        except ProcessLookupError:
            return

    def take(self) -> None:
        """Requests of the standard input until its end."""
        partial = b""
        while data := os.read(0, 1 << 16):
            *lines, partial = (partial + data).split(b"\n")
            for line in lines:
                if b'"QUIT"' in line and json.loads(line).get("method") == "QUIT":
                    self.quit()
                elif line:
                    _thread.start_new_thread(self.guarded, (self.answer, line))
        self.quit()


def _quoted(content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text)).encode()
    except ValueError:
        return json.dumps(text).encode()


def main(argv: "list[str]") -> int:
    try:
        server = Server(argv)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127
    bridge = Bridge(server)
    asked = []

    def stop(*_: object) -> None:
        asked.append(True)
        bridge.quit()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)

    def take() -> None:
        bridge.take()
        asked.append(True)

    if server.wait_for_port():
        _thread.start_new_thread(bridge.guarded, (bridge.serve,))
        _thread.start_new_thread(bridge.guarded, (take,))
    code = server.wait_for_end()
    return 0 if asked else code


def end(code: int) -> None:
    """End this process with an exit code, or by a signal where it is negative."""
    if code < 0:
        setrlimit(RLIMIT_CORE, (0, 0))  # the core to look at is the server's
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    # Threads that still wait for an answer must not keep it.
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    end(main(sys.argv[1:]))
