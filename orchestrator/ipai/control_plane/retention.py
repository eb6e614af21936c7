"""Deleting what is old, in batches: the platform's own records, and rows of Bronze in its database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from ipai.control_plane.database import Room
from ipai.errors import BusyError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

_BATCH = 5_000
_PAGES = 2_048  # of a table, in one transaction: 16 MB


@dataclass(frozen=True)
class BronzeTable:
    """A table whose rows say where they came from: `stream` of a source. `moments` are its columns of time."""

    schema: str
    name: str
    stream: str
    moments: frozenset[str]

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True)
class Old:
    """Which rows of a table are old: those of a source where one of the columns is before its moment."""

    source: str
    before: Sequence[tuple[str, datetime]]

    def condition(self) -> sql.Composed:
        either = sql.SQL(" or ").join(
            sql.SQL("{} < {}").format(sql.Identifier(column), sql.Literal(moment)) for column, moment in self.before
        )
        return sql.SQL("_sdc_source = {} and ({})").format(sql.Literal(self.source), either)


class RetentionStore(Room):
    """What is kept for how long, and deleting the rest."""

    statements_of = "retention"

    def periods(self) -> dict[str, timedelta]:
        """For each subject (logs, metrics, deliveries, events, runs) how long it is kept."""
        return {row["subject"]: row["keep"] for row in self._rows("periods")}

    def set_period(self, subject: str, days: int) -> None:
        if not self._do("period_set", subject=subject, days=days):
            raise NotFoundError(f"Nothing called {subject!r} is kept.", hint=f"There are {', '.join(self.periods())}.")

    # The daily task

    @contextmanager
    def task(self, name: str) -> Iterator[None]:
        """Hold a daily task with this connection.

        Raises:
            BusyError: somebody else does it at this moment.
        """
        if not self._rows("task_lock", name=name)[0]["locked"]:
            raise BusyError(f"Somebody else does {name} at this moment.", hint="Try again in a minute.")
        try:
            yield
        finally:
            if not self._database.connection.closed:
                self._do("task_unlock", name=name)

    def is_due(self, name: str) -> bool:
        """Whether the task was not done within the last day."""
        due: bool = self._rows("task_due", name=name)[0]["due"]
        return due

    def done(self, name: str, result: Any) -> None:
        self._do("task_done", name=name, result=Jsonb(result))

    # The platform's own records

    def count(self, subject: str, before: datetime) -> int:
        """How many rows of a subject are older than that. `jobs` are those of the queue that nobody needs."""
        rows: int = self._rows(f"{subject}_count", **self._bounds(subject, before))[0]["rows"]
        return rows

    def delete(self, subject: str, before: datetime) -> Iterator[int]:
        """Delete them, a batch at each step; how many each had."""
        bounds = self._bounds(subject, before)
        while deleted := self._delete_some(subject, bounds):
            yield deleted

    def _delete_some(self, subject: str, bounds: dict[str, Any]) -> int:
        if subject == "jobs":  # a function's business, see there
            rows: int = self._rows("jobs_delete", limit=_BATCH)[0]["rows"]
            return rows
        return self._do(f"{subject}_delete", limit=_BATCH, **bounds)

    def _bounds(self, subject: str, before: datetime) -> dict[str, Any]:
        if subject in ("logs", "metrics"):
            return {"first_kept_run": self._rows("first_kept_run", before=before)[0]["id"]}
        return {"before": before}

    # Bronze

    def tables(self, schema: str, source: str) -> list[BronzeTable]:
        """The tables of a schema that hold rows of a source."""
        found = []
        for row in self._rows("lineage_tables", schema=schema):
            query = sql.SQL(
                "select _sdc_stream from {} where _sdc_source = {} and _sdc_stream is not null limit 1"
            ).format(sql.Identifier(schema, row["name"]), sql.Literal(source))
            with self._database.explained():
                stream = self._database.connection.execute(query).fetchone()
            if stream is not None:
                found.append(BronzeTable(schema, row["name"], stream[0], frozenset(row["moments"] or ())))
        return found

    def count_old(self, table: BronzeTable, old: Old) -> int:
        with self._database.transaction():
            self._in_utc()
            query = sql.SQL("select count(*) from {} where {}").format(table.identifier, old.condition())
            (rows,) = self._database.connection.execute(query).fetchone() or (0,)
            return int(rows)

    def batches(self, table: BronzeTable) -> list[tuple[int, int]]:
        """The table in parts that are looked through one at a time: first page, and the one behind the last."""
        query = sql.SQL("select pg_relation_size({}::regclass) / current_setting('block_size')::bigint").format(
            sql.Literal(table.identifier.as_string(self._database.connection))
        )
        with self._database.explained():
            (pages,) = self._database.connection.execute(query).fetchone() or (0,)
        return [(first, first + _PAGES) for first in range(0, pages, _PAGES)]

    def delete_old(
        self, table: BronzeTable, old: Old, pages: tuple[int, int], archive: Callable[[str], None] | None
    ) -> int:
        """Delete old rows in some pages, within the caller's transaction; how many.

        Rows that a run is writing at this moment are passed over, so that neither waits for the other in a circle.

        Args:
            archive: gets each of them as a JSON object in one line.
        """
        self._in_utc()
        delete = sql.SQL(
            "with old as materialized (select ctid from {table} where ctid >= {first}::tid and ctid < {last}::tid"
            " and {condition} for update skip locked)"
            " delete from {table} t using old where t.ctid = old.ctid"
        ).format(
            table=table.identifier, condition=old.condition(),
            first=sql.Literal(f"({pages[0]},0)"), last=sql.Literal(f"({pages[1]},0)"),
        )  # fmt: skip
        with self._database.explained(), self._database.connection.cursor() as cursor:
            if archive is None:
                return cursor.execute(delete).rowcount
            with cursor.copy(sql.SQL("copy ({} returning row_to_json(t)) to stdout").format(delete)) as copy:
                for (line,) in copy.rows():
                    archive(line)
            return cursor.rowcount

    def note_archive(self, table: BronzeTable, *, instance: str, path: str, rows: int, size: int, sha256: str) -> None:
        """Write down what a file holds; in the transaction that deletes the rows in it."""
        self._do(
            "archive_insert", instance=instance, stream=table.stream, table_name=f"{table.schema}.{table.name}",
            path=path, rows=rows, bytes=size, sha256=sha256,
        )  # fmt: skip

    def _in_utc(self) -> None:
        self._database.connection.execute("set local timezone to 'UTC'")
