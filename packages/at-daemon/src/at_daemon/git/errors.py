"""Errors of the git rooms. All are `at_core.errors.AtError`: one line, a hint, an exit code.

GitError
├── GitMissing, GitTooOld              the program itself
├── NotARepository, DubiousOwnership, BareRepository, NoCommits    what `inspect` refuses
├── BadName, RevisionMissing           a name or revision that cannot be used
├── FolderInTheWay, FolderOutside      a folder that is not ours to make or remove
├── FolderReplaced                     a link or a file where a work folder was
├── Unreadable, HistoryUnkept          a folder that cannot be kept whole, so it is not removed
├── RemoteMissing, PushRefused         a remote that is not there, or does not take a branch
├── FetchFailed                        a remote that gives nothing, or not in time
├── RefMoved                           somebody moved a ref first (compare-and-set failed)
├── RefInTheWay                        a ref whose name bars that of another
├── BadObjects                         an agent's clone lacks objects or holds malformed ones
├── SigningFailed                      the person's commit.gpgsign is set and signing did not work
├── GitTimedOut
└── GitFailed                          anything else git says, with its own words
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from at_core.errors import AtError


class GitError(AtError):
    """Git, or a repository, does not allow what was asked."""

    code = "git"


class GitMissing(GitError):
    """There is no git on the daemon's PATH."""

    code = "git_missing"

    def __init__(self) -> None:
        super().__init__("git is not installed or not on the PATH of the daemon", "install git 2.38 or newer")


class GitTooOld(GitError):
    """Merges are forecast with `merge-tree --write-tree`, which older versions lack."""

    code = "git_too_old"

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(f"git {found} is too old, {needed} is needed", f"install git {needed} or newer")


class NotARepository(GitError):
    """The path is in no git repository, or does not exist."""

    code = "no_repository"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{_shown(path)} is not in a git repository", "git init")
        self.path = path


class DubiousOwnership(GitError):
    """Git refuses a repository of another user until the person names it safe."""

    code = "dubious_ownership"

    def __init__(self, path: Path) -> None:
        command = f"git config --global --add safe.directory {shlex.quote(str(path))}"
        super().__init__(f"the repository at {_shown(path)} belongs to another user", command)
        self.path = path


class BareRepository(GitError):
    """A repository without a working tree cannot be a rig."""

    code = "bare_repository"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{_shown(path)} is a bare repository", "use a clone of it that has a working tree")
        self.path = path


class NoCommits(GitError):
    """There is nothing yet that an agent could start from."""

    code = "no_commits"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{_shown(path)} has no commit yet", 'git commit --allow-empty -m "Start"')
        self.path = path


class BadName(GitError):
    """A ref, revision, object name or path that is not on the allow-list."""

    code = "bad_name"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{name!r} is no usable {kind}")
        self.name = name


class RevisionMissing(GitError):
    """A revision names no commit of the repository."""

    code = "revision_missing"
    exit_code = 4

    def __init__(self, repository: Path, revision: str) -> None:
        super().__init__(f"{_shown(repository)} has no commit {revision!r}", "git branch --all")
        self.revision = revision


class FolderInTheWay(GitError):
    """Something that was not made here is where a work folder should be; it is left alone.

    What to do is in the message, which is all that an intent on record keeps of an error.
    """

    code = "folder_in_the_way"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{_shown(folder)} exists and is no work folder: move it away")
        self.folder = folder


class FolderOutside(GitError):
    """A folder outside the state folder is never removed."""

    code = "folder_outside"

    def __init__(self, folder: Path, root: Path) -> None:
        super().__init__(f"{_shown(folder)} is not a folder inside {_shown(root)}, so it stays")
        self.folder = folder


class FolderReplaced(GitError):
    """Nothing is read through what took the place of a work folder: it may lead anywhere."""

    code = "folder_replaced"

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{_shown(folder)} is no folder any more, something else took its place: put the folder back, or remove that"
        )
        self.folder = folder


class Unreadable(GitError):
    """Something in a folder belongs to another user and is closed to us, so the folder stays.

    What to do is in the message, which is all that an intent on record keeps of an error.
    """

    code = "unreadable"

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        listed = ", ".join(map(repr, paths[:5]))
        opens = f'sudo chown -R "$(id -u)" {shlex.quote(str(folder))}'
        super().__init__(
            f"{listed} in {_shown(folder)} cannot be read, so it is not removed; {opens} makes it yours"
        )
        self.paths = tuple(paths)


class HistoryUnkept(GitError):
    """Commits of a folder are whole, and cannot be kept all the same, so the folder stays.

    What to do is in the message, as with `Unreadable`: a fetch with the option `fetch`, into another repository than the
    folder's if one is given, or to do without.
    """

    code = "history_unkept"

    def __init__(
        self, git_dir: Path, name: str, why: str, *, fetch: str = "", into: Path | None = None
    ) -> None:
        quoted = shlex.quote(str(git_dir))
        command = f"git --git-dir={shlex.quote(str(into or git_dir))} fetch {fetch} REMOTE"
        brings = f"{command} brings what is missing; " if fetch else ""
        super().__init__(
            f"{name} in {_shown(git_dir)} cannot be kept ({why}), so the folder is not removed; {brings}"
            f"mv {quoted} ELSEWHERE sets all history aside, and the files alone are kept then"
        )
        self.name = name


class RemoteMissing(GitError):
    """The repository has no remote of that name."""

    code = "remote_missing"
    exit_code = 4

    def __init__(self, name: str, known: Sequence[str]) -> None:
        listed = f"it has {', '.join(known)}" if known else "it has none"
        super().__init__(
            f"the repository has no remote {name!r}: {listed}", "git remote add NAME URL, or --remote NAME"
        )


class PushRefused(GitError):
    """The branch did not reach the remote."""

    code = "push_refused"

    def __init__(self, remote: str, detail: str) -> None:
        super().__init__(f"the branch was not pushed to {remote}: {detail}", "at pr BEAD --print")


class FetchFailed(GitError):
    """The remote's branch could not be had. Never a person's error: work begins at what is there, and says so."""

    code = "fetch_failed"

    def __init__(self, remote: str, detail: str) -> None:
        super().__init__(f"{remote} could not be fetched: {detail}", "git fetch")


class RefMoved(GitError):
    """A compare-and-set of a ref found another value."""

    code = "ref_moved"
    exit_code = 75

    def __init__(self, ref: str, detail: str) -> None:
        super().__init__(f"{ref} was moved by somebody else: {detail}", "try again")
        self.ref = ref


class RefInTheWay(GitError):
    """A ref is a file to git and so is a folder: `side` and `side/more` cannot both be there."""

    code = "ref_in_the_way"

    def __init__(self, ref: str, other: str) -> None:
        super().__init__(f"{ref} cannot be made: {other} is in the way of its name", "choose another name")
        self.ref = ref


class BadObjects(GitError):
    """The clone's history cannot be taken over: objects are missing or malformed.

    `lost`: they are missing or damaged in the clone itself, where nobody can have them any more. `promised`: the person's
    repository was cloned with a filter, and has not fetched them yet.
    """

    code = "bad_objects"

    def __init__(self, detail: str, *, lost: bool = False, promised: bool = False) -> None:
        super().__init__(
            f"the agent's commits cannot be taken over: {detail}", "git fsck in the agent's folder"
        )
        self.detail = detail
        self.lost = lost
        self.promised = promised


class SigningFailed(GitError):
    """`commit.gpgsign` is set and the merge commit could not be signed."""

    code = "signing_failed"
    exit_code = 3

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"the merge commit could not be signed: {detail}", "git commit --allow-empty -S -m test"
        )


class GitTimedOut(GitError):
    """A git process was ended because it took too long."""

    code = "git_timed_out"
    exit_code = 75

    def __init__(self, command: str, seconds: float) -> None:
        super().__init__(f"git {command} took longer than {seconds:g} s and was ended", "try again")


class GitFailed(GitError):
    """Git ended with an error that has no type of its own here; `stderr` has all of what it said."""

    code = "git_failed"

    def __init__(self, arguments: Sequence[str], returncode: int, stderr: bytes) -> None:
        said = stderr.decode("utf-8", "replace")
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        # A filter of the person's (git-lfs) that is not installed says so in the shell's words, before git's own.
        missing = [line for line in lines if line.endswith("not found")]
        telling = missing or [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        self.returncode = returncode
        self.stderr = said
        command = arguments[0] if arguments else ""
        super().__init__(f"git {command} failed ({returncode}): {telling[0] if telling else 'no message'}")


def _shown(path: Path) -> str:
    """The path on one line, whatever characters it has."""
    text = str(path)
    return text if text.isprintable() else repr(text)
