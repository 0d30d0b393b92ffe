"""Failures of the endpoint and of the CLI, told as what they are."""

from __future__ import annotations

from at_cli.clock import monotonic
from at_cli.prove.case import Cannot, Case, TooSlow, must
from at_cli.prove.scene import DONE, Scene
from at_session.rehearsal.replies import (
    Cut,
    Drop,
    Hang,
    Held,
    Refuse,
    RefuseFor,
    Say,
    Stall,
    Stream,
    ToolUse,
    UseTools,
)

WATCHDOG_SECONDS = 15
SILENT_STARTS = 4
"""More than a bead gets before it is escalated."""
BOUND_SECONDS = 150.0
STREAM_SECONDS = 6.0
HEARD_SECONDS = 2.0
"""From the beginning of an answer to its first words being told."""
AFTER_TOOL = 2
"""Requests until the answer to a tool's result."""
MARGIN_SECONDS = 0.5
LOOK_SECONDS = 0.2


def slow_down(scene: Scene) -> str:
    """429 once: tried again, and the work lands."""
    bead = scene.run(f"Write. {scene.script(scene.model.slow_down(), scene.write(), DONE)}")
    scene.landed(bead)
    must(scene.exchanges()[0].tokens is None, "the model never refused")
    return f"landed after a 429; {_told(scene, bead, tells=True)}"


def quota(scene: Scene) -> str:
    """A usage limit: parked with its reset, gone on with when the clock says so, in the same session."""
    model, seconds = scene.model, scene.model.limit_seconds
    limit = RefuseFor(seconds, model.quota)
    bead = scene.run(f"Write. {scene.script(limit, scene.write(), DONE)}", env=model.subscribed())
    scene.event(bead, "limit.reached")
    asked = len(scene.spans())
    document = scene.show(bead)
    told = [want for want in document["attention"] if want["kind"] == "limit"]
    must(document["bead"]["status"] == "slung", f"it is not parked but {document['bead']['status']}")
    must(told, f"nothing wants attention for the limit: {document['attention']}")
    session = document["agent"]["session_id"]
    until = told[0]["reset_at"]
    must(
        until is not None or not model.tells_reset,
        "the CLI tells when the limit ends, and no reset was heard",
    )
    if until is None:
        scene.call("resume", agent=document["agent"]["name"], env=scene.site.environ)
    document = scene.landed(bead)
    must(document["agent"]["session_id"] == session, "it was gone on with in another session")
    if until is None:
        return f"parked with no reset told by the CLI, gone on with by `at resume`, in session {session[:13]}"
    spans = scene.spans()
    waited = spans[asked].began - spans[0].began
    must(waited >= seconds, f"asked again after {waited:.1f} s of a limit of {seconds} s")
    return (
        f"parked until {until}, then gone on with by itself after {waited:.0f} s, in session {session[:13]}"
    )


def server_error(scene: Scene) -> str:
    """500 for ever."""
    bead = scene.run(f"Write. {scene.script(scene.model.broken())}")
    scene.asked_model()
    began, scene.patience = monotonic(), BOUND_SECONDS
    reason = _failed_saying(scene, bead, scene.model.broken(), "endpoint answered with an error")
    seconds = monotonic() - began
    return f"failed after {seconds:.0f} s and {len(scene.exchanges())} requests: {reason}"


def login(scene: Scene) -> str:
    """401."""
    bead = scene.run(f"Write. {scene.script(scene.model.login_refused())}")
    scene.asked_model()
    began = monotonic()
    reason = _failed_saying(scene, bead, scene.model.login_refused(), "log in", "logged in", "login")
    seconds = monotonic() - began
    must(seconds < 60, f"it failed only after {seconds:.0f} s")
    document = scene.show(bead)
    must(document["exit_code"] == 3, f"`run --wait` ends with {document['exit_code']}")
    hints = " ".join(str(want.get("hint")) for want in document["attention"])
    must(scene.cli in hints, f"nothing says how to log in: {hints}")
    return f"{reason} (after {seconds:.0f} s; next: {hints})"


def _failed_saying(scene: Scene, bead: str, sent: Refuse, *others: str) -> str:
    """The reason of a bead that must fail with the error that was sent, in the endpoint's words or in ours."""
    reason = scene.failed(bead)
    must("no change was made" not in reason, f"the error is told as no work: {reason}")
    words = (str(sent.status), sent.message, *others)
    must(any(word.lower() in reason.lower() for word in words), f"the reason says none of {words}: {reason}")
    return reason


def dropped(scene: Scene) -> str:
    """The connection is closed once without an answer."""
    bead = scene.run(f"Write. {scene.script(Drop(), scene.write(), DONE)}")
    scene.landed(bead)
    return f"landed after a closed connection; {_told(scene, bead, tells=not scene.model.silent_retries)}"


def cut(scene: Scene) -> str:
    """The stream breaks off within an answer."""
    bead = scene.run(f"Write. {scene.script(Cut('Half a sen'), scene.write(), DONE)}")
    scene.landed(bead)
    return f"landed after a cut stream; {_told(scene, bead, tells=scene.model.tells_cut)}"


def cut_after_tool(scene: Scene) -> str:
    """The stream breaks off in the answer to a tool's result, between two of its events."""
    second = f"{scene.name}-2.txt"
    replies = (scene.write(), scene.model.cut_between_events(), scene.write("2\n", second), DONE)
    bead = scene.run(f"Write. {scene.script(*replies)}")
    scene.landed(bead)
    must_ask_again(len(scene.exchanges()), notices=scene.model.notices_cut_after_tool)
    must(scene.on_main(second) == "2\n", "what the model wanted after the cut is not on main")
    return f"asked again after the cut and landed; {_told(scene, bead, tells=scene.model.tells_cut)}"


def must_ask_again(asked: int, *, notices: bool) -> None:
    """That requests followed the one whose answer was cut after a tool's result. Raises Cannot, Failed."""
    if asked == AFTER_TOOL and not notices:
        raise Cannot(f"it took the cut answer for a whole one: {asked} requests, and none after the cut")
    must(asked > AFTER_TOOL + 1, f"only {asked} requests, so the cut answer was not asked for again")


def context(scene: Scene) -> str:
    """The conversation no longer fits: the CLI makes it shorter and goes on, or the bead fails and says so."""
    bead = scene.run(f"Write. {scene.script(scene.model.too_long(), scene.write(), DONE)}")
    document = scene.settled(bead)
    if document["bead"]["status"] == "failed":
        return scene.failed(bead, "context")
    scene.landed(bead)
    must(scene.on_main(scene.file) == "written\n", f"{scene.file} is not on main as it was written")
    summaries = scene.summaries()
    how = (
        f"summarised the conversation ({summaries} requests of its own)"
        if summaries
        else "asked again as it was"
    )
    return f"the CLI {how} and went on; landed"


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
    return f"no sign of life for {scene.site.watchdog} s, {_started_again(scene, bead)}"


def stalls(scene: Scene) -> str:
    """The model stops in the middle of its answer."""
    bead = scene.run(f"Write. {scene.script(Stall('I begin'), scene.write(), DONE)}")
    return f"silent in mid-stream for {scene.site.watchdog} s, {_started_again(scene, bead)}"


def _started_again(scene: Scene, bead: str) -> str:
    scene.patience += SILENT_STARTS * (scene.site.watchdog or 0)
    scene.event(bead, "agent.silent")
    status = scene.settled(bead)["bead"]["status"]
    silent = len(scene.events(bead, "agent.silent"))  # more than one where the CLI itself is slow to begin
    if status == "escalated" and silent > 1:  # the machine is busy
        raise TooSlow(f"it gave no sign of life for {scene.site.watchdog} s in {silent} starts")
    scene.landed(bead)
    once, starts = scene.delivered_once(), scene.starts(bead)
    must(starts == silent + 1, f"it was started {starts} times, and silent {silent} times")
    return f"ended, started again{f' {silent} times' if silent > 1 else ''}, landed; {once}"


def cut_for_ever(scene: Scene) -> str:
    """Every answer breaks off: the bead fails with that, and not with work that was not done."""
    bead = scene.run(f"Write. {scene.script(Cut('Half a sen'))}")
    scene.asked_model()
    began, scene.patience = monotonic(), BOUND_SECONDS
    reason = scene.failed(bead)
    must("no change was made" not in reason, f"the error is told as no work: {reason}")
    seconds = monotonic() - began
    return f"failed after {seconds:.0f} s and {len(scene.exchanges())} requests: {reason}"


def recovers(scene: Scene) -> str:
    """Server errors until the CLI tells: `retrying` until the answer begins, `working` while it streams."""
    held = Held(f"{scene.site.folder.name}-{scene.name}", Stream(STREAM_SECONDS))
    errors = [scene.model.broken()] * (scene.model.silent_retries + 1)
    bead = scene.run(f"Write. {scene.script(scene.write(), *errors, held)}")
    scene.event(bead, "call.retried")
    scene.asked_model(count=len(errors) + 2)
    label = scene.show(bead)["agent"]["label"]
    must(label == "retrying", f"the label was {label!r} while it asked again")
    began = monotonic()
    scene.site.endpoint.release(held.until)
    labels: list[str] = []
    while monotonic() < began + STREAM_SECONDS - MARGIN_SECONDS:
        before = monotonic()
        label = scene.show(bead)["agent"]["label"]
        if before > began + HEARD_SECONDS and scene.spans()[-1].ended is None:
            labels.append(label)
        scene.site.given_up.wait(LOOK_SECONDS)
    scene.landed(bead)
    must(labels, "it was never looked at while the answer streamed")
    wrong = sorted(set(labels) - {"working"})
    must(not wrong, f"labelled {wrong} in some of {len(labels)} looks while the answer streamed")
    told = _told(scene, bead, tells=True)
    return (
        f"{told}; `retrying` until the answer, then `working` in {len(labels)} looks of {len(labels)}; landed"
    )


def _told(scene: Scene, bead: str, *, tells: bool) -> str:
    words = [event["payload"]["message"] for event in scene.events(bead, "call.retried")]
    return retry_fact(words, len(scene.exchanges()), tells=tells)


def retry_fact(words: list[str], asked: int, *, tells: bool) -> str:
    """What the CLI said of its retry; the number of requests proves one that it says nothing of. Raises Failed."""
    if words:
        return f"told: {words[0]}"
    fact = f"it asked the model {asked} times and told nothing of a retry"
    must(not tells, fact)
    return fact


CASES = (
    Case("429-once", "one 429: tried again", slow_down),
    Case("quota", "a hard quota: parked, then gone on with", quota, long=True),
    Case("500-for-ever", "500 for ever: fails with the error", server_error, long=True),
    Case("401", "a refused login", login),
    Case("connection-cut", "the connection is cut once", dropped),
    Case("cut-mid-stream", "the stream is cut in mid-answer", cut),
    Case("cut-after-tool", "the stream is cut in the answer after a tool", cut_after_tool),
    Case("cut-for-ever", "every answer is cut: fails with the error", cut_for_ever),
    Case("recovers-and-works", "after an error it is seen to work again", recovers),
    Case("context-overflow", "the context overflows", context),
    Case("unavailable-tool", "a tool is not there", unavailable_tool),
    Case("never-answers", "the model never answers", never_answers, watchdog=WATCHDOG_SECONDS),
    Case("stops-mid-stream", "the model stops in mid-stream", stalls, watchdog=WATCHDOG_SECONDS),
)
