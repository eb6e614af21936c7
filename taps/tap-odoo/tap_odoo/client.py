"""How Odoo's Postgres is spoken to: one connection, one snapshot for the whole run, rows that arrive as JSON."""

from __future__ import annotations

import logging
import select
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import make_conninfo

from singer_kit.errors import ConnectionFailedError, PluginError, SourceError
from singer_kit.postgres import connect
from tap_odoo.horizon import APPLICATION, Horizon, read_clock, read_horizon

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from psycopg import Connection
    from psycopg.pq.abc import PGconn, PGresult
    from psycopg.rows import TupleRow

    from tap_odoo.sources import Source

logger = logging.getLogger("tap-odoo")

# How the server writes values, whatever a role or the database has for defaults, and a connection pooler forgets.
_FORMS = (
    "select set_config('client_encoding', 'UTF8', {0}), set_config('timezone', 'UTC', {0}),"
    " set_config('datestyle', 'ISO', {0}), set_config('intervalstyle', 'postgres', {0}),"
    " set_config('bytea_output', 'hex', {0}), set_config('extra_float_digits', '1', {0})"
)
PAGE_ROWS = 2_000
PAGE_BYTES = 1 << 20
_HEADER = 19  # of a binary COPY: a signature, flags, and the length of an extension that does not exist
_ROW = 6  # before the one value of a row: the number of columns (2 bytes) and the value's length (4)


@dataclass(frozen=True)
class Snapshot:
    """The one state of the database that a run reads: when it was taken, and up to where it is complete."""

    time: datetime
    horizon: Horizon | None


class Session:
    """One connection to Odoo's database for the life of the tap; it only reads.

    Raises:
        ConnectionFailedError: when it cannot be opened.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        parameters = {
            "host": config["db_host"],
            "port": config["db_port"],
            "dbname": config["db_name"],
            "user": config.get("db_user"),
            "password": config.get("db_password"),
            "sslmode": config["db_sslmode"],
        }
        conninfo = make_conninfo(**{name: value for name, value in parameters.items() if value is not None})
        self.connection: Connection[TupleRow] = connect(conninfo, application_name=APPLICATION, autocommit=True)
        # The SDK does not say when a tap is done with.
        weakref.finalize(self, self.connection.close)
        self.connection.execute(_FORMS.format("false"))
        self.started = read_clock(self.connection)
        self._snapshot: Snapshot | None = None

    def snapshot(self, *, guard: bool, incremental: bool) -> Snapshot:
        """Begin reading: every later call and every stream of the run sees the same snapshot.

        Args:
            guard: whether open transactions hold the horizon back.
            incremental: whether a stream needs the horizon at all; working it out takes up to a second.
        """
        if self._snapshot is None:
            horizon = read_horizon(self.connection, self.started, guard=guard) if incremental else None
            self.connection.execute("begin isolation level repeatable read read only")
            # One statement may take as long as its reader does, and the session idles between streams.
            for setting in ("statement_timeout = 0", "idle_in_transaction_session_timeout = 0", "jit = off"):
                self.connection.execute(f"set local {setting}")
            self.connection.execute(_FORMS.format("true"))
            self._snapshot = Snapshot(read_clock(self.connection), horizon)
        return self._snapshot

    def scalar(self, query: sql.Composed) -> Any:
        """Read one value."""
        row = self.connection.execute(query).fetchone()
        return None if row is None else row[0]

    def read_pages(self, query: sql.Composed) -> Iterator[list[bytes]]:
        """Read a query of one JSON column, page by page.

        Yields:
            Up to 2,000 rows or about 1 MB, each row one JSON object without line breaks.

        Raises:
            psycopg.Error: as the server says.
        """
        # COPY over psycopg's low level: its own loop costs more than everything else here. In the binary format
        # a row is the JSON text itself, with nothing to unescape.
        pgconn = self.connection.pgconn
        copy = sql.SQL("copy ({}) to stdout (format binary)").format(query)
        pgconn.send_query(copy.as_bytes(self.connection))
        result = _next_result(pgconn)
        if result is not None and result.status != pq.ExecStatus.COPY_OUT:
            _finish(pgconn, result)
            return
        skip = _HEADER + _ROW  # the header travels with the first row
        try:
            more = True
            while more:
                page, more = _next_page(pgconn, skip)
                if page:
                    yield cast("list[bytes]", page)
                skip = _ROW
        except GeneratorExit:
            self.connection.cancel_safe(timeout=5)
            while more and pgconn.get_copy_data(0)[0] > 0:
                pass
            while pgconn.get_result() is not None:
                pass
            raise
        _finish(pgconn, _next_result(pgconn))


def _next_page(pgconn: PGconn, skip: int) -> tuple[list[memoryview], bool]:
    """Gather rows until the page is full, and say whether more may follow."""
    rows: list[memoryview] = []
    size = 0
    while len(rows) < PAGE_ROWS and size < PAGE_BYTES:
        length, data = pgconn.get_copy_data(1)
        if length > skip:
            rows.append(data[skip:])
            size += length
            skip = _ROW
        elif length == 0:
            _wait(pgconn)
        elif length < 0:
            return rows, False
    return rows, True


def _wait(pgconn: PGconn) -> None:
    """Wait for the server; a signal's handler runs at most a second later."""
    select.select([pgconn.socket], [], [], 1.0)
    pgconn.consume_input()


def _next_result(pgconn: PGconn) -> PGresult | None:
    while pgconn.is_busy():
        _wait(pgconn)
    return pgconn.get_result()


def _finish(pgconn: PGconn, result: PGresult | None) -> None:
    """Take the statement's last results and raise its error, if it has one."""
    failed: PGresult | None = None
    while result is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            failed = result
        result = _next_result(pgconn)
    if failed is not None:
        raise psycopg.errors.error_from_result(failed)


def explain(error: psycopg.Error, source: Source, session: Session) -> PluginError:
    """Say which stream could not be read, why, and what to do."""
    reason = (error.diag.message_primary or str(error)).strip().splitlines()[0]
    table = sql.Identifier(source.schema, source.table).as_string()
    where = f"Stream '{source.name}' (table {table})"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        user = sql.Identifier(session.connection.info.user).as_string()
        schema = sql.Identifier(source.schema).as_string()
        grant = f"GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT ON {table} TO {user};"
        return SourceError(f"{where}: {reason}. Next: run {grant} or deselect the stream.")
    if isinstance(error, (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)):
        return SourceError(f"{where}: {reason}. It changed while the tap was running. Next: run the tap again.")
    if session.connection.closed or isinstance(error, psycopg.errors.AdminShutdown):
        return ConnectionFailedError(
            f"{where}: the connection was lost: {reason}. Next: run again with the last state; it resumes from there."
        )
    if isinstance(error, psycopg.errors.QueryCanceled):
        return ConnectionFailedError(
            f"{where}: the server cancelled the statement: {reason}. Next: run again with the last state; on a "
            "standby, raise max_standby_streaming_delay or read from the primary."
        )
    return SourceError(f"{where}: {reason}. Next: deselect the stream or the column, or report this as a defect.")
