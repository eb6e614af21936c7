"""From a stream's SCHEMA to the columns that its table needs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_kit.errors import DataError
from target_postgres import lineage, naming
from target_postgres.errors import shorten
from target_postgres.tables import Column
from target_postgres.types import column_type, named_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_logger = logging.getLogger("target-postgres")


@dataclass(frozen=True)
class StreamSchema:
    """What a SCHEMA says, after stream maps.

    Attributes:
        stream: the stream's name.
        schema: a JSON schema with properties.
        keys: the key properties.
        bookmark: the properties that say how far a record is.
    """

    stream: str
    schema: Mapping[str, Any]
    keys: tuple[str, ...]
    bookmark: tuple[str, ...] = ()

    @classmethod
    def of(cls, message: Mapping[str, Any], *, at: str) -> StreamSchema:
        """Read a SCHEMA message; `at` says where it stands.

        Raises:
            DataError: it is not as Singer wants it.
        """
        stream, schema = message.get("stream"), message.get("schema")
        keys, bookmark = message.get("key_properties"), message.get("bookmark_properties")
        if not isinstance(stream, str) or not isinstance(schema, dict):
            raise DataError(f"{at} is a SCHEMA without a stream's name or without a schema.")
        if not isinstance(schema.get("properties"), dict):
            raise DataError(f"{at}: the SCHEMA of stream {stream!r} has no properties.")
        if not isinstance(keys, list | None) or not all(isinstance(key, str) for key in keys or ()):
            raise DataError(f"{at}: key_properties of stream {stream!r} are no list of names.")
        return cls(stream, schema, tuple(keys or ()), tuple(bookmark) if isinstance(bookmark, list) else ())

    @property
    def properties(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.schema["properties"]
        return found


@dataclass(frozen=True)
class Layout:
    """The columns of a stream.

    Attributes:
        names: the column of each property that is loaded, in the order of the SCHEMA.
        columns: these, and those of `lineage`.
    """

    names: Mapping[str, str]
    columns: Sequence[Column]


def lay_out(source: StreamSchema, *, metadata: bool, content_encoding: bool) -> Layout:
    """Choose names and types.

    Args:
        source: the stream.
        metadata: add the lineage columns.
        content_encoding: base64 and base16 strings become bytea.

    Raises:
        DataError: a name cannot be one in Postgres, two properties share a column, or a key property is missing.
    """
    reserved = lineage.NAMES if metadata else lineage.SDK_NAMES
    for name in sorted(reserved & source.properties.keys() - {lineage.DELETED_AT}):
        _logger.warning("Stream '%s': its own property '%s' gives way to the column of that name", source.stream, name)
    loaded = {name: definition for name, definition in source.properties.items() if name not in reserved}
    names = {name: naming.column_name(name, stream=source.stream) for name in loaded}
    _refuse_shared(names, source.stream)
    for name in source.keys:
        if name not in loaded:
            raise DataError(
                f"Stream {source.stream!r}: key property {name!r} is missing from its SCHEMA. Next: select it in the "
                "tap, or choose other keys with stream_maps and __key_properties__."
            )
    columns = []
    for name, definition in loaded.items():
        _warn_of_type(source.stream, name, definition)
        wanted = column_type(definition, content_encoding=content_encoding)
        columns.append(Column(names[name], wanted, key=name in source.keys))
    if metadata:
        columns += [Column(name, wanted) for name, wanted in (*lineage.PER_ROW, *lineage.PER_BATCH)]
    if not columns:
        raise DataError(f"Stream {source.stream!r}: its SCHEMA has no properties, so there is nothing to load.")
    return Layout(names, columns)


def _refuse_shared(names: Mapping[str, str], stream: str) -> None:
    taken: dict[str, str] = {}
    for name, column in names.items():
        if (other := taken.setdefault(column, name)) != name:
            raise DataError(f"Stream {stream!r}: properties {other!r} and {name!r} would share column {column!r}.")


def _warn_of_type(stream: str, name: str, definition: Any) -> None:
    asked = definition.get("x-sql-datatype") if isinstance(definition, dict) else None
    if isinstance(asked, str) and named_type(asked) is None:
        _logger.warning(
            "Stream '%s', property '%s': x-sql-datatype %s is not supported and ignored", stream, name, shorten(asked)
        )
