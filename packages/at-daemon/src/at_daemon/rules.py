"""What a repository's settings file says as its target branch has it, and whether the person trusts that content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from at_core.errors import AtError
from at_core.repo_settings import FILE_NAME, RepoSettings, content_hash, parse
from at_core.types import Rig

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """The file as it was found. `state`: absent, broken, untrusted or trusted; nothing else than the last is acted on."""

    state: str
    settings: RepoSettings = RepoSettings()
    hash: str | None = None
    error: str | None = None

    @property
    def gates(self) -> list[Json]:
        """The gates that it names."""
        return [
            {"name": g.name, "run": g.run, "timeout_seconds": g.timeout_seconds} for g in self.settings.gates
        ]

    def to_json(self) -> Json:
        """The value of `BeadFact.RULES`."""
        return {
            "state": self.state,
            "gates": self.gates,
            "landing": self.settings.landing,
            "hash": self.hash,
            "error": self.error,
        }


def read_rules(rig: Rig, raw: bytes | None, gate_seconds: int) -> Rules:
    """What these bytes of the file say; `gate_seconds` is the time limit of a gate that sets none of its own."""
    if raw is None:
        return Rules("absent")
    found = content_hash(raw)
    try:
        where = f"{rig.path}/{FILE_NAME}"
        settings = parse(raw.decode("utf-8", "strict"), where, timeout_seconds=gate_seconds)
    except (AtError, UnicodeDecodeError) as error:
        return Rules("broken", hash=found, error=str(error))
    return Rules("trusted" if rig.trusted == found else "untrusted", settings, found)
