"""The acceptance suite side by side: our target and the peer's newest, the difference as a Markdown table.

The table is printed, and written to the file named by `IPAI_ACCEPTANCE_TABLE`; it goes into the README of
target-postgres.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from singer_kit.testing.acceptance import SCENARIOS, Kind, Outcome, TargetCommand, judge_all
from singer_kit.testing.acceptance.postgres import PostgresDestination
from singer_kit.testing.acceptance.report import details, written

PEER = "meltanolabs-target-postgres"
FINE = {Kind.PASSED, Kind.NOT_APPLICABLE}


@pytest.fixture
def peer(tmp_path: Path) -> TargetCommand:
    """The peer's newest release, in an environment of its own."""
    folder = tmp_path / "peer"
    python = str(folder / "bin" / "python")
    environment = {name: value for name, value in os.environ.items() if name != "UV_CONSTRAINT"}
    for arguments in (["venv", str(folder), "--python", sys.executable], ["pip", "install", "--python", python, PEER]):
        subprocess.run(["uv", *arguments, "--quiet"], check=True, env=environment)
    return TargetCommand((str(folder / "bin" / "target-postgres"),))


@pytest.mark.timeout(7200)
def test_both(peer: TargetCommand, postgres_server: str) -> None:
    ours = TargetCommand((sys.executable, "-m", "target_postgres"))
    results: dict[str, dict[str, Outcome]] = {}
    for name, target in {"target-postgres": ours, PEER: peer}.items():
        outcomes = judge_all(SCENARIOS, target, PostgresDestination(postgres_server))
        results[name] = {scenario.id: outcome for scenario, outcome in outcomes}
    version = subprocess.run([*peer.argv, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    table = f"The peer is {version}.\n\n{written(SCENARIOS, results)}"
    print(f"\n{table}")
    if path := os.environ.get("IPAI_ACCEPTANCE_TABLE"):
        Path(path).write_text(table)
    failed = {name: outcome for name, outcome in results["target-postgres"].items() if outcome.kind not in FINE}
    assert not failed, details(SCENARIOS, {"target-postgres": results["target-postgres"]})
    # A peer that fails nearly everything would be one that was started in a wrong way.
    assert sum(outcome.kind in FINE for outcome in results[PEER].values()) > len(SCENARIOS) / 3
