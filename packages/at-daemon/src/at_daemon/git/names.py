"""Names that reach git: made from an allow-list here, or checked here before they are used."""

from __future__ import annotations

import re
import unicodedata

from at_daemon.git.errors import BadName

SLUG_LENGTH = 40
HIDDEN = "refs/at/"
ATTIC = "refs/at/attic/"

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# git check-ref-format(1): no control character, space, ~ ^ : ? * [ \ anywhere.
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")


def branch_name(bead_id: str, title: str) -> str:
    """`at/<first 8 hex digits of the id>-<slug of the title>`; only `a-z`, `0-9`, `-` and the one `/`."""
    digits = re.sub(r"[^0-9a-f]", "", bead_id.lower())[:8]
    if len(digits) < 8:
        raise BadName("bead id", bead_id)
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = _NOT_IN_SLUG.sub("-", plain).strip("-")[:SLUG_LENGTH].strip("-")
    return f"at/{digits}-{slug}" if slug else f"at/{digits}"


def is_sha(text: str) -> bool:
    """Whether the text is a whole object name (SHA-1 or SHA-256)."""
    return _SHA.fullmatch(text) is not None


def checked_sha(text: str) -> str:
    """The text, if it is a whole object name; else `BadName`."""
    if not is_sha(text):
        raise BadName("object name", text)
    return text


def is_ref(name: str) -> bool:
    """Whether the text is a full ref name (`refs/…`) by the rules of git-check-ref-format."""
    if not name.startswith("refs/") or _BAD_IN_REF.search(name) or name.endswith(("/", ".")):
        return False
    parts = name.split("/")
    return len(parts) > 2 and not any(
        not part or part.startswith((".", "-")) or part.endswith(".lock") or part == "@" for part in parts
    )


def checked_ref(name: str) -> str:
    """The full ref name, if it is one; else `BadName`."""
    if not is_ref(name):
        raise BadName("ref", name)
    return name


def checked_branch(name: str) -> str:
    """The short branch name, if `refs/heads/<name>` is a ref; else `BadName`."""
    if not is_ref(f"refs/heads/{name}"):
        raise BadName("branch", name)
    return name


def checked_revision(text: str) -> str:
    """A revision as a person may write one (`main`, `HEAD~2`, a sha), never an option or several lines."""
    if not text or text.startswith("-") or re.search(r"[\x00-\x1f\x7f]", text):
        raise BadName("revision", text)
    return text


def checked_path(path: str) -> str:
    """A path inside a tree: relative, no empty, `.`, `..` or `.git` part."""
    if not is_inside(path):
        raise BadName("path", path)
    return path


def is_inside(path: str) -> bool:
    """Whether a path from an index or a tree stays inside a working tree and out of `.git`."""
    return bool(path) and "\0" not in path and not any(_is_special(part) for part in path.split("/"))


def _is_special(part: str) -> bool:
    return part in ("", ".", "..") or part.lower() in (".git", "git~1")


def with_trailers(message: str, trailers: dict[str, str]) -> str:
    """A commit message with its trailer block: `Bead: …`, `Agent: …`. Values are kept to one printable line."""
    lines = [f"{key}: {_one_line(value)}" for key, value in trailers.items()]
    body = "\n".join(line.rstrip() for line in message.replace("\0", "").strip().splitlines())
    return f"{body or 'Work'}\n\n" + "\n".join(lines) + "\n"


def _one_line(value: str) -> str:
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in value)
    return " ".join(shown.split())
