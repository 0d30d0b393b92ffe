"""What a case does with its site: give prompts, wait for facts, decide, kill, and look at what came of it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from at_cli.clock import monotonic
from at_cli.prove.case import Failed, must
from at_cli.prove.site import Document, Site
from at_cli.shutdown import kill_process
from at_core.api import BY_NAME
from at_core.errors import AtError, DaemonUnreachable
from at_session.rehearsal.clis import RehearsedCli, rehearsed
from at_session.rehearsal.endpoint import Exchange, Span
from at_session.rehearsal.replies import RefuseFor, Reply, Say, Tokens, ToolUse, UseTools

PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 5.0
EVENTS_AT_ONCE = 1000
STARTS = 4
DONE = Say("Done.")


@dataclass(slots=True)
class Scene:
    """One case on one site. Scripts and files carry the case's name, so cases do not meet."""

    site: Site
    name: str
    patience: float = PATIENCE_SECONDS
    cli: str = ""
    """The CLI that works in this scene: the site's first, if none is named."""
    markers: list[str] = field(default_factory=list)
    on_start: Callable[[str], None] = lambda bead: None
    """Called with each bead that was started."""
    guard: Callable[[Callable[..., object]], Callable[..., object]] = lambda call: call
    """Around each order that must not be cut off."""

    def __post_init__(self) -> None:
        self.cli = self.cli or self.site.installed.cli

    # --- the model ---------------------------------------------------------------------------------------------

    @property
    def model(self) -> RehearsedCli:
        """How the scripted model speaks to this CLI."""
        return rehearsed(self.cli)

    @property
    def file(self) -> str:
        """A file name of this case's own."""
        return f"{self.name}.txt"

    def script(self, *replies: Reply | RefuseFor) -> str:
        """The word that makes the model give these replies to a prompt that holds it."""
        name = f"{self.site.folder.name}-{self.name}-{len(self.markers)}"
        self.markers.append(name)
        return self.site.endpoint.script(name, *replies)

    def write(self, text: str = "written\n", path: str | None = None) -> UseTools:
        """The model writes the case's file."""
        return UseTools((self.model.write(path or self.file, text),), "I write it.")

    def command(self, command: str) -> UseTools:
        """The model runs a command that is asked for."""
        return UseTools((self.model.command(command),))

    def calls(self, *tools: ToolUse) -> UseTools:
        """Several calls in one response."""
        return UseTools(tools, "Several at once.")

    def exchanges(self, number: int = 0) -> list[Exchange]:
        """Requests that the model got for the case's script of that number."""
        return self.site.endpoint.of(self.markers[number])

    def all_exchanges(self) -> list[Exchange]:
        """Requests of all the case's scripts."""
        return [each for name in self.markers for each in self.site.endpoint.of(name)]

    def sent(self) -> Tokens:
        """The figures that the model sent to this case, with the CLI's hidden requests if the CLI counts them."""
        hidden = self.site.endpoint.exchanges(auxiliary=True) if self.model.counts_hidden_requests else []
        counted = [each for each in hidden if each.marker in self.markers]
        return self.site.endpoint.sent([*self.all_exchanges(), *counted])

    def tools(self) -> list[str]:
        """Names of the tools that the CLI offered to the model in any request."""
        return sorted({name for each in self.all_exchanges() for name in _names(each.body.get("tools", []))})

    def delivered_once(self, number: int = 0) -> str:
        """That the prompt stands once in the whole conversation and twice in no request. Raises Failed."""
        marker = f"rehearse:{self.markers[number]}"
        counts = [sum(marker in text for text in each.request.texts) for each in self.all_exchanges()]
        must(counts, "the model was never asked")
        must(max(counts) <= 1, f"the prompt stands {max(counts)} times in one request")
        must(
            counts[-1] == 1,
            f"the prompt stands {counts[-1]} times in the conversation as the model saw it last",
        )
        return "one delivery"

    def summaries(self) -> int:
        """Requests that the CLI made for itself after the first refusal: a summary of the case's conversation."""
        hidden = [
            each for each in self.site.endpoint.exchanges(auxiliary=True) if each.marker in self.markers
        ]
        refused = [each.number for each in self.all_exchanges() if each.tokens is None]
        return sum(each.number > refused[0] for each in hidden) if refused else 0

    def spans(self) -> list[Span]:
        """When the requests of the case's newest script were under way."""
        return [span for span in self.site.endpoint.spans() if span.marker == self.markers[-1]]

    def asked_model(self, count: int = 1, number: int = 0) -> None:
        """Wait until the model got so many requests. Raises Failed."""
        end = monotonic() + self.patience
        while not self.site.endpoint.wait_for(lambda: len(self.exchanges(number)) >= count, 1.0):
            self.call(
                "health"
            )  # a daemon that was killed is started by whoever calls it, and nobody else does
            must(monotonic() < end, f"the model got {len(self.exchanges(number))} requests, not {count}")

    # --- the product -------------------------------------------------------------------------------------------

    def call(self, route: str, /, **values: Any) -> Any:
        """One operation of the API. Raises AtError; Failed once the table is given up."""
        must(not self.site.given_up.is_set(), "given up")
        if BY_NAME[route].method == "GET":
            return self._asked(route, values)
        return self.guard(self.site.daemon.call)(route, **values)

    def _asked(self, route: str, values: dict[str, Any]) -> Any:
        """A question may be asked again: a daemon that is killed while it starts is started by the next call."""
        for _ in range(STARTS):
            with contextlib.suppress(DaemonUnreachable):
                return self.site.daemon.call(route, **values)
        return self.site.daemon.call(route, **values)

    def run(self, prompt: str, *, land: bool = True, env: Mapping[str, str] | None = None) -> str:
        """As `at run`, in the site's environment and `env`; the bead's id."""
        order = {"cli": self.cli, "land": land, "env": {**self.site.environ, **(env or {})}}
        document = self.call(
            "run", path=str(self.site.repository), prompt=prompt, title=f"Prove {self.name}", order=order
        )
        bead = str(document["bead"]["id"])
        self.on_start(bead)
        return bead

    def show(self, bead: str) -> Document:
        """The bead document."""
        document: Document = self.call("show", bead=bead)
        return document

    def settled(self, bead: str) -> Document:
        """The bead document once nothing more happens by itself. Raises Failed."""
        for document in self._looks(bead):
            if document["settled"]:
                return document
        raise Failed(f"not settled after {self.patience:.0f} s: {_state(self.show(bead))}")

    def landed(self, bead: str) -> Document:
        """The bead document once its work is on the target. Raises Failed."""
        document = self.settled(bead)
        must(document["bead"]["status"] == "done", f"it did not land: {_state(document)}")
        return document

    def failed(self, bead: str, *words: str) -> str:
        """The reason of a bead that must fail, which must hold all the words. Raises Failed."""
        document = self.settled(bead)
        must(document["bead"]["status"] == "failed", f"it did not fail: {_state(document)}")
        reason = "; ".join(document["reasons"])
        for word in words:
            must(word.lower() in reason.lower(), f"the reason does not say {word!r}: {reason}")
        return reason

    def usage(self, bead: str) -> Document:
        """The usage of a settled bead, with its cost: the price list is asked beside the work. Raises Failed."""
        for document in self._looks(bead):
            usage: Document = document["usage"]
            if document["settled"] and usage["cost_usd"] is not None:
                return usage
        raise Failed(f"no cost after {self.patience:.0f} s: {_state(self.show(bead))}")

    def event(self, bead: str, kind: str, count: int = 1) -> Document:
        """The `count`-th event of a kind about the bead. Raises Failed."""
        for document in self._looks(bead):
            found = self.events(bead, kind)
            if len(found) >= count:
                return found[count - 1]
            must(not document["settled"], f"settled before {kind} number {count}: {_state(document)}")
        raise Failed(f"no {kind} number {count} after {self.patience:.0f} s: {_state(self.show(bead))}")

    def until(self, bead: str, holds: Callable[[Document], bool], what: str) -> Document:
        """The bead document once a condition on it holds. Raises Failed."""
        for document in self._looks(bead):
            if holds(document):
                return document
            must(not document["settled"], f"settled before {what}: {_state(document)}")
        raise Failed(f"not {what} after {self.patience:.0f} s: {_state(self.show(bead))}")

    def events(self, bead: str, *kinds: str) -> list[Document]:
        """Events about the bead so far, of these kinds."""
        found: list[Document] = []
        while page := self.call(
            "events", bead=bead, after=found[-1]["seq"] if found else 0, limit=EVENTS_AT_ONCE
        )["events"]:
            found += page
        return [event for event in found if not kinds or event["type"] in kinds]

    def ask(self, bead: str, count: int = 1) -> Document:
        """The open ask of the bead, once it is there. Raises Failed."""
        self.event(bead, "ask.opened", count)
        for ask in self.call("approvals")["approvals"]:
            if ask["bead"] == bead:
                found: Document = ask
                return found
        raise Failed("an ask was opened, and the queue does not have it")

    def decide(self, ask: Document, *, approve: bool, text: str = "", always: bool = False) -> None:
        """As `at approve`, `at deny`, `at answer`."""
        self.call("decide", ask=ask["id"], approve=approve, text=text, always=always)

    def process(self, bead: str) -> Document:
        """What is known of the process of the bead's agent: {pid, session, state, …}."""
        agent = self.show(bead)["agent"]
        facts = {row["fact"]: row["value"] for row in self.call("explain", name=agent["name"])["facts"]}
        found: Document = facts.get("process") or {}
        return found

    def kill_cli(self, bead: str) -> int:
        """SIGKILL the CLI's own process; its number. Raises Failed if it does not run."""
        process = self.process(bead)
        must(process.get("state") == "running", f"the CLI does not run: {process}")
        os.kill(int(process["pid"]), signal.SIGKILL)
        return int(process["pid"])

    def kill_daemon(self) -> None:
        """SIGKILL to the daemon. Whoever calls it next starts another one."""
        kill_process(int(self.call("health")["pid"]))

    def down(self) -> None:
        """As `at down`. Raises AtError, OSError."""
        self.guard(self.site.down)()

    def starts(self, bead: str) -> int:
        """How often a process of the CLI was started for the bead."""
        return len(self.events(bead, "agent.started"))

    def on_main(self, path: str) -> str | None:
        """A file's text on the target branch, None where there is none."""
        names = self.site.git("ls-tree", "-r", "--name-only", "main").splitlines()
        return self.site.git("show", f"main:{path}") if path in names else None

    def merge_of(self, document: Document) -> str:
        """The merge commit, short."""
        return str(document["evidence"]["merge"] or "")[:9]

    def _looks(self, bead: str) -> Iterator[Document]:
        """The bead document now and after each change, until patience ends."""
        end = monotonic() + self.patience
        document = self.show(bead)
        yield document
        while (left := end - monotonic()) > 0:
            try:
                document = self.call(
                    "wait", bead=bead, after=document["seq"], seconds=min(LOOK_SECONDS, left)
                )
            except AtError as error:
                if error.exit_code not in (
                    69,
                    75,
                ):  # a daemon that is killed is started again by the next call
                    raise
                continue
            yield document


def _state(document: Document) -> str:
    agent = document.get("agent") or {}
    said = "; ".join(document["reasons"]) or "no reason given"
    return f"{document['bead']['status']}, agent {agent.get('label')}: {said}"


def _names(tools: Any) -> Iterator[str]:
    """Every wire format has its own depth for a tool's name."""
    if isinstance(tools, list):
        for each in tools:
            yield from _names(each)
    elif isinstance(tools, dict):
        if isinstance(tools.get("name"), str):
            yield tools["name"]
        else:
            for key in ("function", "functionDeclarations", "function_declarations"):
                yield from _names(tools.get(key))
