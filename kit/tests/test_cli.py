from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE_ERROR = 4
BROKEN_PIPE = 141
PLUGIN = """
import sys
from singer_sdk import Tap
from singer_kit.cli import CleanErrors
from singer_kit.errors import SourceError

class TapBroken(CleanErrors, Tap):
    name = "tap-broken"
    config_jsonschema = {"properties": {}}

    def discover_streams(self):
        EXCEPTION

TapBroken.cli()
"""


@pytest.fixture
def run_plugin(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(exception: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "plugin.py"
        script.write_text(PLUGIN.replace("EXCEPTION", exception))
        return subprocess.run(
            [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )

    return run


@pytest.mark.parametrize("arguments", [(), ("--discover",), ("--test",)])
def test_plugin_error_is_one_line_and_an_exit_code(
    run_plugin: Callable[..., subprocess.CompletedProcess[str]], arguments: tuple[str, ...]
) -> None:
    done = run_plugin('raise SourceError("Stream x is gone. Next: discover again.")', *arguments)
    assert done.returncode == SOURCE_ERROR
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "CRITICAL" in last
    assert last.endswith("Stream x is gone. Next: discover again.")


def test_a_defect_keeps_its_traceback(run_plugin: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run_plugin('raise RuntimeError("a defect")')
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_reader_that_went_away_is_no_error_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "plugin.py"
    body = "print('x' * 1_000_000); sys.stdout.flush(); return []"
    script.write_text(PLUGIN.replace("EXCEPTION", body))
    command = f'"{sys.executable}" "{script}" | true; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == BROKEN_PIPE
    assert "Traceback" not in done.stderr
    assert "CRITICAL" not in done.stderr
