"""The one session of a run, and doing a transaction again when it was lost."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus

from singer_kit.errors import ConnectionFailedError, DataError, PluginError
from singer_kit.retry import UnavailableError, retried
from target_postgres.connection import is_transient
from target_postgres.errors import from_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, NoReturn

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from target_postgres.connection import Connector

_COPY_BYTES = 1 << 18
_SAVEPOINT = "target_postgres"
_ROW_NUMBERS = 2**32  # rows carry so much of a transaction's number
_PAUSE = 0.2


class Database:
    """Statements in one session; what fails becomes a `PluginError` with the psycopg error as its cause.

    The session opens with the first statement, and is in a transaction from any statement up to `commit`. One thread
    uses it at a time.

    Args:
        connector: opens sessions.
        patience: seconds for which a lost transaction is tried again.
        sleep: how to wait between attempts; may raise to give up.
    """

    def __init__(
        self, connector: Connector, *, patience: float = 0, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._connector = connector
        self._patience = patience
        self._sleep = sleep
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

    def copy(self, statement: str, data: Iterable[bytes]) -> None:
        """Send rows as the statement wants them.

        Raises:
            psycopg.Error: the caller knows which record stands behind a line, and says so.
        """
        with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for piece in _gathered(data):
                copy.write(piece)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block did, and only that, if it fails.

        Not psycopg's `transaction()`, which would commit where none is open yet.
        """
        self.run(f"SAVEPOINT {_SAVEPOINT}", doing="Setting a savepoint")
        try:
            yield
        except BaseException:
            # Going back leaves the savepoint there, where one of the same name around it would find it. The session may
            # be lost, which the block's own error says.
            with suppress(PluginError):
                self.run(f"ROLLBACK TO {_SAVEPOINT}", doing="Going back to a savepoint")
                self.run(f"RELEASE {_SAVEPOINT}", doing="Releasing a savepoint")
            raise
        self.run(f"RELEASE {_SAVEPOINT}", doing="Releasing a savepoint")

    def commit(self, *, left_traces: Callable[[int], bool] = lambda _: False) -> None:
        """End the transaction.

        Where the connection is lost on the way, the server is asked whether it has committed.

        Args:
            left_traces: tells, in a new session, whether rows of the transaction of that number are there. Its number
                alone is no proof: one that a crash has taken back is given to somebody else. By default nobody can
                tell, which suits what may be done twice.

        Raises:
            DataError: a statement before has failed.
            ConnectionFailedError: nothing is committed, or nobody tells whether it is; its cause is a psycopg error
                in the first case only.
        """
        connection = self.connection
        if connection.info.transaction_status == TransactionStatus.INERROR:
            # The server would answer COMMIT with a rollback, and psycopg would not say so.
            raise DataError("The transaction has failed before and cannot be committed")
        if connection.info.transaction_status == TransactionStatus.IDLE:
            return
        doing = "Committing"
        try:
            found = connection.execute(b"SELECT pg_current_xact_id_if_assigned()::text").fetchone()
        except psycopg.Error as error:
            raise from_postgres(error, doing) from error
        try:
            connection.commit()
        except psycopg.Error as error:
            number = found[0] if found else None
            if number is None or not is_transient(error) or not self._has_committed(number, left_traces):
                raise from_postgres(error, doing) from error

    def rollback(self) -> None:
        if self._connection is not None:
            self._connection.rollback()

    def transact(self, work: Callable[[], None], *, repeatable: bool) -> None:
        """Do what ends a transaction, again if it is lost on the way for a reason that passes.

        Args:
            work: statements, and a commit behind them.
            repeatable: whether the transaction holds nothing else, so that a new one may take its place.

        Raises:
            PluginError: it failed for good, or for as long as the patience lasts.
        """

        def attempt() -> None:
            try:
                work()
            except psycopg.Error as error:
                give_up_or_repeat(from_postgres(error, "Loading"), error)
            except PluginError as error:
                give_up_or_repeat(error, error.__cause__)

        def give_up_or_repeat(error: PluginError, cause: BaseException | None) -> NoReturn:
            if repeatable and isinstance(cause, psycopg.Error) and is_transient(cause):
                self._forget_transaction()
                raise UnavailableError(str(error)) from cause
            raise error from cause

        retried(attempt, seconds=self._patience, sleep=self._sleep)

    def cancel(self) -> None:
        """Stop the statement that another thread waits for."""
        if self._connection is not None and self._connection.info.transaction_status == TransactionStatus.ACTIVE:
            with suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """Roll back what is open and end the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._connector.close()

    def _forget_transaction(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.rollback()
        except psycopg.Error:
            self._connection.close()
        if self._connection.closed:
            self._connection = None

    def _has_committed(self, number: str, left_traces: Callable[[int], bool]) -> bool:
        """Ask a new session what became of a transaction whose COMMIT got no answer.

        Raises:
            ConnectionFailedError: nobody tells in time.
        """
        give_up_at = time.monotonic() + self._patience
        reason = "its session has not ended yet"
        while True:
            self._forget_transaction()
            try:
                found = self.connection.execute(b"SELECT pg_xact_status(%s::text::xid8)", (number,)).fetchone()
                status = found[0] if found else None
                if status in {"committed", "aborted"}:
                    committed = status == "committed" and left_traces(int(number) % _ROW_NUMBERS)
                    self._forget_transaction()
                    return committed
            except psycopg.errors.InvalidParameterValue:
                self._forget_transaction()
                return False  # it lies in the future: a crash has taken the number back
            except psycopg.Error as error:
                reason = str(from_postgres(error, "Asking"))
            except PluginError as error:
                reason = str(error)
            if time.monotonic() > give_up_at:
                raise ConnectionFailedError(
                    "The connection was lost while committing, and it is not known whether the server has committed: "
                    f"{reason} Next: run again. With state_table nothing comes twice; without, rows after the last "
                    "STATE on stdout may, in tables without keys."
                )
            self._sleep(_PAUSE)  # the old session has not noticed yet that its client is gone


def _gathered(data: Iterable[bytes]) -> Iterator[bytes]:
    """Many small pieces as few large ones."""
    waiting: list[bytes] = []
    size = 0
    for piece in data:
        waiting.append(piece)
        size += len(piece)
        if size >= _COPY_BYTES:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
