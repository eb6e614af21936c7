"""Connecting to Postgres, with failures that name the host, the cause and the next step."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from singer_kit.errors import ConfigurationError, ConnectionFailedError
from singer_kit.pooling import refuse_transaction_pooler
from singer_kit.retry import UnavailableError, retried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg import Connection
    from psycopg.rows import TupleRow

# Fragments of the server's and libpq's messages, and what a user can do about each; the first that fits is shown.
_ADVICE = (
    ("password authentication failed", "check the user name and the password"),
    ("no password supplied", "set the password"),
    ("Tenant or user not found", "check the user name: through Supabase's pooler it is name.project"),
    ("unsupported startup parameter", "take that parameter out of the URL: a connection pooler refuses it"),
    (
        "no pg_hba.conf entry",
        "the server does not admit this user from here: ask for an entry in pg_hba.conf, or set the TLS mode it wants",
    ),
    ("requires a valid client certificate", "the server wants a client certificate: set it"),
    ("certificate authentication failed", "the client certificate is made for another user"),
    ("does not match host name", "connect by the name in the server's certificate, or use sslmode verify-ca"),
    (
        "certificate verify failed",
        "check that the certificate authority is the one that signed the server's certificate",
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
# What libpq says by itself is about the network and passes, but for these.
_NEVER = (
    "Name or service not known",
    "nodename nor servname",
    "No address associated",
    "no password supplied",
    "SSL",
    "certificate",
    "private key",
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

# A server that vanishes is noticed within two minutes, also while nothing is sent; what the user sets goes before.
_PATIENCE = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 6, "tcp_user_timeout": 120_000}


def conninfo_from_url(url: str) -> str:
    """Turn a Postgres URL into a libpq connection string.

    SQLAlchemy's `postgresql+driver://` is accepted too, so that settings made for other plugins keep working, and so is
    libpq's own form, `host=… dbname=…`.

    Raises:
        ConfigurationError: it is no Postgres URL. The URL is not repeated: it may hold a password.
    """
    scheme, separator, rest = url.partition("://")
    if "=" in scheme:
        return _checked_keywords(url)
    if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
        raise ConfigurationError("The database URL must look like postgresql://user:password@host:5432/database.")
    unreadable = ConfigurationError(
        "The database URL cannot be read: characters such as @ : / in the password must be percent-encoded."
    )
    try:
        ports = str(conninfo_to_dict(f"postgresql://{rest}").get("port", ""))
    except psycopg.ProgrammingError as error:
        raise _unknown_parameter(rest, str(error)) or unreadable from None
    # libpq ends a password at its first @ or / and takes the rest for host, port or database, which messages name.
    place = re.sub(r"^[^@/]*@", "", rest).partition("?")[0]
    if "@" in place or not all(port.isdigit() for port in ports.split(",") if port):
        raise unreadable
    return f"postgresql://{rest}"


def _checked_keywords(text: str) -> str:
    try:
        conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "The connection string cannot be read. Next: write it as host=… port=… user=… password=… dbname=…, "
            "with single quotes around a value that holds spaces, and a backslash before ' and \\."
        ) from None
    return text


def _unknown_parameter(rest: str, reason: str) -> ConfigurationError | None:
    """Name a parameter such as Prisma's pgbouncer=true, where it surely is none of a password's characters."""
    place, _, query = rest.partition("?")
    name = re.search(r'invalid URI query parameter: "(\w+)"', reason)
    if name is None or "@" not in place or "@" in query:
        return None
    return ConfigurationError(
        f"The database URL has the parameter {name[1]}, which Postgres does not know. Next: take it out of the URL."
    )


def connect(
    conninfo: str | Mapping[str, Any],
    *,
    application_name: str,
    autocommit: bool = False,
    session: Mapping[str, str] | None = None,
    retry_seconds: float = 0,
    sleep: Callable[[float], object] = time.sleep,
) -> Connection[TupleRow]:
    """Open a connection whose session speaks UTC.

    Args:
        conninfo: a libpq connection string, or its keywords and values.
        application_name: what `pg_stat_activity` shows.
        autocommit: as in psycopg; off, the first statement opens a transaction.
        session: parameters of the server to set, such as `{"lock_timeout": "5s"}`.
        retry_seconds: how long to go on trying while nobody answers.
        sleep: how to wait between attempts; may raise to give up.

    Raises:
        ConnectionFailedError: with the server's reason and what to do about it; an `UnavailableError` where another
            attempt may succeed.
        ConfigurationError: a pooler hands the session to others after every transaction.
    """
    given = conninfo_to_dict(conninfo) if isinstance(conninfo, str) else conninfo
    parameters: dict[str, Any] = {"connect_timeout": 15, **_PATIENCE, **given, "application_name": application_name}

    def attempt() -> Connection[TupleRow]:
        try:
            connection = psycopg.connect(**parameters, autocommit=True)
        except psycopg.Error as error:
            raise _failure(error, parameters) from None
        try:
            refuse_transaction_pooler(connection, parameters)
            _set(connection, {"TimeZone": "UTC", **(session or {})})
            connection.autocommit = autocommit
        except psycopg.Error as error:
            connection.close()
            raise _failure(error, parameters) from None
        except BaseException:
            connection.close()
            raise
        return connection

    return retried(attempt, seconds=retry_seconds, sleep=sleep)


def _set(connection: Connection[TupleRow], session: Mapping[str, str]) -> None:
    """Set parameters by a statement: connection poolers refuse most of them at the start."""
    calls = ", ".join("set_config(%s, %s, false)" for _ in session)
    connection.execute(f"SELECT {calls}".encode(), [part for pair in session.items() for part in pair])


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
    return not any(fragment in text for fragment in _NEVER)


def _failure(error: psycopg.Error, parameters: Mapping[str, Any]) -> ConnectionFailedError:
    kind = UnavailableError if is_transient(error) else ConnectionFailedError
    return kind(explain(error, parameters))


def explain(error: psycopg.Error, parameters: Mapping[str, Any]) -> str:
    """Say in one line why a connection failed and what to do, without secrets."""
    text = str(error)
    # Indented lines are advice of libpq's own.
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    reason = lines[-1] if lines else type(error).__name__
    answers = [match["text"] for match in _SERVER_SAYS.finditer(text)]
    reason = answers[-1] if answers else reason.rsplit(" failed: ", 1)[-1]
    advice = next((advice for fragment, advice in _ADVICE if fragment in text), "check the connection settings")
    where = (
        f"{parameters.get('host') or 'the local socket'}:{parameters.get('port') or 5432}"
        f"/{parameters.get('dbname') or ''}"
    )
    user = parameters.get("user") or "the default user"
    return f"Cannot connect to Postgres at {where} as {user}: {reason.strip().rstrip('.')}. Next: {advice}."
