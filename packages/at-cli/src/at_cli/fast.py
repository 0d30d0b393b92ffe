"""`at` alone and `at status` on a bare interpreter: one GET over the daemon's socket, its rendered text to stdout.

Everything else goes to `at_cli.main`, and so do these two when no daemon answers. This module loads nothing that a
bare interpreter has not loaded already, except `_socket`: neither click nor json, socket, re, pathlib, typing. For
that reason it has no `from __future__` line, spells annotations with builtins only and quotes the path itself.
"""

import os
import sys

_ROUTES = {
    (): "/v1/status.txt",
    ("status",): "/v1/status.txt",
    ("--json",): "/v1/status",
    ("status", "--json"): "/v1/status",
    ("--json", "status"): "/v1/status",
}
_SHORT = {
    ("status", "--short"): "/v1/short.txt?tmux=0",
    ("status", "--short", "--tmux"): "/v1/short.txt?tmux=1",
}
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_LONGEST_ADDRESS = 103
"""Bytes of a Unix socket's path that every system takes, as in `at_core.paths`."""
_PATIENCE_SECONDS = 5.0
PROMPT_SECONDS = 0.1
"""So long a prompt or a status line waits at most for each step of an answer."""


def main() -> int:
    """The program `at`; returns its exit code."""
    short = _SHORT.get(tuple(sys.argv[1:]))
    if short is not None and "_AT_COMPLETE" not in os.environ:
        return _short(short)
    try:
        target = _ROUTES.get(tuple(sys.argv[1:]))
        if target is not None and _streams_are_open() and "_AT_COMPLETE" not in os.environ:
            body = ask(socket_path(os.environb), target + query(os.getcwdb()) + look(target))
            if body is not None:
                return write(in_locale(body))
        from at_cli.main import main as whole_program
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError):  # nobody answers, or not in HTTP
        from at_cli.main import main as whole_program
    return whole_program(sys.argv[1:])


def _short(target: str) -> int:
    """The line of a prompt: nothing, and no error, where no daemon answers at once. None is started."""
    try:
        place = query(os.getcwdb()).replace("?", "&", 1)
        body = ask(socket_path(os.environb), target + place, PROMPT_SECONDS)
        return write(body) if body and _streams_are_open() else 0
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError):
        return 0


def socket_path(environ: "os._Environ[bytes] | dict[bytes, bytes]") -> bytes:
    """The daemon's socket, by the rule of `at_core.paths.Home`."""
    named = environ.get(b"AT_HOME")
    if named:
        return os.path.join(os.path.abspath(named), b"run", b"at.sock")
    home = environ.get(b"HOME") or os.path.expanduser(b"~")
    return os.path.join(home, b".auto-tundra", b"run", b"at.sock")


def query(folder: bytes) -> str:
    """The query string that says where the call was made."""
    quoted = "".join([chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in folder])
    return f"?path={quoted}"


def look(target: str) -> str:
    """The rest of the query string of rendered text: whether colours are wanted, and how wide a line may be."""
    return f"&color={int(wants_colour())}&width={width()}" if target.endswith(".txt") else ""


def wants_colour() -> bool:
    """Whether stdout is a terminal whose user did not turn colours off (`NO_COLOR`, `TERM=dumb`)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and os.isatty(1)


def width() -> int:
    """Columns of the terminal, 80 where there is none."""
    try:
        return os.get_terminal_size(1).columns or 80
    except (OSError, ValueError):  # stdout is no terminal, or is closed
        return 80


def ask(address: bytes, target: str, seconds: float = _PATIENCE_SECONDS) -> bytes | None:
    """The body that the daemon at `address` answers with; None if none answers, or not with 200.

    HTTP/1.0, so that the end of the stream is the end of the answer. Raises `OSError` where there is no daemon.
    """
    import _socket

    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    folder = -1
    try:
        connection.settimeout(seconds)
        if len(address) > _LONGEST_ADDRESS:
            folder = os.open(os.path.dirname(address), os.O_RDONLY | os.O_DIRECTORY)
            address = b"/proc/self/fd/%d/%s" % (folder, os.path.basename(address))
        connection.connect(address)
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode("ascii"))
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
    finally:
        connection.close()
        if folder >= 0:
            os.close(folder)
    head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
    return body if head[9:12] == b"200" and _is_whole(head, body) else None


def in_locale(body: bytes) -> bytes:
    """UTF-8 text in the encoding of the locale, with escapes for what that cannot say."""
    encoding = sys.stdout.encoding
    if encoding == "utf-8" or body.isascii():
        return body
    return body.decode("utf-8", "replace").encode(encoding, "backslashreplace")


def _is_whole(head: bytes, body: bytes) -> bool:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:]) == len(body)
    return True


def write(body: bytes) -> int:
    """All of `body` and an end of line to stdout; a reader that went away is no error."""
    rest = memoryview(body if body.endswith(b"\n") else body + b"\n")
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except BrokenPipeError:
        pass
    except OSError as error:
        os.write(2, f"at: cannot write the answer: {error.strerror}\n".encode())
        return 1
    return 0


def _streams_are_open() -> bool:
    return not (sys.stdin is None or sys.stdout is None or sys.stderr is None)
