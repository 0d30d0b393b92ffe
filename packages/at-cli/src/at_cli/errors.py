"""Errors of the command line. Each is an `AtError`: one line, the command to run next, a documented exit code."""

from __future__ import annotations

from collections.abc import Sequence

from at_core.errors import AtError, NeedsPerson, NotFound, Refused, UsageError


class UnknownVerb(UsageError):
    """No verb has that name."""

    def __init__(self, name: str, similar: list[str]) -> None:
        hint = f"at {similar[0]}" if similar else "at --help"
        super().__init__(f"at has no verb {name!r}", hint)


class NotText(UsageError):
    """Bytes that are no UTF-8 where text is needed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not valid UTF-8", "give it as UTF-8 text")


class EmptyText(UsageError):
    """Nothing where words are needed."""

    def __init__(self, what: str, hint: str = "give it in words") -> None:
        super().__init__(f"{what} is empty", hint)


class FolderGone(AtError):
    """The folder in which the call was made no longer exists."""

    code = "no_folder"

    def __init__(self) -> None:
        super().__init__("the current folder no longer exists", "cd to a folder that does")


class UnwritableOutput(AtError):
    """Standard output takes no more."""

    code = "output"

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot write to standard output: {reason}")


class Crashed(AtError):
    """A defect of ours; the traceback is in `log`, if that could be written."""

    code = "internal"

    def __init__(self, error: BaseException, log: str | None) -> None:
        where = (
            f"the traceback is in {log}"
            if log
            else "set AT_HOME to a folder you can write to see the traceback"
        )
        first_line = next(iter(str(error).splitlines()), "")
        super().__init__(f"unexpected {type(error).__name__}: {first_line}", where)


class StillRunning(AtError):
    """`at down` was answered, and the daemon's process is still there."""

    code = "still_running"

    def __init__(self, pid: int, seconds: float) -> None:
        super().__init__(f"the daemon (process {pid}) has not ended after {seconds:.0f} s", "at doctor")


class NoTrustFile(NotFound):
    """The repository has no settings file that could be trusted."""

    def __init__(self, path: str) -> None:
        super().__init__("settings file", path, "write .auto-tundra.toml on the target branch first")


class NotConfirmed(NeedsPerson):
    """Something that cannot be taken back was not confirmed."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what} was not confirmed, nothing was changed", hint)


class NotAHome(Refused):
    """A folder that does not look as if the product had made it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is not removed: {reason}", "remove it by hand if it is to go")


class NotRemoved(AtError):
    """Something of ours could not be removed."""

    code = "not_removed"

    def __init__(self, path: str, number: int) -> None:
        more = f" and {number - 1} more" if number > 1 else ""
        super().__init__(
            f"could not be removed: {path}{more}", "remove it by hand, then at uninstall --yes again"
        )


class NotTidied(AtError):
    """Something that was to go is still there; all else went."""

    code = "not_tidied"

    def __init__(self, name: str, why: str, number: int) -> None:
        more = f", and {number - 1} more" if number > 1 else ""
        super().__init__(f"{name} stays ({why}){more}", "at tidy")


class CannotExecute(AtError):
    """A command that is not there, or that cannot be executed. The exit codes are those of a shell."""

    code = "cannot_execute"

    def __init__(self, name: str, reason: str, *, found: bool) -> None:
        super().__init__(f"cannot execute {name!r}: {reason}", "at exec BEAD -- COMMAND")
        self.exit_code = 126 if found else 127


class ToolFailed(AtError):
    """A program of the person's that `at` started ended with an error, or could not be started."""

    code = "tool_failed"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} did not do its work: {reason}", "at diff BEAD, without --tool")


class NoGh(NeedsPerson):
    """The program that opens pull requests is not there."""

    code = "no_gh"

    def __init__(self) -> None:
        super().__init__("gh is not on your PATH", "https://cli.github.com, or at pr BEAD --print")


class GhFailed(AtError):
    """`gh` ended with an error."""

    code = "gh_failed"

    def __init__(self, words: Sequence[str], said: str) -> None:
        super().__init__(f"gh {' '.join(words[:2])} failed: {said}", "gh auth status")


class TerminalTaken(Refused):
    """Somebody else has the keyboard of the agent."""

    code = "terminal_taken"

    def __init__(self, agent: str, who: str) -> None:
        super().__init__(f"the terminal of {agent} is in use: {who}", f"at attach {agent} --steal")


class NotAttached(AtError):
    """The agent's holder does not answer, or went away."""

    code = "not_attached"

    def __init__(self, agent: str, reason: str) -> None:
        super().__init__(f"cannot attach to {agent}: {reason}", f"at explain {agent}")


class CannotProve(AtError):
    """The rehearsal cannot be held here."""

    code = "cannot_prove"
