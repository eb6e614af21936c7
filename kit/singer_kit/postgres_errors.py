"""What a failure of Postgres means: whether it passes, and what to tell the user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg

from singer_kit.errors import ConnectionFailedError
from singer_kit.retry import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Fragments of the server's and libpq's messages, and what a user can do about each; the first that fits is shown.
_ADVICE = (
    ("password authentication failed", "check the user name and the password"),
    ("no password supplied", "set the password"),
    ("Tenant or user not found", "check the user name: through Supabase's pooler it is name.project"),
    ("unsupported startup parameter", "take that parameter out of the URL: a connection pooler refuses it"),
    ("requires a valid client certificate", "the server wants a client certificate: set it"),
    ("certificate authentication failed", "the client certificate is made for another user"),
    ("does not match host name", "connect by the name in the server's certificate, or use sslmode verify-ca"),
    (
        "certificate verify failed",
        "check that the certificate authority is the one that signed the server's certificate",
    ),
    ("group or world access", "make the key readable by its owner only: chmod 600"),
    ("could not load private key file", "check that the private key is whole and belongs to the certificate"),
    ("could not read certificate file", "check that the client certificate is whole"),
    (
        "no pg_hba.conf entry",
        "the server does not admit this user from here: ask for an entry in pg_hba.conf, or set the TLS mode it wants",
    ),
    ("server does not support SSL", "let the server's owner turn TLS on, or choose a TLS mode that does without"),
    ("does not exist", "check the name of the database and of the user"),
    ("Connection refused", "is the server running, and is the port right?"),
    ("could not translate host name", "check the host name"),
    ("failed to resolve host", "check the host name"),
    ("timeout expired", "the host does not answer: check the host name, the port and the firewall"),
    ("SSL", "check the TLS settings"),
    ("certificate", "check the TLS settings"),
    ("private key", "check the TLS settings"),
    ("too many clients", "the server has no free connection: try again later or raise max_connections"),
)

# libpq gives no SQLSTATE while it connects. What the server says stands behind a severity, two spaces apart; it means
# what it says unless it is one of these.
_SERVER_SAYS = re.compile(r"(?:^|: )\w+: {2}(?P<text>.*)", re.MULTILINE)
_NOT_NOW = (
    "the database system is",  # starting up, shutting down, in recovery mode, not yet accepting connections
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "terminating connection",
    "reserved for",
    # poolers
    "no more connections allowed",
    "Max client connections reached",
    "max clients reached",
    "server login has been failing",
    "server_login_retry",
    "query_wait_timeout",
    "pgbouncer cannot connect to server",
    "pooler error",
    "unexpected response from login query",
    "the database is shutting down",
    "database shutdown",
    "client_login_timeout",
)
# What libpq says by itself is about the network and passes, but for these while it connects.
_NEVER = (
    "Name or service not known",
    "nodename nor servname",
    "No address associated",
    "no password supplied",
    "SSL was required",
    "certificate",
    "private key",
    "alert",  # TLS, refused by either side
    "wrong version number",
    "unsupported protocol",
    "connection is bad: invalid",
    "GSSAPI",
    "authentication method",
    "does not support",
    "Permission denied",
)

_TRANSIENT_STATES = frozenset(
    {
        "25P03",  # idle in a transaction for too long
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle for too long
    }
)
_CONNECTION_EXCEPTION = "08"


def is_transient(error: psycopg.Error) -> bool:
    """Tell whether the transaction is worth doing again, on a new connection if this one is gone.

    So it is after a lost or refused connection, a server that starts, stops or is full, a deadlock, a failed
    serialization, and a lock that was not to be had.
    """
    if state := error.sqlstate:
        return state.startswith(_CONNECTION_EXCEPTION) or state in _TRANSIENT_STATES
    if not isinstance(error, psycopg.OperationalError):
        return False
    text = str(error)
    if answers := [match["text"] for match in _SERVER_SAYS.finditer(text)]:
        return all(any(fragment in answer for fragment in _NOT_NOW) for answer in answers)
    connecting = text.startswith(("connection failed:", "connection is bad:"))
    return not (connecting and any(fragment in text for fragment in _NEVER))


def failure(error: psycopg.Error, parameters: Mapping[str, Any]) -> ConnectionFailedError:
    """What to raise when a connection could not be made: an `UnavailableError` if another attempt may succeed."""
    kind = UnavailableError if is_transient(error) else ConnectionFailedError
    return kind(explain(error, parameters))


def explain(error: psycopg.Error, parameters: Mapping[str, Any]) -> str:
    """Say in one line why a connection failed and what to do, without secrets."""
    text = str(error)
    reasons = "; ".join(_reasons(text)) or type(error).__name__
    advice = next((advice for fragment, advice in _ADVICE if fragment in text), "check the connection settings")
    user = parameters.get("user") or "the default user"
    place = f"{where(parameters)}/{parameters.get('dbname') or ''}"
    return f"Cannot connect to Postgres at {place} as {user}: {reasons}. Next: {advice}."


def _reasons(text: str) -> list[str]:
    """What went wrong, once each: libpq tries every address of the host, and with and without TLS."""
    reasons: dict[str, None] = {}
    for line in text.splitlines():
        # Indented lines are advice of libpq's own, and a colon announces others.
        if line.strip() and not line.startswith((" ", "\t")) and not line.endswith(":"):
            reason = re.sub(r"^\w+: {2}", "", line.rsplit(" failed: ", 1)[-1])
            reasons[reason.strip().rstrip(".")] = None
    return list(reasons)


def where(parameters: Mapping[str, Any]) -> str:
    """Host and port in words."""
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    return f"{host}:{parameters.get('port') or 5432}"
