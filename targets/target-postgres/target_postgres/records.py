"""From a record to a row of COPY's text format: the plain path, which decides what the native one may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_kit.errors import DataError
from target_postgres import lineage
from target_postgres.encoding import NULL, encoder
from target_postgres.errors import MissingKeyError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_postgres.encoding import Encoder

_TIMESTAMP = encoder("timestamp", sanitize=False)
_INTEGER = encoder("integer", sanitize=False)
_CURSOR = encoder("text", sanitize=True)


@dataclass(frozen=True)
class Property:
    """A property and how its values are written."""

    name: str
    encode: Encoder


class RecordEncoder:
    """Writes the records of one stream.

    Args:
        stream: its name, for messages.
        properties: in the order of the row.
        keys: names of properties that must have a value.
        check: raises DataError if a record violates its schema; None does not check.
        metadata: add the columns of `lineage.PER_ROW`.
        sequence: without them, add the sequence alone.
        bookmark: the properties that `_sdc_cursor` shows.
    """

    def __init__(
        self,
        stream: str,
        properties: Sequence[Property],
        *,
        keys: Sequence[str],
        check: Callable[[dict[str, Any]], None] | None,
        metadata: bool,
        sequence: bool,
        bookmark: Sequence[str],
    ) -> None:
        self._stream = stream
        self._properties = properties
        positions = {item.name: position for position, item in enumerate(properties)}
        self._keys = [(positions[name], name) for name in keys]
        self._check = check
        self._metadata = metadata
        self._sequence = sequence
        self._bookmark = tuple(bookmark)

    def encode(self, record: dict[str, Any], message: Mapping[str, Any], sequence: int) -> str:
        """One row, without its line break.

        Args:
            record: after stream maps and flattening.
            message: the RECORD around it, for its version and time.
            sequence: grows with every record.

        Raises:
            DataError: the record cannot be loaded; the text says why, but not where it came from.
        """
        if self._check is not None:
            try:
                self._check(record)
            except DataError as error:
                raise DataError(f"the record violates its SCHEMA: {error}") from None
        get = record.get
        try:
            parts = [NULL if (value := get(item.name)) is None else item.encode(value) for item in self._properties]
        except (DataError, RecursionError):
            raise self._explained(record) from None
        for position, name in self._keys:
            if parts[position] == NULL:
                raise MissingKeyError(f"key property {name!r} is missing or null")
        if self._metadata:
            self._add_lineage(parts, record, message, sequence)
        elif self._sequence:
            parts.append(str(sequence))
        return "\t".join(parts)

    def _add_lineage(self, parts: list[str], record: dict[str, Any], message: Mapping[str, Any], sequence: int) -> None:
        extracted, deleted = message.get("time_extracted"), record.get(lineage.DELETED_AT)
        version = message.get("version")
        try:
            parts.append(NULL if extracted is None else _TIMESTAMP(extracted))
            parts.append(NULL if deleted is None else _TIMESTAMP(deleted))
            parts.append(str(sequence))
            parts.append(NULL if version is None else _INTEGER(version))
        except DataError as error:
            raise DataError(f"time_extracted, _sdc_deleted_at or version: {error}") from None
        if not self._bookmark:
            parts.append(NULL)
        elif len(self._bookmark) == 1:
            cursor = record.get(self._bookmark[0])
            parts.append(NULL if cursor is None else _CURSOR(cursor))
        else:
            parts.append(_CURSOR([record.get(name) for name in self._bookmark]))

    def _explained(self, record: dict[str, Any]) -> DataError:
        for item in self._properties:
            value = record.get(item.name)
            try:
                if value is not None:
                    item.encode(value)
            except DataError as error:
                return DataError(f"property {item.name!r} is {shorten(value)}: {error}")
            except RecursionError:
                return DataError(f"property {item.name!r} is nested too deeply")
        return DataError("the record cannot be loaded")
