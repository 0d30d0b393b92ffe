"""The registry of CLIs: ours, those of manifests, and what holds while a manifest is broken or gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from at_core.config import Config
from at_core.errors import AtError, ConfigError, UsageError
from at_core.types import CliType
from at_daemon.budgets import Budgets
from at_daemon.clis import Clis
from at_session.drivers import known_clis
from at_session.errors import ManifestError, UnknownCli

MANIFEST = 'binary = "goose"\nprotocol = "acp"\nbudget_day_tokens = 5\n[permission_modes]\nask = "ask"\n'
CONFIG = Config.from_toml('[agents.opencode]\nbinary = "oc"\n')


@pytest.fixture
def clis(tmp_path: Path) -> Clis:
    return Clis(lambda: CONFIG, tmp_path)


def write(folder: Path, text: str, name: str = "goose") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_ours_need_no_folder(tmp_path: Path) -> None:
    clis = Clis(lambda: CONFIG, tmp_path / "missing")
    assert clis.names() == known_clis()
    assert clis.called("open_code").settings.binary == "oc"
    assert clis.find("opencode").identity == {"cli_type": CliType.OPEN_CODE}
    assert [clis.find(name).driver.cli for name in clis.names()] == list(known_clis())


def test_a_manifest_counts_from_when_it_is_written_until_it_is_gone(clis: Clis, tmp_path: Path) -> None:
    with pytest.raises(UnknownCli):
        clis.find("goose")
    path = write(tmp_path, MANIFEST)
    found = clis.find("goose")
    assert found.identity == {"cli_type": CliType.OTHER, "metadata": {"cli": "goose"}}
    assert (found.settings.timeout_seconds, found.settings.allow, found.modes) == (600, "ask", ("ask",))
    assert clis.find("goose") is found, "it is not read again while it stays as it is"
    path.write_text(MANIFEST.replace("= 5", "= 6"))
    assert clis.find("goose").settings.budget_day_tokens == 6
    path.unlink()
    with pytest.raises(UnknownCli):
        clis.find("goose")


@pytest.mark.parametrize("broken", ["binary = 1\n", None], ids=["broken", "gone"])
def test_what_a_running_agent_needs_to_know_stays(clis: Clis, tmp_path: Path, broken: str | None) -> None:
    path = write(tmp_path, MANIFEST)
    budgets = Budgets(clis)
    assert [limit.amount for limit in budgets.of_day("goose")] == [5]
    path.unlink()
    if broken is not None:
        write(tmp_path, broken)
    assert [limit.amount for limit in budgets.of_day("goose")] == [5], "no turn begins beyond a known budget"
    last = clis.last("goose")
    assert last is not None and last.driver.cli == "goose"
    assert clis.last("never there") is None
    with pytest.raises((UnknownCli, ManifestError)):
        clis.find("goose")


@pytest.mark.parametrize(
    ("word", "kind", "told"),
    [
        ("clod", UsageError, "'clod' is no CLI that can be driven (there are claude, "),
        ("bad", ConfigError, "/bad.toml:1: binary: 1 is not allowed; allowed: the name of"),
        ("other", UsageError, "'other' is no CLI"),
        ("../bad", UsageError, "'../bad' is no CLI"),
    ],
)
def test_a_name_that_is_none_is_told_in_one_line(
    clis: Clis, tmp_path: Path, word: str, kind: type[AtError], told: str
) -> None:
    write(tmp_path, "binary = 1\n", "bad")
    with pytest.raises(kind) as caught:
        clis.called(word)
    assert told in caught.value.message and "\n" not in caught.value.message
    assert clis.find("demo").driver.cli == "demo"


def test_the_first_that_is_installed_is_never_the_demo_agent(clis: Clis, tmp_path: Path) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    write(tmp_path, MANIFEST)
    environment = {"PATH": str(place)}
    assert clis.first_found(environment) is None
    for name in ("goose", "oc"):
        (place / name).write_text("#!/bin/sh\n")
        os.chmod(place / name, 0o755)
        found = clis.first_found(environment)
        assert found is not None and found.name == {"goose": "goose", "oc": "opencode"}[name]
