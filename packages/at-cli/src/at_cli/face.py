"""One call of `at`: its streams and environment, how it prints, and its way to the daemon.

Every verb prints through here, so that the rules of the contract hold for all of them: one document under `--json`,
plain lines otherwise, no sequence but colours, nothing half written after an error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from at_cli.errors import EmptyText, FolderGone, NotText, UnwritableOutput
from at_cli.streams import Streams
from at_cli.style import Look, is_harmless
from at_core.errors import AtError
from at_core.paths import Home

if TYPE_CHECKING:
    from at_cli.daemon import Daemon
    from at_cli.progress import Progress

Document = dict[str, Any]
UNBOUNDED = 1_000_000
"""Columns where no terminal cuts a line: what another program reads is whole."""


@dataclass(eq=False, repr=False)
class Face:
    """What a verb gets. `json` is set while the arguments are read."""

    streams: Streams
    environ: Mapping[str, str]
    json: bool = False
    program: str = "at"
    _daemon: Daemon | None = None

    @property
    def home(self) -> Home:
        """The home folder of this call."""
        return Home.find(dict(self.environ))

    @property
    def style(self) -> Look:
        """Colours and width of plain output."""
        width = min(self.streams.width, 120) if self.streams.terminal else UNBOUNDED
        return Look(colour=self.streams.colour and not self.json, width=width)

    @property
    def folder(self) -> str:
        """Where the call was made, which is how the daemon finds the repository; raises `FolderGone`."""
        try:
            return os.getcwd()
        except FileNotFoundError:
            raise FolderGone from None

    @property
    def daemon(self) -> Daemon:
        """The daemon of this home; its first use starts it if none answers."""
        if self._daemon is None:
            from at_cli.daemon import Daemon

            self._daemon = Daemon(self.home, dict(self.environ))
        return self._daemon

    def call(self, route: str, /, **values: Any) -> Any:
        """One operation of the API by its name in the route table; see `at_cli.daemon.Daemon.call`.

        On a terminal a line says what is waited for once that takes over a second.
        """
        if self.json or not self.streams.error_terminal:
            return self.daemon.call(route, **values)
        with self.progress(f"waiting for the daemon ({route})"):
            return self.daemon.call(route, **values)

    def call_running(self, route: str, /, **values: Any) -> Any:
        """As `call`, with a daemon that runs already; raises `DaemonUnreachable` if none does."""
        with self.progress(f"waiting for the daemon ({route})"):
            return self.daemon.call_running(route, **values)

    def progress(self, text: str, after: float = 1.0) -> Progress:
        """A line on stderr that says what is waited for; nothing under `--json` or off a terminal."""
        from at_cli.progress import Progress

        return Progress(self.streams, enabled=not self.json, text=text, after=after)

    def emit(self, document: Document, lines: Iterable[str]) -> None:
        """The one result of a verb: `document` under `--json`, else `lines`."""
        if self.json:
            self.line(document)
        else:
            self.text(lines)

    def line(self, document: Document) -> None:
        """One JSON document on a line of its own, in UTF-8; characters that would act on a terminal are escaped."""
        self._write(encode_json(document))

    def text(self, lines: Iterable[str]) -> None:
        """Plain lines."""
        body = "".join(f"{line}\n" for line in lines)
        self._write(self.streams.encode(body))

    def raw(self, body: bytes) -> None:
        """Bytes as they are, for what another program reads."""
        self._write(body)

    def note(self, text: str) -> None:
        """A line about how it goes, on stderr and not under `--json`."""
        if not self.json:
            self.streams.stderr.write(self.streams.encode(f"{text}\n"))
            self.streams.stderr.flush()

    def fail(self, error: AtError) -> int:
        """The error on stderr, in one line and the command to run next, or as a document; gives its exit code."""
        if self.json:
            body = encode_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
        else:
            message = self.style.plain(error.message)
            hint = f" (next: {self.style.plain(error.hint)})" if error.hint else ""
            body = self.streams.encode(f"at: {message}{hint}\n")
        self.streams.stderr.write(body)
        self.streams.stderr.flush()
        return error.exit_code

    def argument(self, text: str, what: str) -> str:
        """`text` as given; raises `NotText` and `EmptyText`, which name it `what`."""
        if not is_unicode(text):
            raise NotText(what)
        if not text.strip():
            raise EmptyText(what)
        return text

    def caller_environment(self) -> dict[str, str]:
        """The whole environment of the call, which its agent gets; it crosses the Unix socket only."""
        return dict(self.environ)

    def words(self, text: str, what: str) -> str:
        """`text`, or standard input if that is `-`; raises `NotText` and `EmptyText`, which name it `what`."""
        if text == "-":
            try:
                text = self.streams.stdin.read().decode("utf-8")
            except UnicodeDecodeError:
                raise NotText(what) from None
        return self.argument(text, what)

    def confirm(self, question: str, otherwise: AtError) -> None:
        """Ask the person at the terminal; raises `otherwise` unless the answer is yes."""
        if not self.agrees(question):
            raise otherwise

    def agrees(self, question: str) -> bool:
        """Ask the person at the terminal; whether the answer is yes."""
        self.streams.stderr.write(self.streams.encode(f"{question} [y/N] "))
        self.streams.stderr.flush()
        answer = self.streams.stdin.readline()
        return answer.strip().lower() in (b"y", b"yes")

    def _write(self, body: bytes) -> None:
        try:
            self.streams.stdout.write(body)
            self.streams.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UnwritableOutput(error.strerror or type(error).__name__) from error


def encode_json(document: Document) -> bytes:
    """`document` as one line of UTF-8; what would act on a terminal is written as JSON escapes."""
    line = json.dumps(document, ensure_ascii=False)
    if not is_harmless(line):
        from at_telemetry.visible import visible_in_json

        line = visible_in_json(line)
    return line.encode("utf-8") + b"\n"


def is_unicode(text: str) -> bool:
    """Whether `text` has no lone surrogate, which is how Python passes on bytes that are no text."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def abandon_stdout() -> None:
    """Point descriptor 1 at the null device: its reader is gone, and the interpreter still flushes at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno() if sys.stdout is not None else 1)
    os.close(null)
