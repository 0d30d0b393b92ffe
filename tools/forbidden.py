"""Checks of the design's forbidden list that need exemptions with a reason; ruff covers the bans without any.

    python tools/forbidden.py [FOLDER]

Findings are `path:line: rule: what`. Exemptions are in `exemptions.toml` beside this file: a table per rule, a path
and its reason per line. An exemption that suppresses nothing is stale and is a finding itself.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeGuard

EXEMPTIONS: Final = Path(__file__).with_name("exemptions.toml")

_CLOCKS: Final = frozenset(
    [
        f"time.{name}{unit}"
        for name in ("time", "monotonic", "perf_counter", "process_time")
        for unit in ("", "_ns")
    ]
    + [
        "time.clock_gettime",
        "time.clock_gettime_ns",
        "time.localtime",
        "time.gmtime",
        "time.ctime",
        "time.strftime",
    ]
    + ["datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"]
    + ["anyio.current_time"]
)
_PROCESSES: Final = frozenset(
    ["subprocess", "multiprocessing", "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"]
    + [
        "anyio.run_process",
        "anyio.open_process",
        "anyio.to_process",
        "concurrent.futures.ProcessPoolExecutor",
    ]
    + [
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.posix_spawnp",
        "os.system",
        "os.popen",
        "pty.fork",
        "pty.spawn",
        "posix.fork",
        "posix.forkpty",
        "posix.posix_spawn",
        "posix.posix_spawnp",
        "posix.execv",
        "posix.execve",
        "_posixsubprocess",
    ]
    + [
        f"os.{how}{form}"
        for how in ("exec", "spawn")
        for form in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")
    ]
)
_SLEEPS: Final = frozenset(["time.sleep", "asyncio.sleep", "anyio.sleep", "anyio.sleep_until", "trio.sleep"])
_BROAD: Final = frozenset(["Exception", "BaseException"])
_REASON: Final = re.compile(r"# (?:noqa: BLE001 - )?\w+(?:\W+\w+){2,}")
_STANDARD_LIBRARY_ONLY: Final = {"at_session/holder": "at_session.holder", "at_telemetry/": "at_telemetry"}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One forbidden thing; `path` is relative to the folder that was checked."""

    path: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to check."""

    path: str
    text: str

    @property
    def shipped(self) -> bool:
        """Part of a distribution, as opposed to tests, benchmarks and tools."""
        return "/src/" in self.path

    @property
    def test(self) -> bool:
        return "tests/" in self.path


def qualified_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each use of an imported name with its line, spelled from its top module: `from time import time as t; t` → `time.time`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = _dotted(node)
            if dotted and dotted[0] in names:
                yield node.lineno, ".".join([names[dotted[0]], *dotted[1:]])


def _dotted(node: ast.expr) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def _banned(name: str, banned: frozenset[str]) -> str | None:
    """The ban that covers `name`: itself or a module above it."""
    parts = name.split(".")
    return next((ban for end in range(len(parts), 0, -1) if (ban := ".".join(parts[:end])) in banned), None)


def _names(source: Source, tree: ast.AST, rule: str, banned: frozenset[str]) -> Iterator[Finding]:
    for line, name in qualified_names(tree):
        if ban := _banned(name, banned):
            yield Finding(source.path, line, rule, ban)


def clocks(source: Source, tree: ast.AST) -> Iterator[Finding]:
    """Shipped code takes the time from the one clock, so that a test can turn it."""
    return _names(source, tree, "clock", _CLOCKS) if source.shipped else iter(())


def processes(source: Source, tree: ast.AST) -> Iterator[Finding]:
    """Processes are started by few modules, so that each child has an owner."""
    return _names(source, tree, "subprocess", _PROCESSES) if source.shipped else iter(())


def shells(source: Source, tree: ast.AST) -> Iterator[Finding]:
    """`shell=` with anything but False, in shipped code and tests alike."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "shell" and not _is_false(node.value):
            yield Finding(source.path, node.value.lineno, "shell", "shell=")


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def sleeps(source: Source, tree: ast.AST) -> Iterator[Finding]:
    """A test waits for an event, a process or a virtual clock; `sleep(0)`, a checkpoint, is no waiting."""
    if not source.test:
        return
    used = {(line, name) for line, name in qualified_names(tree) if name in _SLEEPS}
    checkpoints = {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == 0
    }
    for line, name in sorted(used):
        if line not in checkpoints:
            yield Finding(source.path, line, "sleep", name)


def broad_handlers(source: Source, tree: ast.AST) -> Iterator[Finding]:
    """`except Exception` that swallows needs a reason on its line, of at least three words (ruff wants a noqa too, unless it logs)."""
    lines = source.text.splitlines()
    for node in ast.walk(tree):
        if _swallows_all(node) and not _REASON.search(lines[node.lineno - 1]):
            yield Finding(source.path, node.lineno, "broad-except", "no reason on its line")


def _swallows_all(node: ast.AST) -> TypeGuard[ast.ExceptHandler | ast.Call]:
    if isinstance(node, ast.ExceptHandler):
        raises = any(isinstance(each, ast.Raise) for statement in node.body for each in ast.walk(statement))
        return _is_broad(node.type) and not raises
    return (
        isinstance(node, ast.Call)
        and (_dotted(node.func) or [""])[-1] == "suppress"
        and any(map(_is_broad, node.args))
    )


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_is_broad, caught.elts))
    return caught is None or (isinstance(caught, ast.Name) and caught.id in _BROAD)


def tasks(source: Source, tree: ast.AST) -> Iterator[Finding]:
    """Tasks made on a loop escape every task group; `asyncio.create_task` itself is ruff's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "create_task":
            owner = ast.unparse(node.value)
            if "loop" in owner:
                yield Finding(source.path, node.lineno, "task", f"{owner}.{node.attr}")


def standard_library_only(source: Source, tree: ast.AST) -> Iterator[Finding]:
    """Modules that must run without any installed package: the holder's files, and the whole of at-telemetry."""
    for place, own in _STANDARD_LIBRARY_ONLY.items():
        if f"/src/{place}" in source.path:
            for line, module in _imported_modules(tree):
                if module.partition(".")[0] not in sys.stdlib_module_names and not module.startswith(own):
                    yield Finding(source.path, line, "standard-library", module)


def _imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def stored_labels(source: Source, tree: ast.AST) -> Iterator[Finding]:
    """A label is computed when read: the store has no column and no key of that name."""
    if "/at_core/store/" in source.path:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value == "label":
                yield Finding(source.path, node.lineno, "stored-label", "label")


RULES: Final = (
    clocks, processes, shells, sleeps, broad_handlers, tasks, standard_library_only, stored_labels,
)  # fmt: skip


def findings(source: Source) -> list[Finding]:
    """Everything forbidden in one file, exemptions not yet applied."""
    tree = ast.parse(source.text, source.path)
    return sorted({finding for rule in RULES for finding in rule(source, tree)})


def judge(found: Iterable[Finding], exemptions: dict[str, dict[str, str]]) -> list[str]:
    """The findings that stand, then the exemptions that suppress nothing or give no reason."""
    unused = {(rule, path) for rule, paths in exemptions.items() for path in paths}
    standing: list[str] = []
    for finding in found:
        if finding.path in exemptions.get(finding.rule, {}):
            unused.discard((finding.rule, finding.path))
        else:
            standing.append(str(finding))
    standing += [f"exemptions.toml: {rule}: {path}: stale" for rule, path in sorted(unused)]
    standing += [
        f"exemptions.toml: {rule}: {path}: the reason is missing"
        for rule, paths in exemptions.items()
        for path, reason in paths.items()
        if len(reason.split()) < 3
    ]
    return standing


def sources(folder: Path) -> Iterator[Source]:
    """The Python files of packages, tests, tools and benchmarks below `folder`."""
    for top in ("packages", "tests", "tools", "bench"):
        for path in sorted((folder / top).rglob("*.py")):
            relative = path.relative_to(folder)
            if not {"node_modules", "build", "dist", ".venv"} & set(relative.parts):
                yield Source(relative.as_posix(), path.read_text(encoding="utf-8"))


def main(folder: Path) -> int:
    """0 if nothing stands; findings go to standard output."""
    exemptions = tomllib.loads(EXEMPTIONS.read_text(encoding="utf-8"))
    standing = judge((finding for source in sources(folder) for finding in findings(source)), exemptions)
    print("\n".join(standing) or "nothing forbidden")
    return 1 if standing else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
