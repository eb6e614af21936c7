"""Who takes part: our target, psql as the limit, and the targets of other makers at their default and best settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path
from records import LINEAGE, PROPERTIES, STREAM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from records import Files

# Into an empty table; all rows changed, into a full one; the same rows again; into an empty one that has a key.
MERGE, UPSERT, REDELIVERY, APPEND = CASES = ("merge", "upsert", "re-delivery", "append")


@dataclass(frozen=True)
class Command:
    """What is run, and what it reads."""

    arguments: list[str]
    stdin: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contestant:
    """Somebody who loads the rows into table `orders` of schema `schema`.

    Args:
        name: what the table says.
        schema: its own, dropped before a first load.
        rows: how many it gets at most; the slow ones get fewer.
        cases: what it can do.

    """

    name: str
    schema: str
    rows: int | None = None
    cases: tuple[str, ...] = CASES

    @property
    def table(self) -> str:
        return f'"{self.schema}"."{STREAM}"'


@dataclass(frozen=True)
class SingerTarget(Contestant):
    """A target's command.

    Args:
        program: path of the command.
        config: settings besides the schema.
        append: settings that make it append; None if it has none and looks at the SCHEMA's keys instead.
        environment: variables on top.

    """

    program: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    append: Mapping[str, Any] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, case: str, stdin: Path | None, folder: Path) -> Command:
        config = {**self.config, "default_target_schema": self.schema}
        if case == APPEND:
            config.update(self.append or {})
        path = folder / f"{self.schema}.{CASES.index(case)}.json"
        path.write_text(json.dumps(config))
        return Command([self.program, "--config", str(path)], stdin, self.environment)


@dataclass(frozen=True)
class Psql(Contestant):
    r"""`\copy` of CSV: straight for append, through a temporary table into INSERT … ON CONFLICT for the rest."""

    lineage: bool = False
    url: str = ""

    @property
    def columns(self) -> list[str]:
        return [*PROPERTIES, *(LINEAGE if self.lineage else ())]

    def definition(self, template: str) -> str:
        """Make the table as our target makes it, types and key alike."""
        return (
            f"create schema {self.schema}; "
            f"create table {self.table} as select {', '.join(self.columns)} from {template} limit 0; "
            f"alter table {self.table} add primary key (id)"
        )

    def command(self, case: str, files: Files, folder: Path) -> Command:
        columns = ", ".join(self.columns)
        source = files.csv_with_lineage if self.lineage else files.csv
        steps = [f"\\copy {self.table} ({columns}) from '{source}' csv"]
        if case != APPEND:
            changes = ", ".join(f"{name} = excluded.{name}" for name in self.columns if name != "id")
            steps = [
                f"create temp table incoming (like {self.table});",
                f"\\copy incoming ({columns}) from '{source}' csv",
                f"insert into {self.table} ({columns}) select {columns} from incoming",
                f"on conflict (id) do update set {changes};",
            ]
        script = folder / f"{self.schema}.{CASES.index(case)}.sql"
        script.write_text("\n".join(steps) + "\n")
        return Command([_psql(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-f", str(script)])


def everybody(place: Mapping[str, str], url: str, *, slow_rows: int, slowest_rows: int) -> list[Contestant]:
    """All contestants, ours first.

    Args:
        place: host, port, user, password and dbname.
        url: the same as a URL.
        slow_rows: rows for targets that reach some thousand a second.
        slowest_rows: rows for those that do not.

    """
    program = shutil.which("target-postgres", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, "target-postgres is not installed in this environment"
    ours = {"sqlalchemy_url": url, "source_name": "bench"}
    append = {"load_method": "append-only"}
    pure = {"TARGET_POSTGRES_PURE_PYTHON": "1"}
    meltano = install("meltanolabs-target-postgres", "0.8.1") / "target-postgres"
    pipelinewise = install("pipelinewise-target-postgres", "2.1.2") / "target-postgres"
    parts = {name: place[name] for name in ("host", "user", "password")} | {"port": int(place["port"])}
    common = {**parts, "database": place["dbname"]}
    best = {"use_copy": True, "batch_size_rows": 100_000, "validate_records": False}
    return [
        SingerTarget("target-postgres", "ours", None, CASES, program, ours, append),
        SingerTarget("target-postgres, pure Python", "pure", None, CASES, program, ours, append, pure),
        Psql("psql, 12 columns", "psql_plain", lineage=False, url=url),
        Psql("psql, 12 + 11 columns", "psql_lineage", lineage=True, url=url),
        SingerTarget("meltanolabs, default", "meltano", slowest_rows, CASES, str(meltano), common),
        SingerTarget("meltanolabs, best settings", "meltano_best", slow_rows, CASES, str(meltano), {**common, **best}),
        SingerTarget(
            "pipelinewise, best settings", "pipelinewise", slow_rows, CASES[:3], str(pipelinewise),
            {**parts, "dbname": place["dbname"], "batch_size_rows": 100_000},
        ),
    ]  # fmt: skip


def install(package: str, version: str) -> Path:
    """Install a peer into an environment of its own, once; return the folder of its commands."""
    home = user_cache_path("ipai-bench") / f"{package}-{version}-py{sys.version_info[0]}.{sys.version_info[1]}"
    done = home / "complete"
    if not done.exists():
        python = home / "bin" / "python"
        subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        # Without the constraints of this environment, which are for our own packages.
        environment = {name: value for name, value in os.environ.items() if name != "UV_CONSTRAINT"}
        command = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        subprocess.run([*command, f"{package}=={version}", "setuptools<81"], check=True, env=environment)
        done.touch()
    return home / "bin"


def _psql() -> str:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), key=lambda path: int(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which("psql")
    if not found:
        raise SystemExit("psql is needed as the limit to compare with. Next: install postgresql-client.")
    return found
