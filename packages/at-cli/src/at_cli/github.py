"""GitHub through the person's own `gh`, with the environment of the call. It is asked only by `at pr`."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from at_cli.errors import GhFailed

Document = dict[str, Any]
ANSWER_SECONDS = 120
_FIELDS = "number,url,state,isDraft,reviewDecision,headRefOid,statusCheckRollup,comments,reviews"
_NO_PULL_REQUEST = "no pull requests found"


def commands_by_hand(proposal: Mapping[str, Any], *, draft: bool) -> list[str]:
    """What a person would type for the same: the push, and the pull request."""
    refspec = f"{proposal['head'][:12]}:refs/heads/{proposal['branch']}"
    push = ["git", "push", proposal["remote"]["name"], refspec]
    made = shlex.join(["gh", *_creation(proposal, draft=draft)])
    return [shlex.join(push), f"{made} \\\n  --body {shlex.quote(proposal['body'])}"]


def _creation(proposal: Mapping[str, Any], *, draft: bool) -> list[str]:
    words = ["pr", "create", "--head", proposal["branch"], "--base", proposal["base"]]
    return [*words, "--title", proposal["title"], *(["--draft"] if draft else [])]


@dataclass(frozen=True, slots=True)
class GitHub:
    """`gh` in one repository. Its failures are `GhFailed`, with its own words."""

    repository: str
    environ: Mapping[str, str]

    @property
    def installed(self) -> bool:
        """Whether there is a `gh` on the person's PATH."""
        return shutil.which("gh", path=self.environ.get("PATH")) is not None

    def create(self, proposal: Mapping[str, Any], *, draft: bool) -> None:
        """Open the pull request of a branch that was pushed."""
        self._run([*_creation(proposal, draft=draft), "--body-file", "-"], proposal["body"])

    def view(self, branch_or_number: str) -> Document | None:
        """The pull request as the request of the API has it; None if there is none."""
        try:
            found = _read(self._run(["pr", "view", branch_or_number, "--json", _FIELDS]))
        except GhFailed as error:
            if _NO_PULL_REQUEST in error.message:
                return None
            raise
        return {
            "number": found["number"],
            "url": found["url"],
            "state": found["state"],
            "draft": bool(found.get("isDraft")),
            "review": found.get("reviewDecision") or "",
            "head": found.get("headRefOid") or "",
            "checks": [_check(each) for each in found.get("statusCheckRollup") or []],
            "comments": [*_general(found), *self._on_lines(int(found["number"]))],
        }

    def _on_lines(self, number: int) -> Iterator[Document]:
        path = f"repos/{{owner}}/{{repo}}/pulls/{number}/comments?per_page=100"
        for each in _arrays(self._run(["api", "--paginate", path])):
            new_side = each.get("side") != "LEFT"
            yield {
                "key": f"line:{each['id']}",
                "author": (each.get("user") or {}).get("login") or "",
                "text": each.get("body") or "",
                "file": each.get("path"),
                "line": (each.get("line") or each.get("original_line")) if new_side else None,
                "head": (each.get("commit_id") if each.get("line") else each.get("original_commit_id")) or "",
            }

    def _run(self, words: Sequence[str], stdin: str | None = None) -> str:
        environ = {**self.environ, "GH_PROMPT_DISABLED": "1", "GH_PAGER": "cat", "NO_COLOR": "1"}
        try:
            done = subprocess.run(
                ["gh", *words],
                cwd=self.repository,
                env=environ,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ANSWER_SECONDS,
                check=False,
            )
        except OSError as error:
            raise GhFailed(words, error.strerror or str(error)) from None
        except subprocess.TimeoutExpired:
            raise GhFailed(words, f"no answer within {ANSWER_SECONDS} s") from None
        if done.returncode:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise GhFailed(words, " / ".join(said[:3]) or f"exit code {done.returncode}")
        return done.stdout


def _check(found: Document) -> Document:
    """A check run has a conclusion once it is over, a commit status has a state."""
    workflow = found.get("workflowName")
    name = found.get("name") or found.get("context") or ""
    return {
        "name": f"{workflow} / {name}" if workflow else name,
        "word": found.get("conclusion") or found.get("status") or found.get("state") or "",
        "url": found.get("detailsUrl") or found.get("targetUrl") or "",
    }


def _general(found: Document) -> Iterator[Document]:
    for kind in ("comments", "reviews"):
        for each in found.get(kind) or []:
            if (each.get("body") or "").strip():
                author = (each.get("author") or {}).get("login") or ""
                yield {"key": f"{kind}:{each['id']}", "author": author, "text": each["body"]}


def _read(text: str) -> Document:
    """A document of `gh`. Half of a surrogate pair, which JSON can say and no file can hold, is replaced."""
    document: Document = json.loads(text, object_hook=_encodable)
    return document


def _encodable(found: Document) -> Document:
    return {
        name: each.encode("utf-8", "replace").decode() if isinstance(each, str) else each
        for name, each in found.items()
    }


def _arrays(text: str) -> Iterator[Document]:
    """The entries of all pages: each page is an array of its own, one behind the other."""
    decoder, place = json.JSONDecoder(object_hook=_encodable), 0
    text = text.strip()
    while place < len(text):
        page, place = decoder.raw_decode(text, place)
        yield from page
        while place < len(text) and text[place].isspace():
            place += 1
