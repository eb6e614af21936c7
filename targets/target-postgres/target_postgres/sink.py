"""One stream on its way into one table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

import psycopg
from singer_sdk import metrics
from singer_sdk.sinks import Sink

from singer_kit.errors import DataError
from target_postgres import lineage, naming
from target_postgres.buffers import Appended, Keyed
from target_postgres.encoding import NULL, encoder
from target_postgres.errors import MissingKeyError, copy_position, from_postgres, shorten
from target_postgres.merge import Merge
from target_postgres.tables import Column, prepare
from target_postgres.types import column_type, named_type
from target_postgres.validation import Validator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk.target_base import Target

    from target_postgres.buffers import Buffer, Entry
    from target_postgres.encoding import Encoder
    from target_postgres.target import TargetPostgres

# Keys of these kinds are written in one way only: equal text means equal keys.
_EXACT_KEYS = frozenset({"integer", "text", "boolean"})


class TargetMetric(str, Enum):
    """What the target counts besides the SDK's metrics."""

    RECORD_BYTES = "record_bytes"


@dataclass(frozen=True)
class _Property:
    name: str
    encode: Encoder


class PostgresSink(Sink):
    """Turns records into COPY lines and writes them in batches."""

    def __init__(
        self, target: Target, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        self._target = cast("TargetPostgres", target)
        self._options = self._target.options
        super().__init__(target, stream_name, schema, key_properties)
        self.table_name = naming.table_name(
            stream_name,
            schema=self._options.schema,
            pattern=self._options.table_name,
            source=self._options.source,
        )
        self.keyed = bool(self._key_properties) and self._options.load_method != "append-only"
        self.overwrite = self._options.load_method == "overwrite"
        self.bookmark: tuple[str, ...] = ()
        self._check: Validator | None = None
        self._known: frozenset[str] = frozenset(self.original_schema["properties"])
        self._properties: list[_Property] = []
        self._keys: list[tuple[int, str]] = []
        self._fresh: Buffer = Keyed() if self.keyed else Appended()
        self._covered: Buffer = Keyed() if self.keyed else Appended()
        self._received_at: datetime | None = None
        self._counted = [0, 0]
        self._bytes_counter = metrics.Counter(
            cast("metrics.Metric", TargetMetric.RECORD_BYTES),
            {metrics.Tag.STREAM: stream_name},
            log_interval=0,
        )

    # SDK hooks

    def get_validator(self) -> None:
        """The SDK's validation is not used: see `Validator`."""

    def get_sink_record_counter(self) -> metrics.Counter:
        # The target itself decides when to log: see `report`.
        return metrics.record_counter(self.stream_name, log_interval=0)

    @property
    def include_sdc_metadata_properties(self) -> bool:
        return self._options.metadata

    def setup(self) -> None:
        """Make the table fit and lay out the rows."""
        self._target.claim(self.table_name, self.stream_name)
        columns = self._wanted_columns()
        if not columns:
            raise DataError(f"Stream {self.stream_name!r}: its SCHEMA has no properties, so there is nothing to load.")
        if self.config.get("validate_records", True):
            self._check = Validator(self.original_schema, stream=self.stream_name)
        database = self._target.database
        doing = f"Stream {self.stream_name!r}: preparing table {self.table_name.quoted}"
        try:
            table = prepare(database, self.stream_name, self.table_name, columns, unique=self.keyed)
        except psycopg.Error as error:
            raise from_postgres(error, doing) from error
        if self.keyed and not table.unique_key:
            self.logger.warning(
                "Table %s has no unique index on exactly the key properties %s: rows are replaced by DELETE "
                "and INSERT, "
                "which is slower. Next: create such an index.",
                self.table_name.quoted,
                list(self._key_properties),
            )
        staged_lineage = {name for name, _ in lineage.PER_ROW} if self._options.metadata else set()
        per_batch = {name for name, _ in lineage.PER_BATCH} if self._options.metadata else set()
        staged = tuple(column for column in table.columns if column.name not in per_batch)
        types = {column.name: column.type for column in staged}
        self._properties = [
            _Property(name, encoder(types[column].kind, sanitize=self._options.sanitize))
            for name, column in self._names.items()
            if column not in staged_lineage
        ]
        positions = {item.name: position for position, item in enumerate(self._properties)}
        self._keys = [(positions[name], name) for name in self._key_properties]
        exact = all(types[self._names[name]].kind in _EXACT_KEYS for name in self._key_properties)
        counted = self.keyed and (self.overwrite or not exact)
        self._row_column = self._free_name("_load_row", set(types)) if counted else None
        self.merge = Merge(
            table,
            stage=naming.quote(f"load_{self._target.next_number()}"),
            staged=staged,
            row_column=self._row_column,
            upsert=self.keyed,
        )
        database.run(self.merge.create_stage(), doing=doing)

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002
        self._target.take(self, record, {})

    def process_batch(self, context: dict[str, Any]) -> None:
        """Rows are written by the loader, when it may."""

    # Layout

    def _wanted_columns(self) -> list[Column]:
        reserved = lineage.NAMES if self._options.metadata else lineage.SDK_NAMES
        properties = {
            name: definition for name, definition in self.original_schema["properties"].items() if name not in reserved
        }
        for name in sorted(self._known - set(properties) - {lineage.DELETED_AT}):
            self.logger.warning(
                "Stream '%s': its own property '%s' gives way to the column of that name",
                self.stream_name,
                name,
            )
        self._names = {name: naming.column_name(name, stream=self.stream_name) for name in properties}
        columns = []
        for name, definition in properties.items():
            asked = definition.get("x-sql-datatype") if isinstance(definition, dict) else None
            if isinstance(asked, str) and named_type(asked) is None:
                self.logger.warning(
                    "Stream '%s', property '%s': x-sql-datatype %s is not supported and ignored",
                    self.stream_name,
                    name,
                    shorten(asked),
                )
            wanted = column_type(definition, content_encoding=self._options.content_encoding)
            columns.append(Column(self._names[name], wanted, key=name in self._key_properties))
        for name in self._key_properties:
            if name not in properties:
                raise DataError(f"Stream {self.stream_name!r}: key property {name!r} is missing from its SCHEMA.")
        if self._options.metadata:
            columns += [Column(name, wanted) for name, wanted in (*lineage.PER_ROW, *lineage.PER_BATCH)]
        taken: dict[str, str] = {}
        for name, column in self._names.items():
            if (other := taken.setdefault(column, name)) != name:
                raise DataError(
                    f"Stream {self.stream_name!r}: properties {other!r} and {name!r} would share column {column!r}."
                )
        return columns

    @staticmethod
    def _free_name(name: str, taken: set[str]) -> str:
        while name in taken:
            name += "_"
        return name

    # Records

    def add(self, record: dict[str, Any], message: dict[str, Any], where: str, line: int, sequence: int) -> int:
        """Take a record; the size of its row.

        Args:
            record: after stream maps and flattening.
            message: the RECORD around it, for its version and time.
            where: for messages, such as `line 7`.
            line: its number.
            sequence: grows with every record.

        """
        if self._check is not None:
            try:
                self._check(record)
            except DataError as error:
                raise DataError(
                    f"Stream {self.stream_name!r}, {where}: the record violates its SCHEMA: {error}."
                ) from None
        if not record.keys() <= self._known:
            self._warn_of_unknown(record)
        get = record.get
        try:
            parts = [NULL if (value := get(item.name)) is None else item.encode(value) for item in self._properties]
        except (DataError, RecursionError):
            raise self._explained(record, where) from None
        if self._keys:
            key = "\t".join([parts[position] for position, _ in self._keys])
            if NULL in key:
                self._check_keys(parts, where)
        else:
            key = ""
        if self._options.metadata:
            self._add_lineage(parts, record, message, sequence, where)
        if self._row_column is not None:
            parts.append(str(sequence))
        row = "\t".join(parts) + "\n"
        if self._received_at is None:
            self._received_at = datetime.now(tz=timezone.utc)
        self._fresh.add(key, (line, row))
        return len(row)

    def _check_keys(self, parts: list[str], where: str) -> None:
        for position, name in self._keys:
            if parts[position] == NULL:
                raise MissingKeyError(
                    f"Stream {self.stream_name!r}, {where}: key property {name!r} is missing or null. "
                    "Next: have the tap send it, or choose other keys with stream_maps and "
                    "__key_properties__."
                )

    def _add_lineage(
        self, parts: list[str], record: dict[str, Any], message: dict[str, Any], sequence: int, where: str
    ) -> None:
        extracted, deleted = message.get("time_extracted"), record.get(lineage.DELETED_AT)
        version = message.get("version")
        try:
            parts.append(NULL if extracted is None else _TIMESTAMP(extracted))
            parts.append(NULL if deleted is None else _TIMESTAMP(deleted))
            parts.append(str(sequence))
            parts.append(NULL if version is None else _INTEGER(version))
        except DataError as error:
            raise DataError(
                f"Stream {self.stream_name!r}, {where}: time_extracted, _sdc_deleted_at or version: {error}."
            ) from None
        if not self.bookmark:
            parts.append(NULL)
        elif len(self.bookmark) == 1:
            cursor = record.get(self.bookmark[0])
            parts.append(NULL if cursor is None else _CURSOR(cursor))
        else:
            parts.append(_CURSOR([record.get(name) for name in self.bookmark]))

    def _explained(self, record: dict[str, Any], where: str) -> DataError:
        for item in self._properties:
            value = record.get(item.name)
            try:
                if value is not None:
                    item.encode(value)
            except DataError as error:
                return DataError(
                    f"Stream {self.stream_name!r}, {where}: property {item.name!r} is {shorten(value)}: {error}."
                )
            except RecursionError:
                return DataError(f"Stream {self.stream_name!r}, {where}: property {item.name!r} is nested too deeply.")
        return DataError(f"Stream {self.stream_name!r}, {where}: the record cannot be loaded.")

    def _warn_of_unknown(self, record: dict[str, Any]) -> None:
        for name in record.keys() - self._known:
            if name not in self._warned_missing_fields and name not in lineage.SDK_NAMES:
                self._warned_missing_fields.add(name)
                self.logger.warning(
                    "Stream '%s': property '%s' is not in its SCHEMA and is not loaded",
                    self.stream_name,
                    name,
                )

    # Batches

    def absorb_fresh(self) -> None:
        """A STATE covers everything so far."""
        self._covered.absorb(self._fresh)

    def discard_fresh(self) -> None:
        self._fresh.clear()

    def write(self) -> None:
        """Load the covered rows into the open transaction."""
        entries = self._covered.take()
        if not entries:
            return
        with self.batch_processing_timer:
            self._copy(entries)
            if not self.overwrite:
                self.move()
                self._target.database.run(self.merge.clear_stage(), doing=self._doing)

    def move(self, *, replace: bool = False) -> None:
        """Bring staged rows into the table.

        Args:
            replace: delete all rows of the table first.

        """
        constants = {}
        if self._options.metadata:
            received_at = self._received_at or datetime.now(tz=timezone.utc)
            constants = self._target.origin(self.stream_name).constants(received_at)
        self._received_at = None
        statements = [self.merge.delete_all()] if replace else []
        for statement in (*statements, *self.merge.load(constants)):
            self._target.database.run(statement, doing=self._doing)

    def activate(self, version: int) -> None:
        """Remove or mark the rows of earlier versions."""
        statement = self.merge.activate(
            version, hard=self._options.hard_delete, sync_started_at=self._target.initialized_at
        )
        self._target.database.run(statement, doing=f"Stream {self.stream_name!r}: activating version {version}")

    @property
    def _doing(self) -> str:
        return f"Stream {self.stream_name!r}: loading {self.table_name.quoted}"

    def _copy(self, entries: Any) -> None:
        try:
            self._target.database.copy(self.merge.copy(), (row for _, row in entries))
        except psycopg.Error as error:
            raise self._copy_error(error, list(entries)) from error

    def _copy_error(self, error: psycopg.Error, entries: list[Entry]) -> Exception:
        row, column = copy_position(error)
        if row is None or not 0 < row <= len(entries):
            return from_postgres(error, self._doing)
        names = {column: name for name, column in self._names.items()}
        at = f", property {names.get(column, column)!r}" if column else ""
        reason = (error.diag.message_primary or "refused by Postgres")[:300]
        return DataError(f"Stream {self.stream_name!r}, line {entries[row - 1][0]}{at}: {reason}.")

    # Metrics

    def count(self, size: int) -> None:
        self._counted[0] += 1
        self._counted[1] += size

    def report(self) -> None:
        """Log what has been counted since the last report."""
        rows, size = self._counted
        if rows:
            self._counted = [0, 0]
            self.record_counter_metric.last_log_time = self._bytes_counter.last_log_time = time.time() - 1
            self.record_counter_metric.increment(rows)
            self._bytes_counter.increment(size)


_TIMESTAMP = encoder("timestamp", sanitize=False)
_INTEGER = encoder("integer", sanitize=False)
_CURSOR = encoder("text", sanitize=True)
