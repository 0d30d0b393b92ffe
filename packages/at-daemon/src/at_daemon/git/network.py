"""Git over a network with the caller's credentials: `push` and `fetch`, and nothing else, go through here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from at_daemon.git.errors import GitFailed
from at_daemon.git.places import Place
from at_daemon.git.run import Git

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
_PROTOCOLS = "file:git:http:https:ssh"
_PERSONS = frozenset(
    {"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAINFO", "GIT_PROXY_COMMAND"}
    | {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"}
)
"""Variables of git that say how the person reaches a remote."""
_NO_QUESTIONS = {"credential.interactive": "false"}


def reaching(
    place: Place, caller: Mapping[str, str], settings: Mapping[str, str], *, asks: bool = False
) -> Git:
    """Git on the person's repository, allowed onto the network as the `caller` is. Without `asks` no program of theirs
    comes up for a password either."""
    names = _PERSONS | {"GIT_ASKPASS"} if asks else _PERSONS
    persons = {name: value for name, value in caller.items() if name in names}
    return Git(
        git_dir=place.git_dir,
        caller=caller,
        config={**_NO_QUESTIONS, **settings},
        env=persons | {"GIT_ALLOW_PROTOCOL": _PROTOCOLS},
        reads_only=False,
    )


def without_credentials(text: str) -> str:
    """The text with no user or password in any address."""
    return _CREDENTIALS.sub("", text)


def telling(error: GitFailed) -> str:
    """What git said that a person can act upon, in one line."""
    lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("To ", "hint:", "Warning:"))]
    return without_credentials(" / ".join(useful[:3]) or error.message)
