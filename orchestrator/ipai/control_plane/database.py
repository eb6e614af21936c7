"""One connection to the control plane's database, and the statements in `sql/`, by file and name."""

from __future__ import annotations

import getpass
import os
import re
import socket
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row, dict_row

from ipai import interrupts
from ipai.control_plane.records import columns
from ipai.errors import DatabaseError
from ipai.redaction import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

T = TypeVar("T")


@cache
def statements(name: str) -> Mapping[str, str]:
    """The statements of one file in `sql/`; `{run}` and the like stand for a record's columns."""
    text = files("ipai.control_plane").joinpath("sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    for placeholder, names in columns().items():
        parts = [part.replace(placeholder, names) for part in parts]
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _check_url(url: str) -> None:
    """Refuse what is no connection string before libpq does: its complaints repeat parts of the password."""
    try:
        host = str(conninfo_to_dict(url).get("host") or "")
    except psycopg.Error:
        host = "@"
    if "@" in host:
        raise DatabaseError(
            "The database URL cannot be read.",
            hint="It looks like postgresql://user:password@host:5432/database, with @ : / in it percent-encoded.",
        )


@cache
def account() -> str:
    """Whose process this is, and where, such as `ann@laptop`."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


# A network that swallows everything must show well within a lease, not after a quarter of an hour.
_ALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class Database:
    """One connection in autocommit mode; everything that goes wrong in it becomes a `DatabaseError`.

    Args:
        url: of the database.
        application_name: what `pg_stat_activity` shows; starts with `ipai`.
        actor: for whom the audit log says that changes are made; by default the account of this process.

    Raises:
        DatabaseError: it cannot be reached.
    """

    def __init__(self, url: str, application_name: str = "ipai", actor: str | None = None) -> None:
        EVERYTHING.learn(url)  # and the password in it
        _check_url(url)
        try:
            self.connection = psycopg.connect(
                url, autocommit=True, connect_timeout=15, application_name=application_name, **_ALIVE
            )
            # Not by a connection option, which poolers in front of Supabase drop.
            self.connection.execute("select set_config('ipai.actor', %s, false)", [actor or account()])
        except psycopg.Error as error:
            # Indented lines are advice of libpq's own.
            reason = [line for line in str(error).splitlines() if line and not line.startswith((" ", "\t"))][-1]
            raise DatabaseError(
                f"Cannot reach the control plane's database: {reason}",
                hint="Check --database or IPAI_DATABASE_URL; without either, an embedded Postgres is used.",
            ) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done within is done as a whole, or not at all; no signal cuts it in two."""
        with self.explained(), self.connection.transaction():
            yield

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the driver into words, and let signals wait for the end of the block."""
        try:
            with interrupts.deferred():
                yield
        except psycopg.errors.LockNotAvailable:
            raise  # whoever sets a lock_timeout knows what to do
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise DatabaseError("The control plane is not set up in this database.", hint="Run ipai init.") from None
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction):
            raise DatabaseError(
                "The control plane in this database is older than this version of ipai.", hint="Run ipai init."
            ) from None
        except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
            refused = DatabaseError(
                f"The control plane cannot store a value: {_first_line(error)}",
                hint="A name or a STATE that a plugin gave, or a number, is not one that Postgres holds.",
            )
            refused.kind = "data"
            raise refused from None
        except psycopg.OperationalError as error:
            raise DatabaseError(f"Lost the control plane's database: {_first_line(error)}") from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseError(
                f"The database refuses the control plane: {_first_line(error)}",
                hint="Use the login that owns schema connectors. A worker's own is for ipai worker alone.",
            ) from None
        except psycopg.Error as error:
            raise DatabaseError(f"The control plane's database refused: {_first_line(error)}") from None


class Room:
    """The part of the control plane that one file of statements is about."""

    statements_of = ""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _do(self, statement: str, /, **parameters: Any) -> int:
        """Execute a statement; return how many rows it was about."""
        with self._database.explained():
            return self._database.connection.execute(self._statement(statement), parameters).rowcount

    def _do_many(self, statement: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        with self._database.explained(), self._database.connection.cursor() as cursor:
            cursor.executemany(self._statement(statement), parameters)

    def _rows(self, statement: str, /, **parameters: Any) -> list[dict[str, Any]]:
        with self._database.explained(), self._database.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(self._statement(statement), parameters).fetchall()

    def _records(self, kind: type[T], statement: str, /, **parameters: Any) -> list[T]:
        with self._database.explained(), self._database.connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(self._statement(statement), parameters).fetchall()

    def _statement(self, name: str) -> str:
        return statements(self.statements_of)[name]


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0]
