"""Telling a pooler that lends a session from one that lends single transactions.

A plugin needs a session of its own: its settings and temporary tables must last, and must not reach others. PgBouncer
in transaction mode, or Supabase's pooler on port 6543, gives the server's session to somebody else after each commit,
and nothing fails: times merely come out in another zone.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Connection
    from psycopg.rows import TupleRow

_QUESTION = b"SELECT pg_backend_pid()"
_ATTEMPTS = 3
# A pool of sessions that is exhausted lets the second connection wait, which is an answer too.
_WAIT_SECONDS = 2.0


def is_known_to_share(parameters: Mapping[str, Any]) -> bool:
    """Whether an address is Supabase's for transactions; no connection is needed to tell."""
    host = str(parameters.get("host") or "").lower().rstrip(".")
    return host.endswith((".supabase.com", ".supabase.co")) and str(parameters.get("port")) == "6543"


def shares_sessions(connection: Connection[TupleRow], parameters: Mapping[str, Any]) -> bool:
    """Whether the session behind a connection is lent to others, too. One round trip where there is no pooler.

    It is when a second connection is given the server's process that answered the first. A busy pooler in transaction
    mode may go unnoticed; one in session mode is never taken for it.

    Args:
        connection: idle, in autocommit mode.
        parameters: with which it was made.

    Raises:
        psycopg.Error: the connection is lost.
    """
    process = _backend(connection.pgconn)
    # Poolers tell a process number of their own.
    if not process or process == connection.pgconn.backend_pid:
        return False
    try:
        second = psycopg.connect(**{**parameters, "connect_timeout": 2}, autocommit=True)
    except psycopg.Error:
        return False
    try:
        for _ in range(_ATTEMPTS):
            other = _backend(second.pgconn, _WAIT_SECONDS)
            if not other:
                return False
            if other == _backend(connection.pgconn):
                return True
        return False
    finally:
        second.close()


def _backend(connection: pq.abc.PGconn, seconds: float | None = None) -> int:
    """The number of the server's process that answers; 0 if none does in time."""
    connection.send_query(_QUESTION)
    connection.flush()
    number = 0
    while True:
        while connection.is_busy():
            if not select.select([connection.socket], [], [], seconds)[0]:
                return 0
            connection.consume_input()
        if (result := connection.get_result()) is None:
            return number
        if result.status == pq.ExecStatus.TUPLES_OK:
            number = int(result.get_value(0, 0) or 0)
