"""Work that lands, work that does not, and a second turn."""

from __future__ import annotations

from at_cli.prove.case import Case, must
from at_cli.prove.scene import DONE, Scene
from at_cli.prove.site import POEM
from at_session.rehearsal.replies import Say, UseTools


def write_lands(scene: Scene) -> str:
    """A new file, written by the CLI's own tool."""
    bead = scene.run(f"Write the file. {scene.script(scene.write(), DONE)}")
    document = scene.landed(bead)
    must(scene.on_main(scene.file) == "written\n", f"{scene.file} is not on main as it was written")
    once = scene.delivered_once()
    return f"{scene.file} is on main by merge {scene.merge_of(document)}; {once} of the prompt"


def edit_lands(scene: Scene) -> str:
    """A line of an existing file is replaced."""
    calls = [UseTools(tools) for tools in scene.model.edit("poem.txt", "two", "2")]
    bead = scene.run(f"Change the second line. {scene.script(*calls, DONE)}")
    document = scene.landed(bead)
    expected = POEM.replace("two", "2")
    must(scene.on_main("poem.txt") == expected, f"poem.txt on main is {scene.on_main('poem.txt')!r}")
    change = document["evidence"]["diff"]
    return f"poem.txt: +{change['insertions']} -{change['deletions']} by merge {scene.merge_of(document)}"


def several_tools(scene: Scene) -> str:
    """Three calls in one response."""
    names = [f"{scene.name}-{number}.txt" for number in (1, 2, 3)]
    calls = scene.calls(*(scene.model.write(name, f"{name}\n") for name in names))
    bead = scene.run(f"Write three files. {scene.script(calls, DONE)}")
    scene.landed(bead)
    for name in names:
        must(scene.on_main(name) == f"{name}\n", f"{name} is not on main")
    started = [event["payload"]["tool"] for event in scene.events(bead, "tool.started")]
    must(len(started) >= len(names), f"only {len(started)} calls were seen: {started}")
    return f"{len(names)} files on main; calls seen: {', '.join(started)}"


def no_change(scene: Scene) -> str:
    """The agent says that all is done, and did nothing."""
    bead = scene.run(f"Do it. {scene.script(Say('All done, and every test passes.'))}")
    return scene.failed(bead, "no change was made")


def second_turn(scene: Scene) -> str:
    """Sent back with a message: the same session goes on."""
    bead = scene.run(f"Write the file. {scene.script(scene.write(), DONE)}", land=False)
    first = scene.settled(bead)
    must(first["proved"], f"the first turn's work is not proved: {first['reasons']}")
    more = scene.script(scene.write("more\n", f"{scene.name}-more.txt"), DONE)
    scene.call("send_back", bead=bead, text=f"One more file. {more}")
    scene.settled(bead)
    scene.call("land", bead=bead, text="")
    document = scene.landed(bead)
    same = first["agent"]["session_id"]
    must(document["agent"]["session_id"] == same, "the second turn was in another session of the CLI")
    must(scene.on_main(f"{scene.name}-more.txt") == "more\n", "the second turn's file is not on main")
    seen = scene.exchanges(1)[0].request.texts
    must(any(f"rehearse:{scene.markers[0]}" in text for text in seen), "the model did not see the first turn")
    return f"two turns in session {same[:13]}, both files on main; the model saw the first turn in the second"


def usage_exact(scene: Scene) -> str:
    """Tokens of two turns against what the model sent."""
    bead = scene.run(f"Write the file. {scene.script(scene.write(), DONE)}", land=False)
    scene.settled(bead)
    again = scene.script(scene.write("again\n"), DONE)
    scene.call("send_back", bead=bead, text=f"And once more. {again}")
    usage = scene.usage(bead)
    sent = scene.sent()
    told = (usage["input_tokens"], usage["cached_tokens"], usage["output_tokens"])
    meant = (sent.given + sent.cache_written, sent.cached, sent.output)
    must(told == meant, f"told {told} and the model sent {meant} (input, cache reads, output)")
    cost = usage["cost_usd"]
    must(cost > 0, f"it told a price of {cost} USD for these tokens")
    about = "~" if usage["cost_estimated"] else ""
    return f"{told[0]} in, {told[1]} cached, {told[2]} out, as the model sent them; {about}{cost:.4f} USD"


CASES = (
    Case("write-lands", "a new file lands", write_lands),
    Case("edit-lands", "an edit of an existing file lands", edit_lands),
    Case("several-tools", "several tools in a turn", several_tools),
    Case("no-change", "no change is told as such", no_change),
    Case("second-turn", "sent back: a second turn in the same session", second_turn),
    Case("usage-exact", "usage is what the model sent", usage_exact),
)
