"""The CLI or the daemon is killed, or everything is stopped, and the work goes on."""

from __future__ import annotations

from at_cli.prove.case import Case, must
from at_cli.prove.scene import DONE, Scene
from at_session.rehearsal.replies import Held, Say, Stream

STREAM_SECONDS = 4.0


def cli_killed(scene: Scene) -> str:
    """SIGKILL to the CLI while the model works on its answer."""
    held = Held(f"{scene.site.folder.name}-{scene.name}", Say("Too late."))
    bead = scene.run(f"Write. {scene.script(held, scene.write(), DONE)}")
    scene.asked_model()
    pid = scene.kill_cli(bead)
    document = scene.landed(bead)
    once, starts = scene.delivered_once(), scene.starts(bead)
    must(starts == 2, f"it was started {starts} times")
    return f"process {pid} killed, started again, landed by merge {scene.merge_of(document)}; {once}"


def killed_while_streaming(scene: Scene) -> str:
    """SIGKILL to the daemon while text arrives: nothing of it is lost or told twice."""
    bead = scene.run(f"Write. {scene.script(scene.write(), Stream(STREAM_SECONDS))}")
    scene.asked_model(count=2)
    before = scene.process(bead).get("pid")
    scene.kill_daemon()
    scene.landed(bead)
    must(scene.process(bead).get("pid") == before, "the CLI did not outlive the daemon")
    spoken = "\n".join(event["payload"]["text"] for event in scene.events(bead, "text.spoken"))
    lines = [line for line in spoken.splitlines() if line.startswith("line ")]
    expected = [f"line {number}" for number in range(1, round(STREAM_SECONDS * 5) + 1)]
    must(lines == expected, f"{len(lines)} of {len(expected)} lines were heard once and in order")
    scene.delivered_once()
    return f"process {before} worked on; {len(lines)} lines heard once each, in order"


def killed_while_waiting(scene: Scene) -> str:
    """SIGKILL to the daemon while an approval is open: it is still open, and is answered once."""
    command = f"make --version > {scene.name}-made.txt"
    bead = scene.run(f"Run it. {scene.script(scene.command(command), DONE)}")
    first = scene.ask(bead)
    scene.kill_daemon()
    ask = scene.ask(bead)
    must(ask["id"] == first["id"], "another ask is open after the restart")
    scene.decide(ask, approve=True)
    scene.landed(bead)
    opened = len(scene.events(bead, "ask.opened"))
    must(opened == 1, f"it was asked for {opened} times")
    return f"the ask {str(ask['id'])[:8]} was still open, was approved, and the command ran"


def killed_after_sending(scene: Scene) -> str:
    """The daemon dies between handing the prompt over and hearing that it was taken."""
    bead = scene.run(f"Write. {scene.script(scene.write(), DONE)}")
    scene.landed(bead)
    starts = scene.starts(bead)
    down = len([e for e in scene.call("events", limit=10_000)["events"] if e["type"] == "daemon.started"])
    must(down == 2, f"the daemon was started {down} times, so it did not die where it was to")
    scene.delivered_once()
    must(starts == 1, f"the CLI was started {starts} times")
    return "the daemon died right after the write; the prompt was delivered once"


def resumed(scene: Scene) -> str:
    """`at down` in the middle of a turn, then `at resume`."""
    held = Held(f"{scene.site.folder.name}-{scene.name}", Say("Too late."))
    bead = scene.run(f"Write. {scene.script(scene.write(), held, DONE)}")
    scene.asked_model(count=2)
    before = scene.show(bead)["agent"]
    scene.down()
    scene.call("resume", agent=before["name"], env=scene.site.environ)
    document = scene.landed(bead)
    must(document["agent"]["session_id"] == before["session_id"], "it went on in another session of the CLI")
    must(scene.on_main(scene.file) == "written\n", "the work from before is not on main")
    scene.delivered_once()
    return f"stopped in mid-turn, gone on with in session {str(before['session_id'])[:13]}, landed"


CASES = (
    Case("cli-killed", "the CLI is killed in mid-turn", cli_killed),
    Case("daemon-killed-streaming", "the daemon is killed while text streams", killed_while_streaming),
    Case("daemon-killed-asking", "the daemon is killed while an approval waits", killed_while_waiting),
    Case(
        "daemon-killed-sending",
        "the daemon is killed between sending and acceptance",
        killed_after_sending,
        failpoint="send.after-write",
    ),
    Case("resume-after-down", "gone on with after `at down`", resumed),
)
