"""Connecting to Postgres, with failures that name the host, the cause and the next step."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from singer_kit.errors import ConfigurationError
from singer_kit.pooling import is_known_to_share, shares_sessions
from singer_kit.postgres_errors import explain, failure, is_transient, where
from singer_kit.retry import retried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from singer_kit.errors import ConnectionFailedError
    from singer_kit.ssh import Tunnel

__all__ = ["connect", "conninfo_from_url", "explain", "is_transient"]

# A server that vanishes is noticed within two minutes, also while nothing is sent; what the user sets goes before.
_PATIENCE = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 6, "tcp_user_timeout": 120_000}

# Parameters that older servers do not know.
_SINCE = {"transaction_timeout": 170_000}


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
    tunnel: Tunnel | None = None,
    retry_seconds: float = 0,
    sleep: Callable[[float], object] = time.sleep,
) -> Connection[TupleRow]:
    """Open a connection whose session speaks UTC.

    Args:
        conninfo: a libpq connection string, or its keywords and values.
        application_name: what `pg_stat_activity` shows.
        autocommit: as in psycopg; off, the first statement opens a transaction.
        session: parameters of the server to set, such as `{"lock_timeout": "5s"}`.
        tunnel: through which to reach the server.
        retry_seconds: how long to go on trying while nobody answers.
        sleep: how to wait between attempts; may raise to give up.

    Raises:
        ConnectionFailedError: with the server's reason and what to do about it; an `UnavailableError` where another
            attempt may succeed.
        ConfigurationError: a pooler hands the session to others after every transaction.
    """
    given = conninfo_to_dict(conninfo) if isinstance(conninfo, str) else conninfo
    parameters: dict[str, Any] = {"connect_timeout": 15, **_PATIENCE, **given, "application_name": application_name}

    if is_known_to_share(parameters):
        raise _shared(parameters)

    def attempt() -> Connection[TupleRow]:
        routed = parameters if tunnel is None else _through(tunnel, parameters)
        try:
            connection = psycopg.connect(**routed, autocommit=True)
        except psycopg.Error as error:
            raise (tunnel and _obstacle(tunnel, parameters)) or failure(error, parameters) from None
        try:
            _prepare(connection, routed, {"TimeZone": "UTC", **(session or {})})
            connection.autocommit = autocommit
        except BaseException as error:
            connection.close()
            if isinstance(error, psycopg.Error):
                raise failure(error, parameters) from None
            raise
        return connection

    return retried(attempt, seconds=retry_seconds, sleep=sleep)


def _shared(parameters: Mapping[str, Any]) -> ConfigurationError:
    return ConfigurationError(
        f"{where(parameters)} is a connection pooler in transaction mode: it gives the session to others between "
        "transactions. Next: use its session mode (Supabase: port 5432 instead of 6543), or the server itself."
    )


def _prepare(connection: Connection[TupleRow], parameters: Mapping[str, Any], session: Mapping[str, str]) -> None:
    if shares_sessions(connection, parameters):
        raise _shared(parameters)
    # By a statement: connection poolers refuse most parameters at the start.
    known = [pair for pair in session.items() if connection.info.server_version >= _SINCE.get(pair[0], 0)]
    calls = ", ".join("set_config(%s, %s, false)" for _ in known)
    connection.execute(f"SELECT {calls}".encode(), [part for pair in known for part in pair])


def _places(parameters: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Host and port of each server that libpq would try.

    Raises:
        ConfigurationError: there is none that a tunnel could lead to.
    """
    hosts = str(parameters.get("hostaddr") or parameters.get("host") or "").split(",")
    ports = str(parameters.get("port") or "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(hosts) != len(ports) or not all(hosts) or any(host.startswith("/") for host in hosts):
        raise ConfigurationError(
            "An SSH tunnel needs the database's host and port. Next: set host, or write it into the database URL."
        )
    return [(host, int(port or 5432)) for host, port in zip(hosts, ports, strict=True)]


def _through(tunnel: Tunnel, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The same by way of local ports; `host` stays what the server's certificate is compared with."""
    ports = [str(tunnel.forward(host, port)) for host, port in _places(parameters)]
    return {**parameters, "hostaddr": ",".join(["127.0.0.1"] * len(ports)), "port": ",".join(ports)}


def _obstacle(tunnel: Tunnel, parameters: Mapping[str, Any]) -> ConnectionFailedError | None:
    return next((found for place in _places(parameters) if (found := tunnel.obstacle(*place))), None)
