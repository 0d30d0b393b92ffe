"""What is asked of the person: commands, questions, and rules that answer for them."""

from __future__ import annotations

import json
import re

from at_cli.prove.case import Cannot, Case, must
from at_cli.prove.scene import DONE, Scene
from at_session.rehearsal.replies import UseTools

ASKING = re.compile(r"question|ask_?user|user_?input", re.IGNORECASE)
"""What tools for questions to a person are called."""


def approved(scene: Scene) -> str:
    """A command that is asked for runs once it is approved."""
    command = f"make --version > {scene.name}-made.txt"
    bead = scene.run(f"Run it. {scene.script(scene.write(), scene.command(command), DONE)}")
    ask = scene.ask(bead)
    must(ask["kind"] == "command" and ask["what"] == command, f"asked for {ask['kind']} {ask['what']!r}")
    label = scene.show(bead)["agent"]["label"]
    must(label == "waiting for approval", f"the label meanwhile was {label!r}")
    scene.decide(ask, approve=True)
    scene.landed(bead)
    must(scene.on_main(f"{scene.name}-made.txt"), "what the command made is not on main")
    return f"asked for exactly {command!r}, approved, ran"


def denied(scene: Scene) -> str:
    """A command that is denied does not run, and the turn goes on."""
    command = f"make --version > {scene.name}-made.txt"
    bead = scene.run(f"Run it. {scene.script(scene.write(), scene.command(command), DONE)}")
    scene.decide(scene.ask(bead), approve=False, text="Not this one.")
    document = scene.until(
        bead, lambda seen: seen["settled"] or seen["agent"]["label"] == "interrupted", "over"
    )
    must(scene.on_main(f"{scene.name}-made.txt") is None, "the denied command ran")
    must(document["bead"]["status"] == "done", f"the turn did not go on: {document['reasons']}")
    return "denied, not run; the turn went on and its other work landed"


def question(scene: Scene) -> str:
    """A question waits for a person, and the model gets the answer."""
    tool = scene.model.question("Which colour?", ("Red", "Blue"))
    if tool is None:
        bead = scene.run(f"Write. {scene.script(scene.write(), DONE)}")
        scene.landed(bead)
        offered = scene.tools()
        must(offered, "it offered no tools at all")
        asking = [name for name in offered if ASKING.search(name)]
        must(not asking, f"it offers {asking} for questions, and that is not rehearsed")
        raise Cannot(f"its tools have none for a question: {', '.join(offered)}")
    bead = scene.run(f"Ask first. {scene.script(UseTools((tool,)), scene.write(), DONE)}")
    ask = scene.ask(bead)
    must(ask["kind"] == "question" and "Which colour?" in ask["what"], f"asked {ask['kind']} {ask['what']!r}")
    scene.decide(ask, approve=True, text="Blue")
    scene.landed(bead)
    before, after = (json.dumps(each.body).count("Blue") for each in scene.exchanges()[:2])
    asked = json.dumps(tool.input).count("Blue")
    must(after - before > asked, "the model did not get the answer")
    return "asked, answered with Blue, and the model read it"


def rule_used(scene: Scene) -> str:
    """A command approved with `--always` is not asked for again."""
    command = f"make --question {scene.name}-nothing"
    first = scene.run(f"Run it. {scene.script(scene.write(), scene.command(command), DONE)}")
    scene.decide(scene.ask(first), approve=True, always=True)
    scene.landed(first)
    again = scene.script(scene.write("2\n", f"{scene.name}-2.txt"), scene.command(command), DONE)
    second = scene.run(f"Run it again. {again}")
    scene.landed(second)
    deciders = [event["actor"] for event in scene.events(second, "ask.decided")]
    must(deciders == ["rule"], f"the second time it was decided by {deciders}")
    return f"{command!r} was approved by the rule the second time"


CASES = (
    Case("command-approved", "a command is approved", approved),
    Case("command-denied", "a command is denied", denied),
    Case("question-answered", "a question is answered", question),
    Case("rule-used", "a rule of --always is used", rule_used),
)
