"""The walls of docs/architecture.md, held up: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    path.parent.name: path.parent
    for folder in ("kit", "taps/*", "targets/*", "orchestrator")
    for path in ROOT.glob(f"{folder}/*/__init__.py")
    if path.parent.name != "tests"
}
MAY_IMPORT = {name: {"singer_kit"} if name.startswith(("tap_", "target_")) else set() for name in PACKAGES}


def imports(package: Path) -> set[str]:
    found = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def test_every_package_is_looked_at() -> None:
    assert {"singer_kit", "tap_github", "tap_odoo", "tap_rest_api", "target_postgres", "ipai"} <= PACKAGES.keys()


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_package_imports_only_what_it_may(name: str) -> None:
    of_ours = imports(PACKAGES[name]) & PACKAGES.keys()
    assert of_ours <= MAY_IMPORT[name] | {name}


def test_only_the_control_plane_module_names_its_tables() -> None:
    for package in PACKAGES.values():
        for file in package.rglob("*.py"):
            if "control_plane" not in file.parts:
                assert "connectors.connector_" not in file.read_text(encoding="utf-8"), file
