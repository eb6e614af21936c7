"""One stream on its way into one table: records become rows, rows wait, batches are loaded."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import psycopg

from singer_kit.errors import ConfigurationError, DataError
from target_postgres import lineage, naming
from target_postgres.binary import EPOCH, constant
from target_postgres.encoding import encoder
from target_postgres.errors import MissingKeyError, from_postgres
from target_postgres.lattice import bounded
from target_postgres.layout import lay_out
from target_postgres.merge import Merge
from target_postgres.metrics import StreamMeter
from target_postgres.plans import compile_plan
from target_postgres.records import Property, RecordEncoder
from target_postgres.rows import Rows
from target_postgres.table_loader import TableLoader
from target_postgres.tables import prepare, widen, widened_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from target_postgres.database import Database
    from target_postgres.layout import StreamSchema
    from target_postgres.plans import Plan
    from target_postgres.quarantine import Quarantine
    from target_postgres.rows import Batch, Block, Part
    from target_postgres.settings import Options
    from target_postgres.tables import Column
    from target_postgres.types import ColumnType

_ROW_COLUMN = "_load_row"

_logger = logging.getLogger("target-postgres")


class Sink:
    """Takes one stream's records.

    Args:
        source: the stream.
        options: the settings.
        database: the session.
        origin: what all its rows of this run share.
        validate: check records against the schema.
        stage: a name for its temporary table that no other has.
        quarantine: where bad records go; None ends the run at the first.
        on_new_plan: called when `plan` has changed.
    """

    def __init__(
        self,
        source: StreamSchema,
        options: Options,
        database: Database,
        origin: lineage.Origin,
        *,
        validate: bool,
        stage: str,
        quarantine: Quarantine | None,
        on_new_plan: Callable[[Sink], None],
    ) -> None:
        self.source = source
        self.stream = source.stream
        self._options = options
        self._database = database
        self._origin = origin
        self._validate = validate
        self._stage = naming.quote(stage)
        self._quarantine = quarantine
        self._on_new_plan = on_new_plan
        self.table_name = naming.table_name(
            self.stream, schema=options.schema, pattern=options.table_name, source=options.source
        )
        self.keyed = bool(source.keys) and options.load_method != "append-only"
        self.overwrite = options.load_method == "overwrite"
        self.fresh = Rows()
        self.covered = Rows()
        self.meter = StreamMeter(self.stream)
        self._layout = lay_out(source, metadata=options.metadata, content_encoding=options.content_encoding)
        self._known = frozenset(source.properties) | lineage.SDK_NAMES
        self._ignored: set[str] = set()
        self._tail: tuple[datetime, str] | None = None

    def setup(self) -> None:
        """Make the table fit and lay out the rows; may be done again."""
        doing = f"Stream {self.stream!r}: preparing table {self.table_name.quoted}"
        try:
            table = prepare(
                self._database, self.stream, self.table_name, self._layout.columns,
                unique=self.keyed, policy=self._options.policy(self.stream),
            )  # fmt: skip
        except psycopg.Error as error:
            raise from_postgres(error, doing) from error
        if self.keyed and not table.unique_key:
            _logger.warning(
                "Table %s has no unique index on exactly the key properties %s: rows are replaced by DELETE and "
                "INSERT, which is slower. Next: create such an index.",
                self.table_name.quoted,
                list(self.source.keys),
            )
        if absent := sorted(table.left_out & lineage.NAMES):
            raise ConfigurationError(
                f"{doing}: it lacks {', '.join(absent)}, and schema_policy is 'freeze'. Next: add these columns, or "
                "set add_record_metadata and activate_version to false."
            )
        columns = {column.name: column for column in table.columns}
        # A frozen table may lack some.
        self._columns = {name: columns[column] for name, column in self._layout.names.items() if column in columns}
        row_column = lineage.SEQUENCE if self._options.metadata else _free_name(_ROW_COLUMN, columns)
        merge = Merge(table, stage=self._stage, row_column=row_column, upsert=self.keyed, keep=self.overwrite)
        empty = self.keyed and not self.overwrite and self._database.rows(merge.is_empty()) == [(True,)]
        self._table = TableLoader(
            self.stream, merge, self._database, self._quarantine,
            properties={column: name for name, column in self._layout.names.items()}, empty=empty,
        )  # fmt: skip
        self._encoder = self._make_encoder()

    def _make_encoder(self) -> RecordEncoder:
        check = None
        if self._validate:
            check = _LazyValidator(self.source.schema, self.stream)
            if self.plan is None:
                check.compile()  # a schema that cannot be used shows before the first record
        return RecordEncoder(
            self.stream,
            [
                Property(name, bounded(encoder(column.type.kind, sanitize=self._options.sanitize), column.type))
                for name, column in self._columns.items()
            ],
            keys=self.source.keys,
            check=check,
            metadata=self._options.metadata,
            sequence=self.keyed,
            bookmark=self.source.bookmark,
        )

    @property
    def plan(self) -> Plan | None:
        """How the native scanner reads the stream's records; None where it cannot."""
        if any(column.type.guarded for column in self._columns.values()):
            return None
        stamps = 0
        constants: tuple[bytes | None, ...] = ()
        if self._options.metadata:
            values = self._origin.values(EPOCH)
            stamps, constants = values.count(EPOCH), tuple(constant(value) for value in values)
        return compile_plan(
            dict(self.source.schema),
            [(name, column.type.kind, column.type.staged) for name, column in self._columns.items()],
            keys=self.source.keys,
            validate=self._validate,
            lineage=self._options.metadata,
            sequence=self.keyed,
            bookmark=self.source.bookmark,
            ignored=(self._known | self._ignored) - self._columns.keys(),
            constants=constants,
            stamps=stamps,
        )

    # Records

    def add(
        self, record: dict[str, Any], message: Mapping[str, Any], where: str, line: int, sequence: int,
        read_at: datetime, block: Block | None = None,
    ) -> int:  # fmt: skip
        """Take a record; the size of its row.

        Args:
            record: after stream maps and flattening.
            message: the RECORD around it, for its version and time.
            where: for messages, such as `line 7`.
            line: its number.
            sequence: grows with every record.
            read_at: when it was read.
            block: where the line can still be read, if bad records are kept.

        Raises:
            DataError: it cannot be loaded.
        """
        if not record.keys() <= self._known:
            self._warn_of_unknown(record)
        try:
            row = self._encoder.encode(record, message, sequence)
        except DataError as error:
            advice = (
                " Next: have the tap send it, or choose other keys with stream_maps and __key_properties__."
                if isinstance(error, MissingKeyError)
                else ""
            )
            raise type(error)(f"Stream {self.stream!r}, {where}: {error}.{advice}") from None
        line_of_copy = f"{row}{self._row_tail(read_at)}\n".encode()
        self.fresh.add(line_of_copy, line, block)
        return len(line_of_copy)

    def outgrown(self, record: dict[str, Any]) -> dict[Column, ColumnType]:
        """The columns that are too small for a record, and the types they need."""
        wanted = {
            column: widened_for(column, value)
            for name, column in self._columns.items()
            if (value := record.get(name)) is not None
        }
        return {column: to for column, to in wanted.items() if to is not None}

    def widen(self, wanted: Mapping[Column, ColumnType]) -> None:
        """Widen columns; this sink does not fit the table any more then."""
        for column, to in wanted.items():
            widen(self._database, self.stream, self.table_name, column, to)

    def _row_tail(self, read_at: datetime) -> str:
        if not self._options.metadata:
            return ""
        if self._tail is None or self._tail[0] is not read_at:
            values = self._origin.values(read_at)
            self._tail = read_at, "".join("\t" + _TEXT(str(value)) for value in values)
        return self._tail[1]

    def extend(self, part: Part) -> None:
        """Take rows that the scanner has written."""
        self.fresh.extend(part)

    def _warn_of_unknown(self, record: dict[str, Any]) -> None:
        for name in record.keys() - self._known - self._ignored:
            self._ignored.add(name)
            _logger.warning("Stream '%s': property '%s' is not in its SCHEMA and is not loaded", self.stream, name)
            self._on_new_plan(self)

    # Batches

    def take(self) -> Batch:
        """The covered rows, for `load`."""
        return self.covered.take()

    def load(self, batch: Batch) -> None:
        """Bring rows into the open transaction."""
        if batch.rows:
            began = time.monotonic()
            self._table.load(batch)
            self.meter.loaded(time.monotonic() - began)

    def has_rows_of(self, transaction: int) -> bool:
        """Whether the table holds rows that a transaction has written."""
        return self._table.has_rows_of(transaction)

    def replace(self, *, first: bool) -> None:
        """Bring the rows of the whole run into the table; `first` deletes all rows of the table before."""
        self._table.replace(first=first)

    def activate(self, version: int) -> None:
        """Remove or mark the rows of earlier versions."""
        self._table.activate(version, hard=self._options.hard_delete, sync_started_at=self._origin.sync_started_at)


class _LazyValidator:
    """Compiled when the first record asks for it: the native path needs none."""

    def __init__(self, schema: Mapping[str, Any], stream: str) -> None:
        self._schema, self._stream = schema, stream
        self._check: Callable[[dict[str, Any]], None] | None = None

    def compile(self) -> Callable[[dict[str, Any]], None]:
        if self._check is None:
            from target_postgres.validation import Validator  # noqa: PLC0415 - its import takes time

            self._check = Validator(dict(self._schema), stream=self._stream)
        return self._check

    def __call__(self, record: dict[str, Any]) -> None:
        self.compile()(record)


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


_TEXT = encoder("text", sanitize=True)
