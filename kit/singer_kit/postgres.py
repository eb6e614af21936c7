"""Connecting to Postgres, with failures that name the host, the cause and the next step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from singer_kit.errors import ConfigurationError, ConnectionFailedError

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

# Fragments of the server's and libpq's messages, and what a user can do about each.
_ADVICE = (
    ("password authentication failed", "check the user name and the password"),
    ("no password supplied", "set the password"),
    ("does not exist", "check the name of the database and of the user"),
    (
        "no pg_hba.conf entry",
        "the server does not admit this user from here: ask for an entry in pg_hba.conf, or set the TLS mode it wants",
    ),
    ("Connection refused", "is the server running, and is the port right?"),
    ("could not translate host name", "check the host name"),
    ("failed to resolve host", "check the host name"),
    ("timeout expired", "the host does not answer: check the host name, the port and the firewall"),
    ("SSL", "check the TLS settings"),
    ("too many clients", "the server has no free connection: try again later or raise max_connections"),
)


def conninfo_from_url(url: str) -> str:
    """Turn a Postgres URL into a libpq connection string.

    SQLAlchemy's `postgresql+driver://` is accepted too, so that settings made for other plugins keep working.

    Raises:
        ConfigurationError: it is no Postgres URL. The URL is not repeated: it may hold a password.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
        raise ConfigurationError("The database URL must look like postgresql://user:password@host:5432/database.")
    unreadable = ConfigurationError(
        "The database URL cannot be read: characters such as @ : / in the password must be percent-encoded."
    )
    try:
        ports = str(conninfo_to_dict(f"postgresql://{rest}").get("port", ""))
    except psycopg.ProgrammingError:
        raise unreadable from None
    # libpq ends a password at its first @ or / and takes the rest for host, port or database, which messages name.
    place = re.sub(r"^[^@/]*@", "", rest).partition("?")[0]
    if "@" in place or not all(port.isdigit() for port in ports.split(",") if port):
        raise unreadable
    return f"postgresql://{rest}"


def connect(conninfo: str, *, application_name: str, autocommit: bool = False) -> Connection[TupleRow]:
    """Open a connection whose session speaks UTC.

    Args:
        conninfo: a libpq connection string.
        application_name: what `pg_stat_activity` shows.
        autocommit: as in psycopg; off, the first statement opens a transaction.

    Raises:
        ConnectionFailedError: with the server's reason and what to do about it.
    """
    parameters: dict[str, Any] = {"connect_timeout": 15, **conninfo_to_dict(conninfo)}
    parameters["application_name"] = application_name
    try:
        connection = psycopg.connect(**parameters, autocommit=True)
        # A statement and not a start-up option: connection poolers refuse `options`.
        connection.execute("SET TIME ZONE 'UTC'")
        connection.autocommit = autocommit
    except psycopg.Error as error:
        raise ConnectionFailedError(explain(error, parameters)) from None
    return connection


def explain(error: psycopg.Error, parameters: dict[str, Any]) -> str:
    """Say in one line why a connection failed and what to do, without secrets."""
    # Indented lines are advice of libpq's own.
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    reason = lines[-1] if lines else type(error).__name__
    reason = reason.rsplit("FATAL:", 1)[-1].strip()
    advice = next((text for fragment, text in _ADVICE if fragment in str(error)), "check the connection settings")
    where = (
        f"{parameters.get('host') or 'the local socket'}:{parameters.get('port') or 5432}"
        f"/{parameters.get('dbname') or ''}"
    )
    user = parameters.get("user") or "the default user"
    return f"Cannot connect to Postgres at {where} as {user}: {reason.rstrip('.')}. Next: {advice}."
