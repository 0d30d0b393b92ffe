"""How Codex is started: permission modes, the person's settings, the folder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from at_session.drivers.codex import CodexDriver
from at_session.errors import LaunchRefused
from at_session.vocabulary import Allow, LaunchRequest, Transport


def request(folder: Path, allow: Allow = Allow.EDITS, **changes: Any) -> LaunchRequest:
    plain: dict[str, Any] = {
        "agent_id": "a1",
        "binary": "codex",
        "args": ("-c", 'model_reasoning_effort="high"'),
        "cwd": str(folder),
        "env": {"HOME": str(folder / "home"), "TMPDIR": "/nowhere"},
        "private_dir": str(folder / "private"),
        "allow": allow,
    }
    return LaunchRequest(**{**plain, **changes})


def settings(argv: tuple[str, ...]) -> dict[str, Any]:
    """What the `-c` options say together, read as the CLI reads them."""
    options = [argv[index + 1] for index, word in enumerate(argv) if word == "-c"]
    return tomllib.loads("\n".join(options))


@pytest.mark.parametrize(
    "allow, env, profile, policy",
    [
        (Allow.ASK, {}, ":read-only", "on-request"),
        (Allow.EDITS, {}, "auto-tundra", "on-request"),
        (Allow.ALL, {}, "auto-tundra", "on-request"),
        (Allow.ALL, {"IS_SANDBOX": "1"}, ":danger-full-access", "never"),
        (Allow.EDITS, {"IS_SANDBOX": "1"}, "auto-tundra", "on-request"),
    ],
)
def test_a_launch_says_the_permission_mode(
    tmp_path: Path, allow: Allow, env: dict[str, str], profile: str, policy: str
) -> None:
    wanted = request(tmp_path, allow)
    driver = CodexDriver()
    launch = driver.launch(request(tmp_path, allow, env={**wanted.env, **env}))
    assert (launch.argv[:2], launch.transport) == (("codex", "app-server"), Transport.PIPE)
    assert launch.argv[-1] == 'model_reasoning_effort="high"'
    said = settings(launch.argv)
    assert said["default_permissions"] == profile
    assert said["features"]["daemon_auto_start"] is False
    asked = driver.state.values["settings"]
    assert (asked["approvalPolicy"], asked["approvalsReviewer"]) == (policy, "user")
    assert asked["config"] == {"default_permissions": profile}
    assert "cwd" not in asked


def test_an_agent_may_write_its_clones_history_but_not_what_git_runs(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    said = settings(CodexDriver().launch(request(tmp_path)).argv)
    assert said["permissions"]["auto-tundra"] == {
        "extends": ":workspace",
        "filesystem": {
            f"{tmp_path}/.git": "write",
            f"{tmp_path}/.git/hooks": "read",
            f"{tmp_path}/.git/config": "read",
        },
    }


@pytest.mark.parametrize("kind", ["none", "file", "link"])
def test_a_folder_without_a_history_of_its_own_widens_nothing(tmp_path: Path, kind: str) -> None:
    git = tmp_path / ".git"
    if kind == "file":
        git.write_text("gitdir: /elsewhere/.git/worktrees/x\n")
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir()
        git.symlink_to(tmp_path / "elsewhere")
    said = settings(CodexDriver().launch(request(tmp_path)).argv)
    assert said["permissions"]["auto-tundra"] == {"extends": ":workspace"}


@pytest.mark.parametrize(
    "text, filesystem, network",
    [
        ("", None, None),
        ("[sandbox_workspace_write]\nnetwork_access = true\n", None, {"enabled": True}),
        ('[sandbox_workspace_write]\nwritable_roots = ["/cache"]\n', {"/cache": "write"}, None),
        ('[sandbox_workspace_write]\nwritable_roots = "/cache"\nnetwork_access = "yes"\n', None, None),
        ("this is = not [ toml", None, None),
    ],
    ids=["none", "network", "roots", "wrong-types", "broken"],
)
def test_what_the_person_opened_for_the_workspace_stays_open(
    tmp_path: Path, text: str, filesystem: dict[str, str] | None, network: dict[str, bool] | None
) -> None:
    own = tmp_path / "home" / ".codex" / "config.toml"
    own.parent.mkdir(parents=True)
    own.write_text(text)
    profile = settings(CodexDriver().launch(request(tmp_path)).argv)["permissions"]["auto-tundra"]
    assert (profile.get("filesystem"), profile.get("network")) == (filesystem, network)
    assert own.read_text() == text


@pytest.mark.parametrize("name", ['quote"d', "back\\slash", "\N{ROCKET}", "del\x7f", "new\nline"])
def test_any_name_of_a_folder_survives_the_options(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    (folder / ".git").mkdir(parents=True)
    said = settings(CodexDriver().launch(request(folder)).argv)
    assert said["permissions"]["auto-tundra"]["filesystem"][f"{folder}/.git"] == "write"


@pytest.mark.parametrize("variable", ["HOME", "CODEX_HOME"])
def test_a_home_in_the_temp_folder_is_refused_before_launching(tmp_path: Path, variable: str) -> None:
    env = {"HOME": "/nowhere", variable: str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    with pytest.raises(LaunchRefused, match="set CODEX_HOME to a folder elsewhere"):
        CodexDriver().launch(request(tmp_path, env=env))


def test_a_model_and_instructions_are_said_beside_the_prompt(tmp_path: Path) -> None:
    driver = CodexDriver()
    driver.launch(request(tmp_path, model="gpt-5.5", instructions="Be brief."))
    asked = driver.state.values["settings"]
    assert (asked["model"], asked["developerInstructions"]) == ("gpt-5.5", "Be brief.")
