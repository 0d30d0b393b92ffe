from __future__ import annotations

import json
import logging
import threading
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_telemetry.context import bound
from at_telemetry.lines import LONGEST_FIELD, Lines
from at_telemetry.redaction import MARK, Redactor

SECRET = "sk-" + "ant-0f1e2d3c4b5a69788796"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def record(
    message: object = "hello", *args: object, extra: dict[str, object] | None = None, **more: Any
) -> logging.LogRecord:
    made = logging.LogRecord(
        "at_daemon.git",
        logging.INFO,
        "/x/site-packages/at_daemon/git.py",
        42,
        message,
        args,
        more.get("exc_info"),
    )
    made.created, made.threadName, made.process = 1_700_000_000.25, "worker-1", 77
    made.__dict__.update(extra or {})
    return made


def lines(*secrets: str) -> Lines:
    sink = Redactor()
    sink.learn_values(secrets)
    return Lines("at-daemon", sink)


def raised(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    try:
        raise error
    except type(error) as caught:
        return type(caught), caught, caught.__traceback__


def test_text_line() -> None:
    with bound(bead_id="b1", intent_id="i1"):
        line = lines().text(record("fetched %d refs", 3, extra={"seconds": 0.5, "ok": True, "note": "a\nb"}))
    assert line == (
        "2023-11-14T22:13:20.250Z     INFO at-daemon at_daemon.git [worker-1] at_daemon/git.py:42 fetched 3 refs"
        " bead_id=b1 intent_id=i1 seconds=0.5 ok=true note=a\\nb"
    )


def test_json_line_is_flat() -> None:
    with bound(agent_id="a1"):
        document = json.loads(
            lines().json(record("hi", extra={"refs": ["a", 1], "usage": {"n": None}, "nan": float("nan")}))
        )
    assert document == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "service": "at-daemon",
        "target": "at_daemon.git",
        "thread": "worker-1",
        "pid": 77,
        "file": "at_daemon/git.py",
        "line": 42,
        "message": "hi",
        "agent_id": "a1",
        "refs": '["a", 1]',
        "usage": '{"n": null}',
        "nan": "nan",
    }


@pytest.mark.parametrize(
    ("name", "path", "file"),
    [
        ("at_daemon.git", "/home/me/src/at_daemon/git.py", "at_daemon/git.py"),
        ("at_daemon.git", "/elsewhere/git.py", "git.py"),
        ("root", "/a/b/c.py", "c.py"),
    ],
)
def test_file_leaves_the_installation_out(name: str, path: str, file: str) -> None:
    made = record()
    made.name, made.pathname = name, path
    assert lines().fields(made)["file"] == file


def test_extras_cannot_pass_for_our_own_fields() -> None:
    fields = lines().fields(record(extra={"level": "x", "time": "y", "file": "z"}))
    assert (fields["level"], fields["extra_level"], fields["extra_time"], fields["extra_file"]) == (
        "info",
        "x",
        "y",
        "z",
    )


@pytest.mark.parametrize("rendered", ["text", "json"])
def test_a_broken_call_still_gives_a_line(rendered: str) -> None:
    for made in (
        record("%d of %d", SECRET, 2),
        record("%s", Unprintable()),
        record("x", extra={"odd": Unprintable()}),
    ):
        line = str(getattr(lines(), rendered)(made))
        assert "Error" in line
        assert SECRET not in line


def test_exception_is_indented_below_its_line() -> None:
    line = lines().text(
        record("failed", exc_info=raised(ValueError("bad\n2023-11-14T22:13:20.250Z INFO forged\x1b[2J")))
    )
    head, *rest = line.split("\n")
    assert head.endswith("failed")
    assert rest and all(each.startswith("    ") for each in rest)
    assert "\\x1b[2J" in line and "\x1b" not in line


def test_a_field_is_bounded_and_a_secret_at_the_cut_stays_hidden() -> None:
    value = "Z" * 5_000
    for start in (LONGEST_FIELD - 100, LONGEST_FIELD + 100, LONGEST_FIELD + 4_000):
        shown = str(lines(value).fields(record("a" * start + value + "b" * 20_000))["message"])
        assert "Z" not in shown
        assert len(shown) < LONGEST_FIELD + 40
        assert shown.endswith(")")


def test_deep_and_circular_extras_end() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert "..." in str(lines().fields(record(extra={"circle": circle}))["circle"])


TEXTS = st.text(max_size=30)


@given(
    before=TEXTS,
    after=TEXTS,
    where=st.sampled_from(
        ["message", "args", "template", "extra", "extra_name", "nested", "nested_name", "bytes", "exception", "cause", "notes",
         "context_id", "thread", "target", "stack", "exc_text", "broken_args", "number"]
    ),
    secret=st.sampled_from([SECRET, "gh" + "p_0f1e2d3c4b5a69788796", "correct horse\nbattery", "p\x1bw\u202ed-99", "8675309867530"]),
)  # fmt: skip
def test_a_secret_planted_anywhere_never_comes_out(before: str, after: str, where: str, secret: str) -> None:
    planted = f"{before} {secret} {after}"
    made = record("hello")
    bead: object = "b"
    match where:
        case "message":
            made = record(planted)
        case "args":
            made = record("%s and %r", planted, [planted])
        case "template":
            made = record(planted.replace("%", "%%") + "%s", 1)
        case "extra":
            made = record(extra={"x": planted})
        case "extra_name":
            made = record(extra={planted: 1})
        case "nested":
            made = record(extra={"x": {"y": [1, {"z": (planted,)}]}})
        case "nested_name":
            made = record(extra={"x": [{planted: 1}]})
        case "bytes":
            made = record(extra={"x": planted.encode("utf-8", "surrogatepass")})
        case "exception":
            made = record(exc_info=raised(ValueError(planted)))
        case "cause":
            error = ValueError("outer")
            error.__cause__ = OSError(5, planted)
            made = record(exc_info=raised(error))
        case "notes":
            error = ValueError("outer")
            error.add_note(planted)
            made = record(exc_info=raised(ExceptionGroup("group", [error])))
        case "context_id":
            bead = planted
        case "thread":
            made.threadName = planted
        case "target":
            made.name = planted
        case "stack":
            made.stack_info = planted
        case "exc_text":
            made.exc_text = planted
        case "broken_args":
            made = record("%d", planted)
        case "number":
            made = record(extra={"x": 8675309867530})
    with bound(bead_id=bead):
        rendered = lines(secret)
        written = rendered.text(made), rendered.json(made)
        values = rendered.fields(made)
    for text in (*written, *map(str, values), *map(str, values.values())):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text


@pytest.mark.parametrize("name", ["api_key", "GH_TOKEN", "password", "Authorization"])
@pytest.mark.parametrize("value", ["abc", 12345, ["abc"], {"n": "abc"}, b"abc"])
def test_an_extra_with_a_secret_name_is_hidden_whole(name: str, value: object) -> None:
    assert lines().fields(record(extra={name: value}))[name] == MARK
    assert lines().fields(record(extra={"env": {name: value}}))["env"] == f'{{"{name}": {MARK}}}'


def test_thread_of_the_call_is_named() -> None:
    seen: list[object] = []

    def call() -> None:
        made = logging.getLogger("x").makeRecord("x", logging.INFO, __file__, 1, "m", (), None)
        seen.append(lines().fields(made)["thread"])

    thread = threading.Thread(name="reader-7", target=call)
    thread.start()
    thread.join()
    assert seen == ["reader-7"]
