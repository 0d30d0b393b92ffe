"""Makes docs/pictures/demo.svg from a real run of `at demo` on a terminal of 112 columns: `python tools/demo_picture.py`."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
COLUMNS = 112


def record(command: list[str]) -> str:
    """What the command writes to a terminal."""
    output = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        output.extend(data)
        return data

    os.environ |= {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    os.environ.pop("NO_COLOR", None)
    status = pty.spawn(command, read)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command} failed; no picture was made")
    return output.decode()


def drawn(text: str) -> str:
    """The text as an SVG; a name of a temporary folder is left out."""
    text = re.sub(r"/tmp/at-demo-\w+", "/tmp/at-demo", text).replace("\r", "")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("$ at demo\n" + text), overflow="fold", no_wrap=False)
    # No font from elsewhere: the picture must not make a browser fetch anything.
    svg = console.export_svg(title="at demo", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)


def main() -> None:
    """Run the demo and write the picture."""
    text = record([str(Path(sys.executable).with_name("at")), "demo"])
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(drawn(text))
    print(f"{PICTURE.relative_to(ROOT)}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    main()
