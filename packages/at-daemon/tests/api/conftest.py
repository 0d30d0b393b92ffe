"""The real server on a real socket, in a loop of its own beside the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from at_core.api import BY_NAME, Route
from at_core.client import Client
from at_core.paths import Home
from at_daemon.edge import Handler
from at_daemon.lock import only_daemon
from at_daemon.server import serve


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    home: Home
    portal: BlockingPortal
    stopping: anyio.Event

    @property
    def client(self) -> Client:
        return Client(self.home)

    def stop(self) -> None:
        """Begin the orderly end."""
        self.portal.call(self.stopping.set)


Serving = Callable[..., AbstractContextManager[Served]]


@contextmanager
def _serving(home: Home, handlers: Mapping[str, Handler], **options: Any) -> Iterator[Served]:
    """Serve the routes that `handlers` has names of, and the built-in ones, until the context ends."""
    routes: Sequence[Route] = [BY_NAME[name] for name in {"health": 0, "openapi": 0, **handlers}]
    with only_daemon(home, "test"), start_blocking_portal("asyncio") as portal:
        stopping = portal.call(anyio.Event)
        ended, _ = portal.start_task(partial(serve, home, handlers, stopping, routes=routes, **options))
        try:
            yield Served(home, portal, stopping)
        finally:
            portal.call(stopping.set)
            ended.result(10)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A made home folder of this test alone, with a path far beyond what a socket address takes."""
    home = Home(tmp_path / ("deep" * 30) / "home")
    home.make()
    return home


@pytest.fixture
def serving(home: Home) -> Serving:
    """`with serving({name: handler}) as served`."""
    return partial(_serving, home)


@pytest.fixture(scope="module")
def shared_serving(tmp_path_factory: pytest.TempPathFactory) -> Serving:
    """The same for a whole module."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.make()
    return partial(_serving, home)


@pytest.fixture
def only(home: Home) -> Iterator[None]:
    """This process holds the home's lock."""
    with only_daemon(home, "test"):
        yield


@pytest.fixture
def anyio_backend() -> str:
    """The only one that uvicorn runs on."""
    return "asyncio"
