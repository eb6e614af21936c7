"""When rows become visible: a transaction ends where a STATE says so, or at the clean end of the input.

Rows since the last STATE wait apart from the rows that it covers. So the covered ones can be committed on their
own at any moment: when enough have gathered, when a few seconds have passed, and when the run fails.

The open transaction holds either rows that a STATE covers or rows that none covers yet, never both.

What is decided here, in the order of the input, is done by the worker's thread one step behind.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_postgres.bookmarks import Bookmarks
    from target_postgres.database import Database
    from target_postgres.naming import TableName
    from target_postgres.rows import Batch, Rows
    from target_postgres.worker import Worker


# The first batch is so much smaller than others: until there is one, the server has nothing to do.
_FIRST = 8


@dataclass(frozen=True)
class Limits:
    """How much may wait before it is loaded."""

    rows: int
    bytes: int
    seconds: float


class Loadable(Protocol):
    """Where rows go.

    Attributes:
        fresh: rows since the last STATE.
        covered: rows that the last STATE covers.
        keyed: rows that come again replace themselves.
    """

    table_name: TableName
    keyed: bool
    fresh: Rows
    covered: Rows

    def take(self) -> Batch:
        """The covered rows, for `load`."""

    def load(self, batch: Batch) -> None:
        """Bring rows into the open transaction; on the worker's thread."""

    def has_rows_of(self, transaction: int) -> bool:
        """Whether the table holds rows that a transaction has written."""


class Loader:
    """Rows and STATEs go in; committed rows and then their STATE come out.

    Args:
        database: the session; nothing else ends its transactions.
        worker: where all that touches the session is done.
        limits: when to load.
        emit: writes a STATE to stdout.
        bookmarks: where STATEs are stored beside the rows, if anywhere.
        overwrite: nothing is shown, and no STATE acknowledged, before the clean end.

    """

    def __init__(
        self,
        database: Database,
        worker: Worker,
        limits: Limits,
        emit: Callable[[bytes], None],
        *,
        bookmarks: Bookmarks | None = None,
        overwrite: bool,
    ) -> None:
        self._database = database
        self._worker = worker
        self._limits = limits
        self._emit = emit
        self._bookmarks = bookmarks
        self._overwrite = overwrite
        self._state: bytes | None = None
        self._emitted: bytes | None = None
        self._fresh: set[Loadable] = set()
        self._covered: set[Loadable] = set()
        self._fresh_rows = self._fresh_bytes = 0
        self._covered_rows = self._covered_bytes = 0
        self._uncovered: set[Loadable] = set()
        self._begun = self._uncommitted = False
        # Whose rows in the open transaction tell whether it was committed; of the worker's thread.
        self._marked: list[Loadable] = []
        self._committed_at = time.monotonic()

    @property
    def room(self) -> int:
        """How many rows may come before some are loaded."""
        return max(1, self._limits.rows - self._fresh_rows - self._covered_rows)

    @property
    def uncovered_sinks(self) -> set[Loadable]:
        """Who has taken rows since the last STATE, also if these were dropped since."""
        return self._uncovered

    def added(self, sink: Loadable, rows: int, size: int) -> None:
        """Count rows that a sink has just taken."""
        self._fresh.add(sink)
        self._uncovered.add(sink)
        self._fresh_rows += rows
        self._fresh_bytes += size
        if self._full(self._fresh_rows + self._covered_rows, self._fresh_bytes + self._covered_bytes):
            self._relieve()

    def state(self, value: bytes) -> None:
        """All rows up to here are covered by this STATE."""
        self._absorb()
        self._uncovered.clear()
        self._state = value
        share = 1 if self._begun else _FIRST
        if self._uncommitted or self._full(self._covered_rows * share, self._covered_bytes * share):
            self.commit()

    def tick(self, now: float) -> None:
        """Called now and then with a monotonic time: do not let covered rows wait for long.

        While the worker is busy they wait on, and make a larger batch.
        """
        self._worker.check()
        if self._state is not None and now - self._committed_at >= self._limits.seconds and not self._worker.busy:
            self.commit()

    def commit(self) -> None:
        """Have the worker commit what the last STATE covers, then acknowledge it."""
        self._hand_over(commit=True, acknowledge=not self._overwrite)

    def settle(self) -> None:
        """Load all rows that wait, for a table's shape is about to change; commit only what is covered.

        The session is free when this returns.
        """
        self.checkpoint()
        if self._fresh:
            self._load_uncovered()
        self._worker.wait()

    def checkpoint(self) -> None:
        """Commit what is covered now: the next step may fail and take the transaction with it."""
        if self._state is not None:
            self.commit()
        self._worker.wait()

    def shape(self, work: Callable[[], None]) -> None:
        """Shape a table, and commit that at once if no row hangs on the transaction, to keep the lock short.

        Args:
            work: the statements, which may be done again from the start.

        Raises:
            StaleTokenError: a newer run has taken over; nothing was shaped.

        """
        self._worker.wait()
        commit = not self._uncommitted

        def do() -> None:
            if self._bookmarks is not None:
                self._bookmarks.store(None)
            work()
            if commit:
                self._database.commit()

        self._database.transact(do, repeatable=commit)

    def finish(self, last: Callable[[], None]) -> None:
        """The input has come to a clean end: load the rest, do what waits for the end, acknowledge.

        Args:
            last: statements that belong to the final transaction.

        """
        self._absorb()
        self._hand_over(commit=True, acknowledge=True, last=last)
        self._worker.wait()

    def drop_uncovered(self) -> None:
        """Leave out the rows after the last STATE."""
        for sink in self._fresh:
            sink.fresh.clear()
        self._fresh.clear()
        self._fresh_rows = self._fresh_bytes = 0
        if self._uncommitted:
            self._worker.wait()
            self._database.rollback()
            self._uncommitted = False

    def abort(self) -> None:
        """The run has failed: commit what the last STATE covers, forget the rest."""
        if self._worker.failed:
            return  # that was the failure, and the transaction is lost
        self._worker.wait()
        self.drop_uncovered()
        if self._state is not None and not self._overwrite:
            self.commit()
            self._worker.wait()

    def _relieve(self) -> None:
        if self._overwrite:
            # Rows go to a staging table, which nobody sees and which dies with the session.
            self._absorb()
            self.commit()
            return
        if self._state is not None:
            self.commit()
        if self._full(self._fresh_rows, self._fresh_bytes):
            self._load_uncovered()

    def _full(self, rows: int, size: int) -> bool:
        return rows >= self._limits.rows or size >= self._limits.bytes

    def _load_uncovered(self) -> None:
        self._absorb()
        self._hand_over(commit=False, acknowledge=False)
        self._uncommitted = True

    def _absorb(self) -> None:
        for sink in self._fresh:
            sink.covered.absorb(sink.fresh)
        self._covered |= self._fresh
        self._fresh.clear()
        self._covered_rows += self._fresh_rows
        self._covered_bytes += self._fresh_bytes
        self._fresh_rows = self._fresh_bytes = 0

    def _hand_over(self, *, commit: bool, acknowledge: bool, last: Callable[[], None] | None = None) -> None:
        """Give the covered rows to the worker."""
        # Before the rows leave: if this is cut short, rows that are nowhere must not be acknowledged.
        state = None
        if acknowledge:
            state, self._state = self._state, None
        # One order of tables in every target, so that two that share tables do not wait for each other in a ring.
        sinks = sorted(self._covered, key=lambda one: one.table_name)
        batches = [(sink, sink.take()) for sink in sinks]
        self._covered.clear()
        self._covered_rows = self._covered_bytes = 0
        repeatable = not (self._uncommitted or self._overwrite)
        work = partial(self._load, batches, commit=commit, state=state, last=last, repeatable=repeatable)
        self._begun = True
        self._worker.submit(partial(self._database.transact, work, repeatable=repeatable))
        if commit:
            self._uncommitted = False
            self._committed_at = time.monotonic()

    def _load(
        self,
        batches: Sequence[tuple[Loadable, Batch]],
        *,
        commit: bool,
        state: bytes | None,
        last: Callable[[], None] | None,
        repeatable: bool,
    ) -> None:
        if repeatable:
            self._marked.clear()
        for sink, batch in batches:
            sink.load(batch)
            # Where it can be done again and has keys, doing it again does no harm: no need to know.
            if batch.rows and not (repeatable and sink.keyed):
                self._marked.append(sink)
        if last is not None:
            last()
        if not commit:
            return
        if self._bookmarks is not None:
            self._bookmarks.store(state)
        self._database.commit(left_traces=self._left_traces)
        self._marked.clear()
        if state is not None and state != self._emitted:
            self._emit(state)
            self._emitted = state

    def _left_traces(self, transaction: int) -> bool:
        if self._bookmarks is not None:
            return self._bookmarks.is_of(transaction)
        return any(sink.has_rows_of(transaction) for sink in self._marked)
