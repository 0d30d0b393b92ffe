"""What a person takes away can be had back: removals, giving up, sessions that were left; killed in the middle too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from acceptance.product import AT, Product

from at_daemon.failpoints import NAMES_OF_RECOVERY


def folder_of(product: Product, bead: str) -> Path:
    return Path(product.json("open", bead)["path"])


def test_a_removed_bead_comes_back_whole(product: Product) -> None:
    product.settings('[gates]\ncheck = "test -e a.txt"\n')
    before = product.run("write a.txt precious")
    bead = before["bead"]["id"]
    costs = product.json("costs")["total"]
    (folder_of(product, bead) / "later.txt").write_text("not committed")
    removed = product.json("rm", bead)
    assert product.at("show", bead).code == 4
    gone = product.happened()[-1]["seq"]
    document = product.json("undo")
    assert (document["undone"]["id"], document["undone"]["attic"]) == (removed["act"], removed["attic"])
    product.wait(bead, "bead.settled", after=gone)
    after = product.json("show", bead)
    for name in ("id", "title", "description", "status", "lane", "agent_id", "git_branch", "created_at"):
        assert after["bead"][name] == before["bead"][name]
    assert (after["proved"], after["evidence"]) == (True, before["evidence"])
    assert (after["usage"], after["turns"]) == (before["usage"], before["turns"])
    assert product.json("costs")["total"] == costs
    folder = folder_of(product, bead)
    assert (folder / "a.txt").read_text() == "precious\n"
    assert (folder / "later.txt").read_text() == "not committed"
    product.json("send-back", bead, "-m", "write b.txt more")
    product.wait(bead, "message.answered", after=after["seq"])
    assert product.run_to_rest(bead)["evidence"]["diff"]["files"] == 3


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can give a file to somebody else"
)
def test_what_cannot_be_kept_stays_and_the_answer_says_what_to_do(product: Product) -> None:
    without = "-dac_override,-dac_read_search,-fowner"  # modes count for this root, too
    subprocess.run(
        ["setpriv", f"--inh-caps={without}", f"--bounding-set={without}", AT, "up"],
        cwd=product.repo,
        env=product.env,
        check=True,
    )
    bead = product.run("write a.txt precious")["bead"]["id"]
    folder = folder_of(product, bead)
    foreign = folder / "foreign"
    foreign.write_text("theirs")
    foreign.chmod(0)
    os.chown(foreign, 65534, 65534)
    refused = product.at("rm", bead, "--json")
    assert (refused.code, refused.error["code"]) == (1, "refused")
    assert "'foreign'" in refused.error["message"]
    assert f'sudo chown -R "$(id -u)" {folder}' in refused.error["message"]
    os.chown(foreign, 0, 0)
    attic = product.json("rm", bead)["attic"]
    assert product.git("show", f"{attic}:foreign") == "theirs"


def test_an_agent_at_work_stays_stopped_until_it_is_resumed(product: Product) -> None:
    bead = product.start("write a.txt one\nstream 3\nwrite b.txt two")
    product.wait(bead, "text.spoken")
    agent, session = (product.json("show", bead)["agent"][name] for name in ("name", "session_id"))
    product.json("rm", bead)
    document = product.json("undo", bead)
    assert (document["bead"]["status"], document["agent"]["status"]) == ("slung", "stopped")
    assert [want["hint"] for want in document["attention"]] == [f"at resume {agent}"]
    product.json("resume", agent)
    done = product.run_to_rest(bead)
    assert (done["bead"]["status"], done["proved"], done["agent"]["session_id"]) == ("review", True, session)
    assert done["evidence"]["diff"]["files"] == 2
    resumed = [each for each in product.json_lines("events") if each["type"] == "agent.resumed"]
    assert len(resumed) == 1


def test_a_bead_whose_agent_is_busy_comes_back_and_waits_for_a_person(product: Product) -> None:
    product.json("hook", "first", "worker", "--cli", "demo")
    product.json("sling", "first", "worker", "--no-land")
    first = product.json("show", "first")["bead"]["id"]
    product.run_to_rest(first)
    product.json("send-back", first, "-m", "stream 30")
    product.wait(first, "message.started", after=product.json("show", first)["seq"] - 5)
    product.json("rm", first)
    product.json("hook", "stream 30", "worker")
    product.json("sling", "stream 30", "worker")
    document = product.json("undo", first)
    assert document["bead"]["status"] == "escalated"
    assert "worker is at work on" in document["reasons"][0]
    assert document["attention"][0]["hint"] == f"at retry {first[:8]}"


def test_undo_lists_what_can_be_taken_back_and_takes_it_back_once(product: Product) -> None:
    titles = ("one", "two", "three")
    beads = {title: product.json("add", title)["bead"]["id"] for title in titles}
    for title in titles:
        product.json("rm", beads[title])
    acts = product.json("undo", "--list")["acts"]
    assert [(act["title"], act["kind"], act["why_not"]) for act in acts] == [
        (title, "rm", None) for title in reversed(titles)
    ]
    product.json("undo", acts[2]["id"][:8])
    assert product.json("undo")["bead"]["title"] == "three"
    again = product.at("undo", beads["one"], "--json")
    assert (again.code, again.error["code"]) == (1, "refused")
    assert "was taken back already" in again.error["message"]
    assert [act["why_not"] for act in product.json("undo", "--list")["acts"]] == [
        "it was taken back",
        None,
        "it was taken back",
    ]
    assert product.json("undo")["bead"]["title"] == "two"
    assert product.at("undo").stderr == "at: there is nothing to take back (next: at attic)\n"
    assert product.at("undo", "nobody").code == 4
    assert sorted(bead["title"] for bead in product.json("ls")["beads"]) == sorted(titles)


def test_outside_of_a_repository_undo_wants_a_name(product: Product, tmp_path: Path) -> None:
    bead = product.json("add", "one")["bead"]["id"]
    product.json("rm", bead)
    nameless = product.at("undo", "--json", cwd=tmp_path)
    assert (nameless.code, nameless.error["hint"]) == (2, "at undo --list")
    assert product.at("undo", bead, cwd=tmp_path).code == 0


def test_what_a_removal_left_that_was_killed_is_swept(product: Product) -> None:
    bead = product.run("write a.txt precious")["bead"]["id"]
    folder = folder_of(product, bead)
    folder.rename(folder.with_name(f".{folder.name}.removed-1-2"))
    product.json("rm", bead)
    assert not folder.exists()
    while [each.name for each in folder.parent.iterdir() if folder.name in each.name]:  # it is cleared aside
        product.json("status")
    assert list(folder.parent.iterdir()) == []


def test_what_is_in_the_way_is_left_alone(product: Product) -> None:
    bead = product.run("write a.txt precious")["bead"]["id"]
    folder = folder_of(product, bead)
    attic = product.json("rm", bead)["attic"]
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    refused = product.at("undo", "--json")
    assert (refused.code, refused.error["code"]) == (1, "refused")
    assert "exists and is no work folder" in refused.error["message"]
    assert (folder / "mine.txt").read_text() == "mine"
    assert product.at("show", bead).code == 4
    (folder / "mine.txt").unlink()
    sha = product.git("rev-parse", attic)
    product.git("update-ref", "-d", attic)
    gone = product.at("undo", "--json")
    assert attic in gone.error["message"] and "is no longer in" in gone.error["message"]
    product.git("update-ref", attic, sha)
    assert product.json("undo")["bead"]["id"] == bead
    assert (folder / "a.txt").read_text() == "precious\n"


def test_undo_leaves_an_agent_the_environment_that_it_has(product: Product) -> None:
    product.env["MARK"] = "before"
    product.json("hook", "write a.txt one", "worker", "--cli", "demo")
    bead = product.json("sling", "write a.txt one", "worker", "--no-land")["bead"]
    product.run_to_rest(bead["id"])
    kept = product.home / "environments" / f"{bead['agent_id']}.json"
    product.json("rm", bead["id"])
    product.env["MARK"] = "after"
    assert product.json("undo")["bead"]["id"] == bead["id"]
    assert json.loads(kept.read_text())["MARK"] == "before"


def test_an_agent_that_has_no_environment_gets_that_of_the_undo_that_works(product: Product) -> None:
    bead = product.run("write a.txt one")["bead"]
    kept = product.home / "environments" / f"{bead['agent_id']}.json"
    folder = folder_of(product, bead["id"])
    product.json("rm", bead["id"])
    (folder / "in the way").mkdir(parents=True)
    assert product.at("undo").code == 1
    assert not kept.exists()
    (folder / "in the way").rmdir()
    product.env["MARK"] = "after"
    product.json("undo")
    assert json.loads(kept.read_text())["MARK"] == "after"


def test_giving_up_is_taken_back(product: Product) -> None:
    before = product.run("write a.txt one")
    bead = before["bead"]["id"]
    product.json("done", bead, "--fail")
    document = product.json("undo")
    assert (document["undone"]["kind"], document["bead"]["status"]) == ("fail", "review")
    assert product.run_to_rest(bead)["proved"]
    product.json("done", bead, "--fail")
    product.json("retry", bead, "-m", "write b.txt two")
    refused = product.at("undo", bead, "--json")
    assert refused.code == 1 and "went on since" in refused.error["message"]


def test_a_session_that_was_left_is_taken_up_again(product: Product) -> None:
    bead = product.run("fail once", code=1)["bead"]["id"]
    session = product.json("show", bead)["agent"]["session_id"]
    product.json("retry", bead, "--fresh", "-m", "write a.txt one")
    assert product.run_to_rest(bead)["agent"]["session_id"] != session
    assert product.json("undo")["undone"]["kind"] == "fresh"
    product.json("retry", bead, "-m", "write b.txt two")
    after = product.run_to_rest(bead)
    assert (after["bead"]["status"], after["agent"]["session_id"]) == ("review", session)


def test_no_session_that_was_left_is_ever_the_new_one(product: Product) -> None:
    bead = product.run("fail once", code=1)["bead"]["id"]
    sessions = [product.json("show", bead)["agent"]["session_id"]]
    product.json("retry", bead, "--fresh", "-m", "fail twice")
    sessions.append(product.run_to_rest(bead)["agent"]["session_id"])
    assert product.json("undo")["undone"]["kind"] == "fresh"
    product.json("retry", bead, "--fresh", "-m", "write a.txt one")
    sessions.append(product.run_to_rest(bead)["agent"]["session_id"])
    assert len(set(sessions)) == 3


def test_the_old_session_is_not_told_what_waited_for_the_new_one(product: Product) -> None:
    hold = Path(product.env["HOME"]) / "hold"
    product.settings("""[worktree]\nrun = '[ ! -e "$HOME/hold" ] || exec sleep 600'\n""")
    bead = product.run("fail once", code=1)["bead"]["id"]
    before = product.json("show", bead)
    hold.touch()
    product.json("retry", bead, "--fresh", "-m", "write e.txt y")
    product.wait(bead, "folder.command_begun", after=before["seq"])
    hold.unlink()
    product.json("undo")
    product.json("resume", before["agent"]["name"])
    after = product.run_to_rest(bead)
    assert (after["proved"], after["agent"]["session_id"]) == (True, before["agent"]["session_id"])
    said = [line["text"] for line in product.json_lines("logs", bead) if line["kind"] == "sent"]
    assert said == ["fail once", "write e.txt y"]


def test_a_merge_is_for_git_to_take_back(product: Product) -> None:
    kept = product.json("add", "kept")["bead"]["id"]
    bead = product.run("write a.txt one")["bead"]["id"]
    act = product.json("rm", kept)["act"]
    product.json("land", bead)
    merge = product.run_to_rest(bead)["evidence"]["merge"]
    for words in ((), (bead,)):
        refused = product.at("undo", *words, "--json")
        assert (refused.code, refused.error["hint"]) == (1, f"git revert -m 1 {merge[:12]}")
    assert f"at undo {act[:8]}" in product.at("undo").stderr
    product.git("revert", "--no-edit", "-m", "1", merge[:12])
    assert product.json("undo", act)["bead"]["title"] == "kept"
    landed = product.run("write b.txt two", "--land")["bead"]["id"]
    assert "git revert" in product.at("undo", landed).stderr


def test_the_attic_is_listed_shown_and_restored_where_nothing_is_yet(product: Product) -> None:
    product.write(".gitignore", "*.log\n")
    product.commit("ignore")
    bead = product.run("write a.txt precious", "--title", "Fix it")["bead"]["id"]
    folder = folder_of(product, bead)
    (folder / "later.txt").write_text("not committed")
    (folder / "noise.log").write_text("ignored")
    product.json("rm", bead)
    (entry,) = product.json("attic")["entries"]
    assert (entry["entry"], entry["title"], entry["files"]) == (f"{bead[:8]}/1", "Fix it", 2)
    assert (entry["reason"], entry["not_kept"], entry["bead_there"]) == (
        "removed by a person",
        ["noise.log"],
        False,
    )
    shown = product.at("attic", "show", bead[:6]).stdout
    assert "later.txt" in shown and "noise.log" in shown and "which is no more" in shown
    assert "+not committed" in product.at("attic", "show", entry["entry"], "--patch").stdout
    place = product.repo.parent / "rescued"
    product.json("attic", "restore", entry["entry"], "--to", str(place))
    assert (place / "later.txt").read_text() == "not committed"
    assert not (place / "noise.log").exists()
    again = product.at("attic", "restore", entry["entry"], "--to", str(place), "--json")
    assert (again.code, again.error["code"]) == (1, "folder_in_the_way")
    product.json("attic", "restore", entry["ref"], "--branch", "rescued")
    assert product.git("show", "rescued:later.txt") == "not committed"
    assert product.at("attic", "restore", entry["entry"], "--branch", "rescued").code == 1
    assert product.at("attic", "restore", entry["entry"], "--branch", "-x").code == 1
    inside = product.at("attic", "restore", entry["entry"], "--to", str(product.home / "x"), "--json")
    assert (inside.code, inside.error["code"]) == (2, "usage")
    for words, code in (
        (("show", "nobody"), 4),
        (("show",), 2),
        (("restore", "x"), 2),
        (("list", "--stat"), 2),
    ):
        assert product.at("attic", *words).code == code
    product.json("undo")
    (folder / "more.txt").write_text("more")
    product.json("rm", bead)
    several = product.at("attic", "show", bead[:8], "--json")
    assert several.error["code"] == "ambiguous" and f"{bead[:8]}/2" in several.error["message"]
    assert [each["entry"] for each in product.json("attic", "list", "Fix it")["entries"]] == [
        f"{bead[:8]}/2",
        f"{bead[:8]}/1",
    ]


def test_when_it_was_kept_is_not_what_an_agents_commit_says(product: Product) -> None:
    first = product.run("write a.txt one")
    bead = first["bead"]["id"]
    folder = folder_of(product, bead)
    for message, date in (("late", "@99999999999999 +0000"), ("early", "@1 +0000")):
        environ = product.env | {"GIT_COMMITTER_DATE": date}
        amend = ["git", "-C", str(folder), "commit", "-q", "--amend", "-m", message]
        subprocess.run(amend, env=environ, check=True)
        before = product.json("show", bead)["seq"]
        product.json("send-back", bead, "-m", "write a.txt one")
        product.wait(bead, "work.collected", after=before)
        product.run_to_rest(bead)
    product.json("rm", bead)
    entries = product.json("attic")["entries"]
    assert [entry["entry"] for entry in entries] == [f"{bead[:8]}/{number}" for number in (3, 2, 1)]
    kept = [entry["kept_at"] for entry in entries]
    assert kept == sorted(kept, reverse=True) and kept[-1] > first["bead"]["created_at"]
    assert product.at("attic", "show", f"{bead[:8]}/2").code == 0


@pytest.mark.parametrize("place", [*NAMES_OF_RECOVERY, "intent.after-act:2"])
def test_killed_on_the_way_it_ends_as_if_nothing_had_happened(product: Product, place: str) -> None:
    bead = product.run("write a.txt precious")["bead"]["id"]
    (folder_of(product, bead) / "later.txt").write_text("not committed")
    assert product.at("down").code == 0
    assert product.at("up", AT_FAILPOINT=place).code == 0
    first = product.daemon_pid()
    product.at("rm", bead)
    product.wait(bead, "bead.removed")
    if product.at("undo").code != 0:  # it met the daemon that was about to end
        product.at("undo")
    product.wait(bead, "bead.restored")
    assert product.daemon_pid() != first, f"the daemon never passed {place}"
    assert product.run_to_rest(bead)["proved"]
    folder = folder_of(product, bead)
    assert [(folder / name).read_text() for name in ("a.txt", "later.txt")] == ["precious\n", "not committed"]
    assert [act["why_not"] for act in product.json("undo", "--list")["acts"]] == ["it was taken back"]
    assert product.at("undo").code == 1


def test_what_is_removed_while_its_agent_comes_up_is_gone_at_once_and_says_nothing_more(
    product: Product,
) -> None:
    for _ in range(3):
        bead = product.start("stream 600; write a.txt a")
        product.json("rm", bead)
        assert product.json("ls")["beads"] == []
    assert "bead.proved" not in [each["type"] for each in product.happened()]
    assert len(product.processes()) == 1  # the daemon
