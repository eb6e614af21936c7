"""Up to where a database is complete.

Odoo dates a row with the start of the transaction that wrote it, so an import of forty minutes brings in rows dated
forty minutes ago. The horizon is an instant of the server's clock before which every row is there to be seen: no
transaction that began before it is still open. A run reads [bookmark, horizon) and the horizon is the next bookmark,
so nothing is missed and nothing is read twice, with no lookback.

How it is found, in this order, because the order is the proof:

1.  c = the server's clock, when the tap connects.
2.  A second later each transaction that began before c either shows in pg_stat_activity or has ended.
3.  horizon = the earliest of c and the starts of all open transactions, whether or not they have written yet: one that
    has only read so far may still write rows dated with its start. Prepared transactions show when they were
    prepared, not when they began: they count as an hour older.
4.  Only then is the snapshot opened. What had ended at step 3 is in it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

logger = logging.getLogger("tap-odoo")

APPLICATION = "tap-odoo"
# Sessions of these only read, whatever they hold open.
READERS = (APPLICATION, "pg_dump", "pg_dumpall")
SETTLING = timedelta(seconds=1)
PREPARED_AGE = timedelta(hours=1)
WARN_AFTER = timedelta(minutes=10)

# A session that is hidden from us shows neither its state nor its transaction; the server's own workers are hidden
# too but have no user and write no rows of Odoo's. Background workers count: some run jobs that write.
_ACTIVITY = """
select pid, coalesce(application_name, ''), xact_start,
       usesysid is not null and (query = '<insufficient privilege>' or state = 'disabled')
from pg_catalog.pg_stat_activity
where datid = (select oid from pg_catalog.pg_database where datname = current_database())
  and pid <> pg_backend_pid()
  and coalesce(backend_type, '') not in ('autovacuum worker', 'parallel worker', 'walsender')
order by xact_start nulls last
"""
# On both, rows come from another server, whose transactions do not show here.
_COPY = """
select case
    when pg_is_in_recovery() then 'the server is a standby'
    when exists (
        select from pg_catalog.pg_subscription
        where subenabled and subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
    ) then 'the database is a subscriber of logical replication'
end
"""
_PREPARED = "select min(prepared) from pg_catalog.pg_prepared_xacts where database = current_database()"


@dataclass(frozen=True)
class Horizon:
    """An instant; `exact` when all rows dated before it are known to be visible."""

    instant: datetime
    exact: bool


def read_clock(connection: Connection[TupleRow]) -> datetime:
    """Read the server's clock."""
    row = connection.execute("select clock_timestamp()").fetchone()
    if row is None:
        raise AssertionError
    clock: datetime = row[0]
    return clock


def read_horizon(connection: Connection[TupleRow], started: datetime, *, guard: bool) -> Horizon:
    """Work out the horizon, outside any transaction and before the snapshot.

    Args:
        connection: in autocommit mode; pg_stat_activity does not move within a transaction.
        started: the server's clock at the start of the run.
        guard: off, the horizon is `started` and not exact.
    """
    if not guard:
        return _loose(started, "long_transaction_guard is off")
    row = connection.execute(_COPY).fetchone()
    if row and row[0]:
        return _loose(started, f"{row[0]}, which does not show the transactions of the primary")
    settled = started + SETTLING - read_clock(connection)
    if settled > timedelta(0):
        time.sleep(settled.total_seconds())
    sessions = connection.execute(_ACTIVITY).fetchall()
    if any(hidden for *_, hidden in sessions):
        return _loose(
            started,
            "other users' sessions are hidden or not tracked; with GRANT pg_read_all_stats TO the tap's user "
            "(and track_activities on) the run would be exact",
        )
    horizon = started
    for pid, application, begun, _ in sessions:
        if begun is None or application in READERS:
            continue
        if started - begun > WARN_AFTER:
            logger.warning(
                "The transaction of process %s (%s) has been open since %s: rows dated later wait for it to end.",
                pid,
                application or "no application name",
                begun.isoformat(),
            )
        horizon = min(horizon, begun)
    row = connection.execute(_PREPARED).fetchone()
    if row and row[0] is not None:
        logger.warning("A prepared transaction of %s is pending: rows dated later than an hour before it wait.", row[0])
        horizon = min(horizon, row[0] - PREPARED_AGE)
    logger.info("Incremental streams read rows dated before %s; every one of them is committed.", horizon.isoformat())
    return Horizon(horizon, exact=True)


def _loose(started: datetime, why: str) -> Horizon:
    logger.warning("Late commits are covered by lookback_seconds only: %s.", why)
    return Horizon(started, exact=False)
