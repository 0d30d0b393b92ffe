"""Failures of the endpoint and of the CLI, told as what they are."""

from __future__ import annotations

from at_cli.clock import monotonic, now
from at_cli.prove.case import Case, must
from at_cli.prove.scene import DONE, Scene
from at_session.rehearsal.replies import Cut, Drop, Hang, Say, Stall, ToolUse, UseTools

QUOTA_SECONDS = 20
WATCHDOG_SECONDS = 15
BOUND_SECONDS = 150.0


def slow_down(scene: Scene) -> str:
    """429 once: tried again, and the work lands."""
    bead = scene.run(f"Write. {scene.script(scene.model.slow_down(), scene.write(), DONE)}")
    scene.landed(bead)
    must(scene.exchanges()[0].tokens is None, "the model never refused")
    return f"landed after a 429; {_retries_told(scene, bead)}"


def quota(scene: Scene) -> str:
    """A usage limit: parked with its reset, gone on with when the clock says so, in the same session."""
    reset = int(now().timestamp()) + QUOTA_SECONDS
    bead = scene.run(f"Write. {scene.script(scene.model.quota(reset))}", env=scene.model.subscribed())
    scene.event(bead, "limit.reached")
    scene.change_script(scene.write(), DONE)
    document = scene.show(bead)
    told = [want for want in document["attention"] if want["kind"] == "limit"]
    must(document["bead"]["status"] == "slung", f"it is not parked but {document['bead']['status']}")
    must(told, f"nothing wants attention for the limit: {document['attention']}")
    session = document["agent"]["session_id"]
    until = told[0]["reset_at"]
    if until is None:
        scene.call("resume", agent=document["agent"]["name"], env=scene.site.environ)
    document = scene.landed(bead)
    must(document["agent"]["session_id"] == session, "it was gone on with in another session")
    how = (
        f"until {until}, then gone on with by itself"
        if until
        else "with no reset told by the CLI, gone on with by `at resume`"
    )
    return f"parked {how}, in session {session[:13]}"


def server_error(scene: Scene) -> str:
    """500 for ever."""
    bead = scene.run(f"Write. {scene.script(scene.model.broken())}")
    scene.asked_model()
    began, scene.patience = monotonic(), BOUND_SECONDS
    reason = scene.failed(bead)
    seconds = monotonic() - began
    return f"failed after {seconds:.0f} s and {len(scene.exchanges())} requests: {reason}"


def login(scene: Scene) -> str:
    """401."""
    bead = scene.run(f"Write. {scene.script(scene.model.login_refused())}")
    scene.asked_model()
    began = monotonic()
    reason = scene.failed(bead)
    seconds = monotonic() - began
    must(seconds < 60, f"it failed only after {seconds:.0f} s")
    document = scene.show(bead)
    must(document["exit_code"] == 3, f"`run --wait` ends with {document['exit_code']}")
    hints = " ".join(str(want.get("hint")) for want in document["attention"])
    must(scene.cli in hints, f"nothing says how to log in: {hints}")
    return f"{reason} (after {seconds:.0f} s; next: {hints})"


def dropped(scene: Scene) -> str:
    """The connection is closed once without an answer."""
    bead = scene.run(f"Write. {scene.script(Drop(), scene.write(), DONE)}")
    scene.landed(bead)
    return f"landed after a closed connection; {_retries_told(scene, bead)}"


def cut(scene: Scene) -> str:
    """The stream breaks off within an answer."""
    bead = scene.run(f"Write. {scene.script(Cut('Half a sen'), scene.write(), DONE)}")
    scene.landed(bead)
    return f"landed after a cut stream; {_retries_told(scene, bead)}"


def context(scene: Scene) -> str:
    """The conversation no longer fits: the CLI makes it shorter and goes on, or the bead fails and says so."""
    bead = scene.run(f"Write. {scene.script(scene.model.too_long(), scene.write(), DONE)}")
    document = scene.settled(bead)
    if document["bead"]["status"] == "failed":
        return scene.failed(bead, "context")
    scene.landed(bead)
    must(scene.on_main(scene.file) == "written\n", f"{scene.file} is not on main as it was written")
    return "the CLI summarised the conversation and went on; landed"


def unavailable_tool(scene: Scene) -> str:
    """The model calls a tool that is not there, and says that all is done."""
    call = UseTools((ToolUse("paint_a_picture", {"of": "a tundra"}),))
    bead = scene.run(f"Paint. {scene.script(call, Say('All done.'))}")
    reason = scene.failed(bead, "no change was made")
    if scene.events(bead, "tool.ended"):
        must("a tool did not work" in reason, f"the reason does not name the tool: {reason}")
        return reason
    return f"{reason} (of the call itself the CLI tells nothing)"


def never_answers(scene: Scene) -> str:
    """The model says nothing at all: the watchdog ends the CLI, and the next start goes on."""
    bead = scene.run(f"Write. {scene.script(Hang(headers=False), scene.write(), DONE)}")
    scene.event(bead, "agent.silent")
    scene.landed(bead)
    must(scene.deliveries() <= 1, f"the prompt stands {scene.deliveries()} times in the conversation")
    return f"no sign of life for {WATCHDOG_SECONDS} s, ended, started again, landed"


def stalls(scene: Scene) -> str:
    """The model stops in the middle of its answer."""
    bead = scene.run(f"Write. {scene.script(Stall('I begin'), scene.write(), DONE)}")
    scene.event(bead, "agent.silent")
    scene.landed(bead)
    return f"silent in mid-stream for {WATCHDOG_SECONDS} s, ended, started again, landed"


def _retries_told(scene: Scene, bead: str) -> str:
    told = [event["payload"]["message"] for event in scene.events(bead, "call.retried")]
    return f"told: {told[0]}" if told else "the CLI tried again without saying so"


CASES = (
    Case("429-once", "one 429: tried again", slow_down),
    Case("quota", "a hard quota: parked, then gone on with", quota),
    Case("500-for-ever", "500 for ever: fails with the error", server_error, long=True),
    Case("401", "a refused login", login),
    Case("connection-cut", "the connection is cut once", dropped),
    Case("cut-mid-stream", "the stream is cut in mid-answer", cut),
    Case("context-overflow", "the context overflows", context),
    Case("unavailable-tool", "a tool is not there", unavailable_tool),
    Case("never-answers", "the model never answers", never_answers, watchdog=WATCHDOG_SECONDS),
    Case("stops-mid-stream", "the model stops in mid-stream", stalls, watchdog=WATCHDOG_SECONDS),
)
