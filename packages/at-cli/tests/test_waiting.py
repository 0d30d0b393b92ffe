"""`--wait`: until it is settled, through a daemon that hangs up, no longer than asked."""

from __future__ import annotations

from typing import Any

import pytest

from at_cli.testing import BEAD_ID, DOCUMENT, At, Failure, FakeDaemon, Seen

AT_WORK = {
    **DOCUMENT,
    "bead": {"id": BEAD_ID, "title": "T", "status": "slung"},
    "settled": False,
    "proved": False,
    "seq": 7,
}


@pytest.mark.parametrize("order", [["run", "P"], ["sling", "3f2a", "max"], ["retry", "3f2a"]])
@pytest.mark.parametrize("status, code", [("done", 0), ("review", 0), ("failed", 1), ("escalated", 3)])
def test_the_exit_code_is_the_verdict(
    at: At, daemon: FakeDaemon, order: list[str], status: str, code: int
) -> None:
    end = {**DOCUMENT, "bead": {"id": BEAD_ID, "title": "T", "status": status}, "exit_code": code}
    daemon.answers |= {"run": AT_WORK, "sling": AT_WORK, "retry": AT_WORK, "wait": end}
    outcome = at(*order, "--wait", "--json")
    assert (outcome.code, outcome.document, outcome.err) == (code, end, "")
    assert daemon.last("wait").path == {"bead": BEAD_ID}
    assert daemon.last("wait").query["after"] == "7"


def test_each_question_begins_where_the_last_one_ended(at: At, daemon: FakeDaemon) -> None:
    answers = iter([{**AT_WORK, "seq": 8}, {**AT_WORK, "seq": 9}, DOCUMENT])
    daemon.answers |= {"run": AT_WORK, "wait": lambda _seen: next(answers)}
    assert at("run", "P", "--wait").code == 0
    assert [seen.query["after"] for seen in daemon.seen if seen.route == "wait"] == ["7", "8", "9"]


def test_a_daemon_that_hangs_up_is_asked_again(at: At, daemon: FakeDaemon) -> None:
    answers: list[Any] = [None, None, {**AT_WORK, "seq": 8}, None, DOCUMENT]
    daemon.answers |= {"run": AT_WORK, "wait": lambda _seen: answers.pop(0)}
    assert at("run", "P", "--wait").code == 0
    assert answers == []


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_a_time_out_leaves_the_bead_at_work(at: At, daemon: FakeDaemon, json: list[str]) -> None:
    daemon.answers |= {"run": AT_WORK, "wait": AT_WORK}
    outcome = at("run", "P", "--wait", "--timeout", "0.05", *json)
    assert outcome.code == 75
    if json:
        assert outcome.document["bead"]["id"] == BEAD_ID and outcome.err == ""
    else:
        assert BEAD_ID in outcome.out and "at show 3f2a9c1e" in outcome.err
    assert {seen.route for seen in daemon.seen} == {"run", "wait"}


def test_what_landed_while_another_was_waited_for_is_told_as_landed(at: At, daemon: FakeDaemon) -> None:
    other = "77aa0000-0000-4000-8000-000000000002"
    bead = {"id": BEAD_ID, "title": "T", "status": "review"}
    may_land = {**AT_WORK, "bead": bead}
    merged = {"bead": {"id": other, "title": "O", "status": "done"}, "evidence": {"merge": "f" * 40}}
    daemon.answers["land_several"] = {
        "results": [{"bead": may_land}, {"bead": {**may_land, "bead": {**bead, "id": other}}}]
    }
    daemon.answers["wait"] = lambda seen: (
        {**DOCUMENT, **merged, "settled": True} if seen.path["bead"] == other else may_land
    )
    outcome = at("land", BEAD_ID, other, "--timeout", "0.05", "--json")
    told = [(each["result"], each["exit_code"], each["merge"]) for each in outcome.document["landings"]]
    assert (outcome.code, told) == (75, [("allowed", 75, None), ("landed", 0, "f" * 40)])
    assert daemon.last("wait").query["seconds"] == "0.0"


def test_no_question_outlasts_the_time_out(at: At, daemon: FakeDaemon) -> None:
    daemon.answers |= {"run": AT_WORK, "wait": DOCUMENT}
    at("run", "P", "--timeout", "3")
    assert 0 < float(daemon.last("wait").query["seconds"]) <= 3


def test_a_daemon_that_was_told_to_end_ends_the_wait(at: At, daemon: FakeDaemon) -> None:
    daemon.answers |= {"run": AT_WORK, "wait": Failure("stopping", "the daemon is ending", "at up", 75)}
    outcome = at("run", "P", "--wait", "--json")
    assert outcome.code == 75 and outcome.error["code"] == "stopping"


@pytest.mark.parametrize("route, verb", [("logs", ["logs", "furiosa", "-f"]), ("events", ["events"])])
def test_a_transcript_goes_on_behind_the_last_line(
    at: At, daemon: FakeDaemon, route: str, verb: list[str]
) -> None:
    line = {"at": None, "kind": "text", "text": "one", "seq": 5, "type": "x"}
    end = Failure("stopping", "the daemon is ending", "", 75)

    def answer(seen: Seen) -> Any:
        if int(seen.query["after"]) >= 5:
            return end
        return {"lines": [line], "next": 5, "events": [line], "last_seq": 5}

    daemon.answers[route] = answer
    outcome = at(*verb, "--json")
    assert outcome.code == 75 and '"text": "one"' in outcome.out
    assert [seen.query["after"] for seen in daemon.seen] == ["0", "5"]
