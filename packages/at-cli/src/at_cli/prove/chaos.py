"""Kills daemon and CLI while a case plays, at instants that follow from a seed, the CLI and the case alone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from at_cli.prove.case import Case, Failed
from at_cli.prove.scene import Scene
from at_cli.prove.site import Site
from at_cli.shutdown import kill_process
from at_core.errors import AtError
from at_daemon.lock import owner

MOST_STRIKES = 3
FIRST_SECONDS = (0.02, 0.5)
NEXT_SECONDS = (0.05, 2.5)
EARLY_SHARE = 0.25
"""Of the plans whose first strike is at the daemon while the CLI is being started."""
LOOK_SECONDS = 0.5
AT_THE_END_SECONDS = 30.0


class After(StrEnum):
    """The fact from which the seconds of a strike count: a slow machine reaches it later, and is struck later."""

    ORDER = "the order"
    REQUEST = "the first request to the model"
    STRIKE = "the strike before"


@dataclass(frozen=True, slots=True)
class Strike:
    """One kill, so many seconds after a fact."""

    seconds: float
    cli: bool
    after: After


def strikes(seed: int, cli: str, case: Case) -> list[Strike]:
    """What is killed and when. A CLI is killed once at most: it is given up after some deaths in one turn."""
    dice = random.Random(f"{seed}:{cli}:{case.name}")
    count = dice.randint(1, MOST_STRIKES)
    clis = [False] * count
    if case.outlives_cli:
        clis.insert(dice.randrange(count + 1), True)
    early = not clis[0] and dice.random() < EARLY_SHARE
    plan = [Strike(dice.uniform(*FIRST_SECONDS), clis[0], After.ORDER if early else After.REQUEST)]
    return plan + [Strike(dice.uniform(*NEXT_SECONDS), each, After.STRIKE) for each in clis[1:]]


@dataclass(slots=True)
class Shaker:
    """Strikes at one case. No order is cut off in mid-call: what a caller does then is another matter than the work."""

    plan: list[Strike]
    site: Site
    done: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _calls: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def begin(self, scene: Scene, bead: str) -> None:
        """Strike from now on; a second bead of the same case is not struck."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(scene, bead), name="strikes")
            self._thread.start()

    def end(self) -> None:
        """No strike after this."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(AT_THE_END_SECONDS)

    def guarded(self, call: Callable[..., object]) -> Callable[..., object]:
        """The call, never struck while it is under way."""

        def guard(*names: object, **values: object) -> object:
            with self._calls:
                return call(*names, **values)

        return guard

    def _run(self, scene: Scene, bead: str) -> None:
        for strike in self.plan:
            if strike.after is After.REQUEST:
                self._wait_for_request(scene)
            if self._over.wait(strike.seconds):
                return
            with self._calls:
                self.done += self._kill_cli(scene, bead) if strike.cli else self._kill_daemon()

    def _wait_for_request(self, scene: Scene) -> None:
        while not self._over.is_set():
            if self.site.endpoint.wait_for(lambda: bool(scene.all_exchanges()), LOOK_SECONDS):
                return

    def _kill_daemon(self) -> bool:
        pid = owner(self.site.daemon.home).pid
        return pid is not None and kill_process(pid)

    def _kill_cli(self, scene: Scene, bead: str) -> bool:
        try:
            scene.kill_cli(bead)
        except (AtError, Failed, ProcessLookupError):
            return False  # it was not running at this instant
        return True


def shaken(seed: int, case: Case, site: Site) -> str:
    """Play a case while it is struck; the fact says how often."""
    shaker = Shaker(strikes(seed, site.cli, case), site)
    scene = Scene(site, case.name)
    scene.on_start = lambda bead: shaker.begin(scene, bead)
    scene.guard = shaker.guarded
    try:
        fact = case.play(scene)
    finally:
        shaker.end()
    return f"{fact} ({told(shaker.done)})"


def told(count: int) -> str:
    """How often something was killed, in words."""
    return {0: "not struck", 1: "struck once"}.get(count, f"struck {count} times")
