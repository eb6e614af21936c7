"""Bringing batches of one stream into its table: COPY, then one statement for all rows. On the worker's thread."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import psycopg

from singer_kit.errors import DataError
from target_postgres.binary import HEADER, TRAILER
from target_postgres.errors import RefusedError, copy_position, from_postgres

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_postgres.database import Database
    from target_postgres.merge import Merge
    from target_postgres.quarantine import Quarantine
    from target_postgres.rows import Batch


class TableLoader:
    """Loads into one table.

    Args:
        stream: for messages.
        merge: the statements.
        database: the session.
        quarantine: where rows go that Postgres refuses; None fails instead.
        properties: from a column to the property in it, for messages.
        empty: the table has no rows yet.
    """

    def __init__(
        self,
        stream: str,
        merge: Merge,
        database: Database,
        quarantine: Quarantine | None,
        *,
        properties: Mapping[str, str],
        empty: bool,
    ) -> None:
        self._stream = stream
        self._merge = merge
        self._database = database
        self._quarantine = quarantine
        self._properties = properties
        self._straight = merge.can_copy_straight and not merge.upsert and not merge.keep
        # While no key comes twice, a table that was empty needs no merging.
        self._straight_if_new = merge.can_copy_straight and merge.table.unique_key and empty and not merge.keep
        self._distinct = merge.keep or not merge.table.unique_key
        self._unversioned = False
        self._staged = False

    def load(self, batch: Batch) -> None:
        """Bring rows into the open transaction.

        Raises:
            DataError: Postgres refuses one, and there is no quarantine.
        """
        if self._merge.keep:
            self._make_stage()  # before any savepoint
        if self._quarantine is None:
            self._load(batch)
        else:
            self._load_the_good(batch, self._quarantine)

    def replace(self, *, first: bool) -> None:
        """Bring the staged rows of the whole run into the table.

        Args:
            first: delete all rows of the table before.
        """
        self._make_stage()
        if first:
            self._run(self._merge.delete_all())
        self._merge_stage()

    def has_rows_of(self, transaction: int) -> bool:
        """Whether the table holds rows that a transaction has written."""
        return bool(self._database.rows(self._merge.rows_of(transaction)))

    def activate(self, version: int, *, hard: bool, sync_started_at: int) -> None:
        """Remove or mark the rows of earlier versions."""
        statement = self._merge.activate(
            version, hard=hard, sync_started_at=sync_started_at, spare_unversioned=self._unversioned
        )
        self._database.run(statement, doing=f"Stream {self._stream!r}: activating version {version}")

    def _load(self, batch: Batch) -> None:
        if self._straight:
            self._copy(batch, straight=True)
        elif not (self._straight_if_new and self._copied_as_new(batch)):
            self._load_by_stage(batch)

    def _copied_as_new(self, batch: Batch) -> bool:
        try:
            with self._database.savepoint():
                self._copy(batch, straight=True)
        except DataError as error:
            if not isinstance(error.__cause__, psycopg.errors.UniqueViolation):
                raise
            self._straight_if_new = False
        return self._straight_if_new

    def _load_by_stage(self, batch: Batch) -> None:
        self._make_stage()
        self._copy(batch, straight=False)
        if not self._merge.keep:
            self._merge_stage()
            self._run(self._merge.drop_stage())

    def _make_stage(self) -> None:
        if not self._staged:
            self._run(self._merge.create_stage())
            self._staged = self._merge.keep

    def _load_the_good(self, batch: Batch, quarantine: Quarantine) -> None:
        """Set the rows aside that Postgres refuses, by cutting the batch around them."""
        try:
            with self._database.savepoint():
                self._load(batch)
        except DataError as error:
            if not isinstance(error.__cause__, (psycopg.DataError, psycopg.IntegrityError)):
                raise
            if batch.rows == 1:
                quarantine.add_refused(self._stream, self._merge.table.name, batch.line(0), error, batch.raw(0) or b"")
                return
            row = error.row if isinstance(error, RefusedError) else None
            for part in batch.split(batch.rows // 2) if row is None else batch.split(row, row + 1):
                self._load_the_good(part, quarantine)

    def _merge_stage(self) -> None:
        if self._merge.upsert and self._merge.is_versioned and not self._unversioned:
            self._unversioned = bool(self._database.rows(self._merge.unversioned()))
        if not self._merge.upsert or self._distinct:
            for statement in self._merge.load(distinct=self._merge.upsert):
                self._run(statement)
            return
        try:
            with self._database.savepoint():
                self._run(*self._merge.load(distinct=False))
        except DataError as error:
            if not isinstance(error.__cause__, psycopg.errors.CardinalityViolation):
                raise
            # A key came twice in one batch. Where that happens once it happens again.
            self._distinct = True
            self._run(*self._merge.load(distinct=True))

    def _run(self, statement: str) -> None:
        self._database.run(statement, doing=self._doing)

    def _copy(self, batch: Batch, *, straight: bool) -> None:
        before = 0
        for binary, stretch in batch.stretches():
            data = chain((HEADER,), stretch.data(), (TRAILER,)) if binary else stretch.data()
            try:
                self._database.copy(self._merge.copy(straight=straight, binary=binary), data)
            except psycopg.Error as error:
                raise self._copy_error(error, stretch, before) from error
            before += stretch.rows

    def _copy_error(self, error: psycopg.Error, batch: Batch, before: int) -> Exception:
        row, column = copy_position(error)
        about_a_row = isinstance(error, (psycopg.DataError, psycopg.IntegrityError))
        if not about_a_row or row is None or not 0 < row <= batch.rows:
            return from_postgres(error, self._doing)
        if isinstance(error, psycopg.errors.UniqueViolation):
            return from_postgres(error, f"{self._doing}, line {batch.line(row - 1)}")
        at = f", property {self._properties.get(column, column)!r}" if column else ""
        reason = (error.diag.message_primary or "refused by Postgres")[:300]
        return RefusedError(f"Stream {self._stream!r}, line {batch.line(row - 1)}{at}: {reason}.", before + row - 1)

    @property
    def _doing(self) -> str:
        return f"Stream {self._stream!r}: loading {self._merge.table.name.quoted}"
