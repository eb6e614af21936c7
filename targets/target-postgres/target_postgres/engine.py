"""From messages to committed rows and acknowledged STATEs. Knows nothing of the command line or of the SDK."""

from __future__ import annotations

import copy
import logging
import sys
import time
from collections import Counter
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from singer_kit.errors import DataError
from target_postgres import settings
from target_postgres.bookmarks import Bookmarks
from target_postgres.completeness import Completeness
from target_postgres.connection import Connector
from target_postgres.database import Database
from target_postgres.errors import RecordBeforeSchemaError
from target_postgres.layout import StreamSchema
from target_postgres.lineage import Origin, new_batch_id
from target_postgres.loader import Limits, Loader
from target_postgres.metrics import report_schema
from target_postgres.quarantine import Quarantine
from target_postgres.reading import Reader
from target_postgres.rows import Block, Part
from target_postgres.scanner import Scanner, available
from target_postgres.sink import Sink
from target_postgres.streams import Streams, unmapped
from target_postgres.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_postgres.naming import TableName
    from target_postgres.streams import Mapper, Record
    from target_postgres.tables import Column
    from target_postgres.types import ColumnType

_REPORT_SECONDS = 2.0
_LAST_SECONDS = 2.0
_ROWS, _BYTES = 50_000, 12 * 1024 * 1024

_logger = logging.getLogger("target-postgres")


class Engine:
    """One run of the target.

    Args:
        config: the settings, with defaults.
        mapper: stream maps.
        load_files: brings in the files of a BATCH message; None refuses those.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        mapper: Mapper = unmapped,
        load_files: Callable[[Engine, Record], None] | None = None,
    ) -> None:
        given = settings.complete(config)
        options = self.options = settings.options(given, batch_id=new_batch_id())
        self.started_at = int(time.time() * 1000)
        self._validate = bool(given.get("validate_records", True))
        self._activate_version = bool(given["activate_version"])
        self._report_schemas = bool(given["report_schemas"])
        self.reader = Reader(self._process_line, self._tick)
        sleep = self.reader.sleep
        self._database = Database(
            Connector(config, sleep=sleep), patience=given["connection_retry_seconds"] or 0, sleep=sleep
        )
        self._worker = Worker()
        self._bookmarks = (
            Bookmarks(self._database, options.state_table, options.state_id, options.fencing_token)
            if options.state_table and options.state_id
            else None
        )
        self._loader = Loader(
            self._database, self._worker,
            Limits(
                given["batch_size_rows"] or _ROWS, given["batch_size_bytes"] or _BYTES,
                given["commit_interval_seconds"] or 0,
            ),
            _write_line, bookmarks=self._bookmarks, overwrite=options.load_method == "overwrite",
        )  # fmt: skip
        self._quarantine = (
            Quarantine(
                self._database, options.schema or "public", options.bad_records_table,
                batch_id=options.batch_id, limit=options.max_bad_records,
            )
            if options.quarantine
            else None
        )  # fmt: skip
        self._mapper = mapper
        self._load_files = load_files
        self._scanner = Scanner() if available() else None
        if self._scanner is not None:
            self.reader.scan = self._scan
        self._schemas: dict[str, StreamSchema] = {}
        self._streams = Streams(self._open_sink)
        self._completeness = Completeness(vouched=options.input_end_is_success)
        # Microseconds, then one more for each record: no run brings a million records a second,
        # so the next one starts higher than this one ends.
        self._sequence = time.time_ns() // 1000
        self._reported_at = time.monotonic()
        self.counts: Counter[str] = Counter()

    # The run

    def run(self, source: IO[Any] | None) -> None:
        """Read everything and load it.

        Args:
            source: messages, a line each; None reads stdin.

        Raises:
            PluginError: what the last STATE covers is committed, the rest is not.
        """
        self.read(source)
        self.finish()

    def read(self, source: IO[Any] | None) -> None:
        """Take all messages in; `finish` belongs behind it."""
        try:
            self._open()
            self.reader.run(source)
        except BaseException:
            self._abort()
            raise

    def finish(self) -> None:
        """The clean end of the input: everything is committed, deletes included, and the last STATE acknowledged."""
        try:
            if self._tail_may_come_again():
                self._drop_tail()
            self._loader.finish(self._conclude)
        except BaseException:
            self._abort()
            raise
        self._report()
        if self._quarantine is not None and self._quarantine.count:
            _logger.warning(
                "%d bad records were set aside in %s", self._quarantine.count, self._quarantine.table_name.quoted
            )
        self._database.close()

    @property
    def stream_count(self) -> int:
        return len(self._streams)

    def interrupt(self, signal_number: int) -> None:
        """Handle a signal."""
        self.reader.interrupt(signal_number)

    def _open(self) -> None:
        if self._bookmarks is not None:
            self._loader.shape(self._bookmarks.claim)
        if self._quarantine is not None:
            self._streams.claim(self._quarantine.table_name, "(bad records)")
            self._loader.shape(self._quarantine.setup)
        _ = self._database.connection

    def _abort(self) -> None:
        """Commit what the last STATE covers; what failed here stays hidden behind what ended the run."""
        try:
            if not self.reader.impatient:
                self._loader.abort()
        except Exception as error:  # noqa: BLE001
            _logger.warning("Rows that the last STATE covers could not be committed: %s", error)
        finally:
            self._report()
            if self._worker.busy:
                self._database.cancel()
            # A session is not taken from under the hands of a thread; the process's end closes it too.
            if self._worker.wait_at_most(_LAST_SECONDS):
                self._database.close()

    # What the end of the input proves

    def _tail_may_come_again(self) -> bool:
        """Whether rows after the last STATE must stay out.

        Where the bookmark is kept with the rows, the next run brings those rows again, which only keys make up for.
        """
        if self._completeness.vouched or self._bookmarks is None or not self._completeness.has_state:
            return False
        if self.options.load_method == "overwrite":
            return False  # see _refuse_a_part
        return any(not sink.keyed for sink in self._loader.uncovered_sinks)

    def _drop_tail(self) -> None:
        streams = sorted(sink.table_name.quoted for sink in self._loader.uncovered_sinks)
        self._loader.drop_uncovered()
        self._completeness.versions.clear()  # what they would remove the rest for has not come
        _logger.warning(
            "The input went on after its last STATE. Those rows, for %s, are not loaded: the tap sends them again when "
            "it goes on from there, and a table without keys would hold them twice. If the tap had finished, say so "
            "with end_of_input=finished.",
            ", ".join(streams),
        )

    def _conclude(self) -> None:
        """What waits for the end of the input: whole tables replaced, rows of earlier versions removed."""
        replaced: set[TableName] = set()
        for sink in self._streams.all_sinks:
            if sink.overwrite:
                self._refuse_a_part(sink)
                sink.replace(first=sink.table_name not in replaced)
                replaced.add(sink.table_name)
        for stream, version in self._completeness.versions.items():
            routes = self._streams.routes(stream)
            if routes is None:
                _logger.warning("Stream '%s': ACTIVATE_VERSION without a SCHEMA is ignored", stream)
            elif not self._completeness.is_whole(stream):
                _logger.warning(
                    "Stream '%s': version %d was announced before its records and not behind them, so the end of the "
                    "input does not prove that they are all: rows of earlier versions stay. If the tap had finished, "
                    "say so with end_of_input=finished.",
                    stream,
                    version,
                )
            else:
                for route in routes:
                    if not route.sink.overwrite:
                        route.sink.activate(version)

    def _refuse_a_part(self, sink: Sink) -> None:
        """A whole table is not replaced by the beginning of a stream."""
        if self._completeness.vouched or not self._completeness.has_state:
            return
        if sink in self._loader.uncovered_sinks:
            raise DataError(
                f"Stream {sink.stream!r}: the input ended behind its last record without another STATE, which does not "
                f"prove that the stream was complete: {sink.table_name.quoted} stays as it was. Next: run again, or, "
                "if the tap had finished, say so with end_of_input=finished."
            )

    # Lines

    def _scan(self, block: bytes, start: int, line: int) -> tuple[int, int]:
        """Take the records that the scanner surely understands; where it stopped, and how many lines that was."""
        assert self._scanner is not None  # noqa: S101
        for stream, plan in self._streams.take_new_plans():
            self._scanner.set(stream, plan)
        scanned = self._scanner.scan(
            block, start, line=line, sequence=self._sequence + 1, rows=self._loader.room, read_at=self.reader.read_at
        )
        self._sequence += scanned.rows
        self._completeness.records(chunk.stream for chunk in scanned.chunks)
        kept = Block(block[start : scanned.stop], line) if self._quarantine is not None and scanned.rows else None
        for chunk in scanned.chunks:
            sink = self._sink_of(chunk.stream)
            sink.extend(Part(chunk.data, chunk.line_numbers, kept, binary=True))
            sink.meter.count(chunk.rows, chunk.size)
            self.counts["RECORD"] += chunk.rows
            self._loader.added(sink, chunk.rows, len(chunk.data))
        return scanned.stop, scanned.lines

    def _sink_of(self, stream: str) -> Sink:
        """The one sink of a stream that goes as it is."""
        routes = self._streams.routes(stream)
        assert routes is not None  # noqa: S101 - it has a plan
        return routes[0].sink

    def _process_line(self, message: Record) -> None:
        process = _MESSAGES.get(message["type"]) if isinstance(message["type"], str) else None
        if process is None:
            self.reader.warn_of_unknown(message)
            return
        process(self, message)
        self.counts[message["type"]] += 1

    def _process_record(self, message: Record) -> None:
        stream, record = message.get("stream"), message.get("record")
        if not isinstance(stream, str) or not isinstance(record, dict):
            raise DataError(f"{self._at} is a RECORD without a stream's name or without a record.")
        self.take_record(stream, record, message, self.reader.line)

    def take_record(
        self, stream: str, record: Record, message: Mapping[str, Any], raw: bytes, where: str | None = None
    ) -> None:
        """Hand a record to the sinks of its stream.

        Args:
            stream: its name in the messages.
            record: as the tap sent it.
            message: the RECORD around it.
            raw: what to keep if it is bad.
            where: for messages; the current line if None.
        """
        routes = self._streams.routes(stream)
        if routes is None:
            raise RecordBeforeSchemaError(
                f"{self._at}: a RECORD of stream {stream!r} came before its SCHEMA. Next: this is a defect of the tap."
            )
        self._completeness.records((stream,))
        for route in routes:
            mapped = record if route.transform is None else route.transform(dict(record))
            if mapped is not None:
                route.sink.meter.count(1, len(raw))
                self._add(route.sink, mapped, message, raw, where or f"line {self.reader.line_number}")

    def _add(self, sink: Sink, record: Record, message: Mapping[str, Any], raw: bytes, where: str) -> None:
        line = self.reader.line_number
        self._sequence += 1
        block = Block(raw.rstrip(b"\n"), line) if self._quarantine is not None else None

        def add(to: Sink) -> int:
            return to.add(record, message, where, line, self._sequence, self.reader.read_at, block)

        # Only what a sink says of the record is about the record: loading may fail for another one's sake.
        try:
            size = add(sink)
        except DataError as error:
            wanted = sink.outgrown(record) if self.options.policy(sink.stream) == "evolve" else {}
            if wanted:
                sink = self._widened(sink, wanted)
                self._add(sink, record, message, raw, where)
                return
            if self._quarantine is None:
                raise
            size = self._quarantine.add(sink.stream, sink.table_name, line, error, raw)
            self._loader.added(self._quarantine, 1, size)
            return
        self._loader.added(sink, 1, size)

    def _widened(self, sink: Sink, wanted: Mapping[Column, ColumnType]) -> Sink:
        """A sink for the same stream, with a table that takes larger values."""
        _logger.info(
            "Stream '%s': %s of %s",
            sink.stream,
            ", ".join(f"widening {column.name} from {column.type.sql} to {to.sql}" for column, to in wanted.items()),
            sink.table_name.quoted,
        )
        self._loader.settle()
        self._loader.shape(partial(sink.widen, wanted))
        return self._streams.reopen(sink)

    def _process_schema(self, message: Record) -> None:
        source = StreamSchema.of(message, at=self._at)
        if self._schemas.get(source.stream) == source:
            return
        if self._report_schemas:
            report_schema(source)
        remembered = copy.deepcopy(source)  # stream maps may change what they are given
        mapped = self._mapper(source)
        self._loader.checkpoint()
        if source.stream in self._streams:
            self._loader.settle()
        self._streams.declare(source.stream, mapped)
        self._schemas[source.stream] = remembered

    def _open_sink(self, source: StreamSchema, number: int) -> Sink:
        sink = Sink(
            source, self.options, self._database,
            Origin(self.options.source, source.stream, self.options.batch_id, self.started_at),
            validate=self._validate, stage=f"load_{number}", quarantine=self._quarantine,
            on_new_plan=self._streams.renew_plan,
        )  # fmt: skip
        self._streams.claim(sink.table_name, source.stream)
        self._loader.shape(sink.setup)
        return sink

    def _process_state(self, message: Record) -> None:
        if "value" not in message:
            raise DataError(f"{self._at} is a STATE without a value.")
        self._completeness.has_state = True
        self._loader.state(self.reader.state_text())
        self._tick()

    def _process_activate_version(self, message: Record) -> None:
        stream, version = message.get("stream"), message.get("version")
        if not isinstance(stream, str) or not isinstance(version, int):
            raise DataError(f"{self._at} is an ACTIVATE_VERSION without a stream's name or an integer version.")
        if not self._activate_version:
            _logger.warning("Stream '%s': ACTIVATE_VERSION is ignored, for activate_version is false", stream)
            return
        # Nothing is removed before the end of the input.
        self._completeness.announced(stream, version)

    def _process_batch(self, message: Record) -> None:
        if self._load_files is None:
            raise DataError(f"{self._at} is a BATCH, which this way of starting the target does not read.")
        self._load_files(self, message)

    @property
    def _at(self) -> str:
        return f"Line {self.reader.line_number}"

    # Now and then

    def _tick(self) -> None:
        now = time.monotonic()
        self._loader.tick(now)
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            self._report()

    def _report(self) -> None:
        for sink in self._streams.sinks:
            sink.meter.report()


_MESSAGES: dict[str, Callable[[Engine, Record], None]] = {
    "RECORD": Engine._process_record,  # noqa: SLF001 - its own
    "SCHEMA": Engine._process_schema,  # noqa: SLF001
    "STATE": Engine._process_state,  # noqa: SLF001
    "ACTIVATE_VERSION": Engine._process_activate_version,  # noqa: SLF001
    "BATCH": Engine._process_batch,  # noqa: SLF001
}


def _write_line(state: bytes) -> None:
    """Past the text layer, whose encoding is the locale's; a stdout that was replaced may have no other."""
    if (buffer := getattr(sys.stdout, "buffer", None)) is not None:
        buffer.write(state + b"\n")
    else:
        sys.stdout.write(state.decode() + "\n")
    sys.stdout.flush()
