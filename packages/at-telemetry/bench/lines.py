"""Cost of one written log line, against the standard library's own formatter on the same record; prints JSON lines."""

from __future__ import annotations

import json
import logging
import timeit

from at_telemetry.lines import Lines
from at_telemetry.redaction import Redactor

ROUNDS = 5_000


def microseconds(function: object) -> float:
    return min(timeit.repeat(function, number=ROUNDS, repeat=3)) / ROUNDS * 1e6  # type: ignore[arg-type]


def main() -> None:
    sink = Redactor()
    sink.learn({f"KEY_{number}_TOKEN": f"value-{number}-{'x' * 30}" for number in range(20)})
    lines = Lines("at-daemon", sink)
    record = logging.LogRecord(
        "at_daemon.git",
        logging.INFO,
        "/x/at_daemon/git.py",
        42,
        "fetched %d refs from %s",
        (3, "/a/b/c"),
        None,
    )
    plain = logging.Formatter(
        "%(asctime)s %(levelname)s %(name)s [%(threadName)s] %(pathname)s:%(lineno)d %(message)s"
    )
    yardstick = microseconds(lambda: plain.format(record))
    for name, function in (("text", lines.text), ("json", lines.json)):
        value = microseconds(lambda function=function: function(record))
        print(
            json.dumps(
                {
                    "name": f"one log line, {name}",
                    "value": value,
                    "unit": "µs",
                    "yardstick": yardstick,
                    "yardstick_name": "logging.Formatter",
                    "limit": None,
                }
            )
        )


if __name__ == "__main__":
    main()
