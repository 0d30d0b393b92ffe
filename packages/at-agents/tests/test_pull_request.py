"""What a pull request says, and what its checks mean."""

from __future__ import annotations

import pytest

from at_agents.pull_request import PullRequestCheck, failure_key, summary, verdict_of


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("SUCCESS", "passed"),
        ("success", "passed"),
        ("SKIPPED", "passed"),
        ("", "running"),
        ("IN_PROGRESS", "running"),
        ("PENDING", "running"),
        ("FAILURE", "failed"),
        ("ACTION_REQUIRED", "failed"),
        ("A_WORD_OF_NEXT_YEAR", "failed"),
    ],
)
def test_a_check_is_only_passed_by_a_word_that_says_so(word: str, verdict: str) -> None:
    assert verdict_of(word) == verdict


def test_a_check_that_fails_on_other_work_is_news() -> None:
    check = PullRequestCheck(name="ci / test", verdict="failed")
    assert failure_key(check, "a" * 40) != failure_key(check, "b" * 40)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"state": "OPEN"}, "open"),
        ({"state": "OPEN", "draft": True}, "draft"),
        ({"state": "MERGED", "draft": True}, "merged"),
        (
            {
                "state": "OPEN",
                "review": "CHANGES_REQUESTED",
                "checks": [{"name": name, "verdict": name} for name in ("failed", "passed", "running")],
            },
            "open, 1 check passed, 1 check failed, 1 check running, changes requested",
        ),
    ],
)
def test_a_pull_request_in_one_line(seen: dict[str, object], words: str) -> None:
    assert summary(seen) == words
