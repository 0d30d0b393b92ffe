"""Plays the cases of a CLI, several at once; those on one site follow each other."""

from __future__ import annotations

import dataclasses
import itertools
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from at_cli.clock import monotonic
from at_cli.prove import ground
from at_cli.prove.case import Cannot, Case, CaseResult, Failed, Played, TooSlow
from at_cli.prove.scene import Scene
from at_cli.prove.site import Site
from at_core.errors import AtError
from at_session.rehearsal.endpoint import Endpoint

JOBS = 3
"""Lanes of one CLI at once. More only wait for the processor on two cores, and one CLI takes up to 0.8 GB.

Cases that mostly wait have lanes of their own beside them.
"""

SLOWER = 6
"""So many times the watchdog of a case is what a CLI gets that is too slow for it on this machine."""

Play = Callable[[Case, Site], str]


@dataclass(slots=True)
class Table:
    """All cases of one CLI. `cells` gives each as soon as it is played."""

    folder: Path
    installed: ground.Installed
    cases: Sequence[Case]
    base: Mapping[str, str]
    play: Play
    jobs: int = JOBS
    troubles: list[str] = field(default_factory=list)
    """What could not be cleaned up."""
    given_up: threading.Event = field(default_factory=threading.Event)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def cells(self) -> Generator[Played, None, None]:
        """Play all; the order is that of their ends."""
        played: queue.SimpleQueue[Played] = queue.SimpleQueue()
        with Endpoint() as endpoint:
            threads = [
                threading.Thread(target=self._worker, args=(endpoint, lane, played), name=f"worker-{number}")
                for number, lane in enumerate(self._lanes())
            ]
            for thread in threads:
                thread.start()
            try:
                for _ in self.cases:
                    yield played.get()
            finally:
                self.given_up.set()
                for thread in threads:
                    thread.join()

    def _lanes(self) -> list[queue.SimpleQueue[Case]]:
        """The queue of each worker: most take from the same one, a case that mostly waits has a worker of its own."""
        waiting = [case for case in self.cases if case.long] if self.jobs > 1 else []
        busy = sorted((case for case in self.cases if case not in waiting), key=lambda case: not case.alone)
        common = _queue_of(busy)
        return [_queue_of([case]) for case in waiting] + [common] * min(self.jobs, len(busy))

    def _worker(
        self,
        endpoint: Endpoint,
        waiting: queue.SimpleQueue[Case],
        played: queue.SimpleQueue[Played],
    ) -> None:
        shared: Site | None = None
        while True:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                break
            if self.given_up.is_set():
                break
            began = monotonic()
            try:
                if case.alone:
                    cell = self._alone(case, endpoint, began)
                else:
                    shared = shared or self._open(endpoint)
                    cell = self._cell(case, shared, began)
            except Exception as error:  # noqa: BLE001 - one cell's trouble is that cell's verdict, and the table goes on
                cell = self._told(case, CaseResult.FAIL, f"{type(error).__name__}: {error}", began)
            played.put(cell)
        if shared is not None:
            self.troubles += shared.end()

    def _alone(self, case: Case, endpoint: Endpoint, began: float) -> Played:
        try:
            return self._in_site(case, endpoint, began)
        except TooSlow:
            patient = dataclasses.replace(case, watchdog=(case.watchdog or 0) * SLOWER)
        try:
            return self._in_site(patient, endpoint, began)
        except TooSlow as fact:
            return self._told(case, CaseResult.FAIL, str(fact), began)

    def _in_site(self, case: Case, endpoint: Endpoint, began: float) -> Played:
        site = self._open(endpoint, case)
        try:
            return self._cell(case, site, began)
        finally:
            self.troubles += site.end()

    def _open(self, endpoint: Endpoint, case: Case | None = None) -> Site:
        """Each attempt has a folder of its own: what a failed one left cannot disturb the next."""
        name = f"{self.installed.cli}-{next(self._numbers)}{f'-{case.name}' if case else ''}"
        site = Site(
            self.folder / name,
            self.installed,
            endpoint,
            self.base,
            watchdog=case.watchdog if case else None,
            failpoint=case.failpoint if case else None,
            given_up=self.given_up,
        )
        try:
            site.prepare()
        except BaseException:  # whatever ends it, no daemon or endpoint is left running
            self.troubles += site.end()
            raise
        return site

    def _cell(self, case: Case, site: Site, began: float) -> Played:
        try:
            return self._told(case, CaseResult.PASS, self.play(case, site), began)
        except Cannot as proof:
            return self._told(case, CaseResult.CANNOT, str(proof), began)
        except Failed as fact:
            return self._told(case, CaseResult.FAIL, str(fact), began)
        except AtError as error:
            return self._told(case, CaseResult.FAIL, f"{error.code}: {error.message}", began)

    def _told(self, case: Case, verdict: CaseResult, fact: str, began: float) -> Played:
        return Played(self.installed.cli, case.name, verdict, round(monotonic() - began, 1), fact)


def _queue_of(cases: Sequence[Case]) -> queue.SimpleQueue[Case]:
    filled: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in cases:
        filled.put(case)
    return filled


def plainly(case: Case, site: Site) -> str:
    """Play a case with nothing else going on."""
    return case.play(Scene(site, case.name))
