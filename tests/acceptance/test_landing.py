"""What stands between finished work and the target: conflicts, gates, the gates' file, a dirty checkout, trust."""

from __future__ import annotations

from acceptance.product import Product

GATE = '[gates]\ncheck = "test ! -e broken"\n'


def test_of_two_beads_on_the_same_lines_the_second_comes_back_and_is_never_dropped(product: Product) -> None:
    product.write("song.txt", "la la la\n")
    product.commit("Add a song")
    first = product.start("stream 0.4; write song.txt first verse")
    second = product.start("stream 0.4; write song.txt second verse")
    product.wait(first, "bead.proved")
    product.wait(second, "bead.proved")
    assert product.json("land", first)["bead"]["status"] == "done"
    product.at("land", second, "--json")
    back = product.wait(second, "bead.sent_back")
    assert "song.txt" in back["payload"]["reason"]
    document = product.json("show", second)
    assert [message["kind"] for message in document["messages"][:2]] == ["prompt", "send_back"]
    assert "refs/at/target" in document["messages"][1]["body"]
    folder = product.json("open", second)["path"]
    assert product.git("-C", folder, "show", "refs/at/target:song.txt") == "first verse"
    assert product.git("show", f"refs/at/beads/{second}:song.txt") == "second verse", (
        "its work is in the repository"
    )
    assert product.git("show", "main:song.txt") == "first verse"


def test_a_failing_gate_sends_the_bead_back_with_its_output(product: Product) -> None:
    product.settings('[gates]\ncheck = "echo the roof leaks; test ! -e broken"\n')
    bead = product.start("write broken yes")
    product.wait(bead, "bead.sent_back")
    document = product.json("show", bead)
    assert document["proved"] is False
    assert "the roof leaks" in document["messages"][1]["body"]
    events = [event for event in product.json_lines("events") if event["bead_id"] == bead]
    gate = next(event for event in events if event["type"] == "gate.finished")
    collected = next(event for event in events if event["type"] == "work.collected")
    assert (gate["payload"]["ok"], gate["payload"]["tree"]) == (False, collected["payload"]["tree"])


def test_a_gate_passes_on_the_exact_tree_before_it_lands(product: Product) -> None:
    product.settings(GATE)
    document = product.run("write fine.txt yes", "--land")
    (gate,) = document["evidence"]["gates"]
    assert (gate["name"], gate["ok"], gate["tree"]) == ("check", True, document["evidence"]["tree"])
    assert product.git("rev-parse", "main^{tree}") == gate["tree"]


def test_a_bead_that_changes_the_gates_file_needs_a_person(product: Product) -> None:
    product.settings(GATE)
    bead = product.start('write .auto-tundra.toml landing = "auto"', "--land")
    product.wait(bead, "work.collected")
    document = product.run_to_rest(bead)
    assert (document["bead"]["status"], document["proved"]) == ("review", True)
    assert document["attention"][0]["reason"].startswith("it changes .auto-tundra.toml")
    assert product.at("run", "write x.txt y", "--cli", "demo", "--land", "--wait", "--json").code == 0, (
        "others land"
    )
    assert product.json("land", bead)["bead"]["status"] == "done"


def test_a_settings_file_that_nobody_trusted_proves_nothing(product: Product) -> None:
    product.write(".auto-tundra.toml", 'landing = "auto"\n[gates]\ncheck = "true"\n')
    product.commit("Set the gates")
    document = product.run("write a.txt b", code=3)
    assert (document["bead"]["status"], document["proved"]) == ("review", False)
    assert "not trusted" in document["reasons"][0]
    assert product.at("trust", "--yes", "--json").code == 0
    product.wait(document["bead"]["id"], "bead.landed")


def test_settings_that_another_base_brings_wait_for_a_person(product: Product) -> None:
    product.settings(GATE)
    product.git("switch", "-q", "-c", "other")
    product.write(".auto-tundra.toml", 'landing = "auto"\n')
    product.commit("Land everything")
    product.git("switch", "-q", "main")
    document = product.run("write a.txt b", "--base", "other", "--land", code=3)
    (wanted,) = document["attention"]
    assert wanted["reason"].startswith("the merge brings .auto-tundra.toml of other to main")
    see, _, land = wanted["hint"].partition(", then ")
    assert land == f"at land {document['bead']['id'][:8]}"
    assert '+landing = "auto"' in product.git(*see.split()[1:]).splitlines()
    assert product.git("show", "main:.auto-tundra.toml") == GATE.strip()
    assert product.run("write c.txt d", "--land")["bead"]["status"] == "done"


def test_a_dirty_checkout_is_untouched_and_the_bead_says_what_it_waits_for(product: Product) -> None:
    product.write("song.txt", "mine, not committed\n")
    document = product.run("write song.txt theirs", "--land", code=3)
    bead = document["bead"]["id"]
    assert (document["bead"]["status"], document["attention"][0]["kind"]) == ("review", "checkout")
    assert "song.txt" in document["attention"][0]["reason"]
    assert (product.repo / "song.txt").read_text() == "mine, not committed\n"
    assert product.run("write other.txt fine", "--land")["bead"]["status"] == "done", "others are not held up"
    (product.repo / "song.txt").unlink()
    assert product.json("land", bead)["bead"]["status"] == "done"
    assert (product.repo / "song.txt").read_text() == "theirs\n"


def test_work_that_a_person_sends_back_goes_on_in_the_same_session(product: Product) -> None:
    document = product.run("write a.txt one")
    bead, session = document["bead"]["id"], document["agent"]["session_id"]
    product.json("send-back", bead, "-m", "write b.txt two")
    product.wait(bead, "message.answered", after=document["seq"])
    again = product.run_to_rest(bead)
    assert (again["proved"], again["turns"], again["agent"]["session_id"]) == (True, 2, session)
    assert again["evidence"]["diff"]["files"] == 2


def test_a_merge_that_the_agent_left_unfinished_is_not_taken_for_work(product: Product) -> None:
    steps = (
        "shell git branch side && echo ours > song.txt && git add -A && git commit -qm ours",
        "shell git switch -q side && echo theirs > song.txt && git add -A && git commit -qm theirs",
        "shell git switch -q - && { git merge -q side || true; }",
    )
    document = product.run_to_rest(product.start("\n".join(steps), "--allow", "all"))
    assert not document["proved"]
    assert document["bead"]["status"] == "failed"
    assert "song.txt" in document["reasons"][0]
    told = [message["body"] for message in document["messages"] if message["kind"] == "send_back"]
    assert len(told) == 3 and all("still have conflicts" in body for body in told)


def test_rm_keeps_the_work_on_a_hidden_ref(product: Product) -> None:
    document = product.run("write a.txt precious")
    removed = product.json("rm", document["bead"]["id"])
    assert product.git("show", f"{removed['attic']}:a.txt") == "precious"
    assert product.at("show", document["bead"]["id"]).code == 4
    assert product.json("ls")["beads"] == []


def test_a_failed_bead_is_tried_again_in_the_same_folder(product: Product) -> None:
    failed = product.run("lie", code=1)
    bead = failed["bead"]["id"]
    product.json("retry", bead, "-m", "write a.txt really")
    product.wait(bead, "bead.proved")
    document = product.json("show", bead)
    assert (document["bead"]["status"], document["proved"]) == ("review", True)
