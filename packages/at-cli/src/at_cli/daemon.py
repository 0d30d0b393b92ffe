"""The way to the daemon: one operation of the API by its name, with the daemon started if none answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from at_core.api import BY_NAME
from at_core.client import Client
from at_core.errors import DaemonUnreachable
from at_core.paths import Home

ANSWER_SECONDS = 120.0
"""How long an answer may take before the daemon counts as gone: a landing runs gates."""


class Daemon:
    """The daemon of one home; `environ` is what it gets if it must be started."""

    def __init__(self, home: Home, environ: dict[str, str]) -> None:
        self.home = home
        self.environ = environ

    def call(self, name: str, /, *, timeout_seconds: float = ANSWER_SECONDS, **values: Any) -> Any:
        """The answer of the route `name`. Each value goes where the route table says: path, query or body.

        Starts the daemon if none answers. Raises the daemon's own error, or `DaemonUnreachable`.
        """
        return _call(Client(self.home, self.start), name, timeout_seconds, values)

    def call_running(self, name: str, /, *, timeout_seconds: float = 10.0, **values: Any) -> Any:
        """As `call`, but no daemon is started; raises `DaemonUnreachable` if none answers."""
        return _call(Client(self.home), name, timeout_seconds, values)

    def health(self, timeout_seconds: float = 10.0) -> dict[str, Any] | None:
        """What the running daemon says of itself, {ok, pid, version, protocol}; None if none is there.

        Raises `DaemonUnreachable` for one that is there and does not answer.
        """
        from at_core.start import answers

        if not answers(self.home):
            return None
        try:
            document: dict[str, Any] = self.call_running("health", timeout_seconds=timeout_seconds)
        except DaemonUnreachable:
            if answers(self.home):
                raise
            return None  # it was dying
        return document

    def stream_events(self, after: int | None) -> Iterator[dict[str, Any]]:
        """Events behind `after` (None: from now on) as they happen, across restarts of the daemon."""
        return Client(self.home, self.start).stream_events(after)

    def start(self) -> None:
        """Start the daemon and wait until it answers; nothing to do if one does. Raises `DaemonUnreachable`."""
        from at_core.start import ensure_daemon

        ensure_daemon(self.home, self.environ)


def _call(client: Client, name: str, timeout_seconds: float, values: dict[str, Any]) -> Any:
    route = BY_NAME[name]
    queried = {each for each, _ in route.query}
    parameters = {key: value for key, value in values.items() if key in route.parameters}
    query = {key: value for key, value in values.items() if key in queried and key not in parameters}
    # A mapping, not the request's dataclass: making those classes takes longer than the call, and the daemon checks.
    body = {key: value for key, value in values.items() if key not in parameters and key not in query}
    return client.call(name, body=body or None, query=query, timeout_seconds=timeout_seconds, **parameters)
