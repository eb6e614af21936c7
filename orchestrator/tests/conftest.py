"""A platform over a fresh database, and two small plugins as real executables on PATH."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipai.service import Platform
from ipai.specs import Catalogs, Connector, connector_from_spec, instance_from_spec

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent


@pytest.fixture
def plugins_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("tap", "target"):
        executable = folder / f"{name}-fake"
        executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / f"fake_{name}.py"}" "$@"\n')
        executable.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def platform(tmp_path: Path, database: str) -> Platform:
    made = Platform(tmp_path / "home", database)
    made.init()
    return made


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[], list[Any]]:
    """What the target has written: [stream, id] per row, and "end" per input that ended."""

    def read() -> list[Any]:
        return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    return read


@pytest.fixture
def declare(tmp_path: Path, platform: Platform, plugins_on_path: Path) -> Callable[..., str]:
    """Declare an instance of the fake plugins; returns its name."""
    assert plugins_on_path.is_dir()

    def connector(name: str, role: str, plugin: dict[str, Any]) -> Connector:
        spec = {
            "kind": "connector", "name": name, "role": role, "title": name, "source_type": "file",
            "plugin": plugin, "auth": {"type": "password", "secrets": ["password", "secret"]},
        }  # fmt: skip
        return connector_from_spec(spec, tmp_path)

    def make(
        source: dict[str, Any],
        destination: dict[str, Any] | None = None,
        plugin: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        connectors = {
            "fake": connector("fake", "source", {"command": "tap-fake", **(plugin or {})}),
            "files": connector("files", "destination", {"command": "target-fake"}),
        }
        spec = {
            "kind": "instance",
            "name": "test_fake",
            "source": {"connector": "fake", "config": {"streams": {"orders": 5, "items": 3}, **source}},
            "destination": {
                "connector": "files",
                "config": {"output": str(tmp_path / "out.jsonl"), **(destination or {})},
            },
            **more,
        }
        with platform.control_plane() as control_plane:
            from ipai.plans import make_plan

            declared = Catalogs(connectors, {"test_fake": instance_from_spec(spec)})
            make_plan(control_plane, declared, {}, prune=False).apply(control_plane)
        return "test_fake"

    return make
