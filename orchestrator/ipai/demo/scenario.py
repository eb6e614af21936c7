"""The pieces of the demo: its own server and folder, the source and its changes, and the questions put to Gold."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import psycopg

from ipai.service import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

INSTANCE = "demo_odoo"
_SOURCE_DATABASE = "odoo_demo"
_FILES = files("ipai.demo")


@dataclass(frozen=True)
class Answer:
    """The result of one question: a title, headings, rows."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class TableChange:
    """What the second act did to one source table, in rows."""

    table: str
    inserted: int
    updated: int


@dataclass(frozen=True)
class Demo:
    """Everything lives below one folder: the spec, the server, plugins, dbt's files."""

    home: Path

    @property
    def platform(self) -> Platform:
        return Platform(self.home)

    @property
    def spec(self) -> Path:
        return self.home / "catalogs" / f"{INSTANCE}.yaml"

    def reset(self) -> None:
        """Start from nothing, however far an earlier demo came."""
        # First of all: the spec is what tells a demo's folder from another, also when what follows fails.
        self.spec.parent.mkdir(parents=True, exist_ok=True)
        self.spec.write_text(_FILES.joinpath(f"{INSTANCE}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        local = self.platform.local
        local.start()
        for database in (_SOURCE_DATABASE, "ipai"):
            local.drop_database(database)
        local.start()

    def seed(self) -> dict[str, int]:
        """Make the source; return its rows per table."""
        today = datetime.now(timezone.utc).date().isoformat()
        with psycopg.connect(self.platform.local.create_database(_SOURCE_DATABASE)) as connection:
            connection.execute("select set_config('ipai.today', %s, false)", [today])
            for name in ("schema.sql", "seed.sql"):
                connection.execute(_source_sql(name))
            connection.commit()
            connection.autocommit = True
            connection.execute("vacuum analyze")
            tables = connection.execute(
                "select relname, reltuples::bigint from pg_class "
                "where relkind = 'r' and relnamespace = 'public'::regnamespace and reltuples > 0 "
                "order by reltuples desc"
            )
            return dict(tables.fetchall())

    def change(self) -> list[TableChange]:
        """The second act: change, add and back-date rows in the source."""
        with psycopg.connect(self.platform.local.url(_SOURCE_DATABASE)) as connection:
            cursor = connection.execute(_source_sql("changes.sql"))
            while cursor.nextset():  # what was touched is the last statement's result
                pass
            return [TableChange(*row) for row in cursor.fetchall()]

    def gold(self) -> list[Answer]:
        """The three Gold views, summed up."""
        return [answer for answer in self._answers() if answer.title != "totals"]

    def totals(self) -> Answer:
        """One figure for each thing that must follow the source."""
        return next(answer for answer in self._answers() if answer.title == "totals")

    def _answers(self) -> list[Answer]:
        text = _FILES.joinpath("gold.sql").read_text(encoding="utf-8")
        parts = re.split(r"^-- name: (.+)\n", text, flags=re.MULTILINE)
        answers = []
        with psycopg.connect(self.platform.url) as connection:
            for title, query in zip(parts[1::2], parts[2::2], strict=True):
                cursor = connection.execute(query.encode())
                headings = [column.name for column in cursor.description or ()]
                answers.append(Answer(title, headings, cursor.fetchall()))
        return answers

    def remove(self) -> bool:
        """Stop the demo's server and delete what the demo made, and nothing else; say whether there was anything."""
        if not self.spec.is_file():
            return False
        self.platform.local.remove()
        for part in ("plugins", "dbt"):
            shutil.rmtree(self.home / part, ignore_errors=True)
        self.spec.unlink()
        for folder in (self.spec.parent, self.home):
            with suppress(OSError):  # somebody keeps something of their own in it
                folder.rmdir()
        return True


def _source_sql(name: str) -> bytes:
    return _FILES.joinpath("source").joinpath(name).read_bytes()
