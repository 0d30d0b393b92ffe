"""What an agent, a command of its folder or a gate inherits of the environment of the call that made it: all but this."""

from __future__ import annotations

from collections.abc import Mapping

MARKS = ("AT_BEAD", "AT_AGENT", "AT_GATE", "AT_SLOT", "AT_PORT")
"""What we tell an agent or a gate. A caller that is one itself must not pass its own on."""
OF_A_REPOSITORY = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"),
    *("GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX"),
)
"""What git tells its hooks and aliases of the repository they are called in. It would send the agent's git there,
wherever its folder is."""
_LEFT_OUT = frozenset((*MARKS, *OF_A_REPOSITORY))


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what is not for an agent of its own."""
    return {name: value for name, value in environment.items() if name not in _LEFT_OUT}
