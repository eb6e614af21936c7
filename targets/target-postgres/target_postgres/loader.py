"""When rows become visible: a transaction ends where a STATE says so, or at the clean end of the input.

Rows since the last STATE wait apart from the rows that it covers. So the covered ones can be committed on their
own at any moment: when enough have gathered, when a few seconds have passed, and when the run fails.

The open transaction holds either rows that a STATE covers or rows that none covers yet, never both.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_postgres.database import Database
    from target_postgres.sink import PostgresSink


@dataclass(frozen=True)
class Limits:
    """How much may wait before it is loaded."""

    rows: int
    bytes: int
    seconds: float


class Loader:
    """Rows and STATEs go in; committed rows and then their STATE come out.

    Args:
        database: the connection; nothing else ends its transactions.
        limits: when to load.
        emit: writes a STATE to stdout.
        overwrite: nothing is shown, and no STATE acknowledged, before the clean end.

    """

    def __init__(self, database: Database, limits: Limits, emit: Callable[[bytes], None], *, overwrite: bool) -> None:
        self._database = database
        self._limits = limits
        self._emit = emit
        self._overwrite = overwrite
        self._state: bytes | None = None
        self._emitted: bytes | None = None
        self._fresh: set[PostgresSink] = set()
        self._covered: set[PostgresSink] = set()
        self._fresh_rows = self._fresh_bytes = 0
        self._covered_rows = self._covered_bytes = 0
        self._uncommitted = False
        self._failed = False
        self._committed_at = time.monotonic()

    def added(self, sink: PostgresSink, size: int) -> None:
        """Count a row that a sink has just taken."""
        self._fresh.add(sink)
        self._fresh_rows += 1
        self._fresh_bytes += size
        if self._fresh_rows >= self._limits.rows or self._fresh_bytes >= self._limits.bytes:
            self._relieve()

    def state(self, value: bytes) -> None:
        """All rows up to here are covered by this STATE."""
        self._absorb()
        self._state = value
        if self._uncommitted or self._covered_rows >= self._limits.rows or self._covered_bytes >= self._limits.bytes:
            self.commit()

    def tick(self, now: float) -> None:
        """Called between messages with a monotonic time: do not let covered rows wait for long."""
        if self._state is not None and now - self._committed_at >= self._limits.seconds:
            self.commit()

    def commit(self) -> None:
        """Commit what the last STATE covers, then acknowledge it."""
        self._write(self._covered)
        self._covered_rows = self._covered_bytes = 0
        self._end_transaction()
        if not self._overwrite:
            self._acknowledge()

    def checkpoint(self) -> None:
        """Commit what is covered now: the next step may fail and take the transaction with it."""
        if self._state is not None:
            self.commit()

    def settle(self) -> None:
        """Load all rows that wait, for the table's shape is about to change; commit only what is covered."""
        self.checkpoint()
        if self._fresh:
            self._absorb()
            self._write(self._covered)
            self._covered_rows = self._covered_bytes = 0
            self._uncommitted = True

    def shaped(self) -> None:
        """A table was shaped: commit that at once if no row hangs on the transaction, to keep the lock short."""
        if not self._uncommitted:
            self._end_transaction()

    def finish(self, last: Callable[[Sequence[PostgresSink]], None], sinks: Sequence[PostgresSink]) -> None:
        """The input has come to a clean end: load the rest, do what waits for the end, acknowledge.

        Args:
            last: statements that belong to the final transaction.
            sinks: given to `last`.

        """
        self._absorb()
        self._write(self._covered)
        self._guarded(lambda: last(sinks))
        self._end_transaction()
        self._acknowledge()

    def abort(self) -> None:
        """The run has failed: commit what the last STATE covers, forget the rest."""
        for sink in self._fresh:
            sink.discard_fresh()
        self._fresh.clear()
        if self._state is not None and not self._overwrite and not self._failed:
            self.commit()

    def _relieve(self) -> None:
        if self._overwrite:
            # Rows go to a staging table, which nobody sees and which dies with the session.
            self._absorb()
            self.commit()
            return
        self.checkpoint()
        if self._fresh_rows >= self._limits.rows or self._fresh_bytes >= self._limits.bytes:
            self.settle()

    def _absorb(self) -> None:
        for sink in self._fresh:
            sink.absorb_fresh()
        self._covered |= self._fresh
        self._fresh.clear()
        self._covered_rows += self._fresh_rows
        self._covered_bytes += self._fresh_bytes
        self._fresh_rows = self._fresh_bytes = 0

    def _write(self, sinks: set[PostgresSink]) -> None:
        for sink in sorted(sinks, key=lambda one: one.table_name):
            # One order of tables in every target, so that two that share tables do not wait for each other
            # in a ring.
            self._guarded(sink.write)
        sinks.clear()

    def _end_transaction(self) -> None:
        self._guarded(self._database.commit)
        self._uncommitted = False
        self._committed_at = time.monotonic()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Remember a failure: the transaction is lost then, and nothing may be acknowledged any more."""
        try:
            step()
        except BaseException:
            self._failed = True
            raise

    def _acknowledge(self) -> None:
        if self._state is None:
            return
        state, self._state = self._state, None
        if state != self._emitted:
            self._guarded(lambda: self._emit(state))
            self._emitted = state
