"""The ledger over a store in memory and a clock that a test sets; nothing here starts a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from at_core.store import Store
from at_daemon.ledger import Ledger
from at_daemon.testing import Desk, FakeClock
from at_daemon.world import Worlds


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk with nothing on it."""
    clock = FakeClock()
    with Store.open(None) as store:
        found = Desk(Ledger(store, Worlds(clock)), clock)
        found.ledger.on_wakes = found.wakes.extend
        yield found
