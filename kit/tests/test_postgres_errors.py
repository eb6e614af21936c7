"""What passes and what does not, as libpq and the server put it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from singer_kit.postgres import explain, is_transient

AT = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
PLACE = {"host": "h", "dbname": "d", "user": "u"}


@pytest.mark.parametrize(
    "text",
    [
        AT + "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
        AT + "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally",
        AT + "FATAL:  the database system is starting up",
        AT + "FATAL:  the database system is shutting down",
        AT + "FATAL:  sorry, too many clients already",
        AT + "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        AT + "FATAL:  no more connections allowed (max_client_conn)",
        AT + "FATAL:  Max client connections reached",
        AT + "FATAL:  server login has been failing, try again later (server_login_retry)",
        "connection timeout expired",
        'connection is bad: could not translate host name "db" to address: Temporary failure in name resolution',
        "consuming input failed: server closed the connection unexpectedly",
        "consuming input failed: SSL connection has been closed unexpectedly",
        "the connection is closed",
        "the connection is lost",
    ],
)
def test_passes(text: str) -> None:
    assert is_transient(psycopg.OperationalError(text))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (AT + 'FATAL:  password authentication failed for user "u"', "password"),
        (AT + 'FATAL:  database "d" does not exist', "name of the database"),
        (AT + 'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption', "pg_hba.conf"),
        # The server's language does not matter.
        (AT + "FATAL:  la autentificación password falló para el usuario «u»", "settings"),
        (AT + "ВАЖНО:  роль не существует", "settings"),
        (AT + "FATAL:  Tenant or user not found", "name.project"),
        (AT + "FATAL:  unsupported startup parameter: options", "pooler"),
        (AT + "fe_sendauth: no password supplied", "set the password"),
        (AT + "server does not support SSL, but SSL was required", "TLS"),
        (AT + "SSL error: certificate verify failed", "certificate authority"),
        (AT + 'server certificate for "localhost" does not match host name "127.0.0.1"', "name in the server's"),
        (
            'connection is bad: could not translate host name "nohost" to address: Name or service not known',
            "host name",
        ),
        ('connection is bad: invalid sslmode value: "sometimes"', "settings"),
        # Refused on one address of the host, answered on the other.
        (
            "connection failed: Multiple connection attempts failed. All failures were:\n"
            "- host: 'localhost', port: None, hostaddr: '::1': connection failed: Connection refused\n"
            "- host: 'localhost', port: None, hostaddr: '127.0.0.1': " + AT + "FATAL:  password authentication failed",
            "password",
        ),
    ],
)
def test_does_not_pass_and_says_what_to_do(text: str, advice: str) -> None:
    error = psycopg.OperationalError(text)
    assert not is_transient(error)
    assert advice in explain(error, PLACE).split("Next:")[1]


@pytest.mark.parametrize(
    ("kind", "transient"),
    [
        (errors.DeadlockDetected, True),
        (errors.SerializationFailure, True),
        (errors.LockNotAvailable, True),
        (errors.AdminShutdown, True),
        (errors.CrashShutdown, True),
        (errors.CannotConnectNow, True),
        (errors.TooManyConnections, True),
        (errors.ConnectionFailure, True),
        (errors.ProtocolViolation, True),  # PgBouncer's word for a server that went away
        (errors.IdleInTransactionSessionTimeout, True),
        (errors.QueryCanceled, False),
        (errors.DiskFull, False),
        (errors.OutOfMemory, False),
        (errors.UniqueViolation, False),
        (errors.InsufficientPrivilege, False),
        (errors.InFailedSqlTransaction, False),
    ],
)
def test_by_sqlstate(kind: type[psycopg.Error], transient: bool) -> None:
    assert is_transient(kind("said in any language")) is transient


def test_a_mistake_of_ours_does_not_pass() -> None:
    assert not is_transient(psycopg.ProgrammingError("the last operation didn't produce a result"))


def test_the_reason_is_the_servers_own() -> None:
    error = psycopg.OperationalError(AT + "FATAL:  the database system is starting up")
    assert explain(error, PLACE) == (
        "Cannot connect to Postgres at h:5432/d as u: the database system is starting up. "
        "Next: check the connection settings."
    )
