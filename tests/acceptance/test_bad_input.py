"""Bad input from outside: one clear line that says what to do next, the documented exit code, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from acceptance.product import AT, Product, Ran, make_product, product_in

pytestmark = pytest.mark.timeout(200)

NO_TEXT = "\udcff"
"""The byte 0xff on a command line and in a path, as Python passes it on."""
TARGET_BYTES = 107
"""Of a Unix socket's address on Linux, without the closing zero."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call and what it must be told: the exit code, the error's code, words of the message and of the hint."""

    words: tuple[str, ...]
    exit_code: int
    error: str
    says: tuple[str, ...]
    hint: str
    folder: str = "repo"
    stdin: str | None = None
    env: dict[str, str] = field(default_factory=dict)


def assert_refused(product: Product, case: Refusal) -> None:
    """As a document and in plain: nothing on stdout, and the same one line with what to do next on stderr."""
    cwd = product.home.parent / case.folder
    env = {name: value.format(top=product.home.parent) for name, value in case.env.items()}
    told = product.at(*case.words, "--json", cwd=cwd, stdin=case.stdin, **env)
    assert (told.code, told.stdout) == (case.exit_code, ""), told
    error = told.error
    assert error["code"] == case.error, error
    assert all(words in error["message"] for words in case.says), error
    assert error["hint"] and case.hint in error["hint"], error
    plain = product.at(*case.words, cwd=cwd, stdin=case.stdin, **env)
    line = f"at: {error['message']} (next: {error['hint']})\n"
    assert plain == Ran(case.exit_code, "", line), plain


# --- repositories, words and programs ----------------------------------------------------------------------------

RUN = ("run", "write a.txt b", "--cli", "demo")
NOT_INSTALLED = {"PATH": "{top}/empty"}
REFUSED = {
    "no repository": Refusal(RUN, 1, "no_repository", ("empty is not in a git repository",), "git init", "empty"),
    "no repository to init": Refusal(("init",), 1, "no_repository", ("not in a git repository",), "git init", "empty"),
    "no commits": Refusal(RUN, 1, "no_commits", ("unborn has no commit yet",), "git commit", "unborn"),
    "bare repository": Refusal(RUN, 1, "bare_repository", ("bare.git is a bare repository",), "clone", "bare.git"),
    "detached, and no branch to land on": Refusal(
        RUN, 2, "usage", ("odd: no branch is checked out", "main or master"), "git switch BRANCH", "odd"
    ),
    "a path that is no text": Refusal(RUN, 2, "usage", ("path", "not valid Unicode"), "UTF-8", f"path{NO_TEXT}"),
    "missing CLI": Refusal(
        ("run", "x", "--cli", "claude"), 2, "usage", ("claude: there is no program 'claude'",), "at doctor",
        env=NOT_INSTALLED,
    ),
    "no CLI at all": Refusal(
        ("run", "x"), 2, "usage", ("no agent CLI was found on your PATH",), "--cli demo", env=NOT_INSTALLED
    ),
    "unknown CLI": Refusal(("run", "x", "--cli", "clod"), 2, "usage", ("'clod' is not one of", "demo"), "at run --help"),
    "no title": Refusal(("add", " "), 2, "usage", ("the title is empty",), "words"),
    "long title": Refusal(("add", "x" * 501), 2, "usage", ("501 characters", "500"), "-d TEXT"),
    "a title that is no text": Refusal(("add", NO_TEXT), 2, "usage", ("the title is not valid UTF-8",), "UTF-8"),
    "no prompt": Refusal(("run", "", "--cli", "demo"), 2, "usage", ("the prompt is empty",), "words"),
    "a prompt that is no text": Refusal(
        ("run", NO_TEXT, "--cli", "demo"), 2, "usage", ("the prompt is not valid UTF-8",), "UTF-8"
    ),
    "long prompt": Refusal(
        ("run", "-", "--cli", "demo"), 2, "usage", ("9437184 bytes", "8388608"), "file", stdin="x" * (9 << 20)
    ),
    "a prompt too long to send": Refusal(
        ("run", "-", "--cli", "demo"), 2, "too_large", ("too large", "16,777,216"), "file", stdin="x" * (17 << 20)
    ),
    "a base that is no commit": Refusal(
        (*RUN, "--base", "none-such"), 4, "revision_missing", ("no commit 'none-such'",), "git branch --all"
    ),
    "unknown bead": Refusal(("show", "none such"), 4, "not_found", ("no bead is called 'none such'",), "at ls"),
    "unknown agent": Refusal(("nudge", "nobody", "-m", "x"), 4, "not_found", ("'nobody'",), "at agents"),
    "unknown verb": Refusal(("lnad",), 2, "usage", ("'lnad'",), "at land"),
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product that is asked for nothing that it could do, with folders of every wrong kind beside its repository."""
    top = tmp_path_factory.mktemp("house")
    with product_in(top) as made:
        for name in ("empty", "unborn", "odd", f"path{NO_TEXT}"):
            (top / name).mkdir()
        made.git("clone", "-q", "--bare", ".", str(top / "bare.git"))
        made.git("init", "-q", str(top / "unborn"))
        for folder in (top / "odd", top / f"path{NO_TEXT}"):
            made.git("init", "-q", "-b", "feature", str(folder))
            made.git("-C", str(folder), "commit", "-q", "--allow-empty", "-m", "Begin")
        made.git("-C", str(top / "odd"), "checkout", "-q", "--detach")
        assert made.at("up").code == 0, "a case must not be the one that starts it, in its own environment"
        yield made


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line_and_leaves_no_bead(house: Product, case: Refusal) -> None:
    assert_refused(house, case)
    assert house.json("ls") == {"beads": []}


# --- configuration -----------------------------------------------------------------------------------------------

UP = ("up",)
MISCONFIGURED = {
    "malformed": (b"x = [", Refusal(UP, 2, "config", ("config.toml:1: column 6 is not TOML",), "correct that line")),
    "unknown key": (
        b"[general]\nmax_agent = 3\n",
        Refusal(UP, 2, "config", ("config.toml:2: general.max_agent", "nearest is general.max_agents"), "correct"),
    ),
    "unknown section": (b"[genrl]\na = 3\n", Refusal(UP, 2, "config", ("config.toml:1: genrl", "nearest is general"), "correct")),
    "value not allowed": (
        b"[general]\nmax_agents = 'many'\n",
        Refusal(
            UP, 2, "config", (":2: general.max_agents: \"many\" is not allowed", "a whole number from 1 to 1000"),
            "at config general.max_agents VALUE",
        ),
    ),
    "no text": (b"# \xff\n", Refusal(UP, 2, "config", ("config.toml:1: column 3 is not UTF-8",), "UTF-8")),
    "unknown variable": (
        b"",
        Refusal(UP, 2, "config", ("AT_GENERAL__MAX_AGENT:", "AT_GENERAL__MAX_AGENTS"), "unset",
                env={"AT_GENERAL__MAX_AGENT": "5"}),
    ),
    "a home that is a file": (
        b"", Refusal(UP, 69, "unreachable", ("cannot be started", "a file"), "at doctor", env={"AT_HOME": "{top}/a file"})
    ),
    "a home that others read": (
        b"", Refusal(UP, 69, "unreachable", ("shared is open to other users",), "at doctor", env={"AT_HOME": "{top}/shared"})
    ),
    "a home with a name too long": (
        b"", Refusal(UP, 69, "unreachable", ("name too long",), "at doctor", env={"AT_HOME": "/tmp/" + "x" * 300})
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product whose daemon never comes up."""
    top = tmp_path_factory.mktemp("idle")
    with product_in(top) as made:
        made.home.mkdir(mode=0o700)
        (top / "a file").write_text("not ours\n")
        (top / "shared").mkdir()
        (top / "shared" / "file").write_text("not ours\n")
        (top / "shared").chmod(0o755)
        yield made


@pytest.mark.parametrize(("text", "case"), MISCONFIGURED.values(), ids=MISCONFIGURED)
def test_no_daemon_starts_on_a_configuration_that_cannot_be_used(
    idle: Product, text: bytes, case: Refusal
) -> None:
    (idle.home / "config.toml").write_bytes(text)
    assert_refused(idle, case)
    assert not (idle.home / "run" / "at.sock").exists()
    assert (idle.home.parent / "shared").stat().st_mode & 0o777 == 0o755


def test_a_configuration_that_goes_bad_stops_nothing_and_loses_nothing(product: Product) -> None:
    bead = product.start("stream 1; write a.txt b")
    product.wait(bead, "text.spoken")
    (product.home / "config.toml").write_text("[general]\nmax_agents = 0\n")
    assert product.json("ls")["beads"][0]["id"] == bead, "the daemon that runs goes on"
    os.kill(product.daemon_pid(), signal.SIGKILL)
    refusal = Refusal(
        ("ls",), 2, "config", (":2: general.max_agents: 0 is not allowed",), "at config general"
    )
    assert_refused(product, refusal)
    assert product.json("config", "general.max_agents", "5")["value"] == 5, (
        "what it says to run next mends it"
    )
    assert product.run_to_rest(bead)["proved"] is True


def test_settings_of_a_repository_that_cannot_be_used_hold_landing_up_and_nothing_else(
    product: Product,
) -> None:
    product.write(".auto-tundra.toml", "[gates]\ncheck = 3\n")
    product.commit("Set the gates")
    mistake = ".auto-tundra.toml:2: gates.check: 3 is not allowed; allowed: a command line, not empty"
    assert any(mistake in note for note in product.json("init")["notes"])
    document = product.run("write a.txt b", "--land", code=3)
    assert (document["bead"]["status"], document["proved"]) == ("review", False)
    assert mistake in document["reasons"][0]
    product.settings('[gates]\ncheck = "true"\n')
    product.wait(document["bead"]["id"], "bead.landed")


# --- two daemons -------------------------------------------------------------------------------------------------


def test_a_second_daemon_names_the_first_and_ends(product: Product) -> None:
    with ThreadPoolExecutor() as callers:
        ran = list(callers.map(lambda _: product.at("status", "--json"), range(4)))
    (pid,) = {each.document["daemon"]["pid"] for each in ran}
    command = [sys.executable, "-m", "at_daemon", "--home", str(product.home)]
    second = subprocess.run(command, env=product.env, capture_output=True, text=True, check=False)
    version = ran[0].document["daemon"]["version"]
    told = f"another daemon serves {product.home} (pid {pid}, version {version}) (at status)"
    assert (second.returncode, second.stdout, second.stderr) == (1, "", f"at-daemon: {told}\n")
    assert product.daemon_pid() == pid


# --- what is documented ------------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]


def test_every_code_of_an_error_is_documented_and_no_other() -> None:
    sources = [path.read_text() for path in ROOT.glob("packages/*/src/**/*.py")]
    codes = {code for text in sources for code in re.findall(r'^    code = "(\w+)"$', text, re.MULTILINE)}
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(codes)


# --- repositories and homes of odd shapes ------------------------------------------------------------------------

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
ODD_NAME = 'a b \'Ünï 漢字 "q" $x;#'
ODD_WORK = (
    "shell cat 'libs/sub mod/s.txt' && cat big.bin > seen.txt && printf 'a\\377b' && printf 'a\\377b' > bytes "
    "&& touch \"$(printf 'q\\377')\" && mkdir 'é é' && printf %s \"$ODD\" > 'é é/ñ'"
)


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Product]:
    """Home and repository in a folder of an odd name; a submodule, an LFS pointer, odd names of files."""
    with product_in(tmp_path / ODD_NAME) as made:
        other = tmp_path / ODD_NAME / "other"
        made.git("init", "-q", "-b", "main", str(other))
        (other / "s.txt").write_text("from the submodule\n")
        made.git("-C", str(other), "add", "-A")
        made.git("-C", str(other), "commit", "-q", "-m", "Begin")
        made.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "libs/sub mod")
        made.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
        made.write("big.bin", POINTER)
        made.write("naïve 漢\n.txt", "x")
        made.write(f"bad{NO_TEXT}", "x")
        made.commit("Add everything")
        yield made


def test_odd_paths_submodules_pointers_and_bytes_that_are_no_text_go_through(odd: Product) -> None:
    notes = odd.json("init")["notes"]
    assert any("submodules" in note for note in notes) and any("LFS" in note for note in notes)
    document = odd.at(*run_of(ODD_WORK), ODD=NO_TEXT).document
    bead = document["bead"]["id"]
    (output,) = [
        event["payload"]["output"]
        for event in odd.json_lines("events")
        if event["type"] == "tool.ended" and event["bead_id"] == bead
    ]
    assert output == "from the submodule\na\ufffdb[exit code 0]"
    patch = subprocess.run([AT, "diff", bead], cwd=odd.repo, env=odd.env, capture_output=True, check=True)
    assert b"+a\xffb\n" in patch.stdout
    assert odd.json("land", bead)["bead"]["status"] == "done"
    assert (odd.repo / "seen.txt").read_text() == (odd.repo / "big.bin").read_text() == POINTER
    assert (odd.repo / "é é" / "ñ").read_bytes() == b"\xff", "the environment came through byte for byte"
    assert {f"q{NO_TEXT}", f"bad{NO_TEXT}", "naïve 漢\n.txt"} <= set(os.listdir(odd.repo))
    assert odd.git("status", "--porcelain") == ""


def run_of(prompt: str) -> tuple[str, ...]:
    """The words of a run that may do everything, waited for, with the document."""
    return ("run", prompt, "--cli", "demo", "--allow", "all", "--wait", "--timeout", "50", "--json")


def test_a_filter_that_is_not_installed_is_named_and_the_work_waits(odd: Product) -> None:
    for key, value in (("process", "no-such-filter filter-process"), ("required", "true")):
        odd.git("config", "--global", f"filter.lfs.{key}", value)
    document = odd.run("write a.txt b", "--land", code=3)
    bead = document["bead"]["id"]
    assert document["bead"]["status"] == "review"
    assert "no-such-filter" in document["reasons"][0] and "not found" in document["reasons"][0]
    odd.git("config", "--global", "--remove-section", "filter.lfs")
    assert odd.json("land", bead)["bead"]["status"] == "done"
    assert (odd.repo / "big.bin").read_text() == POINTER


def test_work_lands_on_the_branch_while_a_detached_head_stays_where_it_is(product: Product) -> None:
    product.git("checkout", "-q", "--detach")
    head = product.git("rev-parse", "HEAD")
    document = product.run("write a.txt b", "--land")
    assert document["bead"]["status"] == "done"
    assert (product.git("rev-parse", "HEAD"), product.git("status", "--porcelain")) == (head, "")
    assert product.git("show", "main:a.txt") == "b"


def test_a_home_deeper_than_socket_addresses_reach_works_as_any_other(tmp_path: Path) -> None:
    with product_in(tmp_path.joinpath(*["deep" * 15] * 3)) as deep:
        assert len(os.fsencode(deep.home / "run" / "at.sock")) > TARGET_BYTES
        bead = deep.start("stream 0.6; write a.txt b", "--land")
        deep.wait(bead, "text.spoken")
        deep.kill_daemon()
        assert deep.at("status").code == 0
        assert deep.run_to_rest(bead)["bead"]["status"] == "done"


# --- text that would act on a terminal ---------------------------------------------------------------------------

TITLES = {
    "\x1b]0;owned\x07": "\\x1b]0;owned\\x07",
    "\x01\x02\x7f": "\\x01\\x02\\x7f",
    "\u202efdp.exe": "\\u202efdp.exe",
    "two\nlines": "two\\nlines",
    "tag\U000e0041": "tag\\U000e0041",
}


def test_titles_of_control_characters_are_stored_as_given_and_shown_harmlessly(product: Product) -> None:
    for title in TITLES:
        assert product.json("add", title)["bead"]["title"] == title
    assert {bead["title"] for bead in product.json("ls")["beads"]} == set(TITLES)
    assert product.json("show", "two\nlines")["bead"]["title"] == "two\nlines", (
        "it is found by its exact title"
    )
    for verb in ("ls", "status"):
        listed = product.at(verb).stdout
        assert all(character.isprintable() or character == "\n" for character in listed)
    shown = product.at("ls").stdout
    assert all(visible in shown or visible.replace("\\n", " ") in shown for visible in TITLES.values())
    product.run("write a.txt b", "--land", "--title", "\x1b[2J\n\nBead: forged\nAgent: mallory")
    message = product.git("log", "-1", "--format=%B", "main")
    assert message.isascii() and "\x1b" not in message
    assert [line.partition(":")[0] for line in message.splitlines()[1:] if line] == ["Bead", "Agent"]


# --- what the machine runs out of --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Product]:
    """A product whose home is a small disk of its own."""
    made = make_product(tmp_path)
    made.home.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(made.home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    try:
        yield made
        (made.home / "ballast").unlink(missing_ok=True)
        made.at("down")
        assert made.processes() == []
    finally:
        subprocess.run(["umount", "-l", made.home], check=True)


def fill(disk: Path) -> None:
    """Leave no room."""
    descriptor = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match="No space left"):
            while True:
                os.write(descriptor, b"x" * 4096)
    finally:
        os.close(descriptor)


def full(*words: str) -> Refusal:
    """What is said when there is no room."""
    return Refusal(words, 1, "disk_full", ("the disk is full", "cannot be written"), "free some space")


def test_on_a_full_disk_orders_are_refused_and_work_goes_on_once_there_is_room(small: Product) -> None:
    bead = small.start("stream 4; write a.txt b")
    small.wait(bead, "text.spoken")
    pid = small.daemon_pid()
    fill(small.home)
    for words in (("add", "lost"), RUN, ("down",)):
        assert_refused(small, full(*words))
    assert [listed["id"] for listed in small.json("ls")["beads"]] == [bead], "it still can be looked at"
    (small.home / "ballast").unlink()
    assert small.run_to_rest(bead)["proved"] is True
    assert small.daemon_pid() == pid
    spoken = [
        event["payload"]["text"] for event in small.json_lines("events") if event["type"] == "text.spoken"
    ]
    assert spoken == [f"line {number}" for number in range(1, 21)]
    assert small.at("down").code == 0
    fill(small.home)
    assert_refused(small, full("ls"))
    (small.home / "ballast").unlink()
    assert [listed["id"] for listed in small.json("ls")["beads"]] == [bead]


WITHOUT_PTYS = """
import os, subprocess, sys
held = []
try:
    while True:
        held.append(os.openpty())
except OSError:
    sys.exit(subprocess.run(sys.argv[1:]).returncode)
"""


def test_agents_and_gates_need_no_pty(product: Product) -> None:
    product.write(".auto-tundra.toml", '[gates]\ncheck = "test -e a.txt"\n')
    product.commit("Set the gates")
    mounts = "mount -t devpts -o newinstance,ptmxmode=666,max=1 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx"
    apart = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*apart, mounts], capture_output=True, check=False).returncode:
        pytest.skip("a devpts of its own cannot be mounted here")

    def at(*words: str) -> int:
        command = [*apart, f'{mounts} && exec "$@"', "sh", sys.executable, "-c", WITHOUT_PTYS, AT, *words]
        return subprocess.run(command, cwd=product.repo, env=product.env, check=False).returncode

    assert at("trust", "--yes") == 0, "this starts the daemon where no PTY is free"
    assert at(*RUN, "--land", "--wait", "--timeout", "50") == 0
    assert (product.repo / "a.txt").exists()
