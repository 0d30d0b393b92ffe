"""`at-daemon`: read the configuration, be the one daemon of the home folder, and run until told to end.

With `--ready-fd` it was started on demand (`at_core.start`): it leaves its starter behind and says on that descriptor
when it answers, or why it does not. Heavy parts are imported only after the lock is held and the configuration read,
so that a second daemon and a malformed file cost next to nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import select
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from at_core.errors import AtError
from at_core.paths import Home
from at_core.start import answers
from at_daemon.__about__ import __version__
from at_daemon.lock import AlreadyRunning, only_daemon, owner

if TYPE_CHECKING:
    from at_core.config import Config

Run: TypeAlias = Callable[[Home, "Config", Callable[[], None]], Awaitable[None]]
"""`at_daemon.wiring.run(home, config, ready)`: serve until told to end; call `ready` when the API answers."""

_JOIN_SECONDS: Final = 15.0
_STEP_SECONDS: Final = 0.02
_STEPS_A_WORD: Final = 50
_LINE_BYTES: Final = 400
_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None, run: Run | None = None) -> int:
    """Run the daemon (`run`: default `at_daemon.wiring.run`) and return its exit code."""
    options = _options(arguments)
    report = _Report(options.ready_fd)
    if options.ready_fd is not None and not options.foreground:
        _detach(options.ready_fd)
    report.starting("here")
    home = Home(Path(options.home).absolute()) if options.home else Home.find()
    try:
        home.make()
        with ExitStack() as held:
            if _is_only(home, held, report, joins=options.ready_fd is not None):
                _serve(home, report, run)
            else:
                report.ready(owner(home).pid)
    except Exception as error:  # noqa: BLE001 - the last place that can say in one line why there is no daemon
        failure = _failure(error)
        if logging.getLogger().handlers:  # else the line below is all there is to say, and to whom
            _log.error("the daemon ends: %s", failure.message, exc_info=error)
        report.failed(failure)
        return failure.exit_code
    return 0


class _Report:
    """What the starter is told: how the start gets on, and once how it ended. Errors go to standard error too."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def starting(self, what: str) -> None:
        if self._descriptor is not None:
            self._write(self._descriptor, {"starting": what, "pid": os.getpid()})

    def ready(self, pid: int | None = None) -> None:
        self._say({"ready": {"pid": pid or os.getpid(), "version": __version__}})

    def failed(self, error: AtError) -> None:
        message, hint = error.message[:_LINE_BYTES], error.hint[:_LINE_BYTES]
        self._say(
            {"error": {"code": error.code, "message": message, "hint": hint, "exit_code": error.exit_code}}
        )
        try:
            print(f"at-daemon: {message}{f' ({hint})' if hint else ''}", file=sys.stderr, flush=True)
        except OSError:
            pass  # its file is on the disk that is full; the starter has been told

    def _say(self, document: dict[str, object]) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._write(descriptor, document)
            os.close(descriptor)

    def _write(self, descriptor: int, document: dict[str, object]) -> None:
        try:
            os.write(descriptor, json.dumps(document).encode("ascii") + b"\n")
        except BrokenPipeError:
            pass  # the starter has given up or was ended; the daemon is wanted by the next one


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "at-daemon", description="The daemon of auto-tundra; `at up` starts it, `at down` ends it."
    )
    parser.add_argument(
        "--home", metavar="FOLDER", help="the state folder (default: AT_HOME, else ~/.auto-tundra)"
    )
    parser.add_argument(
        "--ready-fd", type=int, metavar="N", help="leave the starter, and say there when the daemon answers"
    )
    parser.add_argument("--foreground", action="store_true", help="with --ready-fd: do not leave the starter")
    parser.add_argument("--version", action="version", version=f"at-daemon {__version__}")
    return parser.parse_args(arguments)


def _detach(kept: int) -> None:
    """Leave the starter's process, session, folder and descriptors; `kept` stays open."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    for descriptor in [int(name) for name in os.listdir("/dev/fd")]:
        if descriptor > 2 and descriptor != kept:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the one that listed the folder
    os.set_inheritable(kept, False)


def _name_process() -> None:
    """`at-daemon` in ps and top; argv is Python's own."""
    try:
        Path("/proc/self/comm").write_text("at-daemon", "ascii")
    except OSError:
        pass  # not Linux; only a name


def _is_only(home: Home, held: ExitStack, report: _Report, joins: bool) -> bool:
    """Take the home's lock (True). One that `joins` waits for a daemon that ends, or contents itself with one that
    answers (False); raises AlreadyRunning."""
    for step in range(int(_JOIN_SECONDS / _STEP_SECONDS) if joins else 0):
        try:
            held.enter_context(only_daemon(home, __version__))
            return True
        except AlreadyRunning:
            if answers(home):
                return False
            if step % _STEPS_A_WORD == 0:
                report.starting("waiting for the daemon that ends")
            select.select([], [], [], _STEP_SECONDS)
    held.enter_context(only_daemon(home, __version__))
    return True


def _serve(home: Home, report: _Report, run: Run | None) -> None:
    from at_telemetry.logging import init_logging_files

    _name_process()
    init_logging_files("at-daemon", "info", home.logs)
    from at_core.config import Config

    # The store lies in the home that was named, whatever the caller's environment says.
    config = Config.load_from(home.config_file, {**os.environ, "AT_HOME": str(home.root)})
    report.starting("loading")
    gc.disable()  # nothing that imports make is garbage: a fifth of their time, measured
    if run is None:
        from at_daemon import wiring

        run = wiring.run
    import anyio

    gc.freeze()
    gc.enable()
    report.starting("taking up what is there")
    anyio.run(_until_signalled, run, home, config, report.ready)


async def _until_signalled(run: Run, home: Home, config: Config, ready: Callable[[], None]) -> None:
    """Cancel `run` on SIGTERM and SIGINT: an orderly end that stops no agent."""
    import anyio

    async def end_on_signal() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                _log.info("ending: %s", signal.Signals(number).name)
                group.cancel_scope.cancel()
                return

    async with anyio.create_task_group() as group:
        group.start_soon(end_on_signal)
        await run(home, config, ready)
        group.cancel_scope.cancel()


def _failure(error: BaseException) -> AtError:
    """The one line for whatever ended the daemon: the first thing in it that a user can act on."""
    for each in _leaves(error):
        if isinstance(each, AtError):
            return each
    for each in _leaves(error):
        if isinstance(each, OSError):
            return AtError(f"the daemon cannot run: {each}", "at doctor")
    first = next(_leaves(error))
    return AtError(
        f"the daemon failed inside: {type(first).__name__}: {' '.join(str(first).split())}", "at doctor"
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
