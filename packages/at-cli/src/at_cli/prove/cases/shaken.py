"""Cases of `--chaos` alone: they hold wherever the CLI is killed, because the model repeats what may be lost."""

from __future__ import annotations

from at_cli.prove.case import Case, must
from at_cli.prove.scene import DONE, Scene
from at_session.rehearsal.replies import Stream

SHORT = Stream(1.0)


def work(scene: Scene) -> str:
    """One turn."""
    writes = [scene.write()] * 3
    bead = scene.run(f"Write. {scene.script(*writes, SHORT)}")
    document = scene.landed(bead)
    must(scene.on_main(scene.file) == "written\n", f"{scene.file} is not on main as it was written")
    once = scene.delivered_once()
    return f"landed by merge {scene.merge_of(document)}; {once}"


def two_turns(scene: Scene) -> str:
    """Two turns, the second sent back by a person."""
    bead = scene.run(f"Write. {scene.script(scene.write(), scene.write(), scene.write(), DONE)}", land=False)
    scene.settled(bead)
    second = f"{scene.name}-2.txt"
    again = [scene.write("2\n", second)] * 3
    scene.call("send_back", bead=bead, text=f"One more. {scene.script(*again, DONE)}")
    scene.settled(bead)
    scene.call("land", bead=bead, text="")
    scene.landed(bead)
    for path, text in ((scene.file, "written\n"), (second, "2\n")):
        must(scene.on_main(path) == text, f"{path} is not on main as it was written")
    return "both turns' files are on main"


CASES = (
    Case(
        "shaken-work",
        "work lands wherever CLI and daemon are killed",
        work,
        only_chaos=True,
        outlives_cli=True,
    ),
    Case(
        "shaken-turns",
        "two turns land wherever CLI and daemon are killed",
        two_turns,
        only_chaos=True,
        outlives_cli=True,
    ),
)
