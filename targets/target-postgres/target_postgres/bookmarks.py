# ruff: noqa: S608 - the table's name is quoted
"""The bookmark beside the rows: a STATE stored in the transaction of what it covers, behind a fencing token.

The table belongs to whoever starts the runs. Three of its columns are known here: `id text primary key`,
`state jsonb`, `fencing_token bigint`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

from singer_kit.errors import ConfigurationError
from target_postgres.errors import StaleTokenError, from_postgres
from target_postgres.naming import quote

if TYPE_CHECKING:
    from target_postgres.database import Database

_NAME = re.compile(r'(?:(\w+|"(?:[^"]|"")+")\.)?(\w+|"(?:[^"]|"")+")')


class Bookmarks:
    """One row of the state table.

    Args:
        table: `schema.table` or `table`; parts in double quotes keep their case.
        id_: of the row.
        token: who holds a higher one may write; None does without.

    Raises:
        ConfigurationError: the name cannot be read.
    """

    def __init__(self, database: Database, table: str, id_: str, token: int | None) -> None:
        self._database = database
        self._id = id_
        self._token = token
        self._doing = f"Storing the STATE {id_!r} in {table}"
        if not (match := _NAME.fullmatch(table)):
            raise ConfigurationError(
                f"Setting state_table is {table!r}. Next: write table or schema.table, with double quotes around a "
                "part that holds other characters than letters, digits and underscores."
            )
        self._table = ".".join(part if part.startswith('"') else quote(part.lower()) for part in match.groups() if part)

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
        """
        text = None if state is None else state.decode("utf-8", "surrogatepass")
        try:
            cursor = self._database.connection.execute(
                f"INSERT INTO {self._table} AS b (id, state, fencing_token) "
                "VALUES (%(id)s, coalesce(%(state)s::jsonb, '{}'), coalesce(%(token)s::bigint, 0)) "
                "ON CONFLICT (id) DO UPDATE SET state = coalesce(%(state)s::jsonb, b.state), "
                "fencing_token = coalesce(%(token)s::bigint, b.fencing_token) "
                "WHERE %(token)s::bigint IS NULL OR b.fencing_token IS NULL "
                "OR b.fencing_token <= %(token)s::bigint".encode(),
                {"id": self._id, "state": text, "token": self._token},
            )
        except psycopg.Error as error:
            raise from_postgres(error, self._doing) from error
        if cursor.rowcount == 0:
            raise StaleTokenError(
                f"{self._doing}: a newer run has taken over (fencing token {self._token} is no longer the highest). "
                "Nothing was written since its start. Next: none; let the newer run finish."
            )
