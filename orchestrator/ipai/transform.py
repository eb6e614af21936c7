"""Silver and Gold: the dbt project in `sql/`, run by dbt in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from filelock import FileLock
from psycopg.conninfo import conninfo_to_dict
from ruamel.yaml import YAML

from ipai.errors import TransformError
from ipai.resources import resource
from ipai.specs import PluginSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ipai.plugins import PluginEnvironments

# 1.12 wants a binary from outside the package index, which not every machine can reach.
DBT = PluginSpec(
    command="dbt",
    install=("dbt-core>=1.11,<1.12", "dbt-postgres>=1.11,<1.12"),
    constraints=resource("constraints.txt"),
)


@dataclass(frozen=True)
class NodeResult:
    """What became of one model or test."""

    kind: str  # model, test, seed …
    name: str
    status: str  # success, pass, warn, error, fail, skipped
    seconds: float
    message: str | None

    @property
    def failed(self) -> bool:
        return self.status in {"error", "fail", "runtime error"}


def transform(
    environments: PluginEnvironments,
    database_url: str,
    *,
    work: Path,
    select: Sequence[str] = (),
    full_refresh: bool = False,
    variables: dict[str, Any] | None = None,
) -> list[NodeResult]:
    """Build and test the models.

    Args:
        database_url: where Bronze is, and Silver and Gold will be.
        work: a folder for what dbt writes besides the database.
        select: dbt selectors; when empty, everything above the sources of which Bronze has tables.
        variables: dbt vars, such as `{"as_of": "2026-01-31"}`.

    Raises:
        TransformError: dbt could not run, or a model or test failed; each is named.
    """
    project = resource("sql")
    work.mkdir(parents=True, exist_ok=True)
    command = [
        str(environments.executable(DBT)), "--quiet", "--no-use-colors", "build",
        "--project-dir", str(project), "--profiles-dir", str(project),
        "--target-path", str(work / "target"), "--log-path", str(work / "logs"),
    ]  # fmt: skip
    if chosen := select or _of_present_sources(project, database_url, (variables or {}).get("bronze_schema", "bronze")):
        command += ["--select", *chosen]
    if full_refresh:
        command.append("--full-refresh")
    if variables:
        command += ["--vars", json.dumps(variables)]
    results_file = work / "target" / "run_results.json"
    with FileLock(work / "lock"):  # dbt's files are one run's at a time
        results_file.unlink(missing_ok=True)
        done = subprocess.run(
            command, env=_environment(database_url), cwd=work, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        results = _results(results_file)
    failed = [result for result in results if result.failed]
    if failed:
        words = "; ".join(f"{each.kind} {each.name}: {each.message or each.status}" for each in failed)
        raise TransformError(f"dbt: {words}", hint=f"See {work / 'logs' / 'dbt.log'}.")
    if done.returncode:
        said = " ".join(f"{done.stdout}\n{done.stderr}".split()) or f"exit code {done.returncode}"
        raise TransformError(f"dbt could not run: {said}", hint=f"See {work / 'logs' / 'dbt.log'}.")
    if not results:
        raise TransformError(f"dbt: nothing matches {' '.join(select)}.", hint="Model names are in sql/README.md.")
    return results


def _of_present_sources(project: Path, database_url: str, schema: str) -> list[str]:
    """Selectors for what stands on the Bronze that there is; none if that is everything, or nothing."""
    described = YAML(typ="safe").load((project / "models" / "silver" / "_sources.yml").read_text())["sources"]
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("select table_name from information_schema.tables where table_schema = %s", [schema])
        present = {name for (name,) in rows}
    found = [each["name"] for each in described if any(table["identifier"] in present for table in each["tables"])]
    return [] if len(found) == len(described) else [f"source:{name}+" for name in found]


def _environment(database_url: str) -> dict[str, str]:
    parts = conninfo_to_dict(database_url)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("IPAI_", "DBT_"))}
    for name, key, default in (
        ("HOST", "host", "127.0.0.1"),
        ("PORT", "port", "5432"),
        ("USER", "user", "postgres"),
        ("PASSWORD", "password", ""),
        ("DBNAME", "dbname", "postgres"),
        ("SSLMODE", "sslmode", "prefer"),
    ):
        env[f"IPAI_DBT_{name}"] = str(parts.get(key) or default)
    return {**env, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}


def _results(file: Path) -> list[NodeResult]:
    if not file.exists():
        return []
    return [
        NodeResult(
            kind=each["unique_id"].split(".")[0],
            name=each["unique_id"].split(".")[2],
            status=str(each["status"]),
            seconds=float(each["execution_time"]),
            message=" ".join(str(each["message"]).split()) if each.get("message") else None,
        )
        for each in json.loads(file.read_text())["results"]
    ]
