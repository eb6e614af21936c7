# ruff: noqa: S608 - names are quoted by `naming.quote`, constants by `naming.literal`
"""The statements that move a batch from its temporary table into the table, all rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_postgres.lineage import DELETED_AT, SYNC_STARTED_AT, TABLE_VERSION
from target_postgres.naming import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_postgres.tables import Column, Table


@dataclass(frozen=True)
class Merge:
    """Statements for one table and one temporary table.

    Attributes:
        stage: the temporary table, quoted.
        staged: the columns that COPY fills.
        row_column: a staged column that counts rows, by which the last of several rows of a key is found;
            None where the rows of a batch have distinct keys already.
        upsert: rows replace those of the same key.

    """

    table: Table
    stage: str
    staged: tuple[Column, ...]
    row_column: str | None
    upsert: bool

    @property
    def keys(self) -> list[str]:
        return [quote(column.name) for column in self.table.columns if column.key]

    def create_stage(self) -> str:
        columns = [f"{quote(column.name)} {column.type.staged}" for column in self.staged]
        if self.row_column:
            columns.append(f"{quote(self.row_column)} bigint")
        return f"CREATE TEMPORARY TABLE {self.stage} ({', '.join(columns)})"

    def copy(self) -> str:
        names = [quote(column.name) for column in self.staged]
        if self.row_column:
            names.append(quote(self.row_column))
        return f"COPY {self.stage} ({', '.join(names)}) FROM STDIN"

    def clear_stage(self) -> str:
        return f"TRUNCATE {self.stage}"

    def load(self, constants: Mapping[str, str]) -> list[str]:
        """Bring the staged rows in.

        Args:
            constants: SQL expressions of columns that are not staged.

        """
        names = [quote(column.name) for column in self.staged] + [quote(name) for name in constants]
        values = [f"s.{quote(column.name)}" for column in self.staged] + list(constants.values())
        insert = (
            f"INSERT INTO {self.table.name.quoted} ({', '.join(names)}) "
            f"SELECT {', '.join(values)} FROM {self._rows()} s"
        )
        if not self.upsert:
            return [insert]
        if self.table.unique_key:
            return [insert + self._on_conflict(names)]
        # The table was made by someone else, without a unique index on the key: rows of the key leave first.
        matches = " AND ".join(f"t.{key} = s.{key}" for key in self.keys)
        return [f"DELETE FROM {self.table.name.quoted} t USING {self.stage} s WHERE {matches}", insert]

    def _rows(self) -> str:
        if not self.row_column:
            return self.stage
        keys = ", ".join(self.keys)
        return f"(SELECT DISTINCT ON ({keys}) * FROM {self.stage} ORDER BY {keys}, {quote(self.row_column)} DESC)"

    def _on_conflict(self, names: Sequence[str]) -> str:
        keys = self.keys
        changed = [f"{name} = excluded.{name}" for name in names if name not in keys]
        action = f"DO UPDATE SET {', '.join(changed)}" if changed else "DO NOTHING"
        return f" ON CONFLICT ({', '.join(keys)}) {action}"

    def delete_all(self) -> str:
        """Empty the table before it is filled anew in the same transaction.

        Not TRUNCATE: that locks readers out until the commit and shows an empty table to snapshots taken before it.
        """
        return f"DELETE FROM {self.table.name.quoted}"

    def activate(self, version: int, *, hard: bool, sync_started_at: int) -> str:
        """Remove, or mark as deleted, the rows of earlier versions.

        Rows without a version count as earlier, but not those that this run brought: a tap may announce
        a version and leave it out of its records.
        """
        old = (
            f"({quote(TABLE_VERSION)} < {version} OR ({quote(TABLE_VERSION)} IS NULL "
            f"AND {quote(SYNC_STARTED_AT)} IS DISTINCT FROM {sync_started_at}))"
        )
        if hard:
            return f"DELETE FROM {self.table.name.quoted} WHERE {old}"
        return (
            f"UPDATE {self.table.name.quoted} SET {quote(DELETED_AT)} = clock_timestamp() "
            f"WHERE {old} AND {quote(DELETED_AT)} IS NULL"
        )
