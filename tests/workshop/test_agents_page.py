"""What `docs/agents.md` says of the CLIs is what their drivers, `at doctor` and the test suite say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from at_agents.decisions import Policy
from at_agents.label import AgentLabel
from at_agents.lifecycle import MEANINGS
from at_cli.doctor.clis import KNOWN
from at_cli.prove.case import CaseResult
from at_cli.prove.report import document
from at_core.config import AgentsConfig
from at_session.drivers import driver_for
from at_session.drivers.gemini import GeminiDriver
from at_session.rehearsal.clis import CLIS
from at_session.vocabulary import Allow, Launch, LaunchRequest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
PACKAGES = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
}
PINNED = json.loads((ROOT / "tests" / "clis" / "package.json").read_text(encoding="utf-8"))["dependencies"]
SHARED = {"-p", "--verbose", "--input-format", "--output-format"}
"""Flags of Claude's stream, which the page names together; no other CLI has these."""


def row(first: str) -> dict[str, str]:
    """The cells of the page's only row that begins so, by CLI."""
    found = [line for line in PAGE.splitlines() if line.startswith(f"| {first} |")]
    assert len(found) == 1, f"{len(found)} rows begin with {first!r}"
    return dict(zip(CLIS, [cell.strip() for cell in found[0].strip("|").split(" | ")[1:]], strict=True))


def launched(cli: str, allow: Allow, folder: Path) -> Launch:
    request = LaunchRequest(
        agent_id="a",
        binary=cli,
        args=(),
        cwd=str(folder),
        env={"HOME": "/home/somebody", "IS_SANDBOX": "1"},
        private_dir=str(folder / "private"),
        allow=allow,
        instructions="Commit.",
    )
    return driver_for(cli)().launch(request)


def test_the_page_has_a_column_for_each_cli() -> None:
    heads = [line for line in PAGE.splitlines() if line.startswith("| | claude")]
    assert heads
    assert set(heads) == {f"| | {' | '.join(CLIS)} |"}


@pytest.mark.parametrize("cli", CLIS)
def test_tested_versions_are_those_of_the_suite(cli: str) -> None:
    pinned = PINNED[PACKAGES[cli]]
    assert row("tested version")[cli] == pinned
    assert {known.name: known.tested for known in KNOWN}[cli] == pinned


@pytest.mark.parametrize("cli", CLIS)
def test_words_of_the_drivers_stand_in_the_page(cli: str) -> None:
    able = driver_for(cli).capabilities
    assert row("draws on")[cli] == able.draws_on
    assert row("to log in")[cli] == able.login_hint
    assert row("does not report")[cli] == ", ".join(able.unreported)
    assert row("questions to you")[cli].startswith("yes" if able.asks_questions else "**no**")
    estimated = row("dollars")[cli].startswith("estimated")
    assert estimated is not able.reports_cost


@pytest.mark.parametrize("allow", list(Allow))
def test_permission_modes_are_what_the_drivers_use(allow: Allow, tmp_path: Path) -> None:
    said = row("`edits`, the default" if allow is Allow.EDITS else f"`{allow}`")
    claude = launched("claude", allow, tmp_path).argv
    assert f"`{claude[claude.index('--permission-mode') + 1]}`" in said["claude"]
    profile = re.search(r'default_permissions="([^"]+)"', " ".join(launched("codex", allow, tmp_path).argv))
    assert profile is not None and f"`{profile[1]}`" in said["codex"]
    assert f"`{GeminiDriver.dialect.modes[allow]}`" in said["gemini"]
    asked = json.loads(launched("opencode", allow, tmp_path).env.get("OPENCODE_PERMISSION", "{}"))
    assert set(re.findall(r"`(\w+)`", said["opencode"])) == set(asked)


@pytest.mark.parametrize("cli", CLIS)
def test_what_we_add_to_a_start_is_in_the_page(cli: str, tmp_path: Path) -> None:
    (flags,) = [line for line in PAGE.splitlines() if line.startswith(f"| {cli} |") and line.count("|") == 4]
    launch = launched(cli, Allow.EDITS, tmp_path)
    given = {each.partition("=")[0] for each in launch.argv if re.match(r"--?[a-z]", each)} - SHARED
    streaming = {"--include-partial-messages", "--replay-user-messages"}
    named = {flag for flag in given - streaming if f"`{flag}" not in flags and f" {flag} " not in flags}
    own = {"-I", "-S"}
    assert named - own == set()
    added = set(launch.env) - {"HOME", "IS_SANDBOX"}
    assert {name for name in added if f"`{name}`" not in flags} == set()


def test_labels_reasons_and_bounds_of_failures_are_the_code_s() -> None:
    table = PAGE.partition("| cause | label |")[2].partition("\n\n")[0]
    cells = [line.split(" | ")[1] for line in table.splitlines()[2:]]
    labels = {label for cell in cells for label in re.findall(r"`([^`]+)`", cell)}
    assert labels <= set(AgentLabel)
    assert all(MEANINGS[kind] in table for kind in ("context", "connection", "api"))
    policy, agents = Policy(), AgentsConfig()
    assert f"after {policy.api_patience_seconds:.0f} s of errors" in table
    assert f"after {policy.limit_retry_seconds / 60:.0f} minutes" in table
    first, second = policy.trouble_backoff_seconds
    assert f"after {first:.0f} s, once more after {second:.0f} s" in table
    waits = [f"{each:.0f}" for each in policy.crash_backoff_seconds]
    assert f"after {', '.join(waits[:-1])} and {waits[-1]} s" in table
    assert f"ended {policy.max_crashes + 1} times" in table
    assert {getattr(agents, cli).timeout_seconds for cli in CLIS} == {600} and "for 600 s" in table
    assert f"{policy.start_seconds:.0f} s while it starts" in table


def test_the_page_on_prove_names_every_key_and_verdict() -> None:
    text = (ROOT / "docs" / "prove.md").read_text(encoding="utf-8")
    found = document([], [], [], 0.0, None, [])
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) >= set(found)
    assert all(f"`{verdict}`" in text for verdict in CaseResult)


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_of_the_docs_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    targets = [each for each in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in each]
    assert [each for each in targets if not (ROOT / "docs" / each).exists()] == []
