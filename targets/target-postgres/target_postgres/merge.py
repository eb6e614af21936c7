# ruff: noqa: S608 - names are quoted by `naming.quote`
"""The statements that bring a batch into its table, all rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_postgres.lineage import (
    CURSOR,
    DELETED_AT,
    EXTRACTED_AT,
    PER_BATCH,
    SEQUENCE,
    SYNC_STARTED_AT,
    TABLE_VERSION,
)
from target_postgres.naming import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_postgres.tables import Column, Table

# These differ with every delivery, or follow from the rest of the row. A new version or deletion is a change.
_ALWAYS_NEW = frozenset({EXTRACTED_AT, SEQUENCE, CURSOR, *(name for name, _ in PER_BATCH)})


@dataclass(frozen=True)
class Merge:
    """Statements for one table and one temporary table of the same columns.

    Attributes:
        stage: the temporary table, quoted.
        row_column: a column that grows with every row, by which the last of several rows of a key is found. One that
            the table does not have is in the stage only, as its last.
        upsert: rows replace those of the same key.
        keep: whether the stage keeps its rows beyond a transaction.

    """

    table: Table
    stage: str
    row_column: str
    upsert: bool
    keep: bool

    @property
    def keys(self) -> list[str]:
        return [quote(column.name) for column in self.table.columns if column.key]

    @property
    def has_own_row_column(self) -> bool:
        return self.upsert and all(column.name != self.row_column for column in self.table.columns)

    @property
    def can_copy_straight(self) -> bool:
        """Whether COPY can fill the table itself."""
        return self._takes_every_type and not self.has_own_row_column

    @property
    def _takes_every_type(self) -> bool:
        """A timestamp without zone takes one with a zone in an assignment only."""
        return all(column.type.staged == column.type.sql for column in self.table.columns)

    def create_stage(self) -> str:
        columns = [f"{quote(column.name)} {column.type.staged}" for column in self.table.columns]
        if self.keep and self._takes_every_type:
            # What the table would refuse at the end is refused at once, where it is known which record it was.
            columns = [f"LIKE {self.table.name.quoted} INCLUDING CONSTRAINTS INCLUDING DEFAULTS"]
        if self.has_own_row_column:
            columns.append(f"{quote(self.row_column)} bigint")
        # One a batch: that costs no more than TRUNCATE, and a transaction that is done again finds none left over.
        at_commit = "PRESERVE ROWS" if self.keep else "DROP"
        return f"CREATE TEMPORARY TABLE {self.stage} ({', '.join(columns)}) ON COMMIT {at_commit}"

    def drop_stage(self) -> str:
        return f"DROP TABLE {self.stage}"

    def copy(self, *, straight: bool, binary: bool) -> str:
        """COPY into the stage, or straight into the table."""
        names = [column.name for column in self.table.columns] + [self.row_column] * self.has_own_row_column
        where = self.table.name.quoted if straight else self.stage
        return f"COPY {where} ({', '.join(map(quote, names))}) FROM STDIN" + (" (FORMAT binary)" if binary else "")

    def load(self, *, distinct: bool) -> list[str]:
        """Bring the staged rows in.

        Args:
            distinct: of several rows of a key take the last. Without it such rows fail with a cardinality violation
                where the table has a unique key.

        """
        names = [quote(column.name) for column in self.table.columns]
        insert = (
            f"INSERT INTO {self.table.name.quoted} AS t ({', '.join(names)}) "
            f"SELECT {', '.join(names)} FROM {self._last_rows() if distinct else self.stage} s"
        )
        if not self.upsert:
            return [insert]
        if self.table.unique_key:
            return [insert + self._on_conflict(names)]
        # The table was made by someone else, without a unique index on the key: rows of the key leave first.
        matches = " AND ".join(f"t.{key} = s.{key}" for key in self.keys)
        return [f"DELETE FROM {self.table.name.quoted} t USING {self.stage} s WHERE {matches}", insert]

    def _last_rows(self) -> str:
        keys = ", ".join(self.keys)
        return f"(SELECT DISTINCT ON ({keys}) * FROM {self.stage} ORDER BY {keys}, {quote(self.row_column)} DESC)"

    def _on_conflict(self, names: Sequence[str]) -> str:
        keys = self.keys
        changed = [f"{name} = excluded.{name}" for name in names if name not in keys]
        if not changed:
            return f" ON CONFLICT ({', '.join(keys)}) DO NOTHING"
        compared = [column for column in self.table.columns if not column.key and column.name not in _ALWAYS_NEW]
        # A row that would stay the same is not written anew: no dead tuple, no index entry, no WAL.
        old = ", ".join(_comparable("t", column) for column in compared)
        new = ", ".join(_comparable("excluded", column) for column in compared)
        return f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(changed)} " + (
            f"WHERE ROW({old}) IS DISTINCT FROM ROW({new})" if compared else "WHERE false"
        )

    @property
    def is_versioned(self) -> bool:
        return any(column.name == TABLE_VERSION for column in self.table.columns)

    def unversioned(self) -> str:
        """Find a staged row without a version."""
        return f"SELECT FROM {self.stage} WHERE {quote(TABLE_VERSION)} IS NULL LIMIT 1"

    def rows_of(self, transaction: int) -> str:
        """Find a row that a transaction has written; reads the whole table if there is none."""
        return f"SELECT FROM {self.table.name.quoted} WHERE xmin = '{transaction}'::xid LIMIT 1"

    def is_empty(self) -> str:
        return f"SELECT NOT EXISTS (SELECT FROM {self.table.name.quoted})"

    def delete_all(self) -> str:
        """Empty the table before it is filled anew in the same transaction.

        Not TRUNCATE: that locks readers out until the commit and shows an empty table to snapshots taken before it.
        """
        return f"DELETE FROM {self.table.name.quoted}"

    def activate(self, version: int, *, hard: bool, sync_started_at: int, spare_unversioned: bool) -> str:
        """Remove, or mark as deleted, the rows of earlier versions.

        Rows without a version count as earlier, but not those that this run brought: a tap may announce
        a version and leave it out of its records.

        Args:
            version: the one that stays.
            hard: remove.
            sync_started_at: when this run began.
            spare_unversioned: leave all rows without a version: this run brought some, and among them
                may be some that were left as they are because nothing had changed.
        """
        old = f"{quote(TABLE_VERSION)} < {version}"
        if not spare_unversioned:
            old = (
                f"({old} OR ({quote(TABLE_VERSION)} IS NULL "
                f"AND {quote(SYNC_STARTED_AT)} IS DISTINCT FROM {sync_started_at}))"
            )
        if hard:
            return f"DELETE FROM {self.table.name.quoted} WHERE {old}"
        return (
            f"UPDATE {self.table.name.quoted} SET {quote(DELETED_AT)} = clock_timestamp() "
            f"WHERE {old} AND {quote(DELETED_AT)} IS NULL"
        )


def _comparable(row: str, column: Column) -> str:
    name = f"{row}.{quote(column.name)}"
    return f"{name}::text" if column.type.sql == "json" else name  # json has no equality
