"""The record of a landing under way, beside the person's index. Its order of steps is explained in `land`."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


class Locked(Exception):
    """Somebody else holds `index.lock`. Internal: `land` turns it into a value."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


@dataclass(frozen=True)
class Recorded:
    """Which ref was to go from `old` to `new`."""

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class LandingRecord:
    """`<git folder>/at-landing/`: `record.json`, `index` (the copy that git works on), `lock` (linked as index.lock)."""

    git_dir: Path

    @property
    def folder(self) -> Path:
        """Where the record lies."""
        return self.git_dir / "at-landing"

    @property
    def index(self) -> Path:
        """The copy of the index."""
        return self.folder / "index"

    @property
    def lock(self) -> Path:
        """The person's own `index.lock`."""
        return self.git_dir / "index.lock"

    def read(self) -> Recorded | None:
        """What a killed landing was about, if one was."""
        try:
            return Recorded(**json.loads((self.folder / "record.json").read_bytes()))
        except FileNotFoundError:
            if self.folder.is_dir():
                shutil.rmtree(self.folder)
            return None

    def begin(self, name: str, old: str, new: str) -> None:
        """Write the record, take `index.lock`, copy the index. Raises `Locked`."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        (self.folder / "lock").write_text(f"auto-tundra is landing {new} on {name}\n")
        written = self.folder / "record.json.new"
        written.write_text(json.dumps({"name": name, "old": old, "new": new}))
        os.rename(written, self.folder / "record.json")
        try:
            os.link(self.folder / "lock", self.lock)
        except FileExistsError:
            shutil.rmtree(self.folder)
            raise Locked(self.lock) from None
        self._copy_index()

    def resume(self) -> bool:
        """Whether the killed landing held `index.lock`; then it is held again. Raises `Locked` if it is another's."""
        if not os.path.lexists(self.lock):
            return False
        ours = [path for path in (self.folder / "lock", self.index) if path.exists()]
        if not any(os.path.samefile(self.lock, path) for path in ours):
            raise Locked(self.lock)
        self._hold()
        self._copy_index()
        return True

    def free_refs(self, last: Recorded, common_dir: Path) -> None:
        """Remove ref locks that the killed landing's own git left, if it was killed too.

        They hold the new value or nothing, are younger than the record, and git commands of the person that lock
        HEAD take `index.lock` first, which is held here.
        """
        since = (self.folder / "record.json").stat().st_mtime_ns
        for lock in (common_dir / f"{last.name}.lock", self.git_dir / "HEAD.lock"):
            with suppress(FileNotFoundError):
                ours = lock.read_text("utf-8", "replace").strip() in ("", last.new)
                if ours and lock.stat().st_mtime_ns >= since:
                    lock.unlink()

    def finish(self) -> None:
        """Put the copy in place of the index, which frees the lock, and drop the record."""
        # A hard link, so that a kill between the two renames leaves a lock that is known by its inode.
        staged = self.folder / "staged"
        staged.unlink(missing_ok=True)
        os.link(self.index, staged)
        os.rename(staged, self.lock)
        os.rename(self.lock, self.git_dir / "index")
        shutil.rmtree(self.folder)

    def abort(self) -> None:
        """Free the lock if it is ours and drop the record; the index stays as it was."""
        mine = self.folder / "lock"
        with suppress(FileNotFoundError):
            if os.path.samefile(self.lock, mine):
                self.lock.unlink()
        shutil.rmtree(self.folder)

    def _hold(self) -> None:
        """Make `index.lock` the plain marker again (it may be a finished index already)."""
        again = self.folder / "again"
        again.unlink(missing_ok=True)
        if not (self.folder / "lock").exists():
            (self.folder / "lock").write_text("auto-tundra is landing\n")
        os.link(self.folder / "lock", again)
        os.rename(again, self.lock)
        # rename(2) of two links to one file leaves both.
        again.unlink(missing_ok=True)

    def _copy_index(self) -> None:
        (self.folder / "index.lock").unlink(missing_ok=True)
        self.index.unlink(missing_ok=True)
        shutil.copy2(self.git_dir / "index", self.index)
