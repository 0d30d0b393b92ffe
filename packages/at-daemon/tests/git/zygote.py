"""Runs operations of `at_daemon.git` in forked children and kills them with SIGKILL at a given line. Not a test.

One JSON request per line on stdin: `{"call": name, "arguments": […], "keywords": {…}, "at": line or null,
"children": bool, "home": folder}`; one answer: `{"killed": bool, "lines": count of lines run, "result": text}`. Counted are the
lines that run in the package, in all threads. With `children` the git processes under way are killed too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import anyio

from at_daemon import git

_OURS = os.path.dirname(git.__file__)


def _trace(at: int | None, children: bool, counted: list[int]) -> Any:
    def line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            counted[0] += 1
            if counted[0] == at:
                _die(children)
        return line

    def call(frame: FrameType, _event: str, _: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(_OURS) else None

    return call


def _die(children: bool) -> None:
    if children:
        for task in os.listdir("/proc/self/task"):
            # A thread, or a child, may end meanwhile.
            with suppress(FileNotFoundError, ProcessLookupError):
                for child in Path(f"/proc/self/task/{task}/children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _run(request: dict[str, Any], pipe: int) -> None:
    counted = [0]
    os.environ["HOME"] = request["home"]
    arguments = [Path(word) if word.startswith("/") else word for word in request["arguments"]]

    async def main() -> Any:
        return await getattr(git, request["call"])(*arguments, **request["keywords"])

    trace = _trace(request["at"], request["children"], counted)
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        result = repr(anyio.run(main))
    finally:
        sys.settrace(None)
    os.write(pipe, json.dumps({"killed": False, "lines": counted[0], "result": result}).encode())


def main() -> None:
    for text in sys.stdin:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ours)
            status = 1
            try:
                _run(json.loads(text), theirs)
                status = 0
            finally:
                os._exit(status)
        os.close(theirs)
        _, status = os.waitpid(child, 0)
        os.set_blocking(ours, False)
        answer = os.read(ours, 1 << 20) if status == 0 else b""
        os.close(ours)
        if status == 0:
            print(answer.decode(), flush=True)
        else:
            killed = os.WIFSIGNALED(status)
            print(json.dumps({"killed": killed, "lines": 0, "result": f"status {status}"}), flush=True)


if __name__ == "__main__":
    main()
