"""Records that cannot be loaded, kept with the reason in a table of their own instead of ending the run.

They are rows like others: they become visible in the transaction of the rows around them, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from singer_kit.errors import ConfigurationError, DataError
from target_postgres.encoding import encoder
from target_postgres.errors import from_postgres
from target_postgres.naming import TableName, identifier, quote
from target_postgres.rows import Batch, Rows

if TYPE_CHECKING:
    from target_postgres.database import Database

_COLUMNS = {
    "stream": "text NOT NULL",
    "table_name": "text NOT NULL",
    "line": "bigint NOT NULL",
    "reason": "text NOT NULL",
    "record": "text NOT NULL",
    "batch_id": "text NOT NULL",
    "quarantined_at": "timestamp with time zone NOT NULL DEFAULT now()",
}
_TEXT = encoder("text", sanitize=True)


class Quarantine:
    """The table of bad records.

    Args:
        database: the session.
        schema: of the table.
        table: its name.
        batch_id: of this run.
        limit: how many records may come here before the run fails after all.
    """

    def __init__(self, database: Database, schema: str, table: str, *, batch_id: str, limit: int) -> None:
        self._database = database
        self._batch_id = batch_id
        self._limit = limit
        self.table_name = TableName(schema, identifier(table, what="Setting bad_records_table:"))
        self.keyed = False
        self.fresh = Rows()
        self.covered = Rows()
        self._seen: set[int] = set()

    @property
    def count(self) -> int:
        """How many records came here in this run."""
        return len(self._seen)

    def setup(self) -> None:
        """Create the table if it is missing."""
        columns = ", ".join(f"{quote(name)} {definition}" for name, definition in _COLUMNS.items())
        doing = f"Creating the table of bad records {self.table_name.quoted}"
        # Not every login that may load into a schema may create one, and Postgres asks before it looks.
        if not self._database.rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", (self.table_name.schema,)):
            self._database.run(f"CREATE SCHEMA IF NOT EXISTS {quote(self.table_name.schema)}", doing=doing)
        self._database.run(f"CREATE TABLE IF NOT EXISTS {self.table_name.quoted} ({columns})", doing=doing)

    def add(self, stream: str, table: TableName, line: int, reason: DataError, record: bytes) -> int:
        """Take a record that the target itself refuses; the size of its row."""
        row = self._row(stream, table, line, reason, record)
        self.fresh.add(row, line)
        return len(row)

    def add_refused(self, stream: str, table: TableName, line: int, reason: DataError, record: bytes) -> None:
        """Put a record that Postgres refuses into the open transaction."""
        self.load(Batch.of(self._row(stream, table, line, reason, record), line))

    def take(self) -> Batch:
        return self.covered.take()

    def load(self, batch: Batch) -> None:
        names = ", ".join(quote(name) for name in _COLUMNS if name != "quarantined_at")
        try:
            self._database.copy(f"COPY {self.table_name.quoted} ({names}) FROM STDIN", batch.data())
        except (psycopg.errors.UndefinedColumn, psycopg.errors.WrongObjectType) as error:
            raise ConfigurationError(
                f"{self.table_name.quoted} is no table of bad records: {error.diag.message_primary}. Next: set "
                "bad_records_table to another name."
            ) from error
        except psycopg.Error as error:
            raise from_postgres(error, f"Writing bad records to {self.table_name.quoted}") from error

    def has_rows_of(self, transaction: int) -> bool:
        """Whether the table holds rows that a transaction has written."""
        query = f"SELECT FROM {self.table_name.quoted} WHERE xmin = '{transaction}'::xid LIMIT 1"
        return bool(self._database.rows(query))

    def _row(self, stream: str, table: TableName, line: int, reason: DataError, record: bytes) -> bytes:
        # By what it is: a transaction that is done again refuses the same records again.
        self._seen.add(hash((stream, line, record)))
        if self.count > self._limit:
            raise DataError(
                f"{reason} This is bad record {self.count}, more than max_bad_records ({self._limit}) allows. "
                f"Next: look at those before it in {self.table_name.quoted}, or raise max_bad_records."
            )
        text = record.decode("utf-8", "backslashreplace").rstrip("\r\n")
        fields = (stream, table.quoted, str(line), str(reason), text, self._batch_id)
        return ("\t".join(_TEXT(field) for field in fields) + "\n").encode()
