# ruff: noqa: S608 - the table's name is quoted
"""The bookmark beside the rows: a STATE stored in the transaction of what it covers, behind a fencing token.

The table belongs to whoever starts the runs. Three of its columns are known here: `id text primary key`,
`state jsonb`, `fencing_token bigint`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

from singer_kit.errors import ConfigurationError, DataError
from target_postgres.errors import StaleTokenError, from_postgres
from target_postgres.naming import quote

if TYPE_CHECKING:
    from singer_kit.errors import PluginError
    from target_postgres.database import Database

_WRONG_TABLE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.DatatypeMismatch,
    psycopg.errors.InvalidColumnReference,  # no unique index on id
)
_NAME = re.compile(r'(?:(\w+|"(?:[^"]|"")+")\.)?(\w+|"(?:[^"]|"")+")')


class Bookmarks:
    """One row of the state table.

    Args:
        table: `schema.table` or `table`; parts in double quotes keep their case.
        id_: of the row.
        token: who holds a higher one may write; None does without.

    Raises:
        ConfigurationError: the name cannot be read, or the id cannot be stored.
    """

    def __init__(self, database: Database, table: str, id_: str, token: int | None) -> None:
        self._database = database
        self._id = id_
        self._token = token
        self._doing = f"Storing the STATE {id_!r} in {table}"
        if "\0" in id_:
            raise ConfigurationError(f"Setting state_id is {id_!r}. Next: take the character NUL out of it.")
        if "\0" in table or not (match := _NAME.fullmatch(table)):
            raise ConfigurationError(
                f"Setting state_table is {table!r}. Next: write table or schema.table, with double quotes around a "
                "part that holds other characters than letters, digits and underscores."
            )
        parts = [part if part.startswith('"') else quote(part.lower()) for part in match.groups() if part]
        self._table = ".".join(parts)

    def claim(self) -> None:
        """Make the token the newest, before anything is written.

        Raises:
            StaleTokenError: somebody holds a newer one.
        """
        self.store(None)

    def store(self, state: bytes | None) -> None:
        """Store a STATE, or only hold the row, in the open transaction.

        The row stays locked to the end of the transaction: a newer token that comes meanwhile waits for it, and an
        older one finds it.

        Raises:
            StaleTokenError: somebody holds a newer token; the transaction must not be committed.
            ConfigurationError: the table is missing, or is not as it must be.
            DataError: jsonb cannot hold the STATE.
        """
        text = None if state is None else state.decode()
        table = self._table.replace("%", "%%")  # psycopg reads the statement, for its parameters
        try:
            cursor = self._database.connection.execute(
                f"INSERT INTO {table} AS b (id, state, fencing_token) "
                "VALUES (%(id)s, coalesce(%(state)s::jsonb, '{}'), coalesce(%(token)s::bigint, 0)) "
                "ON CONFLICT (id) DO UPDATE SET state = coalesce(%(state)s::jsonb, b.state), "
                "fencing_token = coalesce(%(token)s::bigint, b.fencing_token) "
                "WHERE %(token)s::bigint IS NULL OR b.fencing_token IS NULL "
                "OR b.fencing_token <= %(token)s::bigint".encode(),
                {"id": self._id, "state": text, "token": self._token},
            )
        except psycopg.Error as error:
            raise self._explained(error) from error
        if cursor.rowcount == 0:
            raise StaleTokenError(
                f"{self._doing}: a newer run has taken over (fencing token {self._token} is no longer the highest). "
                "This one writes nothing any more. Next: none; let the newer run finish."
            )

    def is_of(self, transaction: int) -> bool:
        """Whether a transaction was the last to write the row."""
        query = f"SELECT FROM {self._table.replace('%', '%%')} WHERE id = %s AND xmin = %s::text::xid"
        return bool(self._database.rows(query, (self._id, str(transaction))))

    def _explained(self, error: psycopg.Error) -> PluginError:
        reason = (error.diag.message_primary or str(error)).strip()
        if isinstance(error, _WRONG_TABLE):
            return ConfigurationError(
                f"{self._doing}: {reason}. Next: CREATE TABLE {self._table} (id text PRIMARY KEY, state jsonb, "
                "fencing_token bigint); or set state_table to one that has these columns."
            )
        if isinstance(error, psycopg.DataError):
            return DataError(
                f"{self._doing}: {reason}. It is stored as jsonb, which has neither NUL nor NaN nor halves of "
                "surrogate pairs. Next: have the tap leave them out, or keep STATEs from stdout without state_table."
            )
        return from_postgres(error, self._doing)
