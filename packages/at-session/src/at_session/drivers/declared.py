"""Drivers of CLIs that a manifest declares: one of ours, with the manifest's program, modes and capabilities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar

from at_session.drivers import driver_for
from at_session.drivers.acp import AcpDriver
from at_session.drivers.acp_dialect import AcpFailure, Dialect, failure_of
from at_session.drivers.demo import DemoDriver
from at_session.drivers.jsonlines import Object, text_of
from at_session.manifest import Manifest
from at_session.vocabulary import (
    Capabilities,
    Decision,
    Driver,
    DriverEvent,
    DriverState,
    FailureKind,
    Launch,
    LaunchRequest,
    Write,
)

PRIVATE = "{private}"
_SPOKEN_BY = {"claude-stream-json": "claude", "codex-app-server": "codex"}
_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z\b")
_OF_ACP = Capabilities(
    chooses_session_id=False,
    resumes=True,
    acknowledges_prompts=True,
    asks_over_protocol=True,
    reports_cost=False,
    queues_prompts=True,
    exits_on_eof=False,
    login_hint="",
    memory_mb=300,
    draws_on="",
    asks_questions=False,
    # Saying a prompt twice is the lesser harm where it is not known.
    keeps_failed_prompts=False,
    unreported=("cost", "requests"),
)


class DeclaredDriver:
    """The driver `spoken` with the program of `manifest`. Its state is that driver's, and the private folder."""

    manifest: ClassVar[Manifest]
    spoken: ClassVar[type[Driver]]
    cli: str
    capabilities: Capabilities

    def __init__(self, state: DriverState | None = None) -> None:
        self.state = state if state is not None else DriverState()
        self._driver = self.spoken(self.state)

    def launch(self, request: LaunchRequest) -> Launch:
        """Say how to start the CLI: program, manifest's arguments, those of the protocol, of the mode, the caller's.

        A variable of the manifest counts before the caller's, one of the permission mode before both.
        Raises LaunchRefused for a permission mode that the manifest does not name.
        """
        manifest, mode, private = self.manifest, self.manifest.mode(request.allow), request.private_dir
        env = self._environment(request.env, private) | _filled(mode.environment, private)
        further = (_with(private, each) for each in mode.arguments)
        launch = self._driver.launch(
            replace(request, binary=manifest.program(env), args=(*further, *request.args), env=env)
        )
        arguments = [_with(private, each) for each in manifest.arguments]
        self.state.values["declared_private"] = private
        return replace(launch, argv=(launch.argv[0], *arguments, *launch.argv[1:]))

    def open(self) -> list[Write]:
        """As the protocol's driver."""
        return self._driver.open()

    def feed(self, stream: str, data: bytes) -> Iterable[DriverEvent | Write]:
        """As the protocol's driver."""
        return self._driver.feed(stream, data)

    def prompt(self, message_id: str, text: str) -> list[Write]:
        """As the protocol's driver."""
        return self._driver.prompt(message_id, text)

    def decide(self, request_id: str, decision: Decision) -> list[Write]:
        """As the protocol's driver."""
        return self._driver.decide(request_id, decision)

    def interrupt(self, interrupt_id: str) -> list[Write]:
        """As the protocol's driver."""
        return self._driver.interrupt(interrupt_id)

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        """As the protocol's driver, with the manifest's variables."""
        return self._driver.reconcile(
            self._environment(env, text_of(self.state.values.get("declared_private"))), cwd
        )

    def _environment(self, env: Mapping[str, str], private: str) -> dict[str, str]:
        return {**env, **_filled(self.manifest.environment, private)}


class DeclaredAcp(AcpDriver):
    """The core of the protocol with nothing but a dialect of data."""

    dialect: ClassVar[Dialect] = Dialect("declared", _OF_ACP, arguments=())

    def failure(self, error: Object) -> AcpFailure:
        """As the core tells it; an instant in the words of a limit is its end."""
        failure = failure_of(error)
        found = _INSTANT.search(failure.message) if failure.kind is FailureKind.LIMIT else None
        return replace(failure, reset_at=found[0]) if found else failure


class DeclaredDemo(DemoDriver):
    """Any program that speaks the demo agent's protocol."""

    def launch(self, request: LaunchRequest) -> Launch:
        """The program takes the demo agent's options."""
        launch = super().launch(request)
        return replace(launch, argv=(request.binary, *launch.argv[4:]))


def driver_of(manifest: Manifest) -> type[Driver]:
    """The driver of a declared CLI."""
    spoken = _spoken(manifest)
    capabilities = replace(
        spoken.capabilities,
        login_hint=manifest.login_hint,
        draws_on=manifest.draws_on,
        unreported=tuple(dict.fromkeys((*spoken.capabilities.unreported, *manifest.unreported))),
    )
    members = {
        "manifest": manifest,
        "spoken": spoken,
        "cli": manifest.name,
        "capabilities": capabilities,
        "__doc__": f"Made of {manifest.path}.",
    }
    driver: type[Driver] = type("DeclaredDriver", (DeclaredDriver,), members)
    return driver


def _spoken(manifest: Manifest) -> type[Driver]:
    if manifest.protocol == "acp":
        capabilities = replace(_OF_ACP, login_hint=manifest.login_hint, draws_on=manifest.draws_on)
        dialect = Dialect(
            manifest.name,
            capabilities,
            arguments=(),
            modes={allow: mode.mode for allow, mode in manifest.permission_modes.items() if mode.mode},
            command_marks=manifest.command_marks,
            replays_late=manifest.replays_late,
        )
        spoken: type[Driver] = type("DeclaredAcp", (DeclaredAcp,), {"dialect": dialect})
        return spoken
    if manifest.protocol == "demo":
        return DeclaredDemo
    return driver_for(_SPOKEN_BY[manifest.protocol])


def _filled(environment: Mapping[str, str], private: str) -> dict[str, str]:
    return {name: _with(private, value) for name, value in environment.items()}


def _with(private: str, text: str) -> str:
    return text.replace(PRIVATE, private)
