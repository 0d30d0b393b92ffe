"""CLIs that crash, talk rubbish or talk much: how their beads end. Each is a script that is called `claude`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from acceptance.product import Product, Ran, product_in

pytestmark = pytest.mark.timeout(200)

TALKER = r"""#!{python}
import json, sys
prompt = json.loads(sys.stdin.readline())["message"]["content"][0]["text"]
def say(**fields):
    sys.stdout.buffer.write(json.dumps(fields).encode() + b"\n")
    sys.stdout.flush()
def speak(number, text):
    say(type="assistant", message={{"id": number, "content": [{{"type": "text", "text": text}}]}})
say(type="system", subtype="init", session_id="00000000-0000-4000-8000-000000000000", model="m")
sys.stdout.buffer.write(b"\xff\xfe rubbish\n")
speak("1", "x" * 10_000_000 + "end")
sys.stdout.buffer.write(b'{{"type":"assistant","message":{{"id":"2","content":[{{"type":"text","text":"a\xffb"}}]}}}}\n')
sys.stdout.buffer.write(b"y" * 10_000_000 + b"\n")
open("heard.txt", "w").write(prompt)
say(type="result", subtype="success", is_error=False, result="done", modelUsage={{}})
sys.stdin.read()
"""
PROMPT = "é" * 1_000_000
ENDED = "the agent ended 4 times without finishing its turn, last with "


@dataclass(frozen=True, slots=True)
class Cli:
    """A program called `claude`, and how a bead that is given to it must end."""

    script: str
    exit_code: int
    status: str
    reason: str
    hint: str = ""


CLIS = {
    "fails": Cli("#!/bin/sh\necho 'licence expired' >&2\nexit 1\n", 3, "escalated",
                 f"{ENDED}exit code 1, saying: licence expired", "at retry "),
    "rubbish": Cli("#!/bin/sh\nhead -n 1 >/dev/null\nhead -c 3000 /dev/urandom\nprintf '{\"type\":\\n[1,2]\\n'\n", 3, "escalated",
                   f"{ENDED}exit code 0, saying: [1,2]", "at retry "),
    "killed": Cli("#!/bin/sh\nkill -9 $$\n", 3, "escalated", f"{ENDED}signal 9", "at retry "),
    "no interpreter": Cli("#!/no/such/interpreter\n", 1, "failed",
                          "the program cannot be run: No such file or directory: {path}", "at doctor"),
    "no program": Cli("\x7fELF rubbish", 1, "failed", "the program cannot be run: Exec format error: {path}", "at doctor"),
    "wrong types": Cli('#!/bin/sh\nhead -n 1 >/dev/null\necho \'{"type":"system","subtype":"init","session_id":7,"model":[]}\'\n'
                       'echo \'{"type":"assistant","message":3}\'\n'
                       'echo \'{"type":"result","modelUsage":{"a":3},"is_error":"x"}\'\ncat\n',
                       1, "failed", "no change was made", "at retry "),
    "talks much": Cli(TALKER.format(python=sys.executable), 0, "done", "merged as "),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tried:
    """The product, and for each CLI how its bead ended."""

    product: Product
    ran: dict[str, Ran]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    """All at once: most of their time is the pause before they are started again."""
    top = tmp_path_factory.mktemp("clis")

    def run(name: str) -> Ran:
        folder = top / name
        folder.mkdir()
        (folder / "claude").write_text(CLIS[name].script)
        (folder / "claude").chmod(0o755)
        words = ("run", "-", "--cli", "claude", "--land", "--wait", "--timeout", "90", "--json")
        return made.at(*words, stdin=PROMPT, PATH=f"{folder}:{made.env['PATH']}")

    with product_in(top) as made, ThreadPoolExecutor() as callers:
        assert made.at("up").code == 0
        yield Tried(made, dict(zip(CLIS, callers.map(run, CLIS), strict=True)))


@pytest.mark.parametrize("name", CLIS)
def test_a_bead_given_to_a_bad_cli_ends_with_the_reason(tried: Tried, name: str) -> None:
    wanted, ran = CLIS[name], tried.ran[name]
    document = ran.document
    assert (ran.code, ran.stderr) == (wanted.exit_code, "")
    assert document["bead"]["status"] == wanted.status
    reason = wanted.reason.format(path=tried.product.home.parent / name / "claude")
    assert document["reasons"][0].startswith(reason), document["reasons"]
    assert all(attention["hint"].startswith(wanted.hint) for attention in document["attention"])
    assert bool(document["attention"]) is bool(wanted.exit_code)
    assert document["bead"]["description"] == PROMPT, "the prompt is kept word for word"


def test_long_lines_and_bytes_that_are_no_text_are_taken_in(tried: Tried) -> None:
    bead = tried.ran["talks much"].document["bead"]["id"]
    events = []
    after = 0
    while page := tried.product.json_lines("events", "--after", str(after)):
        events += [event for event in page if event["bead_id"] == bead]
        after = page[-1]["seq"]
    spoken = [event["payload"]["text"] for event in events if event["type"] == "text.spoken"]
    assert [text[:10] for text in spoken] == ["x" * 10, "a\ufffdb"]
    unparsed = [event["payload"]["excerpt"] for event in events if event["type"] == "line.unparsed"]
    assert [text[:20] for text in unparsed] == ["\ufffd\ufffd rubbish", "y" * 20]
    assert (tried.product.repo / "heard.txt").read_text() == PROMPT
