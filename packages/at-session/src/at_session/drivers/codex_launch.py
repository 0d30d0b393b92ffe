"""How Codex is started: permission modes, and what of the person's settings has to be said again.

Settings of a run are given as `-c` options; no file of the person's is written. Source: runs of codex 0.169.0.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from at_session import foreign_files
from at_session.drivers.jsonlines import Object, object_of
from at_session.errors import LaunchRefused
from at_session.vocabulary import Allow, LaunchRequest

PROFILE = "auto-tundra"
_SETTINGS_LIMIT = 1 << 20
_FEATURES = (
    # Else it starts a server that outlives it.
    "features.daemon_auto_start=false",
    # Its tool for questions to the person exists in plan mode only, unless this is on; the CLI warns of it.
    "features.default_mode_request_user_input=true",
    "suppress_unstable_features_warning=true",
)


def arguments(request: LaunchRequest) -> tuple[str, ...]:
    """The whole argument list."""
    options = [*_FEATURES, *_permissions(request)]
    flags = [each for option in options for each in ("-c", option)]
    return (request.binary or "codex", "app-server", *flags, *request.args)


def thread_settings(request: LaunchRequest) -> Object:
    """What a request for a thread says, new or resumed.

    The folder is not named: the CLI would put it on the person's list of trusted projects. It takes the folder that
    it was started in.
    """
    settings: Object = {
        # A thread that is taken up again keeps the permissions of before otherwise, whatever the options say.
        "config": {"default_permissions": _profile(request)},
        "approvalPolicy": "never" if _is_free(request) else "on-request",
        # A person's own setting may have a model decide instead.
        "approvalsReviewer": "user",
    }
    if request.model is not None:
        settings["model"] = request.model
    if request.instructions:
        settings["developerInstructions"] = request.instructions
    return settings


def home(env: Mapping[str, str]) -> Path:
    """The CLI's own folder."""
    return Path(env.get("CODEX_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".codex"))


def check(request: LaunchRequest) -> None:
    """Raises LaunchRefused where the CLI is known to run no command: with a home in the temp folder."""
    place = home(request.env)
    temporary = Path(request.env.get("TMPDIR") or "/tmp")
    if not _is_free(request) and place.resolve().is_relative_to(temporary.resolve()):
        reason = f"its home {place} lies in the temp folder, where its sandbox does not work"
        raise LaunchRefused("codex", reason, "set CODEX_HOME to a folder elsewhere")


def _is_free(request: LaunchRequest) -> bool:
    """Everything allowed, in a sandbox that is not the CLI's own: two do not nest, and one is enough."""
    return request.allow is Allow.ALL and request.env.get("IS_SANDBOX") == "1"


def _profile(request: LaunchRequest) -> str:
    if _is_free(request):
        return ":danger-full-access"
    return ":read-only" if request.allow is Allow.ASK else PROFILE


def _permissions(request: LaunchRequest) -> list[str]:
    options = [f"default_permissions={_toml(_profile(request))}"]
    if _profile(request) != PROFILE:
        return options
    own = _own_workspace(request.env)
    options.append(f'permissions.{PROFILE}.extends=":workspace"')
    if rules := {**_rules_of_the_clone(request.cwd), **dict.fromkeys(_roots(own), "write")}:
        table = ",".join(f"{_toml(path)}={_toml(access)}" for path, access in rules.items())
        options.append(f"permissions.{PROFILE}.filesystem={{{table}}}")
    if own.get("network_access") is True:
        options.append(f"permissions.{PROFILE}.network.enabled=true")
    return options


def _rules_of_the_clone(cwd: str) -> dict[str, str]:
    """The agent may commit, which the CLI's own workspace mode forbids, but not change what git would run."""
    git = os.path.join(cwd, ".git")
    if not os.path.isdir(git) or os.path.islink(git):
        return {}
    return {git: "write", os.path.join(git, "hooks"): "read", os.path.join(git, "config"): "read"}


def _own_workspace(env: Mapping[str, str]) -> Object:
    """The person's `sandbox_workspace_write`, which a profile replaces."""
    try:
        data = foreign_files.read_bytes(home(env) / "config.toml", _SETTINGS_LIMIT)
        settings = tomllib.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError):  # the CLI itself says what is wrong with it
        return {}
    return object_of(settings.get("sandbox_workspace_write"))


def _roots(own: Object) -> list[str]:
    roots = own.get("writable_roots")
    return [each for each in roots if isinstance(each, str)] if isinstance(roots, list) else []


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
