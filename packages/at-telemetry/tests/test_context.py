from __future__ import annotations

import contextvars
import threading

import pytest

from at_telemetry.context import bound, current


def test_ids_nest_and_are_restored() -> None:
    assert dict(current()) == {}
    with bound(bead_id=7, agent_id="rust"):
        with bound(intent_id="i1", agent_id="nux"):
            assert dict(current()) == {"bead_id": "7", "agent_id": "nux", "intent_id": "i1"}
        assert dict(current()) == {"bead_id": "7", "agent_id": "rust"}
    assert dict(current()) == {}


def test_ids_are_restored_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), bound(bead_id="b"):
        _ = 1 / 0
    assert dict(current()) == {}


def test_a_thread_sees_them_only_with_the_context() -> None:
    seen: list[dict[str, str]] = []
    with bound(bead_id="b"):
        bare = threading.Thread(target=lambda: seen.append(dict(current())))
        copied = threading.Thread(
            target=contextvars.copy_context().run, args=(lambda: seen.append(dict(current())),)
        )
        for thread in (bare, copied):
            thread.start()
            thread.join()
    assert seen == [{}, {"bead_id": "b"}]
