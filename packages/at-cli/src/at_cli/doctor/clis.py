"""What is known of the agent programs: how they are installed and signed in to, and what a turn of each draws on.

Only the presence of variables and files is looked at, never their content. Sources are the vendors' manuals and runs
of the tested versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCli:
    """`keys` are variables with what they make a turn draw on, the strongest first; `logins` the files of a login.

    A login file is given by the variable that moves its folder, the folder's place in HOME, and its name. `tested` is
    the version that the test suite drives, `login_note` what to know about a login by file.
    """

    name: str
    tested: str
    install: str
    sign_in: str
    keys: tuple[tuple[str, str], ...]
    logins: tuple[tuple[str, str, str], ...]
    login_draws_on: str
    login_note: str = ""


CLAUDE = KnownCli(
    name="claude",
    tested="2.1.197",
    install="npm install -g @anthropic-ai/claude-code",
    sign_in="run claude once and use /login, or export ANTHROPIC_API_KEY",
    keys=(
        ("CLAUDE_CODE_USE_BEDROCK", "your AWS account (Bedrock)"),
        ("CLAUDE_CODE_USE_VERTEX", "your Google Cloud account (Vertex AI)"),
        ("ANTHROPIC_AUTH_TOKEN", "the token in ANTHROPIC_AUTH_TOKEN"),
        ("ANTHROPIC_API_KEY", "the API key in ANTHROPIC_API_KEY, by token"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "the subscription of CLAUDE_CODE_OAUTH_TOKEN"),
    ),
    logins=(("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"),),
    login_draws_on="the login of Claude Code (subscription or console account)",
)
CODEX = KnownCli(
    name="codex",
    tested="0.169.0",
    install="npm install -g @openai/codex",
    sign_in="codex login, or with a key: printenv OPENAI_API_KEY | codex login --with-api-key",
    keys=(),  # `codex app-server` sends neither OPENAI_API_KEY nor CODEX_API_KEY by itself, as runs of 0.169.0 showed
    logins=(("CODEX_HOME", ".codex", "auth.json"),),
    login_draws_on="the login of codex (ChatGPT plan or API key)",
)
GEMINI = KnownCli(
    name="gemini",
    tested="0.61.0",
    install="npm install -g @google/gemini-cli",
    sign_in="export GEMINI_API_KEY",
    keys=(
        ("GOOGLE_GENAI_USE_VERTEXAI", "your Google Cloud account (Vertex AI)"),
        ("GEMINI_API_KEY", "the API key in GEMINI_API_KEY"),
        ("GOOGLE_API_KEY", "the API key in GOOGLE_API_KEY"),
    ),
    logins=(("", ".gemini", "oauth_creds.json"),),
    login_draws_on="the Google login of gemini",
    login_note="personal Google logins are refused since 2026-06-18, API keys work",
)
OPENCODE = KnownCli(
    name="opencode",
    tested="1.18.33",
    install="npm install -g opencode-ai",
    sign_in="opencode auth login",
    keys=(
        ("ANTHROPIC_API_KEY", "the API key in ANTHROPIC_API_KEY, if its configuration chooses Anthropic"),
        ("OPENAI_API_KEY", "the API key in OPENAI_API_KEY, if its configuration chooses OpenAI"),
        ("OPENROUTER_API_KEY", "the API key in OPENROUTER_API_KEY, if its configuration chooses OpenRouter"),
    ),
    logins=(
        ("XDG_DATA_HOME", ".local/share", "opencode/auth.json"),
        ("XDG_CONFIG_HOME", ".config", "opencode/opencode.json"),
    ),
    login_draws_on="the provider that opencode was set up with",
)
KNOWN = (CLAUDE, CODEX, GEMINI, OPENCODE)

STEERING = ("ANTHROPIC_", "CLAUDE_", "OPENAI_", "CODEX_", "GEMINI_", "GOOGLE_", "OPENCODE_", "OPENROUTER_")
"""Beginnings of the names of variables that change what an agent program does or draws on."""


def draws_on(cli: KnownCli, environ: Mapping[str, str]) -> str | None:
    """What a turn would draw on as far as can be seen from outside; None if no key and no login is in sight."""
    for variable, what in cli.keys:
        if environ.get(variable):
            return what
    return cli.login_draws_on if any(path.is_file() for path in login_files(cli, environ)) else None


def login_files(cli: KnownCli, environ: Mapping[str, str]) -> list[Path]:
    """Where the program keeps that somebody signed in."""
    home = Path(environ.get("HOME") or "/")
    return [
        Path(environ[variable]) / name if variable and environ.get(variable) else home / folder / name
        for variable, folder, name in cli.logins
    ]
