"""From the names in messages to the names in Postgres.

Postgres cuts identifiers after 63 bytes without a word, so two long names may meet in one. A longer name keeps its
beginning and gets a hash of the whole; the result depends on the name alone. Names are always quoted: case is kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from singer_kit.errors import ConfigurationError, DataError

MAX_BYTES = 63
_HASH_DIGITS = 10
# Every table has these already: Postgres refuses a column of such a name.
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


@dataclass(frozen=True, order=True)
class TableName:
    schema: str
    table: str

    @property
    def quoted(self) -> str:
        return f"{quote(self.schema)}.{quote(self.table)}"


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant; sessions of the target have standard_conforming_strings on."""
    return "'" + text.replace("'", "''") + "'"


def _with_hash(name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    head = name.encode("utf-8", "surrogatepass")[: MAX_BYTES - _HASH_DIGITS - 1].decode("utf-8", "ignore")
    return f"{head}_{digest}"


def identifier(name: str, *, what: str) -> str:
    """Make a name one that Postgres keeps as it is.

    Raises:
        DataError: it is empty or holds characters that no identifier can.

    """
    if not name or "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise DataError(
            f"{what} {name!r} cannot be a name in Postgres. Next: rename it with stream_maps, or deselect it "
            "in the tap."
        )
    return name if len(name.encode()) <= MAX_BYTES else _with_hash(name)


def column_name(name: str, *, stream: str) -> str:
    return _with_hash(name) if name in _SYSTEM_COLUMNS else identifier(name, what=f"Stream {stream!r}: property")


def table_name(stream: str, *, schema: str | None, pattern: str, source: str) -> TableName:
    """Place a stream.

    Streams called `table`, `schema-table` or `database-schema-table` go to a table named by the last part. A name with
    an empty part, such as `table-`, is a table's whole.

    Args:
        stream: its name in the messages.
        schema: the schema of all streams; if empty the last part but one, else `public`.
        pattern: the setting `table_name`.
        source: the setting `source_name`.

    """
    parts = stream.split("-") if all(stream.split("-")) else [stream]
    try:
        table = pattern.format(stream=parts[-1], full_stream=stream, source=source)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise ConfigurationError(
            f"Setting table_name is {pattern!r}; it may hold {{stream}}, {{full_stream}} and {{source}} only."
        ) from None
    return TableName(
        identifier(schema or (parts[-2] if len(parts) > 1 else "public"), what=f"Stream {stream!r}: schema"),
        identifier(table, what=f"Stream {stream!r}: table"),
    )
