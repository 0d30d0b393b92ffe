"""run, prove, land: the main job on the demo agent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from acceptance.product import AT, Product

from at_cli.daemon import Daemon
from at_core.paths import Home


def test_a_run_ends_proved_and_lands_with_both_trailers(product: Product) -> None:
    document = product.run("write hello.txt hi there")
    bead = document["bead"]
    assert document["proved"] is True
    assert bead["status"] == "review"
    assert len(document["evidence"]["commits"]) == 1
    assert document["evidence"]["diff"] == {"files": 1, "insertions": 1, "deletions": 0}
    assert "hello.txt" in product.at("diff", bead["id"]).stdout
    assert product.git("log", "--oneline", "main").count("\n") == 0, "nothing lands that nobody let land"

    landed = product.json("land", bead["id"])
    assert landed["bead"]["status"] == "done"
    message = product.git("log", "-1", "--format=%B", "main")
    assert f"Bead: {bead['id']}" in message
    assert f"Agent: {document['agent']['name']}" in message
    assert product.git("rev-parse", "main") == landed["evidence"]["merge"]
    assert (product.repo / "hello.txt").read_text() == "hi there\n"
    assert product.git("status", "--porcelain") == ""


def test_with_land_it_merges_by_itself(product: Product) -> None:
    document = product.run("write a.txt one", "--land")
    assert document["bead"]["status"] == "done"
    assert (product.repo / "a.txt").exists()


def test_no_change_is_a_failure_that_says_so(product: Product) -> None:
    document = product.run("lie", code=1)
    assert document["bead"]["status"] == "failed"
    assert document["proved"] is False
    assert "no change was made" in document["reasons"][0]


def test_what_an_agent_says_failed_is_told_in_its_words(product: Product) -> None:
    document = product.run("fail the moon is in the way", code=1)
    assert "the moon is in the way" in document["reasons"][0]


def test_a_command_is_asked_for_and_its_denial_is_obeyed(product: Product) -> None:
    bead = product.start("shell touch made-by-command")
    product.wait(bead, "ask.opened")
    asked = product.json("approvals")["approvals"]
    assert [(ask["kind"], ask["what"]) for ask in asked] == [("command", "touch made-by-command")]
    assert product.json("status")["attention"][0]["kind"] == "approval"
    product.json("deny", asked[0]["id"], "-m", "not today")
    product.wait(bead, "bead.failed")
    assert product.json("show", bead)["bead"]["status"] == "failed"


def test_an_approved_command_goes_on(product: Product) -> None:
    bead = product.start("shell touch made-by-command", "--land")
    product.wait(bead, "ask.opened")
    product.json("approve", product.json("approvals")["approvals"][0]["id"])
    product.wait(bead, "bead.landed")
    assert (product.repo / "made-by-command").exists()
    assert product.json("approvals") == {"approvals": []}


def test_a_crash_is_mended_without_a_word_to_the_person(product: Product) -> None:
    document = product.run("write a.txt one; crash; write b.txt two", "--land")
    assert document["bead"]["status"] == "done"
    assert (product.repo / "b.txt").exists()


def test_what_crashes_for_ever_is_given_up(product: Product) -> None:
    document = product.run("crash-always", code=3)
    assert document["bead"]["status"] == "escalated"
    assert "signal 9" in document["reasons"][0]


def test_a_bead_that_comes_after_another_starts_when_that_one_has_landed(product: Product) -> None:
    first = product.json("add", "first", "-d", "write a.txt one")["bead"]["id"]
    second = product.json("add", "second", "-d", "write b.txt two", "--after", first)["bead"]["id"]
    product.json("sling", second, "wren", "--cli", "demo", "--land")
    waiting = product.json("show", second)
    assert waiting["bead"]["status"] == "slung"
    assert waiting["reasons"] == [f"it waits for {first[:8]} (first, backlog) to land"]
    product.json("sling", first, "lark", "--cli", "demo", "--land")
    product.wait(second, "bead.landed")
    landed = [event["bead_id"] for event in product.json_lines("events") if event["type"] == "bead.landed"]
    assert landed == [first, second]


def test_more_beads_than_places_are_done_all_the_same(product: Product) -> None:
    assert product.at("config", "general.max_agents", "2").code == 0
    product.at("config", "daemon.patrol_interval_seconds", "3600")  # nobody needs one for a place
    beads = [product.start(f"write file-{number}.txt x") for number in range(5)]
    for bead in beads:
        product.wait(bead, "bead.proved")
    running = [session for session in product.json("agents")["agents"] if session["label"] == "done unseen"]
    assert 1 <= len(running) <= 2
    first = next(bead for bead in beads if product.json("show", bead)["agent"]["label"] == "exited")
    seq = product.json("show", first)["seq"]
    product.json("send-back", first, "-m", "write more.txt x")
    product.wait(first, "bead.proved", after=seq)
    assert product.json("show", first)["turns"] == 2


def test_two_repositories_whose_folders_are_called_the_same_are_two(product: Product) -> None:
    other = product.home.parent / "elsewhere" / product.repo.name
    product.git("clone", "--quiet", ".", str(other))
    product.json("init")
    assert product.at("init", cwd=other).code == 0
    product.run("write a.txt x")
    assert product.json("ls")["beads"]
    ran = product.at("ls", "--json", cwd=other)
    assert ran.document["beads"] == []


def test_outside_of_any_repository_the_configured_one_is_meant(product: Product) -> None:
    assert product.at("config", "general.rig", str(product.repo)).code == 0
    outside = product.home.parent
    ran = product.at("run", "write a.txt x", "--cli", "demo", "--wait", "--json", cwd=outside)
    assert ran.document["proved"], ran.stderr
    product.git("rev-parse", "--verify", f"refs/heads/{ran.document['bead']['git_branch']}")


def test_a_daemon_that_an_agents_own_call_started_outlives_the_agent(product: Product) -> None:
    first = product.json("status")["daemon"]["pid"]
    steps = f"shell kill -9 {first}\nshell AT_HOME={product.home} {AT} status\nwrite a.txt x"
    document = product.run_to_rest(product.start(steps, "--allow", "all"))
    assert document["proved"], document["reasons"]
    second = product.json("status")["daemon"]["pid"]
    assert second != first
    product.json("stop", document["agent"]["name"])
    assert product.json("status")["daemon"]["pid"] == second


def test_what_is_said_during_a_limit_waits_until_the_work_is_done(product: Product) -> None:
    bead = product.start("stream 1; limit 4; write a.txt one")
    product.wait(bead, "limit.reached")
    agent = product.json("show", bead)["agent"]["name"]
    product.at("nudge", agent, "-m", "write b.txt two", "--timeout", "1")
    document = product.run_to_rest(bead)
    assert document["proved"] and document["evidence"]["diff"]["files"] == 2
    said = [message["kind"] for message in document["messages"] if message["answered_at"]]
    assert sorted(said) == ["go_on", "nudge", "prompt"]
    order = [
        event["payload"]["message"]
        for event in product.json_lines("events")
        if event["type"] == "message.sent"
    ]
    kinds = {message["id"]: message["kind"] for message in document["messages"]}
    assert [kinds[identity] for identity in order] == ["prompt", "go_on", "nudge"]


def test_a_new_title_is_in_lists_and_in_the_merge_and_the_branch_stays(product: Product) -> None:
    bead = product.run("write a.txt a", "--title", "Old words", "--no-land")["bead"]
    renamed = product.json("rename", "Old words", "New words: a file")["bead"]
    assert (renamed["id"], renamed["title"]) == (bead["id"], "New words: a file")
    assert renamed["git_branch"] == bead["git_branch"]
    refused = product.at("rename", bead["id"], "x" * 1000, "--json")
    assert (refused.code, "title" in refused.error["message"]) == (2, True)
    product.json("land", "New words: a file")
    assert (
        product.git("log", "-1", "--format=%s", "main") == f"Merge bead {bead['id'][:8]}: New words: a file"
    )


def test_without_memory_to_spare_one_agent_runs_after_the_other(product: Product) -> None:
    assert product.at("config", "general.keep_free_mb", "9999999").code == 0
    first = product.start("stream 2; write a.txt x")
    product.wait(first, "message.started")
    second = product.start("write b.txt x")
    reasons = product.json("show", second)["agent"]["reasons"]
    assert any("it waits for a place" in each and "keep_free_mb" in each for each in reasons), reasons
    for bead in (first, second):
        product.wait(bead, "bead.proved")
    told = [each["type"] for each in product.happened() if each["type"] in ("agent.started", "agent.exited")]
    assert told[:3] == ["agent.started", "agent.exited", "agent.started"], told


def test_a_new_title_between_two_tries_at_its_folder_is_no_new_branch(product: Product) -> None:
    product.json("init")
    product.at("down")
    product.at("run", "write a.txt a", "--cli", "demo", "--title", "Old", AT_FAILPOINT="intent.after-act")
    (bead,) = product.json("ls")["beads"]
    branch = product.json("rename", bead["id"], "New")["bead"]["git_branch"]
    document = product.run_to_rest(bead["id"])
    assert document["proved"] and document["bead"]["git_branch"] == branch
    assert branch.endswith("old"), branch


def test_a_page_of_events_can_be_waited_for(product: Product) -> None:
    bead = product.run("write a.txt one")["bead"]["id"]
    page = partial(Daemon(Home(product.home), product.env).call, "events")
    last = page(limit=1)["last_seq"]
    assert page(after=last, seconds=0.2) == {"events": [], "last_seq": last}
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(page, after=last, limit=1, seconds=25.0)
        product.json("rename", bead, "Another title")
        (event,) = waiting.result()["events"]
    assert (event["type"], event["bead_id"]) == ("bead.renamed", bead)
