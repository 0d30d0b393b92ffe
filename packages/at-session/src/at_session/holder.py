"""The holder: one process that owns one agent's PTY or pipes, journals both directions and outlives its starter.

    python -I -S holder.py <launch file>

This file starts it; the parts are `holder_loop`, `holder_listener`, `holder_clients`, `holder_journal`,
`holder_processes` and `holder_wire`. All are standard library only. Why C modules (`_socket`, `_signal`, `posix`) and not `socket`, `signal`, `os`: their Python
halves import enum and collections, measured at +8 to +15 ms of start and +1.2 MB of private memory, against 30 ms and
5 MB allowed.
"""

import _signal  # type: ignore[import-not-found]
import posix
import sys

if __name__ == "__main__":
    # -I keeps the package off the path. The code, be it from a cache or not, knows where its source is.
    sys.path.insert(0, sys._getframe().f_code.co_filename.rpartition("/at_session/")[0])

from at_session import holder_wire as wire
from at_session.holder_journal import Journal
from at_session.holder_listener import Listener
from at_session.holder_loop import Holder
from at_session.holder_processes import Refusal, attempt, become_subreaper, slurp, spawn
from at_session.holder_wire import Fields


def read_launch(path: str) -> tuple[Fields, list[bytes], Fields]:
    """Settings, argv and environment from the launch file: fields, of which `arg` and `env` occur many times."""
    pairs = [text.split(b"=", 1) for text in slurp(path).split(b"\0")[:-1]]
    env = dict(value.split(b"=", 1) for key, value in pairs if key == b"env")
    return dict(pairs), [value for key, value in pairs if key == b"arg"], env


def start(path: str) -> Holder:
    """Everything until the agent runs. Raises Refusal."""
    become_subreaper()
    launch, argv, env = attempt("launch", read_launch, path)
    listener = attempt("socket", Listener, launch[b"socket"])
    posix.unlink(path)  # it holds the environment; not before the socket is there, so that we can be found
    attempt("journal", posix.chdir, launch[b"journal"])
    holder = Holder(launch, listener, attempt("journal", Journal, int(launch[b"segment"])))
    attempt("cwd", posix.chdir, launch[b"cwd"])
    holder.pid, ours = attempt("exec", spawn, launch, argv, env)
    posix.chdir(launch[b"journal"])
    holder.stdin = ours[0]
    kinds = (wire.K_OUTPUT, wire.K_STDERR)
    holder.outputs = {ours[0]: wire.K_OUTPUT} if holder.pty else dict(zip(ours[1:], kinds, strict=True))
    copied = [(name, launch[name.encode()]) for name in ("id", "mode", "rows", "cols")]
    holder.record(wire.K_START, wire.pack_fields(("pid", holder.pid), *copied))
    return holder


def main(path: str) -> None:
    """Leave the starter, start the agent, say how that went on the ready pipe, and hold it to its end."""
    posix.closerange(3, 65536)  # what a starter left inheritable would be kept open for as long as we live
    if posix.fork():  # the starter gets no child to reap, and we lead no session that could get a terminal
        posix._exit(0)
    for number in (_signal.SIGHUP, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_IGN)
    holder = None
    try:
        holder = start(path)
        ready = wire.frame(wire.OK, 0, holder.describe())
    except Refusal as refusal:
        ready = wire.frame(wire.ERROR, 0, refusal.payload())
    try:
        posix.write(1, ready)
    except OSError:
        pass  # the starter has died; the session goes on without it
    posix.dup2(0, 1)
    if holder:
        holder.run()
        holder.listener.remove()


if __name__ == "__main__":
    main(sys.argv[1])
