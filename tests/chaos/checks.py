"""What must hold once everything has come to rest."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from tests.fault.source import STREAMS, Log, comparable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fault.source import Row

_FINAL = {
    "succeeded": {None},
    "failed": {"transient", "stalled", "data", "config", "quota"},
    "cancelled": {"interrupted", "cancelled"},
}
_SLACK_SECONDS = 0.5  # between the end of a lease by the database's clock and the end noted by a process


@dataclass(frozen=True)
class Source:
    """One instance's source, as it is now."""

    instance: str
    seed: int
    size: int
    journal: Path


def differences(connection: psycopg.Connection[Any], source: Source) -> Iterator[str]:
    """How the tables of an instance differ from its source."""
    for stream in STREAMS:
        found = read(connection, source.instance, stream.name, stream.columns)
        log = Log(stream, source.seed, source.size)
        for text in log.differences(found, source.size, exact=True, repeated=False):
            yield f"{source.instance}: {text}"


def read(connection: psycopg.Connection[Any], instance: str, stream: str, columns: tuple[str, ...]) -> list[Row]:
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(f"bronze_{instance}", f"raw_formula_{stream}")
    )
    return [comparable(row) for row in connection.execute(query)]


def unfinished(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Runs, jobs, leases and sessions that should not be there any more."""
    rows = connection.execute(
        "select id, instance, status, error_kind, error from connectors.connector_runs"
    ).fetchall()
    for run, instance, status, kind, error in rows:
        if status not in _FINAL:
            yield f"run {run} of {instance} is {status} still"
        elif kind not in _FINAL[status]:
            yield f"run {run} of {instance} is {status} with kind {kind}: {error}"
    for query, what in (
        ("select count(*) from connectors_queue.procrastinate_jobs", "jobs in the queue"),
        ("select count(*) from connectors.connector_runs where lease_expires_at is not null", "leases"),
        (
            "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and application_name like 'ipai%'",
            "sessions",
        ),
        ("select count(*) from pg_locks where locktype = 'advisory'", "advisory locks"),
    ):
        ((count,),) = connection.execute(query).fetchall()
        if count:
            yield f"{count} {what} are left"


def executed_twice(connection: psycopg.Connection[Any], source: Source) -> Iterator[str]:
    """Runs whose tap began more than once for a stream, and runs of an instance that overlapped with both in force."""
    begun: dict[tuple[int, str], int] = defaultdict(int)
    spans: dict[int, list[float]] = {}
    if not source.journal.exists():
        yield f"{source.instance}: never ran"
        return
    for line in source.journal.read_text().splitlines():
        note = json.loads(line)
        run = int(note["run"])
        if note["what"] == "begin":
            for stream in note["streams"]:
                begun[run, stream] += 1
        span = spans.setdefault(run, [note["at"], note["at"]])
        span[0], span[1] = min(span[0], note["at"]), max(span[1], note["at"])
    for (run, stream), times in begun.items():
        if times > 1:
            yield f"{source.instance}: run {run} read {stream} {times} times"
    ended = dict(
        connection.execute(
            "select id, error_kind from connectors.connector_runs where instance = %s", [source.instance]
        ).fetchall()
    )
    order = sorted(spans.items(), key=lambda each: each[1][0])
    for (earlier, span), (later, after) in pairwise(order):
        # The tap of a frozen worker may go on for a while: it is fenced off, not gone.
        if after[0] < span[1] - _SLACK_SECONDS and ended.get(earlier) != "stalled":
            yield f"{source.instance}: runs {earlier} and {later} overlapped"
