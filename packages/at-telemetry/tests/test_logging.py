from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from at_telemetry.errors import InvalidLevel, InvalidService
from at_telemetry.logging import init_logging, init_logging_files, init_logging_json

LOG = logging.getLogger("at_daemon.git")
SECRET = "sk-" + "ant-0f1e2d3c4b5a69788796"


@pytest.mark.parametrize("initialise", [init_logging, init_logging_json])
def test_called_twice_writes_once(
    initialise: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        initialise("at-daemon", "info", environment={})
    LOG.info("only once")
    assert capsys.readouterr().err.count("only once") == 1


def test_the_last_form_on_standard_error_counts(capsys: pytest.CaptureFixture[str]) -> None:
    init_logging("at-daemon", "info", environment={})
    init_logging_json("at-daemon", "info", environment={})
    LOG.info("now JSON")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["message"] == "now JSON"


def test_handlers_of_others_stay() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    init_logging("at-daemon", "info", environment={})
    init_logging("at-daemon", "info", environment={})
    assert other in logging.getLogger().handlers


@pytest.mark.parametrize(
    ("given", "environment", "written"),
    [
        ("info", {}, ["info", "error"]),
        ("error", {}, ["error"]),
        ("error", {"AT_LOG": "debug"}, ["debug", "info", "error"]),
        ("debug", {"AT_LOG": "off"}, []),
        ("error", {"AT_LOG": "at_daemon.git=debug"}, ["debug", "info", "error"]),
        ("debug", {"AT_LOG": "at_daemon=error,debug"}, ["error"]),
        (logging.INFO, {"AT_LOG": ""}, ["info", "error"]),
    ],
)
def test_environment_overrides_the_level(
    given: int | str, environment: dict[str, str], written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    init_logging_json("at-daemon", given, environment=environment)
    LOG.debug("x")
    LOG.info("x")
    LOG.error("x")
    assert [json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()] == written


def test_a_second_call_takes_back_the_levels_of_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    init_logging("at-daemon", "info", environment={"AT_LOG": "at_daemon.git=debug"})
    init_logging("at-daemon", "info", environment={})
    LOG.debug("quiet again")
    assert capsys.readouterr().err == ""
    assert not LOG.isEnabledFor(logging.DEBUG)


def test_console_and_files_have_levels_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init_logging("at-daemon", "error", environment={})
    path = init_logging_files("at-daemon", "debug", tmp_path, environment={})
    LOG.debug("detail")
    assert capsys.readouterr().err == ""
    assert json.loads(path.read_text())["message"] == "detail"


@pytest.mark.parametrize("service", ["", "../x", "a/b", "a b", "x" * 65, ".hidden"])
def test_a_service_name_cannot_leave_the_folder(service: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidService):
        init_logging_files(service, "info", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_level_changes_nothing(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    with pytest.raises(InvalidLevel):
        init_logging("at-daemon", "info", environment={"AT_LOG": "loud"})
    with pytest.raises(InvalidLevel):
        init_logging_files("at-daemon", "loud", tmp_path / "logs")
    assert logging.getLogger().handlers == before
    assert not (tmp_path / "logs").exists()


def test_files_rotate_and_belong_to_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    old_mask = os.umask(0)
    try:
        init_logging_files("at-daemon", "info", folder, max_bytes=2_000, backups=2, environment={})
        for number in range(40):
            LOG.info("line %d", number)
    finally:
        os.umask(old_mask)
    files = sorted(folder.iterdir())
    assert [each.name for each in files] == ["at-daemon.jsonl", "at-daemon.jsonl.1", "at-daemon.jsonl.2"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert max(each.stat().st_size for each in files) <= 2_000
    kept = [json.loads(line)["message"] for each in reversed(files) for line in each.read_text().splitlines()]
    assert kept == [f"line {number}" for number in range(40 - len(kept), 40)]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "at-daemon.jsonl"
    path.write_text('{"message": "old"}\n')
    path.chmod(0o644)
    init_logging_files("at-daemon", "info", tmp_path, environment={})
    LOG.info("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [json.loads(line)["message"] for line in path.read_text().splitlines()] == ["old", "new"]


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "at-daemon.jsonl").symlink_to(target)
    with pytest.raises(OSError):
        init_logging_files("at-daemon", "info", tmp_path)
    assert target.read_text() == ""


def test_lost_lines_are_said_once_without_their_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    path = init_logging_files("at-daemon", "info", folder, max_bytes=10, environment={})
    path.unlink()
    folder.rmdir()
    LOG.info("call %s", SECRET)
    LOG.info("call %s", SECRET)
    assert capsys.readouterr().err == "log lines are lost: FileNotFoundError\n"


def test_environment_secrets_are_hidden_from_the_first_line_on(capsys: pytest.CaptureFixture[str]) -> None:
    init_logging("at-daemon", "info", environment={"MY_SERVICE_PASSWORD": "correct horse"})
    LOG.info("it is correct horse, %s", SECRET)
    written = capsys.readouterr().err
    assert "correct horse" not in written
    assert SECRET not in written
    assert "it is [redacted], [redacted]" in written


def test_import_prints_nothing_and_changes_no_logger() -> None:
    code = (
        "import logging; before = (logging.root.level, list(logging.root.handlers));"
        "import at_telemetry.logging, at_telemetry.context, at_telemetry.redaction, at_telemetry.visible;"
        "assert before == (logging.root.level, list(logging.root.handlers))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_standard_error_that_is_gone_does_no_harm() -> None:
    code = (
        "import sys, logging; from at_telemetry.logging import init_logging;"
        "init_logging('at-daemon', 'info', environment={}); sys.stderr = None;"
        "logging.getLogger('x').error('y'); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("alive\n", "")
