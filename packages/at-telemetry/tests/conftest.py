"""Every test starts and ends without our handlers, and with a sink that has learnt nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from at_telemetry.logging import end_logging
from at_telemetry.redaction import SINK


@pytest.fixture(autouse=True)
def untouched_loggers() -> Iterator[None]:
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    yield
    end_logging()
    for handler in [each for each in root.handlers if each not in before]:
        root.removeHandler(handler)
    root.setLevel(level)
    SINK.forget()
