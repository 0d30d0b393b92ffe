"""The hardened runner: every git process of the product starts here.

What a process gets: an argument list (never a shell), the daemon's environment without any `GIT_*`, no hooks, no
file-system monitor, no external diff or text conversion, no pager, no editor, no prompt, no network (only the
`file` transport is allowed, so a lazy fetch of a partial clone fails instead of dialling; `network` alone may), no background
maintenance, messages in English, a session of its own and a time limit after which its whole group is ended.
Directories are always given (`GIT_DIR`), so nothing is discovered from the working directory.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import anyio
from anyio.abc import Process

from at_daemon.git.child import Child, Command, Ran, end_group
from at_daemon.git.errors import GitFailed, GitMissing, GitTimedOut

SHORT = 60.0
LONG = 900.0
_GRACE = 5.0

_DROPPED = frozenset({"PAGER", "EDITOR", "VISUAL", "SSH_ASKPASS", "LESS", "LANGUAGE", "LC_ALL"})
_FIXED = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_NO_LAZY_FETCH": "1",
    # git-lfs fills in what lies in the local store and leaves the rest as pointers: nothing is downloaded.
    "GIT_LFS_SKIP_SMUDGE": "1",
}
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    # The other part of a split index would lie in the person's repository, whatever index it belongs to.
    "core.splitIndex": "false",
    "core.trustctime": "true",
    "core.checkStat": "default",
    "core.fsync": "committed",
    "core.fsyncMethod": "batch",
    "core.pager": "cat",
    "core.filesRefLockTimeout": "10000",
    "core.packedRefsTimeout": "10000",
    "i18n.commitEncoding": "utf-8",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "advice.detachedHead": "false",
}


@dataclass(frozen=True)
class Git:
    """Where git works: each field becomes the variable of that name; `config` beats every configuration file.

    `alternates` are object folders that are read beside the repository's own. `pass_fds` lets children inherit
    descriptors (a lock that must outlive this process as long as the child runs). `caller` is the environment of
    whoever asked, with their credentials, in place of the daemon's. `patient` children leave processor and disk to others.
    """

    git_dir: Path | None = None
    work_tree: Path | None = None
    index: Path | None = None
    alternates: tuple[Path, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    reads_only: bool = True
    pass_fds: tuple[int, ...] = ()
    caller: Mapping[str, str] | None = None
    patient: bool = False

    def having(self, **changes: object) -> Git:
        """The same place with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def environment(self) -> dict[str, str]:
        """The whole environment of a child."""
        asked = os.environ if self.caller is None else self.caller
        env: dict[str, str] = {
            k: v for k, v in asked.items() if not k.startswith("GIT_") and k not in _DROPPED
        }
        env |= _FIXED
        if self.reads_only:
            env["GIT_OPTIONAL_LOCKS"] = "0"
        places = {"GIT_DIR": self.git_dir, "GIT_WORK_TREE": self.work_tree, "GIT_INDEX_FILE": self.index}
        env |= {name: str(path) for name, path in places.items() if path is not None}
        if self.alternates:
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = ":".join(c_quoted(str(p)) for p in self.alternates)
        settings = {**_SETTINGS, **self.config}
        env["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        env |= self.env
        return env

    async def run(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        accept: Collection[int] = (0,),
        limit: float = SHORT,
        most: int | None = None,
    ) -> Ran:
        """Run `git <arguments>` to its end.

        `limit` is in seconds. `most` ends the process once it wrote that many bytes; the output is then cut there
        and the exit code is not looked at. Raises `GitMissing`, `GitTimedOut`, and `GitFailed` for an exit code not
        in `accept`.
        """
        cwd, env = self.cwd or self.git_dir or Path("/"), self.environment()
        child = Child(
            Command(["git", *arguments], cwd, env, stdin, stdout, most, self.pass_fds, self.patient)
        )
        try:
            with anyio.fail_after(limit), _git_there():
                ran = await child.run()
        except TimeoutError:
            raise GitTimedOut(arguments[0], limit) from None
        if not ran.cut and ran.returncode not in accept:
            raise GitFailed(arguments, ran.returncode, ran.stderr)
        return ran

    async def text(self, *arguments: str, accept: Collection[int] = (0,), limit: float = SHORT) -> str:
        """The standard output of `run` as text, without the last newline. Paths keep odd bytes as surrogates."""
        ran = await self.run(*arguments, accept=accept, limit=limit)
        return os.fsdecode(ran.stdout).removesuffix("\n")

    @asynccontextmanager
    async def dialogue(self, *arguments: str) -> AsyncIterator[Process]:
        """A git process with pipes at all ends, for questions and answers.

        With the block its input ends, so that it can undo what it has not finished (a ref lock); then it is ended.
        """
        with _git_there():
            process = await anyio.open_process(
                ["git", *arguments],
                cwd=self.cwd or self.git_dir or Path("/"),
                env=self.environment(),
                start_new_session=True,
                pass_fds=self.pass_fds,
            )
        try:
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(_GRACE):
                    assert process.stdin is not None
                    await process.stdin.aclose()
                    await process.wait()
                if process.returncode is None:
                    end_group(process.pid)
                await process.aclose()


@contextmanager
def _git_there() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if error.filename != "git":
            raise
        raise GitMissing() from None


def c_quoted(text: str) -> str:
    """A path as git reads it in lists of object folders, quoted only where it has to be."""
    if not any(c in text for c in ':\n"\\#'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
