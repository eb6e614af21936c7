"""The one connection of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus

from singer_kit.errors import DataError
from target_postgres.errors import from_postgres

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from target_postgres.connection import Connector

_COPY_BYTES = 1 << 18


class Database:
    """Statements on one connection; what fails becomes a `PluginError`.

    The connection opens with the first statement. It is in a transaction from any statement up to `commit`.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._connection: Connection[TupleRow] | None = None

    @property
    def connection(self) -> Connection[TupleRow]:
        if self._connection is None:
            self._connection = self._connector.open()
        return self._connection

    def rows(self, statement: str, parameters: tuple[Any, ...] | None = None) -> list[TupleRow]:
        """Run a query. Its text takes `%s` only together with parameters."""
        return self.connection.execute(statement.encode(), parameters).fetchall()

    def run(self, statement: str, *, doing: str) -> int:
        """Run a statement without parameters; the number of rows it touched."""
        try:
            return self.connection.execute(statement.encode()).rowcount
        except psycopg.Error as error:
            raise from_postgres(error, doing) from error

    def copy(self, statement: str, rows: Iterable[str]) -> None:
        """Send lines in COPY's text format.

        Raises:
            psycopg.Error: the caller knows which record stands behind a line, and says so.

        """
        with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            chunk: list[str] = []
            size = 0
            for row in rows:
                chunk.append(row)
                size += len(row)
                if size >= _COPY_BYTES:
                    copy.write("".join(chunk).encode())
                    chunk, size = [], 0
            copy.write("".join(chunk).encode())

    def commit(self) -> None:
        if self.connection.info.transaction_status == TransactionStatus.INERROR:
            # The server would answer COMMIT with a rollback, and psycopg would not say so.
            raise DataError("The transaction has failed before and cannot be committed")
        try:
            self.connection.commit()
        except psycopg.Error as error:
            raise from_postgres(error, "Committing") from error

    def close(self) -> None:
        """Roll back what is open and end the session."""
        if self._connection is not None:
            if self._connection.info.transaction_status == TransactionStatus.ACTIVE:
                self._connection.cancel_safe(timeout=5)
            self._connection.close()
            self._connection = None
        self._connector.close()
