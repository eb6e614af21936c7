"""Runs: enqueued, claimed under a lease, ended; and what they said and moved."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from ipai.control_plane.database import Room
from ipai.control_plane.records import NEVER, LogLine, Run, StreamCost, StreamMetrics
from ipai.errors import BusyError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

_ZOMBIE_SECONDS = 5.0


class RunStore(Room):
    """The queue's rows and the history, in one table."""

    statements_of = "runs"

    # From the queue to the end

    def enqueue(
        self,
        instance: str,
        *,
        streams: Sequence[str] | None = None,
        full_refresh: bool = False,
        backfill: tuple[datetime, datetime | None] | None = None,
        due_at: datetime | None = None,
        priority: int = 0,
        trigger: str = "manual",
    ) -> Run:
        """Put a run into the queue; one that waits there already is brought forward instead."""
        (run,) = self._records(
            Run, "enqueue", instance=instance, streams=None if streams is None else list(streams),
            full_refresh=full_refresh, backfill_from=backfill[0] if backfill else None,
            backfill_to=backfill[1] if backfill else None, due_at=due_at, priority=priority, trigger=trigger,
        )  # fmt: skip
        return run

    def start(self, instance: str, worker: str, lease_seconds: float, **asked: Any) -> Run:
        """Start a run at once, past the queue; `asked` is what `enqueue` takes.

        Raises:
            BusyError: the instance is being run, or its quota group is full.
        """
        with self._database.transaction():
            # No worker takes what is due in the far future; what waits there already is taken from them.
            waiting = self.enqueue(instance, due_at=NEVER, **asked)
            run = self.claim(waiting.id, worker, lease_seconds)
            if isinstance(run, str):
                raise self._busy(instance, run)
            self._rows("forget_job", id=run.id)
        # To the end of the session: it is the sign of life of a run in the foreground.
        self._lock(instance, end_zombies=True)
        return run

    def _busy(self, instance: str, outcome: str) -> BusyError:
        if outcome == "full":
            return BusyError(
                f"{instance}: as many runs of its quota group are under way as may be.",
                hint=f"ipai run {instance} --detach waits for its turn; ipai quota list shows the limits.",
            )
        return BusyError(f"{instance} is being run by another process.", hint=f"Watch it with ipai status {instance}.")

    def claim(self, run_id: int, worker: str, lease_seconds: float) -> Run | str:
        """Start a queued run under a lease; why not, as a word, if it cannot be: busy, full or gone."""
        (row,) = self._rows("claim", id=run_id, worker=worker, lease_seconds=lease_seconds)
        outcome: str = row["outcome"]
        return self.run(run_id) if outcome == "claimed" else outcome

    def renew(self, runs: Sequence[Run], lease_seconds: float) -> dict[int, bool]:
        """Keep the leases; for each run that is still ours, whether it is asked to end."""
        rows = self._rows(
            "renew", ids=[run.id for run in runs], tokens=[run.fencing_token for run in runs],
            lease_seconds=lease_seconds,
        )  # fmt: skip
        return {row["id"]: row["cancel_requested"] for row in rows}

    def finish(
        self,
        run: Run,
        status: str,
        error: Mapping[str, Any] | None = None,
        *,
        kind: str | None = None,
        retry_after: float | None = None,
        retry_streams: Sequence[str] | None = None,
    ) -> Run | None:
        """End a run, and enqueue the next attempt where there is to be one.

        Args:
            kind: of the error, see `ipai.errors`.
            retry_after: seconds that the source asked to wait.
            retry_streams: the only ones that the next attempt needs to sync.

        Returns:
            The run as it ended; None if it was no longer ours, in which case nothing was written.
        """
        ended = self._records(
            Run, "finish", id=run.id, token=run.fencing_token, status=status,
            error=None if error is None else Jsonb(error), error_kind=kind, retry_after=retry_after,
            retry_streams=None if retry_streams is None else list(retry_streams),
        )  # fmt: skip
        return ended[0] if ended else None

    def cancel(self, run_id: int) -> str:
        """Take a run out of the queue, or ask it to end; its status now.

        Raises:
            NotFoundError: there is none of that number.
        """
        (row,) = self._rows("cancel", id=run_id)
        if row["status"] is None:
            raise _no_run(run_id)
        status: str = row["status"]
        return status

    def reap(self) -> list[Run]:
        """End runs whose holder is gone, see `connectors.reap`."""
        return self._records(Run, "reap")

    def defer_due(self) -> int:
        """Give runs that have come due a job; how many there were."""
        (row,) = self._rows("defer_due")
        deferred: int = row["deferred"]
        return deferred

    def mark_state_cleared(self, run: Run) -> None:
        self._do("mark_state_cleared", id=run.id, token=run.fencing_token)

    @contextmanager
    def locked(self, instance: str, *, end_zombies: bool = False) -> Iterator[None]:
        """Hold an instance with this connection.

        Args:
            end_zombies: end the session of whoever else holds it. Only for the holder of its running run.

        Raises:
            BusyError: somebody else holds it.
        """
        self._lock(instance, end_zombies=end_zombies)
        try:
            yield
        finally:
            if not self._database.connection.closed:  # the session's end frees the lock as well
                self._do("instance_unlock", instance=instance)

    def _lock(self, instance: str, *, end_zombies: bool) -> None:
        deadline = time.monotonic() + _ZOMBIE_SECONDS
        while not self._rows("instance_lock", instance=instance)[0]["locked"]:
            if not end_zombies or time.monotonic() > 2 * _ZOMBIE_SECONDS + deadline:
                raise self._busy(instance, "busy")
            if time.monotonic() > deadline:
                self._rows("instance_lock_holders_end", instance=instance)
            time.sleep(0.1)

    # Looking

    def run(self, run_id: int) -> Run:
        """One run.

        Raises:
            NotFoundError: there is none of that number.
        """
        found = self._records(Run, "runs", instance=None, id=run_id, limit=1)
        if not found:
            raise _no_run(run_id)
        return found[0]

    def running(self, instance: str) -> Run | None:
        """The instance's run that is under way."""
        return next(iter(self._records(Run, "running", instance=instance)), None)

    def newest_attempt(self, run_id: int) -> Run:
        """The run itself, or the newest of the retries that followed it.

        Raises:
            NotFoundError: there is none of that number.
        """
        return next(iter(self._records(Run, "newest_attempt", id=run_id)), None) or self.run(run_id)

    def of(self, instance: str, limit: int) -> list[Run]:
        """An instance's runs, newest first."""
        return self._records(Run, "runs", instance=instance, id=None, limit=limit)

    def latest(self) -> dict[str, Run]:
        """The newest run of each instance that ever ran."""
        return {run.instance: run for run in self._records(Run, "latest_runs")}

    # What they said and moved

    def add_logs(self, run: Run, lines: Iterable[LogLine]) -> None:
        self._do_many(
            "log_insert",
            [
                {
                    "run_id": run.id,
                    "line": each.line,
                    "logged_at": each.logged_at,
                    "side": each.side,
                    "message": each.message,
                    "level": each.level,
                    "stream": each.stream,
                }
                for each in lines
            ],
        )

    def logs(self, run_id: int, *, side: str | None, limit: int | None, after: int = 0) -> list[LogLine]:
        """The last lines of a run behind one of them, oldest first."""
        return self._records(LogLine, "logs", run_id=run_id, side=side, limit=limit, after=after)

    def save_metrics(self, run: Run, metrics: Iterable[StreamMetrics]) -> None:
        for each in metrics:
            self._do(
                "run_stream_upsert", run_id=run.id, stream=each.stream, rows=each.rows, bytes=each.bytes,
                seconds=each.seconds, retries=each.retries, http_requests=each.http_requests,
            )  # fmt: skip

    def metrics(self, run_id: int) -> list[StreamMetrics]:
        return self._records(StreamMetrics, "run_streams", run_id=run_id)

    def costs(self, instance: str) -> dict[str, StreamCost]:
        """What each stream took in the newest runs."""
        return {cost.stream: cost for cost in self._records(StreamCost, "stream_costs", instance=instance)}


def _no_run(run_id: int) -> NotFoundError:
    return NotFoundError(f"No run {run_id}.", hint="ipai status NAME lists the runs of an instance.")
