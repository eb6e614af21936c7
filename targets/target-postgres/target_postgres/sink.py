"""One stream on its way into one table."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from singer_kit.errors import DataError
from target_postgres import lineage, naming
from target_postgres.encoding import encoder
from target_postgres.errors import MissingKeyError, RefusedError, copy_position, from_postgres
from target_postgres.layout import lay_out
from target_postgres.merge import Merge
from target_postgres.metrics import StreamMeter
from target_postgres.plans import compile_plan
from target_postgres.records import Property, RecordEncoder
from target_postgres.rows import Part, Rows
from target_postgres.tables import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_postgres.database import Database
    from target_postgres.layout import StreamSchema
    from target_postgres.naming import TableName
    from target_postgres.plans import Plan
    from target_postgres.quarantine import Quarantine
    from target_postgres.rows import Batch, Block, LazyLines
    from target_postgres.settings import Options

_ROW_COLUMN = "_load_row"

_logger = logging.getLogger("target-postgres")


class Sink:
    """Turns records into rows and loads them in batches.

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
        self.table_name: TableName = naming.table_name(
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
        self._tail = b""
        self._distinct = False
        self._unversioned = False
        self._staged = False

    def setup(self) -> None:
        """Make the table fit and lay out the rows; may be done again."""
        doing = f"Stream {self.stream!r}: preparing table {self.table_name.quoted}"
        try:
            table = prepare(self._database, self.stream, self.table_name, self._layout.columns, unique=self.keyed)
        except psycopg.Error as error:
            raise from_postgres(error, doing) from error
        if self.keyed and not table.unique_key:
            _logger.warning(
                "Table %s has no unique index on exactly the key properties %s: rows are replaced by DELETE and "
                "INSERT, which is slower. Next: create such an index.",
                self.table_name.quoted,
                list(self.source.keys),
            )
        per_batch = {name for name, _ in lineage.PER_BATCH} if self._options.metadata else set()
        staged = tuple(column for column in table.columns if column.name not in per_batch)
        self._kinds = {column.name: column.type for column in staged}
        self._written = [(name, column) for name, column in self._layout.names.items() if column in self._kinds]
        straight = not self.keyed and not self.overwrite
        self._straight = straight and all(column.type.staged == column.type.sql for column in table.columns)
        row_column = lineage.SEQUENCE if self._options.metadata else _free_name(_ROW_COLUMN, self._kinds)
        self._merge = Merge(
            table,
            stage=self._stage,
            staged=staged,
            row_column=row_column if self.keyed else None,
            upsert=self.keyed,
            keep=self.overwrite,
        )
        self._encoder = self._make_encoder()
        self._refresh()

    def _make_encoder(self) -> RecordEncoder:
        check = None
        if self._validate:
            check = _LazyValidator(self.source.schema, self.stream)
            if self.plan is None:
                check.compile()  # a schema that cannot be used shows before the first record
        return RecordEncoder(
            self.stream,
            [
                Property(name, encoder(self._kinds[column].kind, sanitize=self._options.sanitize))
                for name, column in self._written
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
        if any(_rounds_or_cuts(self._kinds[column].sql) for _, column in self._written):
            return None
        return compile_plan(
            dict(self.source.schema),
            [(name, self._kinds[column].kind) for name, column in self._written],
            keys=self.source.keys,
            validate=self._validate,
            lineage=self._options.metadata,
            sequence=self.keyed,
            bookmark=self.source.bookmark,
            ignored=frozenset(self._ignored | lineage.SDK_NAMES) - set(self._layout.names),
            tail=self._tail,
        )

    # Records

    def add(
        self, record: dict[str, Any], message: Mapping[str, Any], where: str, line: int, sequence: int,
        block: Block | None = None,
    ) -> int:  # fmt: skip
        """Take a record; the size of its row.

        Args:
            record: after stream maps and flattening.
            message: the RECORD around it, for its version and time.
            where: for messages, such as `line 7`.
            line: its number.
            sequence: grows with every record.
            block: where the line can still be read, if bad records are kept.

        Raises:
            DataError: it cannot be loaded.
        """
        if not record.keys() <= self._known:
            self._warn_of_unknown(record)
        try:
            row = self._encoder.encode(record, message, sequence).encode()
        except DataError as error:
            advice = (
                " Next: have the tap send it, or choose other keys with stream_maps and __key_properties__."
                if isinstance(error, MissingKeyError)
                else ""
            )
            raise type(error)(f"Stream {self.stream!r}, {where}: {error}.{advice}") from None
        self.fresh.add(row + self._tail + b"\n", line, block)
        return len(row)

    def extend(self, data: bytes, lines: LazyLines, block: Block | None) -> None:
        """Take rows that the scanner has written."""
        self.fresh.extend(Part(data, lines, block))

    def _warn_of_unknown(self, record: dict[str, Any]) -> None:
        for name in record.keys() - self._known - self._ignored:
            self._ignored.add(name)
            _logger.warning("Stream '%s': property '%s' is not in its SCHEMA and is not loaded", self.stream, name)
            self._on_new_plan(self)

    # Batches

    def take(self) -> Batch:
        batch = self.covered.take()
        self._refresh()
        return batch

    def _refresh(self) -> None:
        """Rows that go straight into the table carry the columns of `lineage.PER_BATCH` themselves."""
        if self._straight and self._options.metadata:
            values = self._origin.values(datetime.now(tz=timezone.utc)).values()
            self._tail = "".join("\t" + _TEXT(value) for value in values).encode()
            self._on_new_plan(self)

    def load(self, batch: Batch) -> None:
        """Bring rows into the open transaction."""
        if not batch.rows:
            return
        began = time.monotonic()
        if self._quarantine is None:
            self._load(batch)
        else:
            self._load_the_good(batch, self._quarantine)
        self.meter.loaded(time.monotonic() - began)

    def _load(self, batch: Batch) -> None:
        if self._straight:
            self._copy(batch, into_table=True)
            return
        if not self._staged:
            self._run(self._merge.create_stage())
            self._staged = self.overwrite
        self._copy(batch, into_table=False)
        if not self.overwrite:
            self._move(batch.begun_at)
            self._run(self._merge.drop_stage())

    def _load_the_good(self, batch: Batch, quarantine: Quarantine) -> None:
        try:
            with self._database.savepoint():
                self._load(batch)
        except DataError as error:
            if not isinstance(error.__cause__, (psycopg.DataError, psycopg.IntegrityError)):
                raise
            if batch.rows == 1:
                line = batch.line(0)
                quarantine.add_refused(self.stream, self.table_name, line, error, batch.raw(0) or b"")
                return
            row = error.row if isinstance(error, RefusedError) else None
            for part in batch.split(batch.rows // 2) if row is None else batch.split(row, row + 1):
                self._load_the_good(part, quarantine)

    def replace(self, *, first: bool) -> None:
        """Bring the staged rows of the whole run into the table.

        Args:
            first: delete all rows of the table before.
        """
        if not self._staged:
            self._run(self._merge.create_stage())
        if first:
            self._run(self._merge.delete_all())
        self._move(datetime.now(tz=timezone.utc))

    def _move(self, received_at: datetime) -> None:
        constants = self._origin.constants(received_at) if self._options.metadata else {}
        if self.keyed and self._options.metadata and not self._unversioned and not self.overwrite:
            self._unversioned = bool(self._database.rows(self._merge.unversioned()))
        statements = partial(self._merge.load, constants)
        table = self._merge.table
        if not (self.keyed and table.unique_key) or self._distinct or self.overwrite:
            for statement in statements(distinct=self.keyed):
                self._run(statement)
            return
        try:
            with self._database.savepoint():
                self._run(*statements(distinct=False))
        except DataError as error:
            if not isinstance(error.__cause__, psycopg.errors.CardinalityViolation):
                raise
            # A key came twice in one batch. Where that happens once it happens again.
            self._distinct = True
            self._run(*statements(distinct=True))

    def activate(self, version: int) -> None:
        """Remove or mark the rows of earlier versions."""
        statement = self._merge.activate(
            version,
            hard=self._options.hard_delete,
            sync_started_at=self._origin.sync_started_at,
            spare_unversioned=self._unversioned,
        )
        self._database.run(statement, doing=f"Stream {self.stream!r}: activating version {version}")

    @property
    def _doing(self) -> str:
        return f"Stream {self.stream!r}: loading {self.table_name.quoted}"

    def _run(self, statement: str) -> None:
        self._database.run(statement, doing=self._doing)

    def _copy(self, batch: Batch, *, into_table: bool) -> None:
        try:
            self._database.copy(self._merge.copy(into_table=into_table), batch.data())
        except psycopg.Error as error:
            raise self._copy_error(error, batch) from error

    def _copy_error(self, error: psycopg.Error, batch: Batch) -> Exception:
        row, column = copy_position(error)
        if (
            row is None
            or not 0 < row <= batch.rows
            or not isinstance(error, (psycopg.DataError, psycopg.IntegrityError))
        ):
            return from_postgres(error, self._doing)
        names = {column: name for name, column in self._layout.names.items()}
        at = f", property {names.get(column, column)!r}" if column else ""
        reason = (error.diag.message_primary or "refused by Postgres")[:300]
        return RefusedError(f"Stream {self.stream!r}, line {batch.line(row - 1)}{at}: {reason}.", row - 1)


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


def _rounds_or_cuts(sql: str) -> bool:
    """Whether a column may change a value without a word, or takes a smaller range than its kind."""
    return "(" in sql or sql in {"smallint", "integer", "real"}


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


_TEXT = encoder("text", sanitize=True)
