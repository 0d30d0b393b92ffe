"""A `gh` of the tests: it keeps the newest pull request in a file, checks every argument, and knows no network.

Started as `python gh_stand_in.py STATE.json ARGUMENTS...`. What it does not know it refuses with exit code 2.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FIELDS = "number,url,state,isDraft,reviewDecision,headRefOid,statusCheckRollup,comments,reviews"
NUMBER = 7


def refuse(words: str, code: int = 2) -> int:
    """Say why not."""
    print(words, file=sys.stderr)
    return code


def create(state: dict[str, Any], words: list[str]) -> int:
    """`gh pr create`: the branch must be on the remote already, as for the real one without a terminal."""
    options = {"--head": "", "--base": "", "--title": "", "--body-file": ""}
    draft = "--draft" in words
    given = [word for word in words if word != "--draft"]
    if len(given) != 8 or set(given[::2]) != set(options):
        return refuse(f"unexpected arguments: {words}")
    options |= dict(zip(given[::2], given[1::2], strict=True))
    head = pushed(state, options["--head"])
    if options["--body-file"] != "-" or not head:
        return refuse("no body on standard input, or no such branch on the remote")
    made = {name.removeprefix("--"): options[name] for name in ("--head", "--base", "--title")}
    number = (state.get("pull_request") or {"number": NUMBER - 1})["number"] + 1
    body = sys.stdin.read()
    state["pull_request"] = {**made, "number": number, "draft": draft, "body": body, "state": "OPEN"}
    print(f"https://example.com/demo/pull/{number}")
    return 0


def view(state: dict[str, Any], words: list[str]) -> int:
    """`gh pr view NUMBER|BRANCH --json FIELDS`."""
    found = state.get("pull_request")
    if len(words) != 3 or words[1:] != ["--json", FIELDS]:
        return refuse(f"unexpected arguments: {words}")
    if found is None or words[0] not in (str(found["number"]), found["head"]):
        return refuse(f'no pull requests found for branch "{words[0]}"', 1)
    document = {
        "number": found["number"],
        "url": f"https://example.com/demo/pull/{found['number']}",
        "state": found["state"],
        "isDraft": found["draft"],
        "reviewDecision": state.get("review", ""),
        "headRefOid": found.get("merged") or pushed(state, found["head"]),
        "statusCheckRollup": state.get("checks", []),
        "comments": state.get("comments", []),
        "reviews": state.get("reviews", []),
    }
    print(json.dumps(document))
    return 0


def api(state: dict[str, Any], words: list[str]) -> int:
    """`gh api --paginate` of the comments on lines: a page an array, one behind the other."""
    number = (state.get("pull_request") or {"number": 0})["number"]
    if words != ["--paginate", f"repos/{{owner}}/{{repo}}/pulls/{number}/comments?per_page=100"]:
        return refuse(f"unexpected arguments: {words}")
    lines = state.get("line_comments", [])
    print("".join(json.dumps([each]) for each in lines) or "[]")
    return 0


def pushed(state: dict[str, Any], branch: str) -> str:
    """What the remote's branch is at."""
    asked = ["git", "--git-dir", state["remote"], "rev-parse", "--verify", "-q", f"refs/heads/{branch}"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def main(file: Path, words: list[str]) -> int:
    """One call."""
    state = json.loads(file.read_text())
    state.setdefault("calls", []).append(words)
    if os.environ.get("GH_PROMPT_DISABLED") != "1" or os.environ.get("PERSONS_MARK") != "theirs":
        return refuse("not called with the person's environment, and without prompts")
    match words:
        case ["pr", "create", *rest]:
            code = create(state, rest)
        case ["pr", "view", *rest]:
            code = view(state, rest)
        case ["api", *rest]:
            code = api(state, rest)
        case _:
            return refuse(f"unknown: {words}")
    file.write_text(json.dumps(state))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
