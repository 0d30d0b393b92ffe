"""What `at status` and the hook relay load, seen on sys.modules of a real interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = (
    "click",
    "rich",
    "pydantic",
    "sqlalchemy",
    "alembic",
    "anyio",
    "json",
    "socket",
    "asyncio",
    "argparse",
    "logging",
)


def loaded(code: str, *flags: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, *flags, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_the_hot_path_loads_nothing_slow() -> None:
    bare = loaded("pass")
    assert (loaded("import at_cli.fast") - bare) & set(SLOW) == set()


@pytest.mark.parametrize(
    "package", ["at_telemetry", "at_core", "at_session", "at_agents", "at_daemon", "at_cli"]
)
def test_importing_a_package_is_cheap_and_silent(package: str) -> None:
    heavy = {"click", "rich", "pydantic", "sqlalchemy", "alembic", "starlette", "uvicorn"}
    assert loaded(f"import {package}", "-W", "error") & heavy == set()


def test_types_load_no_validation_and_no_database() -> None:
    assert loaded("import at_core.types") & {"pydantic", "sqlalchemy", "alembic"} == set()
