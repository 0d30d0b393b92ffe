"""The examples of docs/set-up.md do what they say, as they are printed: npm, a virtual environment and a server are real."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance import database_server
from acceptance.product import Product

from at_core.repo_settings import parse

pytestmark = pytest.mark.timeout(400)
"""`python3 -m venv` alone takes ten seconds of a core."""

PAGE = Path(__file__).parents[2] / "docs/set-up.md"
EXAMPLE = re.compile(r"^\*\*(?P<title>[^*]+)\.\*\*(?:(?!^\*\*).)*?^```toml\n(?P<text>.*?)^```", re.M | re.S)
EXAMPLES = {found["title"]: found["text"] for found in EXAMPLE.finditer(PAGE.read_text())}
MODULES, PYTHON, DATABASE, ALL = (
    "node_modules",
    "A Python virtual environment",
    "A database for each slot",
    "All three",
)
IGNORED = "node_modules\n.venv\n.env.local\n*.egg-info\n__pycache__\n"
BACKEND = """\
import os, zipfile

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "shop-1.0-py3-none-any.whl"
    files = {
        "shop-path.pth": os.getcwd() + "\\n",
        "shop-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: shop\\nVersion: 1.0\\nProvides-Extra: dev\\n",
        "shop-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: backend\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        record = "".join(f"{path},,\\n" for path in [*files, "shop-1.0.dist-info/RECORD"])
        wheel.writestr("shop-1.0.dist-info/RECORD", record)
    return name
"""
"""A build backend in the repository itself, so that pip downloads nothing."""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "shop"
version = "1.0"
[project.optional-dependencies]
dev = []
"""
MAKEFILE = """\
include .env.local
migrate:
\tpsql -q "$(DATABASE_URL)" -c "create table goods (name text)"
"""
ASKS = {
    MODULES: """node -p 'require("greet")("node")'""",
    PYTHON: """.venv/bin/python -c 'import shop, sys; print(shop.NAME, sys.prefix != sys.base_prefix)'""",
    DATABASE: (
        """. ./.env.local && psql -qtA "$DATABASE_URL" -c "insert into goods values ('from $AT_SLOT')" """
        """-c 'select name from goods'"""
    ),
}
"""What the agent does with it."""


@pytest.fixture(name="shop")
def made_shop(product: Product) -> Product:
    """A repository with a package of npm's, a Python package and a database."""
    product.env |= {"npm_config_offline": "true", "npm_config_update_notifier": "false", "PIP_NO_INDEX": "1"}
    product.env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    product.write("greet/package.json", json.dumps({"name": "greet", "version": "1.0.0", "main": "greet.js"}))
    product.write("greet/greet.js", "module.exports = who => `hello ${who}`\n")
    package = {"name": "shop", "version": "1.0.0", "dependencies": {"greet": "file:greet"}}
    product.write("package.json", json.dumps(package))
    locked = {
        "": package,
        "greet": {"version": "1.0.0"},
        "node_modules/greet": {"resolved": "greet", "link": True},
    }
    product.write(
        "package-lock.json",
        json.dumps({"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "packages": locked}),
    )
    product.write("shop.py", "NAME = 'shop'\n")
    product.write("pyproject.toml", PYPROJECT)
    product.write("backend.py", BACKEND)
    product.write("Makefile", MAKEFILE)
    product.write(".gitignore", IGNORED)
    return product


@pytest.fixture(name="server")
def made_server(shop: Product, tmp_path: Path) -> Iterator[Product]:
    """The repository beside a PostgreSQL server."""
    programs = database_server.server_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with database_server.running(programs, tmp_path / "server") as variables:
        shop.env |= variables
        yield shop


def databases(product: Product) -> set[str]:
    """Those of the shop that the server has."""
    listed = subprocess.run(
        [
            "psql",
            "-qtA",
            "-d",
            "postgres",
            "-c",
            "select datname from pg_database where datname like 'shop%'",
        ],
        env=product.env,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(listed.stdout.split())


def seen_by(document: dict[str, Any], product: Product) -> list[str]:
    """What the agent wrote down, line by line."""
    return product.at("exec", document["bead"]["id"], "--", "cat", "seen").stdout.splitlines()


def test_every_section_of_the_page_is_one_that_is_read() -> None:
    assert set(EXAMPLES) == {MODULES, PYTHON, DATABASE, ALL}
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    unset = parse("", str(PAGE)).worktree
    assert all(parse(block, str(PAGE)).worktree != unset for block in blocks) and len(blocks) > len(EXAMPLES)


def test_the_example_of_all_has_the_commands_of_each() -> None:
    of = {title: parse(text).worktree for title, text in EXAMPLES.items()}
    assert of[ALL].setup == of[MODULES].setup + of[PYTHON].setup + of[DATABASE].setup
    assert (of[ALL].teardown, of[ALL].timeout_seconds) == (of[DATABASE].teardown, of[PYTHON].timeout_seconds)


@pytest.mark.parametrize(
    ("example", "at_once", "asked", "expected"),
    [
        (MODULES, 1, [MODULES], ["hello node"]),
        (DATABASE, 2, [DATABASE], ["from {slot}"]),
        (ALL, 1, [MODULES, PYTHON, DATABASE], ["hello node", "shop True", "from {slot}"]),
    ],
)
def test_an_example_works_as_it_is_printed(
    server: Product, example: str, at_once: int, asked: list[str], expected: list[str]
) -> None:
    server.settings(EXAMPLES[example])
    prompt = f"shell ({' && '.join(ASKS[each] for each in asked)}) > seen"
    beads = [server.start(prompt, "--allow", "all") for _ in range(at_once)]
    documents = [server.run_to_rest(bead) for bead in beads]
    assert [each["proved"] for each in documents] == [True] * at_once, [each["reasons"] for each in documents]
    slots = [each["slot"]["number"] for each in documents]
    assert databases(server) == ({f"shop_{slot}" for slot in slots} if DATABASE in asked else set())
    for document, slot in zip(documents, slots, strict=True):
        assert seen_by(document, server) == [line.format(slot=slot) for line in expected]
        assert server.git("diff", "--name-only", "main", document["bead"]["git_branch"]) == "seen"
        server.json("rm", document["bead"]["id"])
    assert len(set(slots)) == at_once and databases(server) == set()
