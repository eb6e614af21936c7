"""dbt on a database of the test's own, its project parsed once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

PROJECT = Path(__file__).parents[2] / "sql"
AS_OF = "2025-06-30"


@dataclass
class Outcome:
    """What dbt said: exit code, text, and the result of each node by name."""

    code: int
    said: str
    nodes: dict[str, str] = field(default_factory=dict)

    def named(self, status: str) -> set[str]:
        return {name for name, each in self.nodes.items() if each == status}


@pytest.fixture(scope="session")
def dbt() -> list[str]:
    """The dbt command: the one on PATH, or one that uv fetches."""
    if shutil.which("dbt"):
        return ["dbt"]
    if shutil.which("uv"):
        return ["uv", "tool", "run", "--from", "dbt-core==1.11.*", "--with", "dbt-postgres==1.11.*", "dbt"]
    pytest.skip("neither dbt nor uv is on PATH")


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The target folder of dbt, shared so that the project is parsed once."""
    return tmp_path_factory.mktemp("dbt")


class Dbt:
    def __init__(self, command: list[str], work: Path, url: str) -> None:
        self.command, self.work, self.url = command, work, url

    def __call__(self, *arguments: str, **variables: str) -> Outcome:
        parts = conninfo_to_dict(self.url)
        env = {
            **os.environ,
            "IPAI_DBT_HOST": parts.get("host", "localhost"), "IPAI_DBT_PORT": parts.get("port", "5432"),
            "IPAI_DBT_USER": parts["user"], "IPAI_DBT_PASSWORD": parts.get("password", ""),
            "IPAI_DBT_DBNAME": parts["dbname"], "DO_NOT_TRACK": "1",
        }  # fmt: skip
        results = self.work / "run_results.json"
        results.unlink(missing_ok=True)
        done = subprocess.run(
            [*self.command, "--no-use-colors", *arguments, "--project-dir", PROJECT, "--profiles-dir", PROJECT,
             "--target-path", self.work, "--log-path", self.work, "--vars", json.dumps({"as_of": AS_OF, **variables})],
            env=env, cwd=self.work, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        nodes = json.loads(results.read_text())["results"] if results.exists() else []
        return Outcome(
            done.returncode,
            done.stdout + done.stderr,
            {each["unique_id"].split(".")[2]: each["status"] for each in nodes},
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()

    def execute(self, statements: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statements)


@pytest.fixture
def project(dbt: list[str], work: Path, database: str) -> Dbt:
    return Dbt(dbt, work, database)
