"""What the target ends with on purpose; see `singer_kit.errors` for the tree and the exit codes."""

from __future__ import annotations

import re
import signal
from typing import Any

import psycopg

from singer_kit.errors import ConfigurationError, ConnectionFailedError, DataError, PluginError

_SHORT = 100


class RecordBeforeSchemaError(DataError):
    """A RECORD came before its stream's SCHEMA."""


class MissingKeyError(DataError):
    """A record has no value for one of its key properties."""


class StaleTokenError(PluginError):
    """A newer run holds the bookmark: this one may write nothing any more."""

    exit_code = 6


class TerminatedError(PluginError):
    """A signal asked the target to end: what the last STATE covers is committed, the rest is not."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(
            f"Ended by {signal.Signals(signal_number).name}: rows that the last STATE covers are committed, "
            "later ones are not. Start the pipeline again to go on from there."
        )
        self.exit_code = 128 + signal_number


class RefusedError(DataError):
    """Postgres refuses a row of a batch.

    Attributes:
        row: its place in the batch, from 0; None where Postgres does not say.
    """

    def __init__(self, message: str, row: int | None) -> None:
        super().__init__(message)
        self.row = row


def shorten(value: Any) -> str:
    """Show a value in a message without repeating a whole record."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return repr(text if len(text) <= _SHORT else text[:_SHORT] + "…")


def from_postgres(error: psycopg.Error, doing: str) -> PluginError:
    """Turn what Postgres says into one line for the user.

    Args:
        error: as psycopg raised it.
        doing: what the target did, such as `Creating table "a"."b" of stream 'b'`.

    """
    diagnosis = error.diag
    reason = (diagnosis.message_primary or str(error)).strip().splitlines()[0]
    text = f"{doing}: {reason}."
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return ConfigurationError(f"{text} Next: have the owner of the database GRANT that right to the target's user.")
    if isinstance(error, psycopg.errors.UniqueViolation):
        return DataError(
            f"{text} A unique constraint ({diagnosis.constraint_name}) of the table is not on the stream's "
            "key properties. "
            "Next: drop it, or load the stream into another table."
        )
    if isinstance(error, psycopg.errors.DiskFull):
        return ConnectionFailedError(f"{text} Next: the server's disk is full; free space there and run again.")
    if isinstance(error, psycopg.OperationalError):
        return ConnectionFailedError(f"{text} Next: run again; nothing that was not acknowledged by a STATE is kept.")
    return DataError(text)


def copy_position(error: psycopg.Error) -> tuple[int | None, str | None]:
    """Read the row (from 1) and the column at which a COPY stopped."""
    match = re.search(r"^COPY .*?, line (\d+)(?:, column (.+?))?(?::|$)", error.diag.context or "", re.MULTILINE)
    return (int(match[1]), match[2]) if match else (None, None)
