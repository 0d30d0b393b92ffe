"""What surrounds the cases of `at prove`: verdicts, seeds, the table, and what it says where nothing can be proved."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_cli.daemon import Daemon
from at_cli.errors import CannotProve
from at_cli.prove import cleaning, ground, report
from at_cli.prove.case import Cannot, Case, CaseResult, Failed, Played, TooSlow, must
from at_cli.prove.cases import CASES, failures
from at_cli.prove.chaos import MOST_STRIKES, After, strikes, told
from at_cli.prove.ground import Installed, environment
from at_cli.prove.site import Site
from at_cli.prove.table import Table
from at_cli.style import Look
from at_cli.testing import At
from at_core.config import Config
from at_core.errors import DaemonUnreachable, NotFound
from at_session.rehearsal import sealed
from at_session.rehearsal.clis import CLIS, rehearsed
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Refuse, RefuseFor, Say, Script

PLAIN = Look(colour=False, width=120)
BY_NAME = {case.name: case for case in CASES}


def test_every_case_has_a_name_of_its_own_and_says_what_it_is_about() -> None:
    assert len(BY_NAME) == len(CASES)
    assert len({case.about for case in CASES}) == len(CASES)
    assert all(case.play.__doc__ for case in CASES)
    assert not any(case.belongs(chaos=True) for case in CASES if case.alone)


@given(st.integers(0, 2**63), st.sampled_from(CLIS), st.sampled_from(CASES))
def test_a_seed_decides_what_is_killed_and_when(seed: int, cli: str, case: Case) -> None:
    plan = strikes(seed, cli, case)
    assert plan == strikes(seed, cli, case)
    assert sum(not each.cli for each in plan) in range(1, MOST_STRIKES + 1)
    assert sum(each.cli for each in plan) == case.outlives_cli
    assert all(each.seconds > 0 for each in plan)
    assert [each.after for each in plan[1:]] == [After.STRIKE] * (len(plan) - 1)
    assert plan[0].after is After.REQUEST or not plan[0].cli
    assert plan[0].after is not After.STRIKE


@pytest.mark.parametrize("count, words", [(0, "not struck"), (1, "struck once"), (3, "struck 3 times")])
def test_a_cell_says_how_often_it_was_struck(count: int, words: str) -> None:
    assert told(count) == words


def test_different_seeds_differ() -> None:
    assert len({tuple(strikes(seed, "claude", BY_NAME["write-lands"])) for seed in range(20)}) == 20


def fail(case: Case, site: Site) -> str:
    must(condition=False, fact="it is not so")
    return "unreachable"


def cannot(case: Case, site: Site) -> str:
    raise Cannot("it has no such tool")


def refused(case: Case, site: Site) -> str:
    raise NotFound("bead", "x")


def stumble(case: Case, site: Site) -> str:
    raise ZeroDivisionError("a mistake of ours")


def holds(case: Case, site: Site) -> str:
    must(condition=(site.repository / ".git").is_dir(), fact="there is no repository")
    return f"{case.name} holds"


@pytest.mark.parametrize(
    "play, result, fact",
    [
        (holds, CaseResult.PASS, "write-lands holds"),
        (fail, CaseResult.FAIL, "it is not so"),
        (cannot, CaseResult.CANNOT, "it has no such tool"),
        (refused, CaseResult.FAIL, "not_found"),
        (stumble, CaseResult.FAIL, "ZeroDivisionError: a mistake of ours"),
    ],
)
def test_whatever_a_case_does_is_a_verdict_and_nothing_is_left_behind(
    tmp_path: Path, at: At, play: Callable[[Case, Site], str], result: CaseResult, fact: str
) -> None:
    installed = Installed("claude", "/bin/false", "0")
    table = Table(tmp_path, installed, [BY_NAME["write-lands"]], at.environ, play, jobs=1)
    (played,) = table.cells()
    assert (played.cli, played.case, played.verdict) == ("claude", "write-lands", result)
    assert fact in played.fact
    assert table.troubles == []
    assert not list(tmp_path.glob("*/at/run/*.sock"))


def test_what_a_rehearsal_gets_of_the_caller_s_environment_holds_no_key(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "ANTHROPIC_API_KEY": "secret",
        "HOME": "/home/me",
        "AT_HOME": "/x",
    }
    got = environment(tmp_path, given)
    assert got["HOME"] == str(tmp_path)
    assert set(got) == {"PATH", "LC_ALL", "HOME", "TMPDIR"}


def test_the_table_has_a_box_for_every_case_and_cli() -> None:
    clis = [Installed("claude", "claude", "2.1"), Installed("codex", "codex", "0.1")]
    cases = [BY_NAME["write-lands"], BY_NAME["401"]]
    first = Played("claude", "write-lands", CaseResult.PASS, 1.25, "it is on main")
    played = [first, dataclasses.replace(first, cli="codex", verdict=CaseResult.FAIL)]
    lines = report.table(PLAIN, clis, cases, played)
    assert [line.split()[-1] for line in lines[2:]] == ["s", "-"]
    assert "ok" in lines[2] and "FAILED" in lines[2]
    document = report.document(clis, cases, played, 3.0, 7, [])
    assert (document["ok"], document["seed"]) == (False, 7)
    assert {"cli", "case", "verdict", "seconds", "fact"} == set(document["cells"][0])
    assert report.document(clis, cases, [first], 3.0, None, ["codex-1: it stays"])["ok"] is False


def test_cases_can_be_listed_and_a_wrong_one_is_named(at: At) -> None:
    listed = at("prove", "--list", "--json").document["cases"]
    assert [each["case"] for each in listed] == [case.name for case in CASES if case.belongs(chaos=False)]
    assert "write-lands" in at("prove", "--list", "--chaos").out
    said = at("prove", "--case", "never-answers", "--chaos", "--json")
    assert (said.code, said.error["code"], said.error["hint"]) == (2, "usage", "at prove --list")


def test_without_a_cli_there_is_nothing_to_prove(at: At, tmp_path: Path) -> None:
    at.environ["PATH"] = str(tmp_path)
    for arguments, word in ((("prove",), "none of the CLIs"), (("prove", "--cli", "codex"), "codex")):
        said = at(*arguments, "--json")
        assert (said.code, said.error["code"]) == (4, "not_found")
        assert word in said.error["message"] and said.error["hint"]


def test_failed_carries_its_fact() -> None:
    with pytest.raises(Failed, match="so it is"):
        must([], "so it is")


def sleeper(folder: Path) -> subprocess.Popen[bytes]:
    """A process of the folder that no daemon knows."""
    return subprocess.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"], "HOME": str(folder / "home")})


def test_a_process_that_is_left_behind_is_ended_before_its_folder_goes(tmp_path: Path) -> None:
    folder, other = tmp_path / "at-prove-1", tmp_path / "at-prove-12"
    for each in (folder, other):
        each.mkdir()
    ours, another = sleeper(folder), sleeper(other)
    try:
        assert cleaning.remove(folder) == []
        assert ours.wait(10) == -signal.SIGKILL
        assert another.poll() is None
        assert not folder.exists()
    finally:
        for process in (ours, another):
            process.kill()
            process.wait()


def test_a_folder_is_kept_while_something_in_it_lives(tmp_path: Path) -> None:
    folder = tmp_path / "at-prove-1"
    folder.mkdir()
    ours = sleeper(folder)
    try:
        assert cleaning.belonging(folder) == [ours.pid]
        assert cleaning.end_all(folder, seconds=0.0) == [f"at-prove-1: process {ours.pid} still runs"]
        assert ours.poll() is None
    finally:
        ours.kill()
        ours.wait()


@pytest.mark.parametrize("jobs, together", [(1, 1), (2, 2 + sum(case.long for case in CASES))])
def test_cases_that_mostly_wait_go_on_beside_the_others(
    tmp_path: Path, at: At, monkeypatch: pytest.MonkeyPatch, jobs: int, together: int
) -> None:
    running, most, change = 0, 0, threading.Condition()

    def counted(case: Case, site: Site) -> str:
        nonlocal running, most
        with change:
            running += 1
            most = max(most, running)
            change.notify_all()
            change.wait_for(lambda: most >= together, timeout=10)
            running -= 1
        return case.name

    monkeypatch.setattr(Site, "prepare", lambda site: None)
    table = Table(tmp_path, Installed("claude", "/bin/false", "0"), CASES, at.environ, counted, jobs=jobs)
    assert sorted(cell.fact for cell in table.cells()) == sorted(BY_NAME)
    assert most == together


@pytest.mark.parametrize(
    ("needs", "result"), [(15, CaseResult.PASS), (90, CaseResult.PASS), (91, CaseResult.FAIL)]
)
def test_a_cli_that_is_too_slow_for_a_watchdog_is_played_once_more_with_a_longer_one(
    tmp_path: Path, at: At, monkeypatch: pytest.MonkeyPatch, needs: int, result: CaseResult
) -> None:
    def slow(_: Case, site: Site) -> str:
        waited.append(site.watchdog or 0)
        if waited[-1] < needs:
            raise TooSlow(f"no sign of life for {waited[-1]} s")
        return "it came in time"

    waited: list[int] = []
    monkeypatch.setattr(Site, "prepare", lambda site: None)
    cases = [BY_NAME["never-answers"]]
    table = Table(tmp_path, Installed("claude", "/bin/false", "0"), cases, at.environ, slow, jobs=1)
    (cell,) = table.cells()
    assert cell.verdict is result
    assert waited == [15, 90][: 1 if needs == 15 else 2]
    assert table.troubles == []


@pytest.mark.parametrize("part", ["home", "at"])
def test_where_the_site_cannot_be_prepared_every_case_says_so_and_nothing_stays(
    tmp_path: Path, at: At, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def late(self: Daemon, name: str, /, **values: object) -> object:
        """The daemon comes up, but too late for whoever called it."""
        started.append(sleeper(Path(self.environ["AT_HOME"]).parent))
        raise DaemonUnreachable("the daemon did not come up in time")

    started: list[subprocess.Popen[bytes]] = []
    if part == "at":
        monkeypatch.setattr(Daemon, "call", late)
    else:
        at.environ["PATH"] = str(tmp_path)
    cases = [BY_NAME["write-lands"], BY_NAME["edit-lands"]]
    table = Table(tmp_path, Installed("claude", "/bin/false", "0"), cases, at.environ, holds, jobs=1)
    played = list(table.cells())
    assert [cell.verdict for cell in played] == [CaseResult.FAIL] * 2
    assert not any("FileExists" in cell.fact for cell in played)
    assert [process.wait(10) for process in started] == [-signal.SIGKILL] * len(started)
    assert len(started) == (2 if part == "at" else 0)
    assert cleaning.belonging(tmp_path / "claude-0") == []


def test_a_worker_outlives_whatever_goes_wrong_at_the_end_of_a_site(
    tmp_path: Path, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Site) -> None:
        raise KeyError("stopped")

    monkeypatch.setattr(Site, "down", broken)
    table = Table(
        tmp_path, Installed("claude", "/bin/false", "0"), [BY_NAME["401"]], at.environ, holds, jobs=1
    )
    assert [cell.verdict for cell in table.cells()] == [CaseResult.PASS]
    assert table.troubles == ["claude-0: KeyError: 'stopped'"]
    assert cleaning.belonging(tmp_path) == []


def test_a_seed_without_chaos_is_a_usage_error(at: At) -> None:
    said = at("prove", "--seed", "3", "--json")
    assert (said.code, said.error["code"], said.error["hint"]) == (2, "usage", "at prove --chaos --seed N")


def test_where_no_folder_can_be_made_it_is_said_in_one_line_and_nothing_stays(
    at: At, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "PLACES", (tmp_path / "file" / "below",))
    (tmp_path / "file").touch()
    at.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache" / "of" / "mine")
    place = ground.build(at.environ)
    assert place.folder.parent == tmp_path / "cache" / "of" / "mine"
    assert cleaning.remove(place.folder, place.made) == []
    assert not (tmp_path / "cache").exists()
    at.environ["XDG_CACHE_HOME"] = str(tmp_path / "file" / "cache")
    with pytest.raises(CannotProve, match="no folder can be made"):
        ground.build(at.environ)


def test_without_git_nothing_is_begun(at: At, tmp_path: Path) -> None:
    binary = tmp_path / "claude"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    at.environ["PATH"] = str(tmp_path)
    said = at("prove", "--json")
    assert (said.code, said.error["code"]) == (1, "cannot_prove")
    assert "git" in said.error["message"]


def test_a_namespace_that_allows_nothing_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", "/proc/self/uid_map")

    monkeypatch.setattr(sealed, "is_sealed", lambda: False)
    monkeypatch.setattr(sealed, "_enter", refused)
    with pytest.raises(sealed.CannotSeal, match="Operation not permitted"):
        sealed.seal()


def test_a_program_with_any_path_is_written_into_the_settings(tmp_path: Path, at: At) -> None:
    binary = '/opt/a "b" \\c/claude'
    with Endpoint() as endpoint:
        site = Site(tmp_path / "site", Installed("claude", binary, "0"), endpoint, at.environ, watchdog=15)
        try:
            site.prepare()
            config = Config.load(site.environ)
        finally:
            assert site.end() == []
    assert (config.agents.claude.binary, config.daemon.heartbeat_interval_seconds) == (binary, 5)


def test_a_limit_refuses_until_it_is_over_and_then_the_script_goes_on() -> None:
    script = Script(
        (Say("Hello."), RefuseFor(20, lambda reset: Refuse(429, "limit", str(reset))), Say("On."))
    )
    replies = [script.next(now) for now in (0.0, 100.5, 110.0, 120.4, 120.5, 121.0)]
    refusal = Refuse(429, "limit", "121")
    assert replies == [Say("Hello."), refusal, refusal, refusal, Say("On."), Say("On.")]


@pytest.mark.parametrize("cli", CLIS)
def test_each_cli_says_whether_it_tells_the_end_of_a_limit(cli: str) -> None:
    model = rehearsed(cli)
    assert model.tells_reset in (True, False)
    assert model.quota(int(2**31)).status == 429
    assert model.limit_seconds > 0


@pytest.mark.parametrize("cli", CLIS)
def test_each_cli_says_of_which_retries_it_tells(cli: str) -> None:
    model = rehearsed(cli)
    assert model.silent_retries >= 0
    assert {model.tells_cut, model.notices_cut_after_tool} <= {True, False}


@pytest.mark.parametrize(
    "words, tells, fact",
    [
        (["slow down", "again"], True, "told: slow down"),
        (["slow down"], False, "told: slow down"),
        ([], False, "it asked the model 3 times and told nothing of a retry"),
    ],
)
def test_what_is_told_of_a_retry_is_the_fact(words: list[str], tells: bool, fact: str) -> None:
    assert failures.retry_fact(words, 3, tells=tells) == fact


def test_a_retry_that_is_not_told_fails_where_the_cli_tells_of_it() -> None:
    with pytest.raises(Failed, match="asked the model 3 times.*nothing of a retry"):
        failures.retry_fact([], 3, tells=True)


@pytest.mark.parametrize(
    "asked, notices, result",
    [(4, True, None), (4, False, None), (2, False, Cannot), (2, True, Failed), (3, False, Failed)],
)
def test_an_answer_that_is_taken_for_whole_is_no_failure_only_where_that_is_known(
    asked: int, notices: bool, result: type[Exception] | None
) -> None:
    with pytest.raises(result, match=f"{asked} requests") if result else contextlib.nullcontext():
        failures.must_ask_again(asked, notices=notices)
